//! `cargo xtask documents`: harness/docs/documents.md, made of `fixtures/documents.tsv`: what the products'
//! documents promise, and where it is served or why not.
//!
//! Must not know how any of it is served: it looks whether what a row names is there.

mod page;
mod references;
mod table;

use std::{fs, path::PathBuf};

use crate::{Outcome, command::program, workspace};

const PAGE: &str = "harness/docs/documents.md";
const STALE: &str =
    "harness/docs/documents.md is not what its table says: run cargo xtask documents --accept";

/// Shows what would change in the page, or takes it over.
pub fn run_review(words: &[&str]) -> Outcome {
    match words {
        [] => check(),
        ["--accept"] if workspace::in_ci() => {
            Err("documents: a CI accepts nothing; accept on your own machine and commit".to_owned())
        }
        ["--accept"] => {
            fs::write(committed(), made()?)
                .map_err(|error| format!("cannot write {PAGE}: {error}"))?;
            println!("{PAGE} is what its table says");
            Ok(())
        }
        _ => Err(format!("documents: expected nothing or --accept, got {words:?}")),
    }
}

/// Fails when the page is another one than the table makes, or a row names what is not there.
pub fn check() -> Outcome {
    let made = made()?;
    // One that is not there differs in everything.
    if fs::read_to_string(committed()).unwrap_or_default() == made {
        return Ok(());
    }
    show_difference(&made)?;
    Err(STALE.to_owned())
}

fn committed() -> PathBuf {
    workspace::root().join(PAGE)
}

fn made() -> Result<String, String> {
    let text = fs::read_to_string(workspace::root().join(table::TABLE))
        .map_err(|error| format!("{}: {error}", table::TABLE))?;
    let rows = table::parse(&text)?;
    references::Present::of(workspace::root())?.require_all(&rows)?;
    Ok(page::page(&rows))
}

fn show_difference(made: &str) -> Outcome {
    let new = workspace::root().join("target/documents.md");
    fs::write(&new, made).map_err(|error| format!("cannot write {}: {error}", new.display()))?;
    let old = if committed().exists() { PAGE } else { "/dev/null" };
    // Its exit code says whether they differ, which is known.
    let mut diff = program("git");
    diff.args(["--no-pager", "diff", "--no-index", "--", old, "target/documents.md"]);
    diff.status().map(drop).map_err(|error| format!("{STALE} (git shows no difference: {error})"))
}

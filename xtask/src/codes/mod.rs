//! `cargo xtask codes`: CODES.md, made of what `goldline codes --json` prints and of
//! `fixtures/troubleshooting.tsv`.
//!
//! Must not know a code, nor what any of them means.

pub mod documents;
mod page;

use std::{fs, path::PathBuf};

use serde_json::Value;

use crate::{
    Outcome,
    command::{cargo, output, program},
    workspace,
};

const STALE: &str = "CODES.md is not what the source says: run cargo xtask codes --accept";

/// Shows what would change in CODES.md, or takes it over.
pub fn run_review(words: &[&str]) -> Outcome {
    match words {
        [] => check(),
        ["--accept"] if workspace::in_ci() => {
            Err("codes: a CI accepts nothing; accept on your own machine and commit".to_owned())
        }
        ["--accept"] => {
            fs::write(committed(), made()?)
                .map_err(|error| format!("cannot write {}: {error}", committed().display()))?;
            println!("CODES.md is what the source says");
            Ok(())
        }
        _ => Err(format!("codes: expected nothing or --accept, got {words:?}")),
    }
}

/// Fails when CODES.md is another one than the source makes, and shows the difference.
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
    workspace::root().join("CODES.md")
}

fn made() -> Result<String, String> {
    let words = ["run", "--quiet", "--package", "goldline", "--", "codes", "--json"];
    let codes: Value = serde_json::from_str(&output(&mut cargo(words))?)
        .map_err(|error| format!("goldline codes --json: {error}"))?;
    let table = workspace::root().join(documents::TABLE);
    let table =
        fs::read_to_string(table).map_err(|error| format!("{}: {error}", documents::TABLE))?;
    page::page(&codes, &documents::parse(&table)?)
}

fn show_difference(made: &str) -> Outcome {
    let new = workspace::root().join("target/CODES.md");
    fs::write(&new, made).map_err(|error| format!("cannot write {}: {error}", new.display()))?;
    let old = if committed().exists() { "CODES.md" } else { "/dev/null" };
    // Its exit code says whether they differ, which is known.
    let mut diff = program("git");
    diff.args(["--no-pager", "diff", "--no-index", "--", old, "target/CODES.md"]);
    diff.status().map(drop).map_err(|error| format!("{STALE} (git shows no difference: {error})"))
}

//! `cargo xtask documents`: harness/docs/documents.md, made of `fixtures/documents.tsv`: what the products'
//! documents promise, and where it is served or why not.
//!
//! Must not know how any of it is served: it looks whether what a row names is there.

mod page;
mod references;
mod table;

use std::fs;

use crate::{made_page::MadePage, workspace};

/// The page.
pub const PAGE: MadePage =
    MadePage { path: "harness/docs/documents.md", chore: "documents", make: made };

fn made() -> Result<String, String> {
    let text = fs::read_to_string(workspace::root().join(table::TABLE))
        .map_err(|error| format!("{}: {error}", table::TABLE))?;
    let rows = table::parse(&text)?;
    references::Present::of(workspace::root())?.require_all(&rows)?;
    Ok(page::page(&rows))
}

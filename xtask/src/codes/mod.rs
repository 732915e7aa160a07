//! `cargo xtask codes`: CODES.md, made of what `goldline codes --json` prints and of
//! `fixtures/troubleshooting.tsv`.
//!
//! Must not know a code, nor what any of them means.

pub mod documents;
mod page;

use std::fs;

use serde_json::Value;

use crate::{
    command::{cargo, output},
    made_page::MadePage,
    workspace,
};

/// The page.
pub const PAGE: MadePage = MadePage { path: "CODES.md", chore: "codes", make: made };

fn made() -> Result<String, String> {
    let words = ["run", "--quiet", "--package", "goldline", "--", "codes", "--json"];
    let codes: Value = serde_json::from_str(&output(&mut cargo(words))?)
        .map_err(|error| format!("goldline codes --json: {error}"))?;
    let table = workspace::root().join(documents::TABLE);
    let table =
        fs::read_to_string(table).map_err(|error| format!("{}: {error}", documents::TABLE))?;
    page::page(&codes, &documents::parse(&table)?)
}

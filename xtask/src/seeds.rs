//! The products' documents, where somebody has them beside the repository: they are others', and not the
//! project's to give away.

use std::{fs, path::PathBuf};

use crate::workspace;

/// The text of a document by its number; where there is none, says for the list of skipped tests why.
pub fn document(number: &str) -> Option<String> {
    let found = read(number);
    if found.is_none() {
        println!("skipped: there are no documents at ../shared/seeds beside the repository");
    }
    found
}

fn read(number: &str) -> Option<String> {
    let folder = workspace::root().join("../shared/seeds");
    let files = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    let is_it = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with(&format!("{number}_")))
    };
    Some(String::from_utf8_lossy(&fs::read(files.into_iter().find(is_it)?).ok()?).into_owned())
}

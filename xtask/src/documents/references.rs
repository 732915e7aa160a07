//! Whether what the rows name is there: looked up in sources, fixtures and goldens, not by running anything.
//!
//! Must not know why a row names it.

use std::{fs, path::Path};

use super::table::{Kind, Reference, Row, TABLE};

/// The texts in which names are looked up.
pub struct Present {
    profiles: Vec<String>,
    commands: Vec<String>,
    check_names: String,
    codes: String,
    faults: String,
    sources: String,
}

impl Present {
    /// Reads what is in a repository.
    pub fn of(root: &Path) -> Result<Self, String> {
        let text = |name: &str| {
            fs::read_to_string(root.join(name)).map_err(|error| format!("{name}: {error}"))
        };
        let mut sources = String::new();
        for folder in ["harness", "xtask"] {
            read_sources(&root.join(folder), &mut sources)?;
        }
        let helps = stems(&root.join("golden/help"), ".snap")?;
        Ok(Self {
            profiles: stems(&root.join("fixtures/profiles"), ".toml")?,
            commands: helps.iter().map(|name| name.replacen("goldline_", "", 1)).collect(),
            check_names: text("harness/goldline/src/profile/check_id.rs")?,
            codes: text("CODES.md")?,
            faults: text("harness/docs/simulator.md")?,
            sources,
        })
    }

    /// Fails with every row that names what is not there.
    pub fn require_all(&self, rows: &[Row]) -> Result<(), String> {
        let named = rows.iter().flat_map(|row| row.served.iter().map(move |named| (row, named)));
        let lost: Vec<String> = named
            .filter(|(_, named)| !self.has(named))
            .map(|(row, named)| {
                format!("{TABLE}: {} \"{}\": there is no {named:?}", row.document, row.quote)
            })
            .collect();
        if lost.is_empty() { Ok(()) } else { Err(lost.join("\n")) }
    }

    fn has(&self, named: &Reference) -> bool {
        let Reference { kind, name } = named;
        match kind {
            Kind::Profile => self.profiles.contains(name),
            Kind::Command => self.commands.contains(&name.replace(' ', "_")),
            Kind::Check => self.check_names.contains(&format!("=> \"{name}\",")),
            Kind::Code => self.codes.contains(&format!("\n### `{name}`\n")),
            Kind::Fault => self.faults.contains(&format!("`{name}`")),
            Kind::Test => self.sources.contains(&format!("fn {name}(")),
        }
    }
}

/// The names of the files of a folder, without their common end.
fn stems(folder: &Path, end: &str) -> Result<Vec<String>, String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    let names = entries.flatten().map(name);
    Ok(names.filter_map(|name| name.strip_suffix(end).map(str::to_owned)).collect())
}

fn read_sources(folder: &Path, into: &mut String) -> Result<(), String> {
    let failed = |error| format!("{}: {error}", folder.display());
    for entry in fs::read_dir(folder).map_err(failed)?.flatten() {
        let path = entry.path();
        if path.is_dir() {
            read_sources(&path, into)?;
        } else if path.extension().is_some_and(|end| end == "rs") {
            into.push_str(&fs::read_to_string(&path).map_err(failed)?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{documents::table::parse, workspace};

    #[test]
    fn a_row_that_names_what_is_not_there_is_told() {
        let present = Present::of(workspace::root()).expect("a repository");
        let all = "000\tA\tb\tprofile:espvault, check:wifi_join, command:nvs show, code:boot.loop, \
                   fault:flash.app_bit, test:a_row_that_names_what_is_not_there_is_told\n";
        present.require_all(&parse(all).expect("read")).expect("all of it is there");
        for gone in
            ["profile:door", "check:joins", "command:fly", "code:a.b", "fault:a.b", "test:no_such"]
        {
            let rows = parse(&format!("000\tA\tb\t{gone}\n")).expect("read");
            let error = present.require_all(&rows).expect_err(gone);
            assert!(error.contains(gone.split(':').nth(1).expect("a name")), "{error}");
        }
    }
}

//! A committed page that is made of something else, reviewed before it is taken over.
//!
//! Must not know what a page says, nor what it is made of.

use std::{fs, path::PathBuf};

use crate::{Outcome, command::program, workspace};

/// One such page.
pub struct MadePage {
    /// Below the repository's root.
    pub path: &'static str,
    /// The chore that makes it: `cargo xtask CHORE --accept`.
    pub chore: &'static str,
    /// Makes its text.
    pub make: fn() -> Result<String, String>,
}

impl MadePage {
    /// Shows what would change in the page, or takes it over.
    pub fn review(&self, words: &[&str]) -> Outcome {
        let Self { path, chore, make } = self;
        match words {
            [] => self.check(),
            ["--accept"] if workspace::in_ci() => {
                Err(format!("{chore}: a CI accepts nothing; accept on your own machine and commit"))
            }
            ["--accept"] => {
                fs::write(self.committed(), make()?)
                    .map_err(|error| format!("cannot write {path}: {error}"))?;
                println!("{path} is what it is made of");
                Ok(())
            }
            _ => Err(format!("{chore}: expected nothing or --accept, got {words:?}")),
        }
    }

    /// Fails when the page is another one than is made now, and shows the difference.
    pub fn check(&self) -> Outcome {
        let made = (self.make)()?;
        // One that is not there differs in everything.
        if fs::read_to_string(self.committed()).unwrap_or_default() == made {
            return Ok(());
        }
        let Self { path, chore, .. } = self;
        let stale = format!("{path} is not what it is made of: run cargo xtask {chore} --accept");
        self.show_difference(&made)
            .map_err(|error| format!("{stale} (git shows no difference: {error})"))?;
        Err(stale)
    }

    fn committed(&self) -> PathBuf {
        workspace::root().join(self.path)
    }

    fn show_difference(&self, made: &str) -> Outcome {
        let new = format!("target/{}.md", self.chore);
        fs::write(workspace::root().join(&new), made)
            .map_err(|error| format!("cannot write {new}: {error}"))?;
        let old = if self.committed().exists() { self.path } else { "/dev/null" };
        // Its exit code says whether they differ, which is known.
        let mut diff = program("git");
        diff.args(["--no-pager", "diff", "--no-index", "--", old, &new]);
        diff.status().map(drop).map_err(|error| error.to_string())
    }
}

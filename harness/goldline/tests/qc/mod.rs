//! What the QC cases are made of, in the order of a case's life.
//!
//! | module | what for |
//! | --- | --- |
//! | `settings` | the environment, parsed: which unit, which profiles, who shares a run |
//! | `cases` | settings → test cases |
//! | `session` | one run for all cases that ask for it, whichever process they are in |
//! | `unit_run` | the run itself: the `goldline` program as a child |
//! | `failure` | why a case is not good, as text |

pub mod cases;
pub mod failure;
pub mod session;
pub mod settings;
pub mod unit_run;

use std::path::{Path, PathBuf};

use libtest_mimic::Trial;

use settings::Settings;

/// The test cases of an environment. What is wrong with it becomes the only case, and fails.
pub fn trials(variable: impl Fn(&str) -> Option<String>) -> Vec<Trial> {
    match Settings::new(&repository(), variable) {
        Ok(settings) => cases::of(settings),
        Err(error) => vec![cases::failing("qc::settings", error.to_string())],
    }
}

/// The top of the repository, from which relative paths count.
pub fn repository() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().nth(2).expect("the package lies two folders deep").to_owned()
}

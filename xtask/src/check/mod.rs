//! `cargo xtask check`: everything that needs no test run.
//!
//! Every part runs even when an earlier one failed, so that one call shows all there is to mend.

mod crates;
mod imports;
mod layers;

use crate::{
    Outcome,
    command::{cargo, run, section},
    install,
};

/// A part of the check: its title and what it does.
type Part = (&'static str, fn() -> Outcome);

/// Quick parts first.
const PARTS: &[Part] = &[
    ("import directions", imports::check),
    ("crate rules", crates::check),
    ("format", format),
    ("licences, bans and sources", deny),
    ("clippy", clippy),
    ("docs", docs),
];

/// Runs every part and names those that failed.
pub fn check_all() -> Outcome {
    let mut failed = Vec::new();
    for &(title, part) in PARTS {
        if let Err(reason) = section(title, part) {
            eprintln!("{reason}");
            failed.push(title);
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("check failed: {}", failed.join("; "))) }
}

fn format() -> Outcome {
    run(&mut cargo(["fmt", "--all", "--check"]))
}

fn clippy() -> Outcome {
    run(&mut cargo(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

fn docs() -> Outcome {
    run(cargo(["doc", "--no-deps", "--workspace"]).env("RUSTDOCFLAGS", "-D warnings"))
}

/// The advisory database is not asked here, because it needs a network: see `ci/workflow.yml`.
fn deny() -> Outcome {
    install::DENY.ensure()?;
    run(&mut cargo(["deny", "--config", "ci/deny.toml", "check", "licenses", "bans", "sources"]))
}

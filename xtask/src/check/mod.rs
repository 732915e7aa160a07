//! `cargo xtask check`: everything that needs no test run.
//!
//! Every part runs even when an earlier one failed, so that one call shows all there is to mend.

mod circles;
mod crates;
mod features;
mod imports;
mod layers;
mod sources;
mod tokens;

use crate::{
    Outcome, codes,
    command::{cargo, run, section},
    documents, install,
};

/// A part of the check: its name and what it does.
type Part = (&'static str, fn() -> Outcome);

/// Quick parts first.
const PARTS: &[Part] = &[
    ("imports", imports::check),
    ("crates", crates::check),
    ("features", features::check),
    ("format", format),
    ("licences", deny),
    ("clippy", clippy),
    ("docs", docs),
    ("codes", || codes::PAGE.check()),
    ("documents", || documents::PAGE.check()),
];

/// The package that is none of the workspace's: `cargo xtask firmware` builds it.
const FIRMWARE: &str = "fixtures/firmware/reference/Cargo.toml";

/// Runs the parts of these names, or every part, and says which failed.
pub fn check(names: &[&str]) -> Outcome {
    let known = || PARTS.iter().map(|(name, _)| *name);
    if let Some(unknown) = names.iter().find(|name| !known().any(|part| part == **name)) {
        let expected = known().collect::<Vec<_>>().join(", ");
        return Err(format!("check: unknown part \"{unknown}\": expected some of {expected}"));
    }
    let mut failed = Vec::new();
    for &(name, part) in PARTS {
        if !names.is_empty() && !names.contains(&name) {
            continue;
        }
        if let Err(reason) = section(name, part) {
            eprintln!("{reason}");
            failed.push(name);
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("check failed: {}", failed.join(", "))) }
}

fn format() -> Outcome {
    run(&mut cargo(["fmt", "--all", "--check"]))?;
    run(&mut cargo(["fmt", "--manifest-path", FIRMWARE, "--check"]))
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
    for (manifest, rules) in [("Cargo.toml", "ci/deny.toml"), (FIRMWARE, "ci/deny-firmware.toml")] {
        let graph = ["deny", "--manifest-path", manifest, "--config", rules];
        run(cargo(graph).args(["check", "licenses", "bans", "sources"]))?;
    }
    Ok(())
}

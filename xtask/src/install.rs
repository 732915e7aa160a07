//! Installs cargo's subcommands that a chore needs, each at a version that was tried.

use crate::{
    Outcome,
    command::{answers, cargo, run},
};

/// A subcommand of cargo, installed from the registry when it is missing.
pub struct Tool {
    crate_name: &'static str,
    version: &'static str,
    subcommand: &'static str,
}

/// The test runner.
pub const NEXTEST: Tool =
    Tool { crate_name: "cargo-nextest", version: "0.9.143", subcommand: "nextest" };

/// The check of licences, sources and banned crates.
pub const DENY: Tool = Tool { crate_name: "cargo-deny", version: "0.20.2", subcommand: "deny" };

impl Tool {
    /// Installs the tool unless some version of it is there.
    pub fn ensure(&self) -> Outcome {
        if answers("cargo", &[self.subcommand, "--version"]) {
            return Ok(());
        }
        println!(
            "{} is missing: cargo compiles and installs version {} (some minutes)",
            self.crate_name, self.version
        );
        run(&mut cargo(["install", "--locked", self.crate_name, "--version", self.version]))
    }
}

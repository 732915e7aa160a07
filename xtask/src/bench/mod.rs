//! `cargo xtask bench`: figures of whole processes and of the crates, side by side from one run on
//! one machine.
//!
//! A figure alone says more about the machine than about the program, so each row stands against a
//! limit or against a reference that was measured in the same rounds. Nothing here fails on a slow
//! machine: timed tests would.

mod cases;
mod flashing;
mod measure;
mod proving;
mod table;

use std::path::PathBuf;

use crate::{
    Outcome,
    command::{cargo, output, run, section},
    workspace,
};

const DEFAULT_ROUNDS: usize = 5;

/// Figures that no whole process shows: a crate and its example that prints them.
const IN_PROCESS: [(&str, &str); 2] =
    [("goldline-nvs", "figures"), ("goldline-simulator", "simulator_figures")];

/// Figures that tests of the program print: the bench's network in user space. They are built with optimisation.
const PRINTED_BY_TESTS: &str = "testbed::wire::figures";

/// Measures every case, prints the table, and then the figures that are taken in process.
pub fn run_rounds(words: &[&str]) -> Outcome {
    let options = Options::parse(words)?;
    let binary = match options.binary {
        Some(binary) => binary,
        None => build_release()?,
    };
    let folder = workspace::root().join("target/bench");
    let mut rows = cases::all(&binary, &folder)?;
    rows.extend(flashing::rows(&binary, &folder)?);
    rows.extend(proving::rows(&binary, &folder));
    println!("\n== measuring {}, {} rounds", binary.display(), options.rounds);
    // Round by round, so that a slow moment of the machine falls on every row alike.
    for _ in 0..options.rounds {
        for row in &mut rows {
            row.measure();
        }
    }
    table::print(&rows);
    for (crate_name, example) in IN_PROCESS {
        section(example, || {
            run(&mut cargo(["run", "--release", "-q", "-p", crate_name, "--example", example]))
        })?;
    }
    section("the wire", || {
        let words = ["test", "--release", "-q", "-p", "goldline", "--test", "library"];
        // One after the other, or each would be in the other's figures.
        let only = [PRINTED_BY_TESTS, "--", "--ignored", "--nocapture", "--test-threads", "1"];
        run(&mut cargo(words.into_iter().chain(only)))
    })
}

struct Options {
    rounds: usize,
    binary: Option<PathBuf>,
}

impl Options {
    fn parse(words: &[&str]) -> Result<Self, String> {
        let mut options = Self { rounds: DEFAULT_ROUNDS, binary: None };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if !["--runs", "--binary"].contains(word) {
                return Err(format!("bench: unknown option {word}: see cargo xtask bench --help"));
            }
            let value = words.next().ok_or_else(|| format!("bench: {word} needs a value"))?;
            match *word {
                "--runs" => {
                    options.rounds =
                        value.parse().ok().filter(|rounds| *rounds > 0).ok_or_else(|| {
                            format!("bench: --runs {value}: expected a number from 1 up")
                        })?;
                }
                _ => options.binary = Some(absolute(value)?),
            }
        }
        Ok(options)
    }
}

fn absolute(path: &str) -> Result<PathBuf, String> {
    std::fs::canonicalize(path).map_err(|error| format!("bench: {path}: {error}"))
}

fn build_release() -> Result<PathBuf, String> {
    section("release build", || run(&mut cargo(["build", "--release", "-p", "goldline"])))?;
    let text = output(&mut cargo(["metadata", "--no-deps", "--format-version", "1"]))?;
    let metadata: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| format!("cargo metadata: {error}"))?;
    let target = metadata["target_directory"].as_str().ok_or("cargo metadata: no target folder")?;
    Ok(PathBuf::from(target).join("release/goldline"))
}

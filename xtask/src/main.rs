//! The project's own chores: `cargo xtask check | test | golden | bench | fuzz`.
//!
//! Must not know how Goldline works: it starts the same commands that a person would type, and reads
//! sources, manifests and printed records only.

#![forbid(unsafe_code)]

mod bench;
mod check;
mod command;
mod fuzz;
mod golden;
mod install;
mod test;
mod workspace;

use std::process::ExitCode;

const USAGE: &str = "\
The project's own chores.

Usage: cargo xtask COMMAND

  check [PART…]            every check that is no test, or only some of: imports (their direction),
                           crates (which may use which), features (nothing is built twice), format,
                           licences (and sources), clippy, docs
  test [--full] [ARGS…]    install what is missing, then run every test; ARGS go to cargo nextest run
                           --full adds the long sweeps (GOLDLINE_TIER=full)
  golden [--accept]        run the golden tests and review what differs from golden/, file by file;
                           --accept takes every change over without asking
  bench [--runs N] [--binary PATH]
                           measure whole processes, then the codec and the simulator in process;
                           builds the release binary unless PATH names one
  fuzz [COUNT]             the long run of the NVS codec's seeded mutations: COUNT damaged images
                           (20000000) and a tenth as many damaged CSVs, with overflow checks; the
                           same ones each time, so that a failure is found again
";

/// A chore failed, or the command line is not one that it knows.
type Outcome = Result<(), String>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match dispatch(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("xtask: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(words: &[&str]) -> Outcome {
    match words {
        ["check", rest @ ..] => check::check(rest),
        ["test", rest @ ..] => test::run_tests(rest),
        ["golden", rest @ ..] => golden::run_review(rest),
        ["bench", rest @ ..] => bench::run_rounds(rest),
        ["fuzz", rest @ ..] => fuzz::run_long(rest),
        [] | ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            Ok(())
        }
        _ => Err(format!("unknown command \"{}\"\n\n{USAGE}", words.join(" "))),
    }
}

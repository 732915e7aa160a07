//! The project's own chores: `cargo xtask check | test | firmware | golden | codes | documents |
//! bench | fuzz`.
//!
//! Must not know how Goldline works: it starts the same commands that a person would type, and reads
//! sources, manifests and printed records only.

#![forbid(unsafe_code)]

mod bench;
mod check;
mod codes;
mod command;
mod documents;
mod firmware;
mod fuzz;
mod golden;
mod install;
mod made_page;
#[cfg(test)]
mod seeds;
mod test;
mod workspace;

use std::process::ExitCode;

/// A chore failed, or the command line is not one that it knows.
type Outcome = Result<(), String>;

/// One of the chores, as it is called and what it says of itself.
struct Chore {
    name: &'static str,
    /// Two columns, as `cargo xtask` lists them.
    help: &'static str,
    run: fn(&[&str]) -> Outcome,
}

const CHORES: [Chore; 8] = [
    Chore {
        name: "check",
        help: "  check [PART…]            every check that is no test, or only some of: imports (down, in no circle),
                           crates (which may use which), features (nothing is built twice), format,
                           licences (and sources), clippy, docs, codes (CODES.md is what the source says),
                           documents (so is harness/docs/documents.md, and all that it names is there)
",
        run: check::check,
    },
    Chore {
        name: "test",
        help: "  test [--full | --nightly] [ARGS…]
                           install what is missing, then run every test; ARGS go to cargo nextest run
                           --full adds the long sweeps (GOLDLINE_TIER=full); --nightly runs the sweeps of
                           an hour only, which say how many verdicts are wrong
",
        run: test::run_tests,
    },
    Chore {
        name: "firmware",
        help: "  firmware [ARGS…]         build the reference firmware's machine code, by rustup's toolchain or by Debian's
                           packages, whichever is there: for the chip, and for QEMU's machine virt; ARGS go
                           to cargo build, and mean the chip alone (--features wifi)
",
        run: firmware::build,
    },
    Chore {
        name: "golden",
        help: "  golden [--accept]        run the golden tests and review what differs from golden/, file by file;
                           --accept takes every change over without asking
",
        run: golden::run_review,
    },
    Chore {
        name: "codes",
        help: "  codes [--accept]         show what would change in CODES.md, which is made of the source of the diagnosis
                           codes and of fixtures/troubleshooting.tsv; --accept takes it over
",
        run: |words| codes::PAGE.review(words),
    },
    Chore {
        name: "documents",
        help: "  documents [--accept]     show what would change in harness/docs/documents.md, which is made of
                           fixtures/documents.tsv; --accept takes it over
",
        run: |words| documents::PAGE.review(words),
    },
    Chore {
        name: "bench",
        help: "  bench [--runs N] [--binary PATH]
                           measure whole processes, then the codec and the simulator in process;
                           builds the release binary unless PATH names one
",
        run: bench::run_rounds,
    },
    Chore {
        name: "fuzz",
        help: "  fuzz [COUNT]             the long run of the NVS codec's seeded mutations: COUNT damaged images
                           (20000000) and a tenth as many damaged CSVs, with overflow checks; the
                           same ones each time, so that a failure is found again
",
        run: fuzz::run_long,
    },
];

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
    match meant(words) {
        Meant::Help(text) => {
            print!("{text}");
            Ok(())
        }
        Meant::Chore(chore, words) => (chore.run)(words),
        Meant::Unknown => Err(format!("unknown command \"{}\"\n\n{}", words.join(" "), usage())),
    }
}

/// What a command line asks for.
enum Meant<'a> {
    Help(String),
    Chore(&'static Chore, &'a [&'a str]),
    Unknown,
}

fn meant<'a>(words: &'a [&'a str]) -> Meant<'a> {
    let [name, rest @ ..] = words else { return Meant::Help(usage()) };
    if ["help", "--help", "-h"].contains(name) {
        return Meant::Help(usage());
    }
    match CHORES.iter().find(|chore| chore.name == *name) {
        Some(chore) if asks_for_help(rest) => {
            Meant::Help(format!("Usage: cargo xtask COMMAND\n\n{}", chore.help))
        }
        Some(chore) => Meant::Chore(chore, rest),
        None => Meant::Unknown,
    }
}

/// Words after `--` are for the test programs.
fn asks_for_help(words: &[&str]) -> bool {
    words.iter().take_while(|word| **word != "--").any(|word| ["--help", "-h"].contains(word))
}

fn usage() -> String {
    let chores = CHORES.map(|chore| chore.help);
    format!("The project's own chores.\n\nUsage: cargo xtask COMMAND\n\n{}", chores.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_is_all_that_is_done_when_it_is_asked_for() {
        for chore in &CHORES {
            for words in [&[chore.name, "--help"][..], &[chore.name, "--full", "-h"]] {
                let Meant::Help(text) = meant(words) else { panic!("{words:?} starts something") };
                assert!(text.contains(chore.help), "{words:?}: {text}");
            }
        }
        for words in [&[][..], &["help"], &["--help"], &["-h"]] {
            let Meant::Help(text) = meant(words) else { panic!("{words:?} starts something") };
            assert!(text.contains("\n\n  check") && text.contains("\n  test"), "{text}");
            assert!(CHORES.iter().all(|chore| text.contains(chore.help)), "{words:?}: {text}");
        }
    }

    #[test]
    fn a_test_program_may_have_its_own_help() {
        let Meant::Chore(chore, words) = meant(&["test", "--", "--help"]) else {
            panic!("it starts the tests")
        };
        assert_eq!((chore.name, words), ("test", &["--", "--help"][..]));
    }

    #[test]
    fn an_unknown_command_starts_nothing() {
        for words in [&["tset"][..], &["--full"]] {
            assert!(matches!(meant(words), Meant::Unknown), "{words:?}");
        }
    }
}

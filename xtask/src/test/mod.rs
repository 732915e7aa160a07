//! `cargo xtask test`: installs what is missing, then runs every test with nextest.
//!
//! Must not decide what is tested: nextest's own configuration and the arguments do.

mod skipped;

use std::{ffi::OsString, path::PathBuf};

use self::skipped::JunitFile;
use crate::{
    Outcome,
    command::{answers, cargo, output, program, run, section},
    install, workspace,
};

/// A program made by others that tests compare with.
struct Peer {
    name: &'static str,
    is_there: fn() -> bool,
}

/// What `ci/install` installs; all of it is mandatory in a CI.
const PEERS: &[Peer] = &[
    Peer {
        name: "esp-idf-nvs-partition-gen",
        is_there: || python_has("esp_idf_nvs_partition_gen"),
    },
    Peer { name: "esptool", is_there: || python_has("esptool") },
    Peer { name: "openssl", is_there: || answers("openssl", &["version"]) },
    Peer { name: "mosquitto", is_there: || on_path("mosquitto") },
    Peer { name: "mosquitto_pub", is_there: || on_path("mosquitto_pub") },
    Peer { name: "postgres", is_there: has_postgres },
    Peer { name: "curl", is_there: || on_path("curl") },
    Peer { name: "qemu-system-riscv32", is_there: || on_path("qemu-system-riscv32") },
    Peer { name: "wokwi-client", is_there: || python_has("wokwi_client") },
    Peer { name: "@wokwi/client", is_there: has_node_client },
];

/// What nextest is told for the sweeps that take longer than a CI has.
const NIGHTLY: [&str; 5] =
    ["--run-ignored", "only", "--no-capture", "-E", "binary(program) & test(/^proof::/)"];

/// Runs the tests; `words` are `--full`, `--nightly` and whatever nextest is to get.
pub fn run_tests(words: &[&str]) -> Outcome {
    let full = words.contains(&"--full");
    let nightly = words.contains(&"--nightly");
    let own = ["--full", "--nightly"];
    let mut for_nextest: Vec<&str> =
        words.iter().copied().filter(|word| !own.contains(word)).collect();
    if nightly {
        for_nextest.extend(NIGHTLY);
    }
    install::NEXTEST.ensure()?;
    nextest_understands(&for_nextest)?;
    section("what the tests need", install_what_is_missing)?;
    section("build", || run(&mut cargo(["nextest", "run", "--workspace", "--no-run"])))?;
    // Before the tests, so that nextest's summary is the last that is printed.
    section("documentation's examples", || run(&mut cargo(["test", "--workspace", "--doc"])))?;
    say_what_is_ignored()?;

    println!("\n== tests{}", if full { ", full tier" } else { "" });
    let profile = if workspace::in_ci() { "ci" } else { "default" };
    let junit = JunitFile::of(profile);
    junit.discard()?;
    let mut nextest = cargo(["nextest", "run", "--workspace", "--profile", profile]);
    nextest.env("PATH", search_path());
    if full {
        nextest.env("GOLDLINE_TIER", "full");
    }
    let outcome = run(nextest.args(for_nextest));
    let skipped = junit.skipped_themselves();
    skipped.print();
    outcome?;
    if workspace::in_ci() { skipped.refusal() } else { Ok(()) }
}

/// Asks nextest whether it takes these words, before minutes are spent on what comes first.
fn nextest_understands(words: &[&str]) -> Outcome {
    let options = words.iter().take_while(|word| **word != "--");
    let mut asked = cargo(["nextest", "run"]);
    // It reads its words from left to right, and help is only shown after good ones.
    let answer = asked.args(options).arg("--help").output();
    let answer = answer.map_err(|error| format!("cannot start cargo nextest: {error}"))?;
    if answer.status.success() {
        return Ok(());
    }
    let reason = String::from_utf8_lossy(&answer.stderr);
    Err(format!("test: nextest does not take {words:?}\n{}", reason.trim_end()))
}

fn install_what_is_missing() -> Outcome {
    if let Err(reason) = run(&mut program("ci/install")) {
        // Outside a CI the tests are worth running without the peers, and say what they skip.
        println!("{reason}");
    }
    let missing: Vec<&str> =
        PEERS.iter().filter(|peer| !(peer.is_there)()).map(|peer| peer.name).collect();
    if missing.is_empty() {
        println!(
            "every peer is there: {}",
            PEERS.iter().map(|p| p.name).collect::<Vec<_>>().join(", ")
        );
        return Ok(());
    }
    let list = missing.join(", ");
    if workspace::in_ci() {
        return Err(format!("missing in CI: {list}; a CI must run every peer, see ci/install"));
    }
    println!("missing: {list}; the tests that need them are skipped");
    Ok(())
}

/// Names the tests that nextest will only count.
fn say_what_is_ignored() -> Outcome {
    let list = output(&mut cargo(["nextest", "list", "--workspace", "--message-format", "json"]))?;
    let list =
        serde_json::from_str(&list).map_err(|error| format!("cargo nextest list: {error}"))?;
    let ignored = skipped::ignored(&list);
    println!("\n== ignored, by name: {}", ignored.len());
    ignored.iter().for_each(|test| println!("   {test}"));
    Ok(())
}

fn python_has(module: &str) -> bool {
    answers(workspace::venv_python(), &["-c", &format!("import {module}")])
}

fn on_path(name: &str) -> bool {
    std::env::split_paths(&search_path()).any(|folder| folder.join(name).is_file())
}

fn has_node_client() -> bool {
    workspace::root().join(".node/node_modules/@wokwi/client").is_dir() && on_path("node")
}

/// Debian keeps the server's programs in a folder for each version; the tests look there too.
fn has_postgres() -> bool {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut of_debian = versions.map(|entry| entry.path().join("bin/initdb"));
    of_debian.any(|program| program.is_file()) || on_path("initdb")
}

/// `PATH` and the place where Debian keeps servers, which is not on everyone's.
fn search_path() -> OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    // Only a folder with a colon in its name cannot be joined, and PATH held none.
    std::env::join_paths(folders).unwrap_or(path)
}

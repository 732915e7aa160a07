//! `cargo xtask test`: installs what is missing, then runs every test with nextest.
//!
//! Must not decide what is tested: nextest's own configuration and the arguments do.

use serde_json::Value;

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
];

/// Runs the tests; `words` are `--full` and whatever nextest is to get.
pub fn run_tests(words: &[&str]) -> Outcome {
    let full = words.contains(&"--full");
    let for_nextest: Vec<&str> = words.iter().copied().filter(|word| *word != "--full").collect();
    section("what the tests need", install_what_is_missing)?;
    // First, so that nextest's summary is the last that is printed.
    section("documentation's examples", || {
        run(&mut cargo(["test", "--workspace", "--doc", "-q"]))
    })?;
    say_what_is_skipped()?;

    println!("\n== tests{}", if full { ", full tier" } else { "" });
    let mut nextest = cargo(["nextest", "run", "--workspace"]);
    if workspace::in_ci() {
        nextest.args(["--profile", "ci"]);
    }
    if full {
        nextest.env("GOLDLINE_TIER", "full");
    }
    run(nextest.args(for_nextest))
}

fn install_what_is_missing() -> Outcome {
    install::NEXTEST.ensure()?;
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

/// Names the tests that nextest will only count: those marked ignored when they are listed.
fn say_what_is_skipped() -> Outcome {
    let list = output(&mut cargo(["nextest", "list", "--workspace", "--message-format", "json"]))?;
    let list =
        serde_json::from_str(&list).map_err(|error| format!("cargo nextest list: {error}"))?;
    let skipped = ignored_tests(&list);
    println!("\n== skipped by name: {}", skipped.len());
    for name in skipped {
        println!("   {name}");
    }
    Ok(())
}

fn ignored_tests(list: &Value) -> Vec<String> {
    let mut names = Vec::new();
    for (binary, suite) in list["rust-suites"].as_object().into_iter().flatten() {
        for (test, case) in suite["testcases"].as_object().into_iter().flatten() {
            if case["ignored"] == true {
                names.push(format!("{binary} {test}"));
            }
        }
    }
    names
}

fn python_has(module: &str) -> bool {
    answers(workspace::venv_python(), &["-c", &format!("import {module}")])
}

/// Debian keeps servers in /usr/sbin, which is not on everyone's PATH.
fn on_path(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into()])
        .any(|folder| folder.join(name).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_ignored_tests_are_named_as_skipped() {
        let list = json!({ "rust-suites": { "goldline::qc": { "testcases": {
            "espvault::wifi_join": { "ignored": false },
            "nodecheck::wifi_join": { "ignored": true },
        }}}});
        assert_eq!(ignored_tests(&list), ["goldline::qc nodecheck::wifi_join"]);
    }
}

//! Two-sided truth: for every shipped profile, each thing that its firmware description says is changed,
//! one at a time, and the run must FAIL with a diagnosis that names it.
//!
//! The profile is left as it is. A leaf of a description that is not changed here stands in a list with
//! the reason why no run can tell; a new leaf that is in neither makes the test fail.

use std::{
    fs,
    path::Path,
    sync::{
        LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use goldline::{
    profile,
    prove::{Change, Must, Mutant, firmware_mutants},
};
use regex::Regex;
use serde_json::Value;

use super::program::Station;

static WITHIN: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"within_s = \d+").expect("a pattern"));

/// Runs of one profile at a time.
const WORKERS: usize = 4;

/// Every shipped profile has a test of its own, so that they run side by side.
macro_rules! two_sided {
    ($($name:ident = $profile:literal;)+) => {
        $(#[test]
        fn $name() {
            every_change_of_the_firmware_is_found($profile);
        })+

        const TESTED: &[&str] = &[$($profile),+];
    };
}

two_sided! {
    espvault = "espvault";
    espvault_encrypted = "espvault-encrypted";
    espvault_hmac = "espvault-hmac";
    espvault_certificates = "espvault-certificates";
    zeroconf = "zeroconf";
    zeroconf_ca = "zeroconf-ca";
    zeroconf_ca_console = "zeroconf-ca-console";
    zeroconf_portal = "zeroconf-portal";
    safesignal = "safesignal";
    safesignal_certificates = "safesignal-certificates";
    ble_gateway = "ble-gateway";
    ble_gateway_portal = "ble-gateway-portal";
    ble_gateway_factory = "ble-gateway-factory";
}

#[test]
fn no_shipped_profile_is_left_out() {
    let listed = Station::new().goldline(["profile", "list"]).stdout;
    let names = listed.lines().map(|line| line.split_whitespace().next().expect("a name"));
    let missing: Vec<&str> = names.filter(|name| !TESTED.contains(name)).collect();
    assert!(missing.is_empty(), "not tested from the firmware's side: {missing:?}");
}

fn every_change_of_the_firmware_is_found(name: &str) {
    let product = profile::find(name, None).expect("a shipped profile");
    let all = firmware_mutants(&product).expect("its descriptions ship with it");
    assert!(all.unknown.is_empty(), "no rule says what a change must lead to: {:?}", all.unknown);
    assert!(!all.mutants.is_empty(), "nothing to change");
    let text = fixture(&format!("profiles/{name}.toml"));
    // They wait for what never comes most of the time, so several share a processor.
    let next = AtomicUsize::new(0);
    let work = || {
        let mut wrong = Vec::new();
        while let Some(mutant) = all.mutants.get(next.fetch_add(1, Ordering::Relaxed)) {
            wrong.extend(judge(name, &text, mutant));
        }
        wrong
    };
    let wrong: Vec<String> = thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a worker ends")).collect()
    });
    assert!(wrong.is_empty(), "of {} changes\n{}", all.mutants.len(), wrong.join("\n"));
}

/// What is wrong with the verdict on a changed firmware; `None` when it is found and named.
fn judge(profile: &str, text: &str, mutant: &Mutant) -> Option<String> {
    let (Change::Firmware { model, description }, Must::Fail { naming }) =
        (&mutant.change, &mutant.must)
    else {
        return Some(format!("{}: no firmware that a run must refuse", mutant.id));
    };
    let station = Station::new();
    let firmware = station.write("firmware.toml", description);
    let old = format!("model = \"{model}\"");
    let new = format!("model = \"{}\"", firmware.display());
    let changed = impatient(&text.replacen(&old, &new, 1));
    station.write(&format!("{profile}.toml"), changed);
    let ended = station.unit(["run", &format!("{profile}.toml"), "--json"]);
    if ended.code() == 2 {
        // The simulator's compiler refused the description: no firmware can be like that.
        return Some(format!("{}: refused: {}", mutant.id, ended.said()));
    }
    let record = ended.json();
    let failed = record["verdict"] == "FAIL" && ended.code() == 1;
    let said = everything_said(&record).to_lowercase();
    let named = naming.iter().any(|name| said.contains(&name.to_lowercase()));
    (!failed || !named).then(|| {
        format!(
            "{} ({}): {} {}: {} (expected FAIL naming one of {naming:?})",
            mutant.id,
            mutant.what,
            record["verdict"],
            record["diagnosis"]["code"],
            record["diagnosis"]["message"],
        )
    })
}

/// The diagnosis, and what the blamed checks found.
fn everything_said(record: &Value) -> String {
    let checks = record["checks"].as_array().into_iter().flatten();
    let blamed = checks.filter(|check| check["outcome"] == "fail");
    let evidence = blamed.map(|check| format!("{} {}", check["diagnosis"], check["evidence"]));
    [record["diagnosis"].to_string()].into_iter().chain(evidence).collect::<Vec<_>>().join("\n")
}

/// Nothing that is waited for in these runs comes late, so what never comes need not be waited for long.
fn impatient(profile: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in profile.lines() {
        let deadline = ["wifi_s = ", "mqtt_s = ", "command_s = ", "service_s = ", "boot_s = "];
        match deadline.iter().find(|key| line.starts_with(**key)) {
            Some(key) => lines.push(format!("{key}2")),
            None => lines.push(WITHIN.replace_all(line, "within_s = 2").into_owned()),
        }
    }
    lines.join("\n")
}

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

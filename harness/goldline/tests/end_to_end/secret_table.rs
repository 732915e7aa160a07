//! Every secret of every shipped product, in every form, in everything that a run leaves, shows or starts:
//! none is found but where it was asked for.
//!
//! Looked at: standard output and error, report, state with its database, temporary files while and after
//! it runs, and arguments and environment of each child process.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use rstest::rstest;
use serde_json::Value;

use super::program::{Ended, Station};

/// Stand for the site's secrets: one comes from a variable, one from a program.
const FROM_VARIABLE: &str = "MarkerFromVariable7351";
const FROM_PROGRAM: &str = "MarkerFromProgram9204";
/// Parts of the names of secret values.
const SECRET_NAMES: [&str; 7] =
    ["password", "psk", "token", "salt", "private_key", "nvs_key", "hmac_key"];
/// Shorter parts of a secret are found by chance.
const SHORTEST: usize = 8;

/// The same bytes as other programs would show them.
fn forms(secret: &str) -> BTreeMap<&'static str, Vec<u8>> {
    let bytes = secret.as_bytes();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let percent: String = bytes.iter().map(|byte| format!("%{byte:02X}")).collect();
    let mut forms = BTreeMap::from([
        ("as it is", bytes.to_vec()),
        ("backwards", bytes.iter().rev().copied().collect()),
        ("hex", hex.clone().into_bytes()),
        ("HEX", hex.to_uppercase().into_bytes()),
        ("percent", percent.into_bytes()),
        ("UTF-16", secret.encode_utf16().flat_map(u16::to_le_bytes).collect()),
    ]);
    for (name, before) in [("base64", 0), ("base64 + 1", 1), ("base64 + 2", 2)] {
        let text = STANDARD.encode([&vec![0; before], bytes].concat());
        // What its neighbours have a part in is not the secret's own.
        let own = &text[before.div_ceil(3) * 4..text.len() - 4];
        forms.insert(name, own.as_bytes().to_vec());
    }
    forms
}

/// What of a value must not be seen: it, or each line of a key.
fn parts(value: &str) -> Vec<&str> {
    let lines = value.lines().filter(|line| !line.starts_with("-----"));
    lines.filter(|line| line.len() >= SHORTEST).collect()
}

/// Where a secret was seen, in which form.
struct Hits(Vec<String>);

impl Hits {
    fn look(&mut self, secrets: &BTreeMap<String, String>, place: &str, bytes: &[u8]) {
        for (name, value) in secrets {
            for part in parts(value) {
                for (form, needle) in forms(part) {
                    if bytes.windows(needle.len()).any(|window| window == needle) {
                        self.0.push(format!("{name} in {place}, {form}"));
                    }
                }
            }
        }
    }
}

/// What children of the program were started with, and what lay in its temporary folder, seen again and
/// again until it ended.
fn watch(
    folder: PathBuf,
    ended: Arc<AtomicBool>,
) -> thread::JoinHandle<BTreeSet<(String, Vec<u8>)>> {
    thread::spawn(move || {
        let mut seen = BTreeSet::new();
        while !ended.load(Ordering::Acquire) {
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                let bytes = fs::read(entry.path()).unwrap_or_default();
                seen.insert((entry.path().display().to_string(), bytes));
            }
            thread::yield_now();
        }
        seen
    })
}

fn is_secret(name: &str) -> bool {
    SECRET_NAMES.iter().any(|part| name.contains(part))
}

/// A program that gives a password, and notes with what it was started.
fn vault(station: &Station) -> String {
    let notes = station.path("child");
    let script = format!(
        "#!/bin/sh\nenv > {0}.environment\necho \"$0 $@\" > {0}.arguments\necho {FROM_PROGRAM}\n",
        notes.display()
    );
    let program = station.write("vault", script);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    fs::set_permissions(&program, mode).expect("its owner may");
    program.display().to_string()
}

/// A secret of the product that has no form of its own, besides the network's.
fn free_secret(product: &str) -> Option<&'static str> {
    match product {
        product if product.starts_with("espvault") => Some("mqtt_password"),
        product if product.starts_with("ble-gateway") => Some("admin_token"),
        _ => None,
    }
}

fn run(product: &str, faults: &[&str]) -> (Ended, Vec<String>) {
    let station = Station::new();
    let temporary = station.path("temporary");
    fs::create_dir(&temporary).expect("a folder");
    let mut command = station.unit_command(["run", product, "--json", "--out", "report"]);
    command.args(["--device", "simulator:?flash-file=unit.flash"]);
    command.args(["--save-credentials", "saved.json"]);
    command.args(faults.iter().flat_map(|fault| ["--fault", fault]));
    command.env("TMPDIR", &temporary).env("MARKER", FROM_VARIABLE);
    let free = free_secret(product);
    command.args(free.into_iter().flat_map(|name| ["--set".into(), format!("{name}=$MARKER")]));
    let file = format!("[services.wifi]\npassword = {{ command = [\"{}\"] }}\n", vault(&station));
    command.arg("--station").arg(station.write("station.toml", file));

    let over = Arc::new(AtomicBool::new(false));
    let watcher = watch(temporary.clone(), Arc::clone(&over));
    let ended = Ended::of(&mut command);
    over.store(true, Ordering::Release);
    let sampled = watcher.join().expect("it looked to the end");

    let saved = fs::read(station.path("saved.json")).unwrap_or_default();
    let saved: Value = serde_json::from_slice(&saved).expect("what was asked for");
    let values = saved[0]["values"].as_object().expect("values by name");
    let secrets: BTreeMap<String, String> = values
        .iter()
        .filter(|(name, _)| is_secret(name))
        .map(|(name, value)| (name.clone(), value.as_str().expect("a text").to_owned()))
        .collect();
    for marker in [Some(FROM_PROGRAM), free.map(|_| FROM_VARIABLE)].into_iter().flatten() {
        assert!(secrets.values().any(|value| value == marker), "{:?}", secrets.keys());
    }

    let mut hits = Hits(Vec::new());
    hits.look(&secrets, "standard output", ended.stdout.as_bytes());
    hits.look(&secrets, "standard error", ended.stderr.as_bytes());
    for (place, bytes) in sampled {
        hits.look(&secrets, &place, &bytes);
    }
    let folders = [station.state(), station.path("report"), temporary];
    let mut files: Vec<PathBuf> = folders.iter().flat_map(|folder| station.files(folder)).collect();
    files.extend(["child.environment", "child.arguments"].map(|name| station.path(name)));
    for file in files {
        hits.look(&secrets, &file.display().to_string(), &fs::read(&file).expect("it is there"));
    }
    (ended, hits.0)
}

#[rstest]
fn no_secret_of_a_shipped_product_is_seen(
    #[values(
        "espvault",
        "espvault-certificates",
        "espvault-encrypted",
        "espvault-hmac",
        "safesignal",
        "safesignal-certificates",
        "zeroconf",
        "zeroconf-ca",
        "zeroconf-ca-console",
        "zeroconf-portal",
        "ble-gateway",
        "ble-gateway-factory",
        "ble-gateway-portal"
    )]
    product: &str,
    #[values((0, ""), (1, "firmware.boot_loop"), (1, "firmware.wifi_password"), (3, "ap.absent"))]
    case: (i32, &str),
) {
    let (code, fault) = case;
    let faults: &[&str] = if fault.is_empty() { &[] } else { &[fault] };
    let (ended, hits) = run(product, faults);
    assert_eq!(hits, Vec::<String>::new());
    assert_eq!(ended.code(), code, "{ended:?}");
}

/// What is looked for is found where it is.
#[test]
fn the_table_finds_what_is_there() {
    for (form, needle) in forms(FROM_VARIABLE) {
        let secrets = BTreeMap::from([("it".to_owned(), FROM_VARIABLE.to_owned())]);
        let mut hits = Hits(Vec::new());
        hits.look(&secrets, "a place", &[b"before ", &needle[..], b" after"].concat());
        assert!(!hits.0.is_empty(), "{form}");
    }
}

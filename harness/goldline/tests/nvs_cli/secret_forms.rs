//! Every form of a secret × every place it can lie in × every command and format: it is never
//! printed, nor anything by which a guess could be confirmed, and `leftovers` finds what is left.
//!
//! The records are built here from the description of their layout.

use std::collections::BTreeSet;

use base64::{Engine, engine::general_purpose::STANDARD};
use goldline_nvs::{
    Document, Image, Value, Version,
    edit::Editor,
    generate,
    limits::{ENTRY_BYTES, PAGE_BYTES},
};
use rstest::rstest;
use sha2::{Digest, Sha256};

use super::desk::{Desk, Outcome};

const PASSPHRASE: &str = "Tulip-Ladder-77";
const SIZE: usize = 0x4000;

/// A secret as firmware keeps it.
struct Form {
    namespace: &'static str,
    key: &'static str,
    value: Value,
    /// What must appear nowhere.
    secrets: Vec<Vec<u8>>,
    /// Whether its bytes tell it without the key beside them.
    tells_by_itself: bool,
}

/// `length, SSID, passphrase, a flag, PMK`, five times.
fn networks() -> (Vec<u8>, [u8; 32]) {
    let pmk: [u8; 32] = Sha256::digest(b"pmk").into();
    let mut record = 12u32.to_le_bytes().to_vec();
    record.extend(b"labnet-guest");
    record.resize(36, 0);
    record.extend(PASSPHRASE.bytes());
    record.resize(101, 0);
    record.extend([0, 0, 1]);
    record.extend(pmk);
    record.resize(700, 0);
    (record, pmk)
}

fn access_point() -> Vec<u8> {
    let mut record = networks().0[..36].to_vec();
    record.extend(PASSPHRASE.bytes());
    record.resize(100, 0);
    record.extend([0x5B; 32]);
    record
}

fn padded(texts: &[(&str, usize)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (text, place) in texts {
        let end = bytes.len() + place;
        bytes.extend(text.bytes());
        bytes.resize(end, 0);
    }
    bytes
}

/// A SEC 1 key as `openssl ec -outform DER` writes it.
fn private_key() -> Vec<u8> {
    let mut der = vec![0x30, 0x77, 2, 1, 1, 4, 0x20];
    der.extend(Sha256::digest(b"key"));
    der.extend([0xA0, 0x0A, 6, 8, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 3, 1, 7, 0xA1, 0x44, 3, 0x42, 0]);
    der.extend([4; 65]);
    der
}

fn pem() -> String {
    let text = STANDARD.encode(private_key());
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|l| std::str::from_utf8(l).unwrap()).collect();
    format!("-----BEGIN EC PRIVATE KEY-----\n{}\n-----END EC PRIVATE KEY-----\n", lines.join("\n"))
}

fn forms() -> Vec<(&'static str, Form)> {
    let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1bml0LTcifQ.R0lmTzJ3c2lnbmF0dXJlLW9mLWl0";
    let form = |namespace, key, value, secrets: &[&[u8]], tells_by_itself| Form {
        namespace,
        key,
        value,
        secrets: secrets.iter().map(|secret| secret.to_vec()).collect(),
        tells_by_itself,
    };
    let phrase = PASSPHRASE.as_bytes();
    let (networks, pmk) = networks();
    let key = private_key();
    let blob = Value::Blob;
    let json = format!(r#"{{"ssid":"labnet-guest","password":"{PASSPHRASE}","n":3}}"#);
    let url = format!("mqtts://unit-7:{PASSPHRASE}@broker.example.test:8883");
    let code = format!("WIFI:S:labnet-guest;T:WPA;P:{PASSPHRASE};;");
    let pem_text = pem();
    let pem_line = pem_text.lines().nth(1).unwrap().as_bytes().to_vec();
    vec![
        ("name", form("app", "wifipw", Value::str(PASSPHRASE), &[phrase], false)),
        ("number", form("app", "ble_passkey", Value::U32(482_913), &[b"482913"], false)),
        (
            "networks",
            form("nvs.net80211", "sta.apinfo", blob(networks.clone()), &[phrase, &pmk], true),
        ),
        (
            "station",
            form("nvs.net80211", "sta.pswd", blob(padded(&[(PASSPHRASE, 65)])), &[phrase], false),
        ),
        (
            "access point",
            form("nvs.net80211", "ap.pmk_info", blob(access_point()), &[phrase, &[0x5B; 32]], true),
        ),
        ("copied record", form("backup", "net7", blob(networks), &[phrase, &pmk], true)),
        (
            "numeric key",
            form(
                "esphome",
                "88491487",
                blob(padded(&[("labnet-guest", 33), (PASSPHRASE, 65)])),
                &[phrase],
                true,
            ),
        ),
        ("PEM", form("tls", "identity", Value::str(&pem_text), &[&pem_line, &key[7..39]], true)),
        ("DER", form("tls", "identity", blob(key.clone()), &[&key[7..39]], true)),
        (
            "base64",
            form("tls", "material", Value::str(&STANDARD.encode(&key)), &[&key[7..39]], true),
        ),
        ("token", form("cloud", "session", Value::str(jwt), &[jwt.as_bytes()], true)),
        ("JSON", form("app", "settings", Value::str(&json), &[phrase], true)),
        ("URL", form("app", "broker", Value::str(&url), &[phrase], true)),
        (
            "odd JSON",
            form("app", "state", Value::str(r#"{"psk":"&[Tulip-Ladder-77"}"#), &[phrase], true),
        ),
        (
            "token in a query",
            form("cloud", "link", Value::str(&format!("t={jwt}")), &[jwt.as_bytes()], true),
        ),
        (
            "full name",
            form(
                "backup",
                "net8",
                blob(padded(&[("a-network-name-that-fills-all-32", 32), (PASSPHRASE, 64)])),
                &[phrase],
                true,
            ),
        ),
        ("label", form("app", "label", Value::str(&code), &[phrase], true)),
    ]
}

/// A document with the secret and something that everybody may know.
fn document(form: &Form) -> Document {
    let mut document = Document::new();
    document.insert("unit", "device_id", Value::str("VAULT-00001")).unwrap();
    document.insert(form.namespace, form.key, form.value.clone()).unwrap();
    document
}

fn image(document: &Document) -> Vec<u8> {
    generate(document, SIZE, Version::V2).unwrap()
}

fn live(form: &Form) -> Vec<u8> {
    image(&document(form))
}

/// The key was removed, and the flash still holds it.
fn erased(form: &Form) -> Vec<u8> {
    let mut editor = Editor::open(&live(form)).unwrap();
    assert!(editor.remove(form.namespace, form.key));
    editor.finish()
}

/// The page with the secret has a damaged header, so that a device drops it.
fn dropped_page(form: &Form) -> Vec<u8> {
    let mut bytes = live(form);
    bytes[4] ^= 0b101;
    bytes
}

/// The item's bytes lie in entries that were never recorded.
fn unrecorded(form: &Form) -> Vec<u8> {
    let bytes = live(form);
    let mut other = image(&{
        let mut document = Document::new();
        document.insert("unit", "device_id", Value::str("VAULT-00001")).unwrap();
        document.namespace(form.namespace).unwrap();
        document
    });
    let donor = Image::decode(&bytes).unwrap();
    let key = goldline_nvs::Key::new(form.key).unwrap();
    let items: Vec<_> = donor.items().filter(|item| item.header.key() == key).collect();
    let mut at = 64 + 60 * ENTRY_BYTES;
    for item in items {
        let start = item.header.location.offset();
        let length = item.entries * ENTRY_BYTES;
        other[at..at + length].copy_from_slice(&bytes[start..start + length]);
        at += length;
    }
    other
}

/// Bare bytes behind the last entries, without any header.
fn slack(form: &Form) -> Vec<u8> {
    let mut document = Document::new();
    document.insert("unit", "device_id", Value::str("VAULT-00001")).unwrap();
    let mut bytes = image(&document);
    let content = form.value.as_bytes().expect("text or a blob");
    let at = 64 + 70 * ENTRY_BYTES + 5;
    bytes[at..at + content.len()].copy_from_slice(content);
    bytes
}

/// A dump of the flash: a table, an app, one harmless partition and this one.
fn dump(second: &[u8]) -> Vec<u8> {
    let mut harmless = Document::new();
    harmless.insert("unit", "device_id", Value::str("VAULT-00001")).unwrap();
    let parts =
        [("nvs", 2u8, 0x9000usize, image(&harmless)), ("fctry", 2, 0x9000 + SIZE, second.to_vec())];
    let mut table = Vec::new();
    for (label, subtype, offset, bytes) in &parts {
        let mut row = vec![0xAA, 0x50, 1, *subtype];
        row.extend(u32::try_from(*offset).unwrap().to_le_bytes());
        row.extend(u32::try_from(bytes.len()).unwrap().to_le_bytes());
        row.extend(label.bytes());
        row.resize(28, 0);
        row.extend([0; 4]);
        table.extend(row);
    }
    let mut flash = vec![0xFF; 0x9000];
    flash[0x8000..0x8000 + table.len()].copy_from_slice(&table);
    for (_, _, offset, bytes) in parts {
        flash.resize(offset, 0xFF);
        flash.extend(bytes);
    }
    flash
}

/// A dump in which the image lies where the table has an application.
fn stray(image: &[u8]) -> Vec<u8> {
    let mut flash = dump(&[0xFF; SIZE]);
    let row = 0x8000 + 2 * 32;
    let mut app = vec![0xAA, 0x50, 0, 0x10];
    app.extend(0x20000u32.to_le_bytes());
    app.extend(0x10000u32.to_le_bytes());
    app.extend(b"ota_0");
    app.resize(32, 0);
    flash[row..row + 32].copy_from_slice(&app);
    // Only a table that is surely whole says what lies outside of its partitions.
    let digest: [u8; 16] = md5::Md5::digest(&flash[0x8000..row + 32]).into();
    let sum = [&[0xEB, 0xEB][..], &[0xFF; 14], &digest].concat();
    flash[row + 32..row + 64].copy_from_slice(&sum);
    flash.resize(0x24000, 0xFF);
    flash.extend(image);
    flash.resize(0x30000, 0xFF);
    flash
}

/// What an earlier layout or another unit left where no device looks for it.
#[test]
fn a_secret_outside_of_every_partition_is_found() {
    let desk = Desk::new();
    for (name, form) in forms() {
        for make in [live as fn(&Form) -> Vec<u8>, erased] {
            desk.write("flash.bin", stray(&make(&form)));
            for command in
                [&["leftovers", "flash.bin"][..], &["leftovers", "flash.bin", "--format", "json"]]
            {
                let found = desk.nvs(command).exited(1);
                hides(&form, &found, name);
                assert!(
                    found.stdout.contains("outside of every NVS partition"),
                    "{name}: {found:#?}"
                );
                assert!(found.stdout.contains(form.key), "{name}: {found:#?}");
            }
            desk.nvs(&["show", "flash.bin"]).succeeded();
        }
    }
}

/// Every way in which a command could show a file's content, on standard output or error.
fn commands(file: &str) -> Vec<Vec<&str>> {
    let reading: [&[&str]; 12] = [
        &["show"],
        &["show", "--raw"],
        &["show", "--format", "json"],
        &["show", "--raw", "--format", "json"],
        &["show", "--format", "csv"],
        &["check"],
        &["check", "--format", "json"],
        &["leftovers"],
        &["leftovers", "--format", "json"],
        &["diff", "harmless.bin"],
        &["diff", "--layout", "harmless.bin"],
        &["diff", "--layout", "--format", "json", "harmless.bin"],
    ];
    let writing: [&[&str]; 4] = [
        &["repair", "repaired.bin", "--force"],
        &["salvage", "salvaged.bin", "--force"],
        &["edit", "--set", "unit/n:u8=1", "--output", "edited.bin", "--force"],
        &["edit", "--compact", "--output", "edited.bin", "--force"],
    ];
    let partition: &[&str] = if file == "flash.bin" { &["--partition", "fctry"] } else { &[] };
    let with_file = |command: &[&'static str]| {
        let mut command = command.to_vec();
        // The image comes first among the files, and of a diff last.
        let at = if command[0] == "diff" { command.len() } else { 1 };
        command.insert(at, "FILE");
        command
    };
    let reading = reading.into_iter().map(with_file);
    let writing =
        writing.into_iter().map(with_file).map(|command| [&command[..], partition].concat());
    let named = |word| if word == "FILE" { file } else { word };
    reading.chain(writing).map(|command| command.into_iter().map(named).collect()).collect()
}

/// A secret in the ways in which a program may print it, and digests of it and of its value.
fn traces(form: &Form) -> BTreeSet<String> {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut traces = BTreeSet::new();
    let value = form.value.as_bytes().unwrap_or_default();
    for bytes in form.secrets.iter().map(Vec::as_slice).chain([value]) {
        if bytes.len() < 6 {
            continue;
        }
        traces.insert(hex(bytes));
        traces.insert(STANDARD.encode(bytes).trim_end_matches('=').to_owned());
        traces.insert(hex(&Sha256::digest(bytes)));
        traces.insert(format!("{:08x}", crc32fast::hash(bytes)));
        traces.insert(format!("{:08x}", !crc32fast::hash(bytes)));
        if let Ok(text) = std::str::from_utf8(bytes) {
            traces.insert(text.to_owned());
            traces.insert(text.escape_debug().to_string());
        }
    }
    // Any part of a secret is enough to have lost it.
    for window in form.secrets.iter().flat_map(|secret| secret.windows(6)) {
        traces.insert(hex(window));
        traces.extend(std::str::from_utf8(window).ok().map(str::to_owned));
    }
    traces.retain(|trace| trace.len() >= 6);
    traces
}

#[track_caller]
fn hides(form: &Form, outcome: &Outcome, what: &str) {
    for trace in traces(form) {
        let said = format!("{}\n{}", outcome.stdout, outcome.stderr).to_lowercase();
        assert!(!said.contains(&trace.to_lowercase()), "{what}: {trace:?} in {outcome:#?}");
    }
}

#[rstest]
#[case::live("live", live as fn(&Form) -> Vec<u8>, false)]
#[case::erased("erased", erased, true)]
#[case::dropped_page("dropped page", dropped_page, true)]
#[case::unrecorded("unrecorded", unrecorded, true)]
#[case::slack("slack", slack, true)]
fn a_secret_is_never_printed_and_what_is_left_of_it_is_found(
    #[case] place: &str,
    #[case] make: fn(&Form) -> Vec<u8>,
    #[case] is_left: bool,
    #[values("unit.bin", "flash.bin")] file: &str,
) {
    let desk = Desk::new();
    desk.write("harmless.bin", {
        let mut document = Document::new();
        document.insert("unit", "device_id", Value::str("VAULT-00001")).unwrap();
        image(&document)
    });
    for (name, form) in forms() {
        if place == "slack" && !form.tells_by_itself {
            continue;
        }
        desk.write("unit.bin", make(&form));
        desk.write("flash.bin", dump(&make(&form)));
        for command in commands(file) {
            let what = format!("{name}, {place}: {command:?}");
            hides(&form, &desk.nvs(&command), &what);
        }
        let found = desk.nvs(&["leftovers", file]);
        assert_eq!(found.code, i32::from(is_left), "{name}, {place}: {found:#?}");
        let get = desk.nvs(&["get", "unit.bin", &format!("{}/{}", form.namespace, form.key)]);
        hides(&form, &get, &format!("{name}, {place}: get"));
        assert_eq!(get.code, 2, "{name}, {place}: {get:#?}");
    }
}

/// The test above can fail: what is asked for by name is printed.
#[test]
fn what_is_asked_for_is_printed() {
    let desk = Desk::new();
    for (name, form) in forms() {
        desk.write("unit.bin", live(&form));
        let key = format!("{}/{}", form.namespace, form.key);
        let shown = desk.nvs(&["show", "--secrets", "unit.bin"]).succeeded();
        let traces = traces(&form);
        let is_shown = |said: &str| traces.iter().any(|trace| said.contains(trace.as_str()));
        assert!(is_shown(&shown.stdout), "{name}: {shown:#?}");
        let got = desk.nvs(&["get", "unit.bin", &key, "--secrets"]).succeeded();
        assert!(is_shown(&got.stdout), "{name}: {got:#?}");
    }
}

/// A void record, an SSID, a calibration and a certificate are shown, and no leftovers.
#[test]
fn what_only_looks_like_a_secret_is_shown() {
    let desk = Desk::new();
    let mut document = Document::new();
    let calibration: Vec<u8> = (0..1904u32).map(|n| ((n * 7919) >> 3) as u8).collect();
    let certificate = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    for (namespace, key, value) in [
        ("nvs.net80211", "sta.apinfo", Value::Blob(vec![0xFF; 700])),
        ("nvs.net80211", "sta.ssid", Value::Blob(networks().0[..36].to_vec())),
        ("nvs.net80211", "sta.pswd", Value::Blob(vec![0; 65])),
        ("phy", "cal_data", Value::Blob(calibration)),
        ("tls", "ca_cert", Value::str(certificate)),
        ("app", "compass", Value::str("north")),
        ("app", "key_1", Value::str("menu")),
    ] {
        document.insert(namespace, key, value).unwrap();
    }
    let bytes = image(&document);
    assert!(bytes.len().is_multiple_of(PAGE_BYTES));
    desk.write("unit.bin", &bytes);
    let shown = desk.nvs(&["show", "unit.bin"]).succeeded();
    assert!(!shown.stdout.contains("<secret"), "{shown:#?}");
    for expected in
        ["networks none", "ssid \"labnet-guest\"", "password none", "calibration 1904 bytes"]
    {
        assert!(shown.stdout.contains(expected), "{expected}: {shown:#?}");
    }
    let mut editor = Editor::open(&bytes).unwrap();
    for entry in Image::decode(&bytes).unwrap().device_view().entries() {
        editor.remove(entry.namespace.as_str().unwrap(), entry.key.as_str().unwrap());
    }
    desk.write("unit.bin", editor.finish());
    let left = desk.nvs(&["leftovers", "unit.bin"]);
    assert_eq!((left.code, left.stdout.as_str()), (0, ""), "{left:#?}");
}

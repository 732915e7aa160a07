//! What is shown of an image, and above all what is not.

use std::process::{Command, Stdio};

use goldline_nvs::{Document, Value, Version};

use super::desk::{Desk, VAULT_SECRETS};

#[test]
fn text_is_for_a_review_and_shows_no_secret() {
    let desk = Desk::with_vault();
    let shown = desk.nvs(&["show", "vault.bin"]).succeeded();
    let expected = "\
vault/calibration    blob 3  00ff10
vault/device_id      str 11  \"VAULT-00001\"
vault/mqtt_password  str 14  <secret>
vault/retries        u8 1    3
vault/wifi_password  str 14  <secret>
vault/wifi_ssid      str 8   \"BenchNet\"
";
    assert_eq!(shown.stdout, expected);
    assert_eq!(shown.stderr, "");
}

#[test]
fn no_form_shows_a_secret_unless_asked() {
    let desk = Desk::with_vault();
    for form in [&["--format", "json"][..], &["--raw"], &["--raw", "--format", "json"]] {
        let arguments = [&["show", "vault.bin"], form].concat();
        desk.nvs(&arguments).succeeded().hides_secrets();
        let asked = desk.nvs(&[&arguments[..], &["--secrets"]].concat()).succeeded();
        let hex: String = VAULT_SECRETS[0].bytes().map(|byte| format!("{byte:02x}")).collect();
        let is_shown = asked.stdout.contains(VAULT_SECRETS[0]) || asked.stdout.contains(&hex);
        assert!(is_shown, "{asked:#?}");
    }
}

#[test]
fn a_private_key_is_shown_whole_when_asked() {
    let desk = Desk::new();
    let pem = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\n-----END PRIVATE KEY-----\n";
    desk.write(
        "in.csv",
        format!("key,type,encoding,value\nns,namespace,,\ncert,data,string,\"{pem}\"\n"),
    );
    desk.nvs(&["generate", "in.csv", "out.bin", "0x3000"]).succeeded();
    let hidden = desk.nvs(&["show", "out.bin"]).succeeded();
    assert_eq!(hidden.stdout, "ns/cert  str 75  <secret>\n");
    let asked = desk.nvs(&["show", "out.bin", "--secrets"]).succeeded();
    assert!(asked.stdout.contains("MIGHAgEAMBMGByqGSM49\\n-----END"), "{asked:#?}");
}

#[test]
fn json_holds_types_values_and_places() {
    let desk = Desk::with_vault();
    let document = desk.nvs(&["show", "vault.bin", "--format", "json"]).succeeded().json();
    assert_eq!(document["verdict"], "sound");
    assert_eq!(document["opens"], true);
    assert_eq!(document["namespaces"], serde_json::json!(["vault"]));
    let entry = |key: &str| {
        let entries = document["entries"].as_array().expect("a list");
        entries.iter().find(|entry| entry["key"] == key).expect("the key").clone()
    };
    let retries = entry("retries");
    assert_eq!((&retries["type"], &retries["value"]), (&"u8".into(), &3.into()));
    assert_eq!(entry("calibration")["value"]["hex"], "00ff10");
    let password = entry("wifi_password");
    assert_eq!((&password["secret"], &password["length"]), (&true.into(), &14.into()));
    assert!(password.get("value").is_none());
    assert_eq!(password["offset"], 64 + 32 * password["entry"].as_u64().expect("a number"));
}

#[test]
fn large_integers_and_odd_floats_survive_json() {
    let desk = Desk::new();
    let mut document = Document::new();
    document.insert("ns", "big", Value::U64(u64::MAX)).expect("it fits");
    document.insert("ns", "small", Value::I64(i64::MIN)).expect("it fits");
    document.insert("ns", "nan", Value::F64(f64::NAN)).expect("it fits");
    let image = goldline_nvs::generate(&document, 0x3000, Version::V2).expect("an image");
    desk.write("out.bin", image);
    let document = desk.nvs(&["show", "out.bin", "--format", "json"]).succeeded().json();
    assert_eq!(document["entries"][0]["value"], u64::MAX);
    assert_eq!(document["entries"][1]["value"], i64::MIN);
    assert_eq!(document["entries"][2]["value"], "NaN");
    let csv = desk.nvs(&["show", "out.bin", "--format", "csv"]).succeeded();
    assert!(csv.stdout.ends_with("\nnan,data,double,nan\n"), "{csv:#?}");
}

#[test]
fn what_no_csv_can_say_is_named_by_its_key() {
    let desk = Desk::new();
    let mut document = Document::new();
    document.insert("ns", "text", Value::str("one\r\ntwo")).expect("it fits");
    let image = goldline_nvs::generate(&document, 0x3000, Version::V2).expect("an image");
    desk.write("out.bin", image);
    let refused = desk.nvs(&["show", "out.bin", "--format", "csv"]).exited(2);
    let expected = "ns/text cannot be written as CSV: the string has a carriage return";
    assert!(refused.stderr.contains(expected), "{refused:#?}");
    assert!(!refused.stderr.contains("line 3"), "{refused:#?}");
    assert_eq!(refused.stdout, "");
}

#[test]
fn a_csv_is_whole_or_refused() {
    let desk = Desk::with_vault();
    let refused = desk.nvs(&["show", "vault.bin", "--format", "csv"]).exited(2);
    assert!(refused.stderr.contains("the CSV would show 2 secret values"), "{refused:#?}");
    assert_eq!(refused.stdout, "");
    desk.nvs(&["show", "vault.bin", "--format", "csv", "--raw", "--secrets"]).exited(2);
}

/// Generates, shows as CSV, generates again: the two images must be the same.
#[track_caller]
fn assert_round_trip(csv: &str, options: &[&str]) {
    let desk = Desk::new();
    desk.write("first.csv", csv);
    let generate = ["generate", "first.csv", "first.bin", "0x8000"];
    desk.nvs(&[&generate[..], options].concat()).succeeded();
    let shown = desk.nvs(&["show", "first.bin", "--format", "csv", "--secrets"]).succeeded();
    desk.write("second.csv", &shown.stdout);
    let generate = ["generate", "second.csv", "second.bin", "0x8000"];
    desk.nvs(&[&generate[..], options].concat()).succeeded();
    assert!(desk.read("first.bin") == desk.read("second.bin"), "{}", shown.stdout);
}

#[test]
fn an_image_survives_its_csv_byte_for_byte() {
    assert_round_trip(super::desk::VAULT_CSV, &[]);
    assert_round_trip(super::desk::VAULT_CSV, &["--version", "1"]);
    let blob = "a5".repeat(9000);
    let text = "x".repeat(3900);
    assert_round_trip(
        &format!(
            "key,type,encoding,value\n\
             empty,namespace,,\n\
             one,namespace,,\n\
             i,data,i64,-9223372036854775808\n\
             text,data,string,\"a, \"\"b\"\"\nc \"\n\
             spaces,data,string,  x \n\
             none,data,string,\n\
             no_bytes,data,hex2bin,\n\
             long,data,string,{text}\n\
             two,namespace,,\n\
             blob,data,hex2bin,{blob}\n\
             a b,data,u8,1\n"
        ),
        &[],
    );
}

#[test]
fn keys_that_the_generator_adds_stay_out_of_the_csv() {
    assert_round_trip(
        "key,type,encoding,value\n\
         nvs.net80211,namespace,,\n\
         sta.ssid,data,binary,BenchNet\n\
         sta.pswd,data,binary,CorrectHorse99\n",
        &[],
    );
}

/// The record of access points that a device keeps after it joined, with the SSID in front.
fn access_points() -> Vec<u8> {
    let mut record = vec![0xFF; 700];
    record[..10].copy_from_slice(b"\x06\0\0\0labnet");
    record
}

#[test]
fn the_csv_of_a_live_device_gives_the_same_content() {
    let desk = Desk::new();
    let ssid = || Value::Blob(b"\x06\0\0\0labnet".to_vec());
    let live = [
        ("phy", "cal_version", Value::U32(5)),
        ("nvs.net80211", "sta.ssid", ssid()),
        ("nvs.net80211", "sta.apinfo", Value::Blob(access_points())),
        ("nvs.net80211", "sta.pswd", Value::str("CorrectHorse99")),
        ("nvs.net80211", "sta.chan", Value::U8(5)),
        ("nvs.net80211", "ap.ssid", ssid()),
        ("nvs.net80211", "ap.passwd", Value::Blob(b"StapleBattery7".to_vec())),
        ("nvs.net80211", "ap.authmode", Value::U8(3)),
    ];
    let mut document = Document::new();
    for (namespace, key, value) in live {
        document.insert(namespace, key, value).expect("it fits");
    }
    let image = goldline_nvs::generate(&document, 0x4000, Version::V2).expect("an image");
    desk.write("live.bin", image);
    let csv = desk.nvs(&["show", "live.bin", "--format", "csv", "--secrets"]).succeeded();
    desk.write("live.csv", &csv.stdout);
    desk.nvs(&["generate", "live.csv", "again.bin", "0x4000"]).succeeded();
    desk.nvs(&["diff", "live.bin", "again.bin"]).succeeded();
    desk.nvs(&["check", "again.bin"]).succeeded();
}

#[test]
fn the_raw_form_lists_erased_items_as_recoverable() {
    let desk = Desk::with_vault();
    desk.nvs(&["edit", "vault.bin", "--remove", "vault/retries"]).succeeded();
    let raw = desk.nvs(&["show", "vault.bin", "--raw"]).succeeded();
    let line = raw.stdout.lines().find(|line| line.contains("retries")).expect("its line");
    assert!(line.contains("erased") && line.ends_with("recoverable"), "{line}");
    let document = desk.nvs(&["show", "vault.bin", "--raw", "--format", "json"]).json();
    let items = document["pages"][0]["items"].as_array().expect("a list");
    let item = items.iter().find(|item| item["key"] == "retries").expect("its item");
    assert_eq!((&item["fate"], &item["recoverable"]), (&"erased".into(), &true.into()));
}

#[test]
fn a_damaged_image_shows_what_a_device_reads_and_says_so() {
    let desk = Desk::with_vault();
    let mut image = desk.read("vault.bin");
    image[64 + 32 + 8] ^= 1;
    desk.write("vault.bin", image);
    let shown = desk.nvs(&["show", "vault.bin"]).exited(1);
    assert!(!shown.stdout.contains("wifi_ssid"), "{shown:#?}");
    assert!(shown.stdout.contains("device_id"), "{shown:#?}");
    assert!(shown.stderr.contains("vault.bin: the image is damaged"), "{shown:#?}");
}

#[test]
fn a_reader_that_stops_early_is_no_error() {
    let desk = Desk::with_vault();
    let mut child = Command::new(env!("CARGO_BIN_EXE_goldline"))
        .args(["nvs", "show", "--raw", "--format", "json"])
        .arg(desk.path("vault.bin"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_profile_says_what_is_secret() {
    let desk = Desk::new();
    let profile = include_str!("../../../../fixtures/profiles/espvault.toml");
    // The profile's own words on a key beat its name; other namespaces keep the careful rule.
    let token = "{ key = \"token_count\", encoding = \"string\", value = \"{wifi_ssid}\" },";
    let phrase = "{ key = \"phrase\", encoding = \"string\", value = \"{wifi_password}\" },";
    let profile = profile.replace("entries = [", &format!("entries = [\n{token}\n{phrase}"));
    desk.write("own.toml", profile);
    desk.write(
        "in.csv",
        "key,type,encoding,value\n\
         vault,namespace,,\ntoken_count,data,string,seven\nphrase,data,string,CorrectHorse99\n\
         other,namespace,,\ntoken,data,string,StapleBattery7\n",
    );
    desk.nvs(&["generate", "in.csv", "out.bin", "0x3000"]).succeeded();
    let shown = desk.nvs(&["show", "out.bin", "--profile", "./own.toml"]).succeeded();
    let expected = "\
other/token        str 14  <secret>
vault/phrase       str 14  <secret>
vault/token_count  str 5   \"seven\"
";
    assert_eq!(shown.stdout, expected);
    let json = ["show", "out.bin", "--profile", "./own.toml", "--format", "json"];
    desk.nvs(&json).succeeded().hides_secrets();
    desk.nvs(&["edit", "out.bin", "--remove", "vault/phrase"]).succeeded();
    desk.nvs(&["leftovers", "out.bin"]).succeeded();
    let found = desk.nvs(&["leftovers", "out.bin", "--profile", "./own.toml"]).exited(1);
    assert!(found.stdout.starts_with("vault/phrase  str  page 0"), "{found:#?}");
    let unknown = desk.nvs(&["show", "out.bin", "--profile", "absent"]).exited(2);
    assert!(unknown.stderr.contains("absent"), "{unknown:#?}");
}

//! What differs, what is the same, and that a secret is told apart without being shown.

use super::desk::{Desk, VAULT_CSV};

/// A desk with `vault.bin` and a second image from an edited CSV.
fn desk_with_second(edit: impl Fn(&str) -> String) -> Desk {
    let desk = Desk::with_vault();
    desk.write("second.csv", edit(VAULT_CSV));
    desk.nvs(&["generate", "second.csv", "second.bin", "0x6000"]).succeeded();
    desk
}

#[test]
fn the_same_content_exits_0_whatever_the_layout() {
    let desk = desk_with_second(|csv| {
        let (rest, last) = csv.trim_end().rsplit_once('\n').expect("lines");
        rest.replace("vault,namespace,,\n", &format!("vault,namespace,,\n{last}\n")) + "\n"
    });
    assert_ne!(desk.read("vault.bin"), desk.read("second.bin"));
    let same = desk.nvs(&["diff", "vault.bin", "second.bin"]).succeeded();
    assert_eq!(same.stdout, "");
    let layout = desk.nvs(&["diff", "vault.bin", "second.bin", "--layout"]).exited(1);
    assert!(layout.stdout.contains("layout: vault/calibration lies at page 0"), "{layout:#?}");
    assert!(layout.stdout.contains("bytes differ, the first at"), "{layout:#?}");
    desk.nvs(&["diff", "vault.bin", "vault.bin", "--layout"]).succeeded();
}

#[test]
fn changes_are_listed_key_by_key() {
    let desk = desk_with_second(|csv| {
        let csv = csv.replace("VAULT-00001", "VAULT-00002").replace("retries,data,u8,3\n", "");
        csv.replace("calibration,data,hex2bin,00ff10", "calibration,data,u16,7")
            + "extra,data,i8,-1\n"
    });
    let diff = desk.nvs(&["diff", "vault.bin", "second.bin"]).exited(1);
    let expected = "\
- vault/calibration  blob 3  00ff10
+ vault/calibration  u16 2  7
- vault/device_id  str 11  \"VAULT-00001\"
+ vault/device_id  str 11  \"VAULT-00002\"
+ vault/extra  i8 1  -1
- vault/retries  u8 1  3
";
    assert_eq!(diff.stdout, expected);
    let document = desk.nvs(&["diff", "vault.bin", "second.bin", "--format", "json"]).exited(1);
    let document = document.json();
    assert_eq!(document["same"], false);
    let kinds: Vec<_> = document["changes"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|change| {
            (change["key"].as_str().expect("text"), change["change"].as_str().expect("text"))
        })
        .collect();
    let expected = [
        ("calibration", "type"),
        ("device_id", "value"),
        ("extra", "added"),
        ("retries", "removed"),
    ];
    assert_eq!(kinds, expected);
}

#[test]
fn secrets_are_told_apart_and_never_shown() {
    let desk = desk_with_second(|csv| csv.replace("CorrectHorse99", "CorrectHorse98"));
    let fingerprints = || {
        let diff = desk.nvs(&["diff", "vault.bin", "second.bin", "--format", "json"]).exited(1);
        diff.hides_secrets();
        assert!(!diff.stdout.contains("CorrectHorse98"), "{diff:#?}");
        let document = diff.json();
        let change = document["changes"][0].clone();
        assert_eq!((&change["key"], &change["secret"]), (&"wifi_password".into(), &true.into()));
        assert!(change["before"].get("value").is_none());
        let fingerprint =
            |side: &str| change[side]["fingerprint"].as_str().expect("text").to_owned();
        [fingerprint("before"), fingerprint("after")]
    };
    let first = fingerprints();
    assert_ne!(first[0], first[1]);
    assert_ne!(first, fingerprints(), "the key is a fresh one each time");
    let text = desk.nvs(&["diff", "vault.bin", "second.bin"]).exited(1);
    text.hides_secrets();
    assert!(text.stdout.starts_with("- vault/wifi_password  str 14  <secret "), "{text:#?}");
}

#[test]
fn each_image_can_have_keys_of_its_own() {
    let desk = Desk::with_vault();
    for name in ["a", "b"] {
        let (keys, image) = (format!("{name}.keys"), format!("{name}.bin"));
        desk.nvs(&["keygen", &keys]).succeeded();
        desk.nvs(&["encrypt", "vault.bin", &image, "--keys", &keys]).succeeded();
    }
    desk.nvs(&["diff", "a.bin", "b.bin"]).exited(2);
    desk.nvs(&["diff", "a.bin", "b.bin", "--keys", "a.keys"]).exited(2);
    desk.nvs(&["diff", "a.bin", "b.bin", "--keys", "a.keys", "--keys-b", "b.keys"]).succeeded();
    desk.nvs(&["diff", "vault.bin", "b.bin", "--keys", "b.keys"]).succeeded();
    desk.nvs(&["diff", "vault.bin", "vault.bin", "--keys", "b.keys"]).exited(2);
}

#[test]
fn trouble_exits_2() {
    let desk = Desk::with_vault();
    desk.nvs(&["diff", "vault.bin", "vault.csv"]).exited(2);
    desk.nvs(&["diff", "vault.bin", "absent.bin"]).exited(2);
    let mut newer = desk.read("vault.bin");
    newer[8] = 0xFD;
    let crc = page_crc(&newer[4..28]).to_le_bytes();
    newer[28..32].copy_from_slice(&crc);
    desk.write("newer.bin", newer);
    let refused = desk.nvs(&["diff", "vault.bin", "newer.bin"]).exited(2);
    assert!(refused.stderr.contains("ESP_ERR_NVS_NEW_VERSION_FOUND"), "{refused:#?}");
}

/// The CRC-32 of page headers, bit by bit and started from zero.
fn page_crc(bytes: &[u8]) -> u32 {
    let register = bytes.iter().fold(0, |register, &byte| {
        (0..8).fold(register ^ u32::from(byte), |register, _| {
            (register >> 1) ^ ((register & 1) * 0xEDB8_8320)
        })
    });
    !register
}

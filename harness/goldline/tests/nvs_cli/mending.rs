//! Damaged images: refused by what would rewrite them, mended by `repair`, rescued by `salvage`.

use goldline_nvs::{Document, Image, Value, Version, generate, limits::PAGE_BYTES};

use super::desk::Desk;

fn image() -> Vec<u8> {
    let mut document = Document::new();
    for key in ["one", "two", "three"] {
        document.insert("ns", key, Value::str("a value of some length, over entries")).unwrap();
    }
    generate(&document, 0x4000, Version::V2).unwrap()
}

/// One bit of a key is flipped, which its CRC explains.
fn one_bit() -> Vec<u8> {
    let mut bytes = image();
    let offset =
        Image::decode(&bytes).unwrap().device_view().entry("ns", "two").unwrap().location.offset();
    bytes[offset + 9] ^= 0x20;
    bytes
}

/// Three bits of a payload are flipped, which nothing explains.
fn three_bits() -> Vec<u8> {
    let mut bytes = image();
    let offset =
        Image::decode(&bytes).unwrap().device_view().entry("ns", "two").unwrap().location.offset();
    for (byte, bit) in [(33, 1), (40, 6), (47, 2)] {
        bytes[offset + byte] ^= 1 << bit;
    }
    bytes
}

#[test]
fn a_damaged_image_is_not_rewritten_unless_the_user_insists() {
    let desk = Desk::new();
    desk.write("keys.bin", [0; 0]);
    for damaged in [one_bit(), three_bits()] {
        desk.write("unit.bin", &damaged);
        for change in [&["--set", "ns/n:u8=1"][..], &["--remove", "ns/one"], &["--compact"]] {
            let refused = desk.nvs(&[&["edit", "unit.bin"], change].concat()).exited(2);
            assert!(refused.stderr.starts_with("image.damaged"), "{refused:#?}");
            assert!(refused.stderr.contains("page 0, entry"), "{refused:#?}");
            assert_eq!(desk.read("unit.bin"), damaged);
        }
        desk.nvs(&["keygen", "new.bin"]);
        let refused = desk.nvs(&["encrypt", "unit.bin", "out.bin", "--keys", "new.bin"]).exited(2);
        assert!(refused.stderr.starts_with("image.damaged"), "{refused:#?}");
        let forced = desk.nvs(&["edit", "unit.bin", "--set", "ns/n:u8=1", "--force"]).succeeded();
        assert!(forced.stderr.contains("lost: "), "{forced:#?}");
        assert_ne!(desk.read("unit.bin"), damaged);
    }
}

#[test]
fn a_repair_restores_the_very_bytes_and_names_what_it_did() {
    let desk = Desk::new();
    desk.write("unit.bin", one_bit());
    let checked = desk.nvs(&["check", "unit.bin"]).exited(1);
    let repaired = desk.nvs(&["repair", "unit.bin", "mended.bin"]).succeeded();
    assert_eq!(desk.read("mended.bin"), image());
    assert_eq!(desk.read("unit.bin"), one_bit());
    let said =
        checked.stdout.lines().find_map(|line| line.trim().strip_prefix("repair: ")).unwrap();
    assert!(repaired.stdout.contains(said), "{said} in {repaired:#?}");
    assert!(repaired.stdout.ends_with("sound: 1 repaired, 0 left\n"), "{repaired:#?}");

    let again = desk.nvs(&["repair", "unit.bin", "mended.bin"]).exited(2);
    assert!(again.stderr.contains("exists"), "{again:#?}");
    let sound = desk.nvs(&["repair", "mended.bin", "other.bin"]).exited(2);
    assert!(sound.stderr.starts_with("repair.sound"), "{sound:#?}");
    desk.write("unit.bin", three_bits());
    let hopeless = desk.nvs(&["repair", "unit.bin", "other.bin"]).exited(2);
    assert!(hopeless.stderr.starts_with("repair.nothing"), "{hopeless:#?}");
    assert!(!desk.path("other.bin").exists());
}

#[test]
fn a_salvage_keeps_what_is_readable_and_says_what_is_not() {
    let desk = Desk::new();
    desk.write("unit.bin", three_bits());
    let salvaged = desk.nvs(&["salvage", "unit.bin", "fresh.bin"]).exited(1);
    assert!(salvaged.stdout.contains("lost: ns/two"), "{salvaged:#?}");
    assert!(
        salvaged.stdout.ends_with("2 kept, 0 rescued, 1 lost, 0x4000 bytes\n"),
        "{salvaged:#?}"
    );
    let shown = desk.nvs(&["show", "fresh.bin"]).succeeded();
    assert!(shown.stdout.contains("ns/one") && shown.stdout.contains("ns/three"), "{shown:#?}");
}

#[test]
fn an_image_that_no_device_opens_is_salvaged() {
    let desk = Desk::new();
    let mut document = Document::new();
    for n in 0..300 {
        document.insert("ns", &format!("k{n}"), Value::U32(n)).unwrap();
    }
    // Without its last page, which alone was empty.
    let mut full = generate(&document, 0x4000, Version::V2).unwrap();
    full.truncate(3 * PAGE_BYTES);
    desk.write("unit.bin", &full);
    let closed = desk.nvs(&["show", "unit.bin"]).exited(1);
    assert!(closed.stderr.contains("ESP_ERR_NVS_NO_FREE_PAGES"), "{closed:#?}");
    desk.nvs(&["salvage", "unit.bin", "fresh.bin", "0x5000"]).succeeded();
    let shown = desk.nvs(&["show", "fresh.bin"]).succeeded();
    assert_eq!(shown.stdout.lines().count(), 300);
    assert_eq!(desk.read("fresh.bin").len(), 0x5000);

    let mut newer = image();
    newer[8] = 0xFC;
    // The CRC of a header, which starts from all ones as zlib means it.
    let mut hasher = crc32fast::Hasher::new_with_initial(u32::MAX);
    hasher.update(&newer[4..28]);
    let crc = hasher.finalize();
    newer[28..32].copy_from_slice(&crc.to_le_bytes());
    desk.write("newer.bin", &newer);
    let closed = desk.nvs(&["show", "newer.bin"]).exited(1);
    assert!(closed.stderr.contains("ESP_ERR_NVS_NEW_VERSION_FOUND"), "{closed:#?}");
    desk.nvs(&["salvage", "newer.bin", "old.bin"]).succeeded();
    assert_eq!(desk.nvs(&["show", "old.bin"]).succeeded().stdout.lines().count(), 3);
}

#[test]
fn what_is_worth_a_word_is_said() {
    let desk = Desk::new();
    desk.write("blank.bin", [0xFF; 0x4000]);
    let blank = desk.nvs(&["check", "blank.bin"]).succeeded();
    assert!(blank.stdout.contains("blank: nothing was ever written"), "{blank:#?}");
    let shown = desk.nvs(&["show", "blank.bin"]).succeeded();
    assert!(shown.stderr.contains("blank"), "{shown:#?}");

    let mut document = Document::new();
    document.insert("ns", "n", Value::U8(1)).unwrap();
    desk.write("small.bin", generate(&document, 0x2000, Version::V2).unwrap());
    let small = desk.nvs(&["check", "small.bin"]).succeeded();
    assert!(small.stdout.contains("for read-only use"), "{small:#?}");

    for n in 0..250 {
        document.insert("ns", &format!("k{n}"), Value::U8(1)).unwrap();
    }
    desk.write("full.bin", generate(&document, 0x3000, Version::V2).unwrap());
    let full = desk.nvs(&["check", "full.bin"]).succeeded();
    assert!(full.stdout.contains("full: not one more number fits"), "{full:#?}");
    assert!(full.stdout.contains("namespace ns: 251 keys in 251 entries"), "{full:#?}");
    let json = desk.nvs(&["check", "full.bin", "--format", "json"]).succeeded().json();
    assert_eq!(json["condition"], "full");
}

#[test]
fn one_value_is_printed_for_a_script() {
    let desk = Desk::with_vault();
    let get = |arguments: &[&str]| desk.nvs(&[&["get", "vault.bin"], arguments].concat());
    assert_eq!(get(&["vault/device_id"]).succeeded().stdout, "VAULT-00001\n");
    assert_eq!(get(&["vault/retries"]).succeeded().stdout, "3\n");
    assert_eq!(get(&["vault/calibration"]).succeeded().stdout, "00ff10\n");
    assert_eq!(get(&["vault/device_id", "--format", "raw"]).succeeded().stdout, "VAULT-00001");
    assert_eq!(get(&["vault/device_id", "--format", "json"]).succeeded().json(), "VAULT-00001");
    let secret = get(&["vault/wifi_password"]).exited(2);
    assert!(secret.stderr.starts_with("get.secret"), "{secret:#?}");
    secret.hides_secrets();
    assert_eq!(get(&["vault/wifi_password", "--secrets"]).succeeded().stdout, "CorrectHorse99\n");
    let absent = get(&["vault/nothing"]).exited(2);
    assert!(absent.stderr.starts_with("edit.no_such_key"), "{absent:#?}");
    get(&["vault"]).exited(2);
}

#[test]
fn standard_input_is_read() {
    let desk = Desk::with_vault();
    let image = desk.read("vault.bin");
    let shown = desk.nvs_reading(&["show", "-"], &image).succeeded();
    assert!(shown.stdout.contains("VAULT-00001"), "{shown:#?}");
    desk.nvs_reading(&["check", "-"], &image).succeeded();
    desk.nvs_reading(&["diff", "-", "vault.bin"], &image).succeeded();
    let set = ["edit", "-", "--set", "vault/retries:u8=4"];
    desk.nvs_reading(&set, &image).exited(2);
    let output = [&set[..], &["--output", "new.bin"]].concat();
    desk.nvs_reading(&output, &image).succeeded();
    assert_eq!(desk.nvs(&["get", "new.bin", "vault/retries"]).succeeded().stdout, "4\n");
}

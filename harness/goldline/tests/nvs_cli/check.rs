//! Findings, exit codes, and the clear answers for what is no image.

use rstest::rstest;

use super::desk::Desk;

#[test]
fn a_sound_image_exits_0_and_tells_how_full_it_is() {
    let desk = Desk::with_vault();
    let checked = desk.nvs(&["check", "vault.bin"]).succeeded();
    assert!(checked.stdout.contains("capacity: 13 entries used, 617 free"), "{checked:#?}");
    assert!(checked.stdout.contains("5 of 6 pages free"), "{checked:#?}");
    assert!(checked.stdout.ends_with("sound: nothing found\n"), "{checked:#?}");
    let document = desk.nvs(&["check", "vault.bin", "--format", "json"]).succeeded().json();
    assert_eq!(document["verdict"], "sound");
    assert_eq!(document["answer"], serde_json::Value::Null);
    assert_eq!(document["usage"]["entries_available"], 617);
    assert_eq!(document["usage"]["updates_before_compaction"], 617);
}

#[test]
fn a_flipped_bit_exits_1_with_place_consequence_and_repair() {
    let desk = Desk::with_vault();
    let mut image = desk.read("vault.bin");
    // The first character of the second entry's key.
    image[64 + 32 + 8] ^= 0x20;
    desk.write("vault.bin", image);
    let document = desk.nvs(&["check", "vault.bin", "--format", "json"]).exited(1).json();
    assert_eq!(document["verdict"], "damaged");
    let finding = &document["findings"][0];
    assert_eq!(finding["code"], "entry-crc");
    assert_eq!(finding["severity"], "corruption");
    assert_eq!((&finding["page"], &finding["entry"]), (&0.into(), &1.into()));
    assert_eq!(finding["offset"], 0x60);
    let repair = finding["repair"].as_str().expect("one bit explains it");
    assert!(repair.contains("bit 5 of byte 0x68"), "{repair}");
    let text = desk.nvs(&["check", "vault.bin"]).exited(1);
    assert!(text.stdout.contains("corruption entry-crc: page 0, entry 1, byte 0x60"), "{text:#?}");
    assert!(text.stdout.contains("\n  on the device: "), "{text:#?}");
    assert!(text.stdout.contains("\n  repair: flipping bit 5"), "{text:#?}");
    text.hides_secrets();
}

#[test]
fn a_loss_of_power_is_told_apart_from_damage() {
    let desk = Desk::with_vault();
    let mut image = desk.read("vault.bin");
    // An entry behind the last one, written and not recorded in the bitmap.
    let last = 64 + 32 * 12;
    image.copy_within(last..last + 32, last + 32);
    desk.write("torn.bin", image);
    let checked = desk.nvs(&["check", "torn.bin"]).exited(1);
    assert!(checked.stdout.contains("power-loss torn-write"), "{checked:#?}");
    assert!(checked.stdout.contains("interrupted: 1 finding"), "{checked:#?}");
}

#[test]
fn erased_flash_is_a_sound_partition() {
    let desk = Desk::new();
    desk.write("blank.bin", [0xFF; 0x3000]);
    desk.nvs(&["check", "blank.bin"]).succeeded();
    assert_eq!(desk.nvs(&["show", "blank.bin"]).succeeded().stdout, "");
}

/// A desk with plain and encrypted images and key files of both schemes.
fn desk_with_keys() -> Desk {
    let desk = Desk::with_vault();
    desk.nvs(&["keygen", "keys.bin"]).succeeded();
    desk.nvs(&["keygen", "other.bin"]).succeeded();
    desk.nvs(&["keygen", "hmac.bin", "--hmac"]).succeeded();
    desk.nvs(&["encrypt", "vault.bin", "encrypted.bin", "--keys", "keys.bin"]).succeeded();
    let mut damaged = desk.read("keys.bin");
    damaged[5] ^= 1;
    desk.write("damaged.bin", damaged);
    desk.write("half.bin", &desk.read("keys.bin")[..64]);
    desk
}

#[rstest]
#[case::encrypted(&["encrypted.bin"], "image.looks_encrypted", "is encrypted, and no key was given")]
#[case::wrong_key(&["encrypted.bin", "--keys", "other.bin"], "image.wrong_key", "not the keys of this image")]
#[case::key_crc(&["encrypted.bin", "--keys", "damaged.bin"], "key.crc", "the key file's CRC")]
#[case::key_cut_off(&["encrypted.bin", "--keys", "half.bin"], "key.too_short", "look for the whole file")]
#[case::hmac_key(&["encrypted.bin", "--keys", "hmac.bin"], "key.is_hmac_key", "are an HMAC key")]
#[case::key_partition(&["encrypted.bin", "--hmac-key", "keys.bin"], "key.is_key_partition", "is a key partition")]
#[case::not_encrypted(&["vault.bin", "--keys", "keys.bin"], "image.not_encrypted", "not encrypted, and a key was given")]
#[case::not_nvs(&["noise.bin"], "image.not_nvs", "no page of it looks like one")]
#[case::text(&["vault.csv"], "image.too_short", "are no NVS image")]
#[case::empty(&["empty.bin"], "image.not_nvs", "an empty file, not an NVS image")]
#[case::a_key_file(&["keys.bin"], "image.is_a_key", "a key partition, not an NVS image")]
#[case::an_hmac_key(&["hmac.bin"], "image.is_a_key", "an HMAC key, not an NVS image")]
#[case::absent(&["absent.bin"], "file.unreadable", "cannot read absent.bin")]
#[case::a_folder(&["."], "file.unreadable", "cannot read .")]
#[case::huge(&["huge.bin"], "file.unreadable", "larger than any ESP32's flash")]
fn what_cannot_be_read_is_answered_and_exits_2(
    #[case] arguments: &[&str],
    #[case] code: &str,
    #[case] message: &str,
) {
    let desk = desk_with_keys();
    desk.write("noise.bin", noise(1, 0x3000));
    desk.write("empty.bin", "");
    let huge = std::fs::File::create(desk.path("huge.bin")).expect("a file");
    huge.set_len(1 << 32).expect("it is sparse");
    let text = desk.nvs(&[&["check"], arguments].concat()).exited(2);
    assert_eq!(text.stdout, "");
    assert!(text.stderr.starts_with(code), "{text:#?}");
    assert!(text.stderr.contains(message), "{text:#?}");
    text.hides_secrets();
    let json = desk.nvs(&[&["check", "--format", "json"], arguments].concat()).exited(2).json();
    assert_eq!(json["verdict"], "unreadable");
    assert_eq!(json["answer"]["code"], code);
    assert!(json["answer"]["message"].as_str().expect("text").contains(message), "{json}");
    desk.nvs(&[&["show"], arguments].concat()).exited(2);
}

#[test]
fn a_sound_encrypted_image_exits_0_with_its_keys() {
    let desk = desk_with_keys();
    desk.nvs(&["check", "encrypted.bin", "--keys", "keys.bin"]).succeeded();
}

#[test]
fn truncated_and_random_files_get_an_answer() {
    let desk = Desk::with_vault();
    let image = desk.read("vault.bin");
    for length in [1, 31, 32, 33, 64, 67, 68, 4095, 4097, 0x5FFF] {
        desk.write("cut.bin", &image[..length]);
        assert_answered(&desk, "cut.bin", &format!("the first {length} bytes"));
    }
    // What is cut at a page may be a small partition; what a device makes of that is said.
    desk.write("cut.bin", &image[..4096]);
    let checked = desk.nvs(&["check", "cut.bin"]).succeeded();
    assert!(checked.stdout.contains("note no-empty-page"), "{checked:#?}");
    for seed in 1..=20 {
        desk.write("noise.bin", noise(seed, seed as usize * 1000));
        assert_answered(&desk, "noise.bin", &format!("noise of seed {seed}"));
        let mut scarred = image.clone();
        let scar = noise(seed, 64);
        let at = usize::from(scar[0]) * 16;
        scarred[at..at + 64].copy_from_slice(&scar);
        desk.write("scarred.bin", scarred);
        assert_answered(&desk, "scarred.bin", &format!("a scar of seed {seed} at {at:#x}"));
    }
}

#[track_caller]
fn assert_answered(desk: &Desk, name: &str, what: &str) {
    let checked = desk.nvs(&["check", name]);
    let is_said = match checked.code {
        0 => what.starts_with("a scar"), // It may hit blank slack that nobody reads.
        1 => !checked.stdout.is_empty(),
        2 => !checked.stderr.is_empty(),
        _ => false,
    };
    assert!(is_said, "{what}: {checked:#?}");
    let shown = desk.nvs(&["show", name]);
    assert_eq!(shown.code, checked.code, "{what}: {shown:#?}");
}

/// Bytes without any order, the same for the same seed (xorshift).
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

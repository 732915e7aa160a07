//! Keys, and images in both schemes.

use std::{fs, os::unix::fs::PermissionsExt};

use rstest::rstest;

use super::desk::Desk;

fn mode(desk: &Desk, name: &str) -> u32 {
    fs::metadata(desk.path(name)).expect("it is there").permissions().mode() & 0o777
}

#[test]
fn key_files_are_new_private_and_never_overwritten() {
    let desk = Desk::new();
    desk.nvs(&["keygen", "keys.bin"]).succeeded();
    desk.nvs(&["keygen", "hmac.bin", "--hmac"]).succeeded();
    assert_eq!((desk.read("keys.bin").len(), desk.read("hmac.bin").len()), (4096, 32));
    assert_eq!((mode(&desk, "keys.bin"), mode(&desk, "hmac.bin")), (0o600, 0o600));
    let before = desk.read("keys.bin");
    let refused = desk.nvs(&["keygen", "keys.bin"]).exited(2);
    assert!(refused.stderr.contains("never overwritten"), "{refused:#?}");
    assert_eq!(desk.read("keys.bin"), before);
    desk.nvs(&["keygen", "more.bin"]).succeeded();
    assert_ne!(desk.read("more.bin"), before);
    assert_eq!(desk.files(), ["hmac.bin", "keys.bin", "more.bin"]);
}

#[rstest]
#[case::partition(&[], "--keys")]
#[case::hmac(&["--hmac"], "--hmac-key")]
fn an_image_survives_encryption(#[case] keygen: &[&str], #[case] option: &str) {
    let desk = Desk::with_vault();
    desk.nvs(&[&["keygen", "key"], keygen].concat()).succeeded();
    desk.nvs(&["encrypt", "vault.bin", "encrypted.bin", option, "key"]).succeeded();
    let encrypted = desk.read("encrypted.bin");
    let secret = b"CorrectHorse99";
    assert!(!encrypted.windows(secret.len()).any(|window| window == secret));
    desk.nvs(&["generate", "vault.csv", "direct.bin", "0x6000", option, "key"]).succeeded();
    assert_eq!(desk.read("direct.bin"), encrypted);
    desk.nvs(&["decrypt", "encrypted.bin", "plain.bin", option, "key"]).succeeded();
    assert_eq!(desk.read("plain.bin"), desk.read("vault.bin"));
    assert_eq!(mode(&desk, "plain.bin"), 0o600, "nobody else reads what was encrypted");
    let shown = desk.nvs(&["show", "encrypted.bin", option, "key"]).succeeded();
    assert_eq!(shown.stdout, desk.nvs(&["show", "vault.bin"]).stdout);
}

#[test]
fn what_makes_no_sense_is_refused_and_writes_nothing() {
    let desk = Desk::with_vault();
    desk.nvs(&["keygen", "key"]).succeeded();
    desk.nvs(&["encrypt", "vault.bin", "encrypted.bin", "--keys", "key"]).succeeded();
    let files = desk.files();
    let refused = |arguments: &[&str], message: &str| {
        let refused = desk.nvs(arguments).exited(2);
        assert!(refused.stderr.contains(message), "{refused:#?}");
    };
    refused(&["encrypt", "encrypted.bin", "x", "--keys", "key"], "is encrypted already");
    refused(&["decrypt", "vault.bin", "x", "--keys", "key"], "not encrypted, and a key was given");
    refused(&["encrypt", "vault.bin", "x"], "no keys were given");
    refused(&["encrypt", "vault.bin", "key", "--keys", "key"], "is an input");
    refused(&["encrypt", "vault.csv", "x", "--keys", "key"], "are no NVS image");
    refused(&["encrypt", "vault.bin", "x", "--keys", "key", "--hmac-key", "key"], "cannot be used");
    assert_eq!(desk.files(), files);
}

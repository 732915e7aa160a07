//! Changes to an image, secrets that stay behind, and arguments that must not hold any.

use super::desk::{Desk, VAULT_SECRETS};

#[test]
fn keys_are_set_and_removed_as_a_device_does() {
    let desk = Desk::with_vault();
    let arguments = ["edit", "vault.bin", "--set", "vault/device_id:string=VAULT-00002"];
    let more = ["--set", "new/count:u32=7", "--remove", "vault/retries", "--output", "edited.bin"];
    let before = desk.read("vault.bin");
    desk.nvs(&[&arguments[..], &more].concat()).succeeded();
    assert_eq!(desk.read("vault.bin"), before, "another output was named");
    let diff = desk.nvs(&["diff", "vault.bin", "edited.bin"]).exited(1);
    let expected = "\
+ new/count  u32 4  7
- vault/device_id  str 11  \"VAULT-00001\"
+ vault/device_id  str 11  \"VAULT-00002\"
- vault/retries  u8 1  3
";
    assert_eq!(diff.stdout, expected);
    desk.nvs(&["check", "edited.bin"]).succeeded();
}

#[test]
fn a_secret_comes_from_a_file_or_the_environment_and_never_from_arguments() {
    let desk = Desk::with_vault();
    let before = desk.read("vault.bin");
    let refused = desk
        .nvs(&["edit", "vault.bin", "--set", "vault/wifi_password:string=NewSecret42"])
        .exited(2);
    assert!(refused.stderr.contains("vault/wifi_password looks like a secret"), "{refused:#?}");
    assert!(!refused.stderr.contains("NewSecret42"), "{refused:#?}");
    assert_eq!(desk.read("vault.bin"), before);
    desk.write("psk.txt", "NewSecret42\n");
    desk.nvs(&["edit", "vault.bin", "--set", "vault/wifi_password:string=@psk.txt"]).succeeded();
    let set = ["edit", "vault.bin", "--set", "vault/mqtt_password:string=$NEW_PASSWORD"];
    desk.nvs_with(&set, &[("NEW_PASSWORD", "NewSecret43")]).succeeded();
    let shown = desk.nvs(&["show", "vault.bin", "--secrets"]).succeeded();
    assert!(shown.stdout.contains("\"NewSecret42\"\n"), "{shown:#?}");
    assert!(shown.stdout.contains("\"NewSecret43\"\n"), "{shown:#?}");
}

#[test]
fn a_file_of_bytes_is_taken_as_it_is() {
    let desk = Desk::with_vault();
    desk.write("cert.der", b"\x30\x82\n");
    desk.nvs(&["edit", "vault.bin", "--set", "vault/cert:binary=@cert.der"]).succeeded();
    let shown = desk.nvs(&["show", "vault.bin"]).succeeded();
    assert!(shown.stdout.contains("30820a\n"), "{shown:#?}");
}

#[test]
fn floats_are_set_as_in_a_csv() {
    let desk = Desk::with_vault();
    let gain = "vault/gain:float=0.1";
    desk.nvs(&["edit", "vault.bin", "--set", gain, "--set", "vault/drift:double=-1e-300"])
        .succeeded();
    let shown = desk.nvs(&["show", "vault.bin", "--format", "csv", "--secrets"]).succeeded();
    let expected = "\ngain,data,float,0.1\ndrift,data,double,-1e-300\n";
    assert!(shown.stdout.ends_with(expected), "{shown:#?}");
    let far = desk.nvs(&["edit", "vault.bin", "--set", "vault/gain:float=1e39"]).exited(2);
    assert!(far.stderr.contains("vault/gain: the value is out of range; float takes"), "{far:#?}");
}

#[test]
fn a_refused_change_changes_nothing() {
    let desk = Desk::with_vault();
    let before = desk.read("vault.bin");
    let refused = |arguments: &[&str], message: &str| {
        let refused = desk.nvs(&[&["edit", "vault.bin"], arguments].concat()).exited(2);
        assert!(refused.stderr.contains(message), "{refused:#?}");
        assert_eq!(desk.read("vault.bin"), before);
    };
    let good = "vault/retries:u8=4";
    refused(&["--set", good, "--remove", "vault/absent"], "has no key vault/absent");
    refused(&["--set", good, "--set", "vault/retries:u8=300"], "out of range");
    refused(&["--set", good, "--set", "vault/a234567890123456:u8=3"], "has 16 bytes");
    refused(&["--set", "retries=4"], "not of the form NAMESPACE/KEY:ENCODING=VALUE");
    refused(&["--set", "vault/retries:uint8=4"], "the encoding `uint8` does not exist");
    refused(&["--set", "vault/x:string=$ABSENT_VARIABLE"], "no variable ABSENT_VARIABLE");
    refused(&["--set", "vault/x:string=@absent.txt"], "cannot read absent.txt");
    refused(&[], "nothing to do");
}

#[test]
fn an_old_secret_is_found_until_the_image_is_made_anew() {
    let desk = Desk::with_vault();
    desk.nvs(&["leftovers", "vault.bin"]).succeeded();
    desk.write("psk.txt", "NewSecret42");
    desk.nvs(&["edit", "vault.bin", "--set", "vault/wifi_password:string=@psk.txt"]).succeeded();
    let found = desk.nvs(&["leftovers", "vault.bin"]).exited(1);
    assert!(found.stdout.starts_with("vault/wifi_password  str  page 0, entry 3"), "{found:#?}");
    found.hides_secrets();
    let json = desk.nvs(&["leftovers", "vault.bin", "--format", "json"]).exited(1).json();
    assert_eq!(json["secrets"][0]["key"], "wifi_password");
    let checked = desk.nvs(&["check", "vault.bin"]).succeeded();
    assert!(checked.stdout.contains("leftovers: 1"), "{checked:#?}");

    let find = ["leftovers", "vault.bin", "--find", "$OLD"];
    let old = [("OLD", VAULT_SECRETS[0])];
    let hits = desk.nvs_with(&find, &old).exited(1);
    assert!(hits.stdout.contains("$OLD  byte 0xc0"), "{hits:#?}");
    hits.hides_secrets();

    desk.nvs(&["edit", "vault.bin", "--compact"]).succeeded();
    desk.nvs_with(&find, &old).succeeded();
    let shown = desk.nvs(&["show", "vault.bin", "--secrets"]).succeeded();
    assert!(shown.stdout.contains("NewSecret42"), "{shown:#?}");
    desk.nvs(&["check", "vault.bin"]).succeeded();
}

#[test]
fn what_to_find_is_long_and_not_in_the_arguments() {
    let desk = Desk::with_vault();
    desk.nvs(&["leftovers", "vault.bin", "--find", "CorrectHorse99"]).exited(2);
    let short =
        desk.nvs_with(&["leftovers", "vault.bin", "--find", "$S"], &[("S", "abc")]).exited(2);
    assert!(short.stderr.contains("3 bytes are too few"), "{short:#?}");
}

#[test]
fn an_encrypted_image_stays_encrypted() {
    let desk = Desk::with_vault();
    desk.nvs(&["keygen", "key"]).succeeded();
    desk.nvs(&["encrypt", "vault.bin", "encrypted.bin", "--keys", "key"]).succeeded();
    desk.nvs(&["edit", "encrypted.bin", "--set", "vault/retries:u8=9"]).exited(2);
    let edit = ["edit", "encrypted.bin", "--set", "vault/retries:u8=9", "--keys", "key"];
    desk.nvs(&edit).succeeded();
    desk.nvs(&["check", "encrypted.bin"]).exited(2);
    let diff = desk.nvs(&["diff", "vault.bin", "encrypted.bin", "--keys", "key"]).exited(1);
    assert_eq!(diff.stdout, "- vault/retries  u8 1  3\n+ vault/retries  u8 1  9\n");
}

#[test]
fn a_fresh_image_of_version_1_stays_one() {
    let desk = Desk::with_vault();
    desk.nvs(&["generate", "vault.csv", "v1.bin", "0x6000", "--version", "1"]).succeeded();
    let generated = desk.read("v1.bin");
    desk.nvs(&["edit", "v1.bin", "--compact"]).succeeded();
    assert_eq!(desk.read("v1.bin"), generated);
}

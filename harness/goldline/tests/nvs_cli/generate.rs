//! CSV → image file: what is refused and where, and that a file is whole or untouched.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use rstest::rstest;

use super::desk::{Desk, VAULT_CSV, VAULT_SECRETS};

#[test]
fn an_image_has_the_size_that_was_asked_for() {
    let desk = Desk::with_vault();
    assert_eq!(desk.read("vault.bin").len(), 0x6000);
    desk.nvs(&["generate", "vault.csv", "decimal.bin", "24576"]).succeeded();
    assert_eq!(desk.read("decimal.bin"), desk.read("vault.bin"));
}

#[rstest]
#[case::out_of_range("a,data,u8,300", "3:11: the value is out of range; u8 takes 0 to 255")]
#[case::duplicate("a,data,u8,1\na,data,u8,2", "4:1: `a` is already set")]
#[case::reopened("b,namespace,,\nns,namespace,,", "4:1: the namespace `ns` was opened before")]
#[case::capitals("a,data,HEX2BIN,00", "3:8: the reference generator stores")]
#[case::long_key("a234567890123456,data,u8,1", "3:1: `a234567890123456` has 16 bytes")]
#[case::non_ascii_key("schlüssel,data,u8,1", "3:1: `schlüssel` has the character 'ü'")]
#[case::unknown_type("a,dta,u8,1", "3:3: the type is not one of data, file, namespace")]
#[case::unknown_encoding("a,data,uint8,1", "3:8: the encoding `uint8` does not exist")]
#[case::odd_hex("a,data,hex2bin,123", "3:16: 3 hexadecimal digits")]
#[case::unquoted_comma("a,data,string,My,Network", "3:18: 5 fields")]
#[case::unquoted_pem("a,data,string,-----BEGIN X-----\nabc", "3:15: a PEM has several lines")]
#[case::open_quote("a,data,string,\"abc", "3:15: the quote opened here is never closed")]
#[case::endless_file("a,file,binary,/dev/zero", "3:15: cannot read `/dev/zero`: it is larger")]
#[case::missing_file("a,file,binary,absent.der", "3:15: cannot read `absent.der`")]
fn strict_mode_refuses_with_line_and_column(#[case] rows: &str, #[case] message: &str) {
    let desk = Desk::new();
    desk.write("in.csv", format!("key,type,encoding,value\nns,namespace,,\n{rows}\n"));
    let refused = desk.nvs(&["generate", "in.csv", "out.bin", "0x3000"]).exited(2);
    assert!(refused.stderr.contains(&format!("in.csv:{message}")), "{refused:#?}");
    assert_eq!(desk.files(), ["in.csv"], "nothing is left behind");
}

#[test]
fn every_error_stands_on_a_line_of_its_own() {
    let desk = Desk::new();
    desk.write(
        "in.csv",
        "key,type,encoding,value\nns,namespace,,\n\
         a,data,u8,CorrectHorse99\nb,data,u8,1\nb,data,hex2bin,StapleBattery7\n",
    );
    let output = Command::new(env!("CARGO_BIN_EXE_goldline"))
        .args(["nvs", "generate", "in.csv", "out.bin", "0x3000"])
        .current_dir(desk.path("."))
        .output()
        .expect("the program starts");
    let stderr = String::from_utf8(output.stderr).expect("the program prints UTF-8");
    let places: Vec<_> = stderr.lines().take(3).map(|line| line.split(": ").next()).collect();
    assert_eq!(places, [Some("in.csv:3:11"), Some("in.csv:5:1"), Some("in.csv:5:16")], "{stderr}");
    assert!(stderr.contains("in.csv has 3 errors; nothing was written"), "{stderr}");
    for secret in VAULT_SECRETS {
        assert!(!stderr.contains(secret), "{stderr}");
    }
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn very_many_errors_are_counted() {
    let desk = Desk::new();
    let rows = "x,data,u8,300\n".repeat(60);
    desk.write("in.csv", format!("key,type,encoding,value\nns,namespace,,\n{rows}"));
    let refused = desk.nvs(&["generate", "in.csv", "out.bin", "0x3000"]).exited(2);
    // The value of each, and the key again of each but the first.
    assert!(refused.stderr.contains("in.csv: and 69 more"), "{refused:#?}");
    assert!(refused.stderr.contains("in.csv has 119 errors"), "{refused:#?}");
}

#[test]
fn another_separator_is_said_once() {
    let desk = Desk::new();
    desk.write("in.csv", VAULT_CSV.replace(',', ";"));
    let refused = desk.nvs(&["generate", "in.csv", "out.bin", "0x3000"]).exited(2);
    let expected = "in.csv:1:4: the separator of this file is `;`, and must be `,`";
    assert!(refused.stderr.starts_with(expected), "{refused:#?}");
    assert!(refused.stderr.contains("in.csv has 1 error;"), "{refused:#?}");
}

#[test]
fn a_refused_csv_leaves_the_old_image() {
    let desk = Desk::with_vault();
    let before = desk.read("vault.bin");
    desk.write("bad.csv", VAULT_CSV.replace("u8,3", "u8,x"));
    desk.nvs(&["generate", "bad.csv", "vault.bin", "0x6000"]).exited(2);
    assert_eq!(desk.read("vault.bin"), before);
    assert_eq!(desk.files(), ["bad.csv", "vault.bin", "vault.csv"]);
}

#[test]
fn an_image_that_does_not_fit_says_what_it_needs() {
    let desk = Desk::new();
    let blob = "00".repeat(9000);
    desk.write(
        "in.csv",
        format!("key,type,encoding,value\nns,namespace,,\nb,data,hex2bin,{blob}\n"),
    );
    let refused = desk.nvs(&["generate", "in.csv", "out.bin", "0x3000"]).exited(2);
    assert!(refused.stderr.contains("entries in 3 pages"), "{refused:#?}");
    assert!(refused.stderr.contains("at least 0x4000 bytes"), "{refused:#?}");
    assert_eq!(desk.files(), ["in.csv"]);
}

#[test]
fn an_error_never_repeats_a_value() {
    let desk = Desk::new();
    for row in ["wifi_password,data,u8,CorrectHorse99", "wifi_password,data,string,CorrectHorse99,"]
    {
        desk.write("in.csv", format!("key,type,encoding,value\nns,namespace,,\n{row}x\n"));
        desk.nvs(&["generate", "in.csv", "out.bin", "0x3000"]).exited(2).hides_secrets();
    }
}

#[rstest]
#[case::not_a_number("abc")]
#[case::not_whole_pages("5000")]
#[case::none("0")]
#[case::larger_than_any_flash("0x80000000")]
#[case::negative("-4096")]
fn a_size_that_means_nothing_is_usage(#[case] size: &str) {
    let desk = Desk::with_vault();
    desk.nvs(&["generate", "vault.csv", "out.bin", size]).exited(2);
    assert_eq!(desk.files(), ["vault.bin", "vault.csv"]);
}

#[test]
fn byte_order_mark_line_ends_and_comments_change_nothing() {
    let desk = Desk::with_vault();
    let dressed = format!("\u{feff}# made by hand\n\n{}", VAULT_CSV.replace('\n', "\r\n"));
    desk.write("dressed.csv", dressed.replace("retries", "# a comment\r\nretries"));
    desk.nvs(&["generate", "dressed.csv", "dressed.bin", "0x6000"]).succeeded();
    assert_eq!(desk.read("dressed.bin"), desk.read("vault.bin"));
}

#[test]
fn file_rows_are_relative_to_the_current_folder() {
    let desk = Desk::new();
    fs::create_dir(desk.path("sub")).expect("a folder");
    desk.write("blob.der", [1, 2, 3]);
    desk.write("sub/in.csv", "key,type,encoding,value\nns,namespace,,\nb,file,binary,blob.der\n");
    desk.nvs(&["generate", "sub/in.csv", "out.bin", "0x3000"]).succeeded();
    let shown = desk.nvs(&["show", "out.bin"]).succeeded();
    assert_eq!(shown.stdout, "ns/b  blob 3  010203\n");
}

#[test]
fn compatible_mode_takes_what_the_reference_takes() {
    let desk = Desk::new();
    desk.write("in.csv", "key,type,encoding,value\nns,namespace,,\na,data,u8,1\na,data,u8,2\n");
    desk.nvs(&["generate", "in.csv", "out.bin", "0x3000"]).exited(2);
    desk.nvs(&["generate", "in.csv", "out.bin", "0x3000", "--compat"]).succeeded();
    let checked = desk.nvs(&["check", "out.bin"]).exited(1);
    assert!(checked.stdout.contains("duplicate-key"), "{checked:#?}");
}

#[test]
fn version_1_is_written_on_request() {
    let desk = Desk::with_vault();
    desk.nvs(&["generate", "vault.csv", "v1.bin", "0x6000", "--version", "1"]).succeeded();
    assert_eq!((desk.read("v1.bin")[8], desk.read("vault.bin")[8]), (0xFF, 0xFE));
    desk.nvs(&["diff", "v1.bin", "vault.bin"]).succeeded();
    desk.nvs(&["generate", "vault.csv", "v3.bin", "0x6000", "--version", "3"]).exited(2);
}

#[test]
fn an_input_is_never_overwritten() {
    let desk = Desk::with_vault();
    let refused = desk.nvs(&["generate", "vault.csv", "./vault.csv", "0x6000"]).exited(2);
    assert!(refused.stderr.contains("is an input"), "{refused:#?}");
    assert_eq!(desk.read("vault.csv"), VAULT_CSV.as_bytes());
}

#[test]
fn an_existing_file_stays_unless_it_is_the_same_or_the_user_insists() {
    let desk = Desk::with_vault();
    let before = desk.read("vault.bin");
    desk.nvs(&["generate", "vault.csv", "vault.bin", "0x6000"]).succeeded();
    desk.write("other.csv", VAULT_CSV.replace("00001", "00002"));
    let refused = desk.nvs(&["generate", "other.csv", "vault.bin", "0x6000"]).exited(2);
    assert!(refused.stderr.contains("vault.bin exists and stays as it is"), "{refused:#?}");
    assert_eq!(desk.read("vault.bin"), before);
    desk.nvs(&["generate", "other.csv", "vault.bin", "0x6000", "--force"]).succeeded();
    assert_ne!(desk.read("vault.bin"), before);
}

#[test]
fn what_holds_a_secret_is_for_its_owner_and_the_rest_keeps_its_mode() {
    let desk = Desk::with_vault();
    let mode = |name: &str| {
        fs::metadata(desk.path(name)).expect("it is there").permissions().mode() & 0o777
    };
    assert_eq!(mode("vault.bin"), 0o600);
    fs::set_permissions(desk.path("vault.bin"), fs::Permissions::from_mode(0o640)).expect("chmod");
    std::os::unix::fs::symlink("vault.bin", desk.path("link.bin")).expect("a link");
    desk.write("plain.csv", "key,type,encoding,value\nns,namespace,,\nn,data,u8,1\n");
    desk.nvs(&["generate", "plain.csv", "link.bin", "0x6000"]).exited(2);
    desk.nvs(&["generate", "plain.csv", "link.bin", "0x6000", "--force"]).succeeded();
    assert!(desk.path("link.bin").is_symlink());
    assert_eq!(mode("vault.bin"), 0o640);
    let shown = desk.nvs(&["show", "vault.bin"]).succeeded();
    assert_eq!(shown.stdout, "ns/n  u8 1  1\n");
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let desk = Desk::with_vault();
    let refused = desk.nvs(&["generate", "vault.csv", "absent/out.bin", "0x6000"]).exited(2);
    assert!(refused.stderr.contains("the folder absent is not there"), "{refused:#?}");
}

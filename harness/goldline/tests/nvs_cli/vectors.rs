//! Every image of the shared vectors through `show` and `check`; the reference's own through
//! `generate` too. The vectors lie beside the repository; without them a test says so and passes.

use std::path::{Path, PathBuf};

use crate::desk::{self, Desk};

fn vectors(test: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors/nvs");
    if folder.is_dir() {
        return Some(folder.canonicalize().expect("a folder that is there has a path"));
    }
    println!("skipped: {test}: no vectors at {}", folder.display());
    None
}

/// Names without their ending of a folder's images, in order.
fn images(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("the vectors can be read");
    let mut names: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "bin"))
        .map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert!(!names.is_empty(), "{} holds no image", folder.display());
    names
}

/// Exit code of `check`, that of `show` being the same.
fn exit_code(folder: &Path, image: &str, keys: &[&str]) -> i32 {
    let image = format!("{image}.bin");
    let checked = desk::run(folder, &[&["check", &image], keys].concat(), &[]);
    let shown = desk::run(folder, &[&["show", &image], keys].concat(), &[]);
    assert_eq!(shown.code, checked.code, "{image}: {shown:#?} {checked:#?}");
    checked.code
}

#[test]
fn damaged_images_exit_1_and_never_pass() {
    let Some(vectors) = vectors("damaged_images_exit_1_and_never_pass") else { return };
    let folder = vectors.join("damaged");
    let mut noted = Vec::new();
    for name in images(&folder) {
        let keys: &[&str] = match name.contains("_enc_") {
            true => &["--keys", "../gen/keys/k.bin"],
            false => &[],
        };
        match exit_code(&folder, &name, keys) {
            1 => {}
            code => noted.push((name, code)),
        }
    }
    assert_eq!(noted, []);
}

/// Keys of an image by the vectors' index, as options.
fn keys_of(index: &serde_json::Value, name: &str) -> Vec<&'static str> {
    match index[name]["enc"].as_str() {
        Some("k") => vec!["--keys", "keys/k.bin"],
        Some("h") => vec!["--hmac-key", "hmac_key.bin"],
        _ => Vec::new(),
    }
}

fn index(folder: &Path) -> serde_json::Value {
    let text = std::fs::read(folder.join("index.json")).expect("the vectors have an index");
    serde_json::from_slice(&text).expect("the index is JSON")
}

/// Images in which the reference's own bugs show.
const MANGLED: [&str; 3] = ["27_dup_type", "47_unikey_long", "25_reopen_ns"];

#[test]
fn images_of_the_reference_are_sound_unless_it_mangled_them() {
    let Some(vectors) = vectors("images_of_the_reference_are_sound_unless_it_mangled_them") else {
        return;
    };
    let folder = vectors.join("gen");
    let index = index(&folder);
    for name in images(&folder).iter().filter(|name| index[name.as_str()].is_object()) {
        let code = exit_code(&folder, name, &keys_of(&index, name));
        let expected: &[i32] = if MANGLED.contains(&name.as_str()) { &[0, 1] } else { &[0] };
        assert!(expected.contains(&code), "{name} exits {code}");
    }
}

#[test]
fn the_program_generates_the_references_bytes() {
    let Some(vectors) = vectors("the_program_generates_the_references_bytes") else { return };
    let folder = vectors.join("gen");
    let index = index(&folder);
    let desk = Desk::new();
    let out = desk.path("out.bin");
    let out_text = out.to_str().expect("a temporary path is text");
    let mut compared = 0;
    for name in images(&folder).iter().filter(|name| index[name.as_str()].is_object()) {
        let (csv, size) = (format!("{name}.csv"), index[name]["size"].to_string());
        let version = index[name]["ver"].to_string();
        let arguments = ["generate", &csv, out_text, &size, "--version", &version, "--compat"];
        let made = desk::run(&folder, &[&arguments[..], &keys_of(&index, name)].concat(), &[]);
        if name == "47_unikey_long" {
            assert_eq!(made.code, 2, "a key that overruns its field: {made:#?}");
            continue;
        }
        assert_eq!(made.code, 0, "{name}: {made:#?}");
        let expected = std::fs::read(folder.join(format!("{name}.bin"))).expect("an image");
        assert!(desk.read("out.bin") == expected, "{name} differs");
        compared += 1;
    }
    assert!(compared >= 20, "only {compared} images were compared");
}

/// ESP-IDF's fixtures that are images, with their keys and the exit code of `check`. One was made
/// with a gap in its bitmap on purpose.
const IDF_IMAGES: [(&str, &[&str], i32); 8] = [
    ("bootloader__nvs_partition", &[], 0),
    ("bootloader__partition_encrypted", &["--keys", "bootloader__encryption_keys.bin"], 0),
    (
        "bootloader__partition_encrypted_hmac",
        &["--hmac-key", "bootloader__nvs_enc_hmac_key.bin"],
        0,
    ),
    ("empty_gap", &[], 1),
    ("part_old_blob_format", &[], 0),
    ("test_apps__partition_encrypted", &["--keys", "test_apps__encryption_keys.bin"], 0),
    ("test_apps__partition_encrypted_hmac", &["--keys", "sample_encryption_keys_hmac.bin"], 0),
    ("test_nvs_data", &[], 0),
];

#[test]
fn fixtures_of_esp_idf_are_read_or_answered() {
    let Some(vectors) = vectors("fixtures_of_esp_idf_are_read_or_answered") else { return };
    let folder = vectors.join("idf");
    for name in images(&folder) {
        let image = IDF_IMAGES.iter().find(|(known, ..)| *known == name);
        // The others are key files and the content of blobs.
        let &(_, keys, expected) = image.unwrap_or(&("", &[], 2));
        assert_eq!(exit_code(&folder, &name, keys), expected, "{name}");
    }
}

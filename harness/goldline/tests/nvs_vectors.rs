//! `goldline nvs` over every vector: `show` and `check` of sound and of damaged images, `generate`
//! of the CSVs. A case for each, named after it.
//!
//! The project's own vectors always run; those of others run where they are, and count as ignored
//! where they are not. Must not know how the codec judges: that is proven beside it.

#[path = "../../nvs/tests/vectors/damage.rs"]
mod damage;
#[path = "../../nvs/tests/vectors/index.rs"]
mod index;
#[path = "../../nvs/tests/vectors/others.rs"]
mod others;

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode, Output},
};

use goldline_nvs::{Code, Severity};
use libtest_mimic::{Arguments, Trial, run};

use crate::{
    damage::{DAMAGED, DAMAGED_CIPHERTEXT, Damaged},
    index::{KeyFile, Modes, Vector, own, read},
};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let sound = own().into_iter().map(|vector| {
        Trial::test(format!("own::{}", vector.name), move || {
            exits_as_it_was_mangled(&vector);
            is_generated(&vector);
            Ok(())
        })
    });
    let damaged = DAMAGED.iter().chain([&DAMAGED_CIPHERTEXT]).map(|damaged| {
        Trial::test(format!("damaged::{}", damaged.name), || {
            exits_by_its_findings(damaged);
            Ok(())
        })
    });
    let of_others = [
        others::trial("images_exit_as_they_were_mangled", |folder| {
            others::generated(folder).iter().for_each(exits_as_it_was_mangled);
        }),
        others::trial("csvs_give_the_generators_images", |folder| {
            others::generated(folder).iter().for_each(is_generated);
        }),
        others::trial("damaged_images_exit_1", damaged_images_of_others_exit_1),
        others::trial("fixtures_of_esp_idf_are_read_or_answered", fixtures_of_esp_idf),
    ];
    run(&arguments, sound.chain(damaged).chain(of_others).collect()).exit_code()
}

/// An image in which a bug of the generator shows may be damaged or not; every other is sound.
fn exits_as_it_was_mangled(vector: &Vector) {
    let desk = tempfile::tempdir().expect("a temporary folder");
    let image = write(desk.path(), &vector.image());
    let code = exit_code(&image, &options(vector.key.as_ref()));
    let expected: &[i32] = if vector.modes == Modes::Both { &[0] } else { &[0, 1] };
    assert!(expected.contains(&code), "{} exits {code}", vector.name);
}

/// `generate` gives the generator's bytes, or exit code 2 where those are no NVS.
fn is_generated(vector: &Vector) {
    let desk = tempfile::tempdir().expect("a temporary folder");
    let out = desk.path().join("out.bin");
    let (size, version) = (vector.size.to_string(), vector.version.to_string());
    let made = Command::new(env!("CARGO_BIN_EXE_goldline"))
        .args(["nvs", "generate"])
        .args([&vector.csv, &out])
        .args([&size, "--version", &version, "--compat"])
        .args(options(vector.key.as_ref()))
        .current_dir(vector.csv.parent().expect("a file has a folder"))
        .output()
        .expect("the program starts");
    let expected = if vector.modes == Modes::None { 2 } else { 0 };
    assert_eq!(code(&made), expected, "{}: {made:#?}", vector.name);
    match vector.modes {
        Modes::None => assert!(!out.exists(), "{} left an image", vector.name),
        _ => assert!(read(&out) == vector.image(), "{} differs", vector.name),
    }
}

/// A note is no damage, and what cannot be read at all is neither sound nor damaged.
fn exits_by_its_findings(damaged: &Damaged) {
    let base = own().into_iter().find(|vector| vector.name == damaged.base);
    let base = base.unwrap_or_else(|| panic!("no vector is named {}", damaged.base));
    let mut bytes = base.image();
    (damaged.change)(&mut bytes);
    let desk = tempfile::tempdir().expect("a temporary folder");
    let image = write(desk.path(), &bytes);
    let key = base.key.as_ref().filter(|_| damaged.name == DAMAGED_CIPHERTEXT.name);
    let says = |judge: fn(Code, Severity) -> bool| {
        damaged.says.iter().any(|(code, severity, ..)| judge(*code, *severity))
    };
    let expected = match () {
        () if says(|code, _| matches!(code, Code::NotNvs | Code::LooksEncrypted)) => 2,
        () if says(|_, severity| severity.is_damage()) => 1,
        () => 0,
    };
    assert_eq!(exit_code(&image, &options(key)), expected, "{}", damaged.name);
}

fn damaged_images_of_others_exit_1(folder: &Path) {
    let keys = KeyFile::Keys(folder.join("gen/keys/k.bin"));
    for image in images(&folder.join("damaged")) {
        let is_encrypted = image.to_string_lossy().contains("_enc_");
        let key = is_encrypted.then_some(&keys);
        assert_eq!(exit_code(&image, &options(key)), 1, "{}", image.display());
    }
}

/// ESP-IDF's fixtures that are images, with the file of their keys and the exit code of `check`. One
/// was made with a gap in its bitmap on purpose.
const IDF_IMAGES: [(&str, Option<&str>, i32); 8] = [
    ("bootloader__nvs_partition", None, 0),
    ("bootloader__partition_encrypted", Some("bootloader__encryption_keys"), 0),
    ("bootloader__partition_encrypted_hmac", Some("bootloader__nvs_enc_hmac_key"), 0),
    ("empty_gap", None, 1),
    ("part_old_blob_format", None, 0),
    ("test_apps__partition_encrypted", Some("test_apps__encryption_keys"), 0),
    ("test_apps__partition_encrypted_hmac", Some("sample_encryption_keys_hmac"), 0),
    ("test_nvs_data", None, 0),
];

fn fixtures_of_esp_idf(folder: &Path) {
    let folder = folder.join("idf");
    for image in images(&folder) {
        let name = image.file_stem().expect("a name").to_string_lossy();
        let known = IDF_IMAGES.iter().find(|(known, ..)| *known == name);
        // The others are key files and the content of blobs.
        let &(_, key, expected) = known.unwrap_or(&("", None, 2));
        let key = key.map(|key| {
            let file = folder.join(format!("{key}.bin"));
            if key.ends_with("hmac_key") { KeyFile::Hmac(file) } else { KeyFile::Keys(file) }
        });
        assert_eq!(exit_code(&image, &options(key.as_ref())), expected, "{name}");
    }
}

/// A folder's images, in order.
fn images(folder: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder).expect("the vectors can be read");
    let mut images: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    images.retain(|path| path.extension().is_some_and(|extension| extension == "bin"));
    images.sort();
    assert!(!images.is_empty(), "{} holds no image", folder.display());
    images
}

fn write(folder: &Path, image: &[u8]) -> PathBuf {
    let path = folder.join("image.bin");
    std::fs::write(&path, image).expect("written");
    path
}

fn options(key: Option<&KeyFile>) -> Vec<PathBuf> {
    match key {
        Some(KeyFile::Keys(file)) => vec!["--keys".into(), file.clone()],
        Some(KeyFile::Hmac(file)) => vec!["--hmac-key".into(), file.clone()],
        None => Vec::new(),
    }
}

/// Exit code of `check`, that of `show` being the same.
fn exit_code(image: &Path, options: &[PathBuf]) -> i32 {
    let [checked, shown] = ["check", "show"].map(|command| {
        Command::new(env!("CARGO_BIN_EXE_goldline"))
            .args(["nvs", command])
            .arg(image)
            .args(options)
            .output()
            .expect("the program starts")
    });
    assert_eq!(code(&shown), code(&checked), "{}: {shown:#?} {checked:#?}", image.display());
    code(&checked)
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("the program ends by itself")
}

//! Espressif's generator, which makes the images of the vectors in fixtures/nvs anew.
//!
//! The expected output is the generator's own; nothing of this project makes it. Must not know what
//! is compared with it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use crate::index::{KeyFile, Vector, own, own_folder, read, repository};

/// Key partition that the generator derives from the vectors' HMAC key.
pub const KEYS_OF_HMAC: &str = "keys-of-hmac";

/// Names of all that is made.
pub fn names() -> impl Iterator<Item = String> {
    own().into_iter().map(|vector| vector.name).chain([KEYS_OF_HMAC.to_owned()])
}

/// What is made, by name, without trailing blank pages; none where the generator is not installed,
/// which is an error in a CI.
pub fn images() -> Option<Vec<(String, Vec<u8>)>> {
    let python = python()?;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    run(
        &python,
        &[
            json!({ "hmac": own_folder().join("keys/hmac.bin"), "folder": folder, "out": "hmac.bin" }),
        ],
        folder,
    );
    let derived = folder.join("keys/hmac.bin");

    let vectors = own();
    let jobs: Vec<Value> = vectors.iter().map(|vector| job(vector, folder, &derived)).collect();
    run(&python, &jobs, folder);
    let image = |vector: Vector| {
        let mut bytes = read(folder.join(format!("{}.bin", vector.name)));
        assert_eq!(bytes.len(), vector.size, "{}", vector.name);
        cut_blank_pages(&mut bytes);
        (vector.name, bytes)
    };
    let mut images: Vec<_> = vectors.into_iter().map(image).collect();
    images.push((KEYS_OF_HMAC.to_owned(), read(derived)));
    Some(images)
}

fn job(vector: &Vector, folder: &Path, derived: &Path) -> Value {
    let keys = vector.key.as_ref().map(|key| {
        let file = match key {
            KeyFile::Keys(path) => path,
            KeyFile::Hmac(_) => derived,
        };
        read(file)[..64].iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    });
    json!({
        "csv": vector.csv,
        "folder": folder,
        "out": format!("{}.bin", vector.name),
        "size": format!("{:#x}", vector.size),
        "version": vector.version,
        "keys": keys,
    })
}

/// Runs the jobs where the vectors lie, from where the generator finds the files that they name.
fn run(python: &Path, jobs: &[Value], folder: &Path) {
    let list = folder.join("jobs.json");
    fs::write(&list, serde_json::to_vec(jobs).expect("JSON")).expect("written");
    let script = repository().join("harness/nvs/tests/codec/reference.py");
    let output = Command::new(python)
        .arg(script)
        .arg(list)
        .current_dir(own_folder())
        .output()
        .expect("Python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let results: Vec<Option<String>> = serde_json::from_slice(&output.stdout).expect("JSON");
    for (job, failure) in jobs.iter().zip(results) {
        assert_eq!(failure, None, "{}", job["out"]);
    }
}

fn python() -> Option<PathBuf> {
    let venv = std::env::var_os("GOLDLINE_VENV");
    let venv = venv.map_or_else(|| repository().join(".venv"), PathBuf::from);
    let python = venv.join("bin/python");
    if python.exists() {
        return Some(python);
    }
    let is_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!is_ci, "a CI needs the reference generator: run ci/install");
    println!("skipped: no reference generator at {}", venv.display());
    None
}

fn cut_blank_pages(bytes: &mut Vec<u8>) {
    const PAGE: usize = 4096;
    while bytes.len() > PAGE && bytes[bytes.len() - PAGE..].iter().all(|&byte| byte == 0xFF) {
        bytes.truncate(bytes.len() - PAGE);
    }
}

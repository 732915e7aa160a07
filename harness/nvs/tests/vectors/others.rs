//! Vectors of others, in the folder `../shared/vectors/nvs` beside the repository when somebody has
//! them: images that Espressif's generator made (`gen`), fixtures of ESP-IDF (`idf`) and damaged
//! images (`damaged`). They are an extra to the project's own.

use std::path::{Path, PathBuf};

use libtest_mimic::Trial;

use crate::index::{KeyFile, Modes, Vector, read, repository};

/// The folder, when it is there.
fn folder() -> Option<PathBuf> {
    let folder = repository().join("../shared/vectors/nvs");
    folder.is_dir().then_some(folder)
}

/// A case that counts as ignored, and so is named, where the vectors are not.
pub fn trial(name: &str, body: impl FnOnce(&Path) + Send + 'static) -> Trial {
    let folder = folder();
    let is_missing = folder.is_none();
    let run = move || {
        body(&folder.ok_or("there are no vectors at ../shared/vectors/nvs beside the repository")?);
        Ok(())
    };
    Trial::test(format!("others::{name}"), run).with_ignored_flag(is_missing)
}

/// The images that the generator made, by name.
pub fn generated(folder: &Path) -> Vec<Vector> {
    let folder = folder.join("gen");
    let index: serde_json::Value =
        serde_json::from_slice(&read(folder.join("index.json"))).expect("the index is JSON");
    let lines = index.as_object().expect("the index is an object");
    lines.iter().map(|(name, line)| vector(&folder, name, line)).collect()
}

fn vector(folder: &Path, name: &str, line: &serde_json::Value) -> Vector {
    let number = |field: &str| line[field].as_u64().expect("the index gives a number");
    let key = line["enc"].as_str().map(|key| match key {
        "h" => KeyFile::Hmac(folder.join("hmac_key.bin")),
        key => KeyFile::Keys(folder.join(format!("keys/{key}.bin"))),
    });
    Vector {
        name: name.to_owned(),
        csv: folder.join(format!("{name}.csv")),
        image: folder.join(format!("{name}.bin")),
        size: usize::try_from(number("size")).expect("a partition's size"),
        version: u8::try_from(number("ver")).expect("a version of the format"),
        key,
        modes: match name {
            "47_unikey_long" => Modes::None,
            "25_reopen_ns" | "27_dup_type" => Modes::Compat,
            _ => Modes::Both,
        },
    }
}

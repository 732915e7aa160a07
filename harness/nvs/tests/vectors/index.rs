//! Where the vectors lie and what each of them is: the project's own, and those of others beside
//! the repository, which are an extra. Must not know what a test does with them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::Deserialize;

/// A CSV, and the image that Espressif's generator makes of it.
pub struct Vector {
    pub name: String,
    pub csv: PathBuf,
    pub image: PathBuf,
    /// Bytes of the partition.
    pub size: usize,
    /// Of the format, 1 or 2.
    pub version: u8,
    pub key: Option<KeyFile>,
    pub modes: Modes,
}

/// What an image is encrypted with.
#[derive(Clone, PartialEq)]
pub enum KeyFile {
    /// An `nvs_keys` partition.
    Keys(PathBuf),
    /// The key of which they come.
    Hmac(PathBuf),
}

/// Which modes of our own CSV reader give the generator's image.
#[derive(Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Modes {
    #[default]
    Both,
    /// The strict one may refuse it: the generator does something else than was asked.
    Compat,
    /// None: what the generator makes is no NVS.
    None,
}

impl Vector {
    /// The generator's image; of our own the trailing blank pages are not kept.
    pub fn image(&self) -> Vec<u8> {
        let mut bytes = read(&self.image);
        bytes.resize(self.size, 0xFF);
        bytes
    }
}

/// A line of `fixtures/nvs/index.toml`, which says what they mean.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(default = "usual_size")]
    size: usize,
    #[serde(default = "usual_version")]
    version: u8,
    key: Option<KeyKind>,
    #[serde(default)]
    modes: Modes,
    #[serde(rename = "shows")]
    _shows: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum KeyKind {
    Keys,
    Hmac,
}

fn usual_size() -> usize {
    0x6000
}

fn usual_version() -> u8 {
    2
}

/// The project's own vectors, by name.
pub fn own() -> Vec<Vector> {
    let text = String::from_utf8(read(own_folder().join("index.toml"))).expect("TOML is text");
    let lines: BTreeMap<String, Line> =
        toml::from_str(&text).unwrap_or_else(|error| panic!("index.toml: {error}"));
    lines.into_iter().map(|(name, line)| own_vector(name, &line)).collect()
}

fn own_vector(name: String, line: &Line) -> Vector {
    Vector {
        csv: own_folder().join(format!("{name}.csv")),
        image: repository().join(format!("golden/nvs-vectors/{name}.snap.bin")),
        size: line.size,
        version: line.version,
        key: line.key.as_ref().map(|kind| match kind {
            KeyKind::Keys => KeyFile::Keys(own_folder().join("keys/keys.bin")),
            KeyKind::Hmac => KeyFile::Hmac(own_folder().join("keys/hmac.bin")),
        }),
        modes: line.modes,
        name,
    }
}

/// Inputs of the project's own vectors.
pub fn own_folder() -> PathBuf {
    repository().join("fixtures/nvs")
}

pub fn repository() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().nth(2).expect("the package lies two folders deep").to_owned()
}

/// A file's bytes.
pub fn read(path: impl AsRef<Path>) -> Vec<u8> {
    let path = path.as_ref();
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

//! Where tests find inputs. Must not know what they prove.

use std::path::{Path, PathBuf};

/// The repository's root.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A file's bytes.
pub fn read(path: impl AsRef<Path>) -> Vec<u8> {
    let path = path.as_ref();
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Reads a CSV whose file rows are relative to its own folder.
pub fn parse_csv(
    path: &Path,
    mode: goldline_nvs::csv::Mode,
) -> Result<goldline_nvs::Document, goldline_nvs::csv::CsvErrors> {
    let folder = path.parent().expect("a file has a folder").to_path_buf();
    let mut files = |name: &str| std::fs::read(folder.join(name));
    goldline_nvs::csv::parse(&read(path), mode, &mut files)
}

/// Python of the environment that holds Espressif's generator: the folder named
/// by `GOLDLINE_VENV`, or `.venv` in the repository. Without it a test says so
/// and passes, except in CI.
pub fn reference_python(test: &str) -> Option<PathBuf> {
    let venv = std::env::var_os("GOLDLINE_VENV");
    let venv = venv.map_or_else(|| repository().join(".venv"), PathBuf::from);
    let python = venv.join("bin/python");
    if python.exists() {
        return Some(python);
    }
    let is_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!is_ci, "{test} needs the reference generator in CI: run ci/install");
    println!("skipped: {test}: no reference generator at {}", venv.display());
    None
}

//! Where tests find inputs. Must not know what they prove.

use std::path::{Path, PathBuf};

/// The repository's root.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The shared vectors beside the repository, which are not part of it.
/// Without them a test says so and passes.
pub fn vectors(test: &str) -> Option<PathBuf> {
    let folder = repository().join("../shared/vectors/nvs");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: {test}: no vectors at {}", folder.display());
    None
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
) -> Result<goldline_nvs::Document, goldline_nvs::csv::CsvError> {
    let folder = path.parent().expect("a file has a folder").to_path_buf();
    let mut files = |name: &str| std::fs::read(folder.join(name));
    goldline_nvs::csv::parse(&read(path), mode, &mut files)
}

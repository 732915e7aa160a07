//! Where the repository lies and whether a CI runs us.

use std::path::{Path, PathBuf};

/// The repository's root folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the repository")
}

/// The interpreter that `ci/install` sets up with the Python peers.
pub fn venv_python() -> PathBuf {
    root().join(".venv/bin/python")
}

/// True where `CI=true`: nothing is asked, nothing is accepted, no mandatory peer may be missing.
pub fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true" || value == "1")
}

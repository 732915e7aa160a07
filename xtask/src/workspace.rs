//! Where the repository lies and whether a CI runs us.

use std::path::{Path, PathBuf};

/// The repository's root folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the repository")
}

/// The interpreter with the Python peers: of the environment that `GOLDLINE_VENV` names, else of the
/// one that `ci/install` sets up.
pub fn venv_python() -> PathBuf {
    let venv = std::env::var_os("GOLDLINE_VENV").unwrap_or_else(|| ".venv".into());
    root().join(venv).join("bin/python")
}

/// True where `CI=true`: nothing is asked, nothing is accepted, no mandatory peer may be missing.
pub fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true" || value == "1")
}

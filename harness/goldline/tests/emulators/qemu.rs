//! Where an emulator is found for a test.

use std::{
    env,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

const PROGRAMS: [&str; 2] = ["qemu-system-riscv32", "qemu-system-xtensa"];

/// A folder with the programs of an emulator.
pub enum Emulator {
    StandIn(TempDir),
    Real(PathBuf),
}

impl Emulator {
    /// What stands in for QEMU, under the names of its programs.
    pub fn stand_in() -> Self {
        let built = Path::new(env!("CARGO_BIN_EXE_goldline")).with_file_name("examples");
        let program = built.join("qemu_stand_in");
        assert!(program.is_file(), "{} is not built: cargo build --examples", program.display());
        let folder = tempfile::tempdir().expect("a folder");
        for name in PROGRAMS {
            symlink(&program, folder.path().join(name)).expect("a link");
        }
        Self::StandIn(folder)
    }

    /// A real one, where somebody named it. CI has none.
    pub fn real() -> Option<Self> {
        let named = env::var_os("GOLDLINE_TEST_QEMU").filter(|folder| !folder.is_empty());
        if named.is_none() {
            eprintln!("skipped: GOLDLINE_TEST_QEMU names no folder with a real QEMU");
        }
        named.map(|folder| Self::Real(folder.into()))
    }

    pub fn folder(&self) -> &Path {
        match self {
            Self::StandIn(folder) => folder.path(),
            Self::Real(folder) => folder,
        }
    }
}

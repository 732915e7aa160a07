//! The flash: in memory while the unit runs, in its file again only when it is saved.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

/// What erased flash reads.
const ERASED: u8 = 0xFF;

/// The unit's flash, as a file of its own for the simulator.
pub struct Flash {
    folder: TempDir,
    size: u32,
}

impl Flash {
    /// Takes it out of the file. Its size is what the image's header says, and not the file's.
    pub fn load(firmware: &Path, chip: &str) -> Result<Self, String> {
        let failed = |error: io::Error| format!("{}: {error}", firmware.display());
        let mut bytes = fs::read(firmware).map_err(failed)?;
        let size = size_in(&bytes, chip);
        bytes.resize(size as usize, ERASED);
        let flash = Self { folder: tempfile::tempdir().map_err(failed)?, size };
        fs::write(flash.path(), &bytes).map_err(failed)?;
        Ok(flash)
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("flash")
    }

    pub fn size(&self) -> u32 {
        self.size
    }

    /// Overwrites the file.
    pub fn save(&self, firmware: &Path) -> Result<(), String> {
        let failed = |error: io::Error| format!("{}: {error}", firmware.display());
        // As a new file in its place: nobody is to rely on the old one.
        let folder = firmware.parent().unwrap_or(Path::new("."));
        let mut new = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
        io::Write::write_all(&mut new, &fs::read(self.path()).map_err(failed)?).map_err(failed)?;
        new.persist(firmware).map_err(|error| failed(error.error))?;
        Ok(())
    }
}

/// The upper half of the header's fourth byte; what is no header has 4 MB.
fn size_in(flash: &[u8], chip: &str) -> u32 {
    let header = if matches!(chip, "esp32c5" | "esp32p4" | "esp32s31") { 0x2000 } else { 0 };
    match flash.get(header + 3).map(|byte| byte >> 4) {
        Some(power @ 0..=7) => 1 << (20 + power),
        _ => 4 << 20,
    }
}

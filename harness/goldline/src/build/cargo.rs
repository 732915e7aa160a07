//! What `cargo build` leaves: an ELF, and with `esp-idf-sys` a bootloader and a partition table beside it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    App, Build, BuildError, ChipName, Maker, Placed, Settings, bootloader_offset,
    header::{chip_of, is_elf},
    table::Table,
};

/// The build in a folder such as `target/riscv32imc-unknown-none-elf/release`; `None` without an ELF.
pub(super) fn read(folder: &Path) -> Result<Option<Build>, BuildError> {
    let mut programs: Vec<PathBuf> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_file() && path.extension().is_none_or(|end| end == "elf"))
        .filter(|path| is_elf(path).unwrap_or(false))
        .collect();
    programs.sort();
    match &programs[..] {
        [] => Ok(None),
        [program] => with_neighbours(folder, program).map(Some),
        several => {
            let found = several.iter().map(|path| path.display().to_string()).collect();
            Err(BuildError::Several { path: folder.to_owned(), found })
        }
    }
}

/// An ELF alone.
pub(super) fn of_elf(maker: Maker, place: &Path, elf: &Path) -> Build {
    Build {
        maker,
        place: place.to_owned(),
        chip: None,
        settings: Settings::default(),
        table: None,
        bootloader: None,
        app: App::Elf(elf.to_owned()),
        others: Vec::new(),
        elf: Some(elf.to_owned()),
        left_out: Vec::new(),
    }
}

fn with_neighbours(folder: &Path, program: &Path) -> Result<Build, BuildError> {
    let mut build = of_elf(Maker::Cargo, folder, program);
    let table = folder.join("partition-table.bin");
    if table.is_file() {
        build.table = Some(Table::read(&table)?);
    }
    let bootloader = folder.join("bootloader.bin");
    if let Some(chip) = bootloader.is_file().then(|| chip_of(&bootloader)).transpose()?.flatten() {
        let (offset, file) = (bootloader_offset(chip), bootloader.into());
        build.chip = Some(ChipName::Id(chip));
        build.bootloader = Some(Placed { offset, file, encrypted: false });
    }
    Ok(build)
}

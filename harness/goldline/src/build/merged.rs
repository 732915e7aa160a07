//! A whole flash in one file: bootloader, partition table and what the table's partitions hold.
//!
//! Such a file is padded with 0xFF, within and behind; it begins at the start of the flash, or at the
//! bootloader where that is not the start.

use std::{fs, iter, ops::Range, path::Path};

use super::{
    Build, BuildError, ChipName, ImageFile, Maker, Placed, Settings,
    assembly::{Parts, TABLE_OFFSET, assemble},
    bootloader_offset,
    header::chip_in,
    table::Table,
};

const SECTOR: usize = 0x1000;
const TABLE_MAGIC: [u8; 2] = [0xAA, 0x50];
/// Where a bootloader may lie.
const BOOTLOADERS: [usize; 3] = [0, 0x1000, 0x2000];

pub(super) fn read(path: &Path) -> Result<Build, BuildError> {
    let bytes =
        fs::read(path).map_err(|source| BuildError::File { path: path.to_owned(), source })?;
    let flash = Flash { path, bytes: &bytes, start: start(path, &bytes)? };
    let table_offset = TABLE_OFFSET as usize;
    let table = Table::parse(path, flash.between(table_offset..table_offset + SECTOR))?;
    let bootloader = flash.bootloader()?;
    let chip = chip_in(flash.between(bootloader..table_offset));
    let mut regions = vec![bootloader..table_offset, table_offset..table_offset + SECTOR];
    regions.extend(table.rows.iter().map(|row| {
        let start = row.offset as usize;
        start..start.saturating_add(row.size as usize)
    }));
    regions.sort_by_key(|region| region.start);
    flash.refuse_stray(&regions)?;
    let files = regions.into_iter().filter_map(|region| flash.placed(region)).collect();
    assemble(Parts {
        maker: Maker::Merged,
        place: path.to_owned(),
        chip: chip.map(ChipName::Id),
        settings: Settings::default(),
        files,
        elf: None,
    })
}

/// The offset in the flash of the file's first byte.
fn start(path: &Path, bytes: &[u8]) -> Result<usize, BuildError> {
    let has_table = |start: &usize| {
        let at = TABLE_OFFSET as usize - start;
        bytes.get(at..).is_some_and(|rest| rest.starts_with(&TABLE_MAGIC))
    };
    BOOTLOADERS.into_iter().find(has_table).ok_or_else(|| BuildError::NotMerged {
        path: path.to_owned(),
        reason: "no partition table is at 0x8000".to_owned(),
    })
}

struct Flash<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    start: usize,
}

impl Flash<'_> {
    /// The bytes between two offsets of the flash, as far as the file goes.
    fn between(&self, region: Range<usize>) -> &[u8] {
        &self.bytes[self.in_file(region)]
    }

    fn in_file(&self, region: Range<usize>) -> Range<usize> {
        let at = |offset: usize| offset.saturating_sub(self.start).min(self.bytes.len());
        at(region.start)..at(region.end)
    }

    fn bootloader(&self) -> Result<usize, BuildError> {
        let is_there = |offset: &usize| {
            *offset >= self.start
                && chip_in(self.between(*offset..TABLE_OFFSET as usize))
                    .is_some_and(|chip| bootloader_offset(chip) as usize == *offset)
        };
        BOOTLOADERS.into_iter().find(is_there).ok_or_else(|| BuildError::NotMerged {
            path: self.path.to_owned(),
            reason: "no bootloader is where its chip looks for one".to_owned(),
        })
    }

    /// What a region holds; `None` when it is erased. Whole sectors, so that nothing is taken off an image
    /// that ends in 0xFF.
    fn placed(&self, region: Range<usize>) -> Option<Placed> {
        let offset = u32::try_from(region.start).ok()?;
        let part = self.in_file(region);
        let last = self.bytes[part.clone()].iter().rposition(|byte| *byte != 0xFF)?;
        let end = (part.start + (last + 1).next_multiple_of(SECTOR)).min(part.end);
        let file = ImageFile::part(self.path, part.start..end);
        Some(Placed { offset, file, encrypted: false })
    }

    fn refuse_stray(&self, regions: &[Range<usize>]) -> Result<(), BuildError> {
        let mut at = self.start;
        let ends = self.start + self.bytes.len();
        let gaps = regions.iter().cloned().chain(iter::once(ends..ends));
        for region in gaps {
            let gap = at..region.start.max(at);
            let stray = self.between(gap.clone()).iter().position(|byte| *byte != 0xFF);
            if let Some(stray) = stray {
                let offset = gap.start + stray;
                return Err(BuildError::Stray { path: self.path.to_owned(), offset });
            }
            at = at.max(region.end);
        }
        Ok(())
    }
}

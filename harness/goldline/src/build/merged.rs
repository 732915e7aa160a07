//! A whole flash in one file: bootloader, partition table and what the table's partitions hold.
//!
//! Such a file is padded with 0xFF, within and behind; it begins at the start of the flash, or at the
//! bootloader where that is not the start. The dump of a used chip is one too: what earlier firmware left in
//! it behind the images and outside of the partitions is told, and not flashed.

use std::{fs, ops::Range, path::Path};

use super::{
    Build, BuildError, ChipName, ImageFile, LeftOut, LeftOutPlace, Maker, Placed, Settings,
    assembly::{Parts, TABLE_OFFSET, assemble},
    bootloader_offset,
    header::chip_in,
    table::{Row, Table},
};
use crate::esp_image::EspImage;

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
    let mut regions = vec![
        Region { at: bootloader..table_offset, holds: Holds::Image },
        Region { at: table_offset..table_offset + SECTOR, holds: Holds::Data },
    ];
    regions.extend(table.rows.iter().map(Region::of_partition));
    regions.sort_by_key(|region| region.at.start);
    let mut left_out = flash.unpartitioned(&regions);
    let mut files = Vec::new();
    for region in regions {
        let Some((placed, rest)) = flash.placed(&region) else { continue };
        files.push(placed);
        left_out.extend(flash.left_out(rest, LeftOutPlace::BehindImage));
    }
    left_out.sort_by_key(|left| left.offset);
    let build = assemble(Parts {
        maker: Maker::Merged,
        place: path.to_owned(),
        chip: chip.map(ChipName::Id),
        settings: Settings::default(),
        files,
        elf: None,
    })?;
    Ok(Build { left_out, ..build })
}

/// A place in the flash, and what it is for.
struct Region {
    at: Range<usize>,
    holds: Holds,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    /// An ESP image; whatever else lies there is none of it.
    Image,
    Data,
}

impl Region {
    fn of_partition(row: &Row) -> Self {
        let start = row.offset as usize;
        let holds = if row.kind == "app" { Holds::Image } else { Holds::Data };
        Self { at: start..start.saturating_add(row.size as usize), holds }
    }
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

    /// What a region holds, and where the rest of it is; `None` when it is erased. Whole sectors, so that
    /// nothing is taken off data that ends in 0xFF; an image says itself where it ends.
    fn placed(&self, region: &Region) -> Option<(Placed, Range<usize>)> {
        let offset = u32::try_from(region.at.start).ok()?;
        let part = self.in_file(region.at.clone());
        let bytes = &self.bytes[part.clone()];
        let last = bytes.iter().rposition(|byte| *byte != 0xFF)?;
        let length = match region.holds {
            Holds::Image => EspImage::at_start_of(bytes).ok().map(|image| image.signed_end(bytes)),
            Holds::Data => None,
        };
        // What is no whole image is refused where images are proven.
        let length = length.unwrap_or((last + 1).next_multiple_of(SECTOR)).min(bytes.len());
        let file = ImageFile::part(self.path, part.start..part.start + length);
        Some((Placed { offset, file, encrypted: false }, region.at.start + length..region.at.end))
    }

    fn unpartitioned(&self, regions: &[Region]) -> Vec<LeftOut> {
        let mut found = Vec::new();
        let mut at = self.start;
        let ends = self.start + self.bytes.len();
        for region in regions.iter().map(|region| &region.at).chain([&(ends..ends)]) {
            let gap = at..region.start.max(at);
            found.extend(self.left_out(gap, LeftOutPlace::Unpartitioned));
            at = at.max(region.end);
        }
        found
    }

    /// What stands there, without what is erased around it.
    fn left_out(&self, there: Range<usize>, place: LeftOutPlace) -> Option<LeftOut> {
        let bytes = self.between(there.clone());
        let is_data = |byte: &u8| *byte != 0xFF;
        let (first, last) = (bytes.iter().position(is_data)?, bytes.iter().rposition(is_data)?);
        let offset = u32::try_from(there.start + first).ok()?;
        Some(LeftOut { offset, bytes: u32::try_from(last + 1 - first).ok()?, place })
    }
}

//! `goldline device flash`: writes files or a build into the flash, and compares each with the unit's own digest.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use md5::{Digest, Md5};

use super::{
    number::number,
    unit::{DeviceArgument, Failure, Opened, Outcome, bar, refuse_past_the_end},
};
use crate::{
    build::{App, Build, ChipName, Placed},
    cli::{
        exit, output,
        problem::{usage, usage_with_help},
    },
    device::ChipFacts,
    hex::hex,
};

/// What the flash erases at a time: two regions in one sector would take each other's bytes away.
const SECTOR: u32 = 0x1000;
/// Where a build's partition table lies.
const TABLE_OFFSET: u32 = 0x8000;
/// No flash of an ESP32 is larger.
const LARGEST: u64 = 128 << 20;

#[derive(Args)]
pub(in crate::cli) struct FlashArguments {
    /// OFFSET FILE, as often as there are files; or one build as goldline init takes it: the folder of ESP-IDF,
    /// PlatformIO, Arduino or cargo, or a merged binary
    #[arg(required = true, value_names = ["OFFSET FILE | BUILD"])]
    targets: Vec<String>,
    #[command(flatten)]
    device: DeviceArgument,
}

/// Bytes and where they go.
struct Region {
    offset: u32,
    name: String,
    bytes: Vec<u8>,
}

/// What is to be written.
struct Flashing {
    /// By offset; no two share a sector.
    regions: Vec<Region>,
    /// What the build was made for.
    chip: Option<ChipName>,
}

pub(super) fn flash(arguments: &FlashArguments) -> Outcome {
    let flashing = match arguments.targets.as_slice() {
        [build] => of_build(Path::new(build))?,
        pairs => of_pairs(pairs)?,
    };
    flashing.refuse_shared_sectors()?;
    let mut unit = arguments.device.open()?;
    let facts = unit.identify()?;
    flashing.refuse_other_chip(&facts)?;
    for region in &flashing.regions {
        refuse_past_the_end(region.offset, region.size(), &region.name, &facts)?;
    }
    for region in &flashing.regions {
        write(&mut unit, region)?;
    }
    // Behind all writes: what one of them did to another is seen too.
    for region in &flashing.regions {
        let digest = compare(&mut unit, region)?;
        let Region { offset, name, .. } = region;
        output::print(&format!(
            "{offset:#010x}  {:>8} bytes  md5 {digest}  {name}\n",
            region.size()
        ))?;
    }
    unit.leave();
    Ok(exit::PASS)
}

fn write(unit: &mut Opened, region: &Region) -> Result<(), Failure> {
    let bar = bar(region.bytes.len() as u64, format!("writing {}", region.name));
    let written = unit.device.write(region.offset, &region.bytes, &mut |done| {
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    Ok(written?)
}

fn compare(unit: &mut Opened, region: &Region) -> Result<String, Failure> {
    let found = unit.device.digest(region.offset, region.size())?;
    let expected: [u8; 16] = Md5::digest(&region.bytes).into();
    if found == expected {
        return Ok(hex(&found));
    }
    Err(Failure::BadUnit(usage_with_help(
        format!(
            "the flash at {:#x} does not hold {}: its MD5 is {}, expected {}",
            region.offset,
            region.name,
            hex(&found),
            hex(&expected)
        ),
        "flash it once more; a unit that fails again has a bad flash",
    )))
}

impl Region {
    fn new(offset: u32, path: &Path, bytes: Vec<u8>) -> Result<Self, Failure> {
        let name = path.display().to_string();
        if bytes.is_empty() {
            return Err(Failure::Usage(usage(format!(
                "{name} is empty: name the file that is meant"
            ))));
        }
        if !offset.is_multiple_of(SECTOR) {
            return Err(Failure::Usage(usage(format!(
                "the offset {offset:#x} of {name} lies within a sector of the flash, whose other bytes would be lost: \
                 expected a multiple of {SECTOR:#x}"
            ))));
        }
        Ok(Self { offset, name, bytes })
    }

    /// No file that is larger than a flash was read.
    fn size(&self) -> u32 {
        u32::try_from(self.bytes.len()).unwrap_or(u32::MAX)
    }

    /// Where its last sector ends.
    fn end(&self) -> u64 {
        u64::from(self.offset) + u64::from(self.size()).next_multiple_of(u64::from(SECTOR))
    }
}

impl Flashing {
    fn new(mut regions: Vec<Region>, chip: Option<ChipName>) -> Self {
        regions.sort_by_key(|region| region.offset);
        Self { regions, chip }
    }

    fn refuse_shared_sectors(&self) -> Result<(), Failure> {
        let shared = self.regions.windows(2).find(|two| two[0].end() > u64::from(two[1].offset));
        match shared {
            None => Ok(()),
            Some(two) => Err(Failure::Usage(usage(format!(
                "{} at {:#x} takes the sectors up to {:#x}, and {} begins at {:#x}: name offsets that leave it room",
                two[0].name,
                two[0].offset,
                two[0].end(),
                two[1].name,
                two[1].offset
            )))),
        }
    }

    fn refuse_other_chip(&self, facts: &ChipFacts) -> Result<(), Failure> {
        let other = match &self.chip {
            Some(ChipName::Name(name)) => (name != facts.chip.name()).then(|| name.clone()),
            Some(ChipName::Id(id)) => {
                (*id != facts.chip.image_id()).then(|| format!("the chip with the image id {id}"))
            }
            None => None,
        };
        match other {
            None => Ok(()),
            Some(made_for) => Err(Failure::Usage(usage(format!(
                "the build is for {made_for}, and the unit is a {}: name the build of that chip; nothing was written",
                facts.chip
            )))),
        }
    }
}

fn of_pairs(words: &[String]) -> Result<Flashing, Failure> {
    if !words.len().is_multiple_of(2) {
        return Err(Failure::Usage(usage(
            "expected OFFSET FILE, as often as there are files, or one build",
        )));
    }
    let region = |pair: &[String]| {
        let wrong = |why| Failure::Usage(usage(format!("\"{}\" is no offset: {why}", pair[0])));
        let offset = number(&pair[0]).map_err(wrong)?;
        let path = PathBuf::from(&pair[1]);
        let bytes = read(&path)?;
        Region::new(offset, &path, bytes)
    };
    let regions: Result<_, Failure> = words.chunks(2).map(region).collect();
    Ok(Flashing::new(regions?, None))
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let unreadable = |error| usage(format!("cannot read {}: {error}", path.display()));
    let found = fs::metadata(path).map_err(unreadable)?;
    if found.len() > LARGEST {
        let (path, bytes) = (path.display(), found.len());
        return Err(Failure::Usage(usage(format!(
            "{path} has {bytes} bytes: no flash is larger than {LARGEST}"
        ))));
    }
    Ok(fs::read(path).map_err(unreadable)?)
}

fn of_build(path: &Path) -> Result<Flashing, Failure> {
    let build = Build::read(path).map_err(usage)?;
    let place = build.place.display();
    let App::Image(app) = build.app else {
        return Err(Failure::Usage(usage(format!(
            "{place} is an ELF, which is laid out as a profile says: name its image with OFFSET FILE, or make a profile \
             with goldline init"
        ))));
    };
    let placed: Vec<Placed> =
        build.bootloader.into_iter().chain([app]).chain(build.others).collect();
    if let Some(encrypted) = placed.iter().find(|placed| placed.encrypted) {
        return Err(Failure::Usage(usage(format!(
            "{} is to be encrypted on its way into the flash, which goldline device flash does not do",
            encrypted.file.path().display()
        ))));
    }
    let mut regions = Vec::with_capacity(placed.len() + 1);
    for Placed { offset, file, .. } in placed {
        let unreadable = |error| usage(format!("cannot read {}: {error}", file.path().display()));
        let bytes = file.read().map_err(unreadable)?;
        regions.push(Region::new(offset, file.path(), bytes)?);
    }
    if let Some(table) = build.table {
        let name = Path::new("the partition table");
        regions.push(Region::new(TABLE_OFFSET, name, table.bytes)?);
    }
    Ok(Flashing::new(regions, build.chip))
}

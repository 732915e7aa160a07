//! `images.build` and `images.partitions`: what a build says, held against the profile.
//!
//! Reads what the build says of itself; the bytes of its images are proven where they are flashed.

use std::{ops::Range, path::Path};

use super::Problems;
use crate::{
    build::{
        App, Build, ChipName, ImageFile, LeftOut, LeftOutPlace, Placed, Row, Table, UNPARTITIONED,
    },
    profile::{
        AppSource, BootloaderSource, BuildSays, Chip, FlashMap, Images, NvsContent, NvsKeyScheme,
        OtherImage, Partition, PartitionKind,
        flash_map::parse_flash_size,
        problem::Problem,
        raw::{At, RawImages},
    },
};

/// What the section `images` names of a build system's: its output, its partition table, or neither.
pub(super) struct Built {
    pub(super) build: Option<Build>,
    /// That of `images.partitions`.
    pub(super) table: Option<Table>,
    build_at: Range<usize>,
    table_at: Range<usize>,
    place: String,
}

/// What the images are for.
pub(super) struct Target<'a> {
    pub(super) chip: Option<Chip>,
    pub(super) flash: Option<&'a FlashMap>,
    /// Partitions that are made for each unit.
    pub(super) own: &'a [String],
}

/// Partitions that are made for each unit: its NVS, and the keys of it.
pub(super) fn own_partitions(nvs: &NvsContent) -> Vec<String> {
    let keys = nvs.encryption.as_ref().and_then(|encryption| match &encryption.scheme {
        NvsKeyScheme::Partition { name } => Some(name.clone()),
        NvsKeyScheme::Hmac => None,
    });
    [Some(nvs.partition.clone()), keys].into_iter().flatten().collect()
}

impl Built {
    /// The partition table, where it stands in the profile, and what people call it.
    pub(super) fn table(&self) -> Option<(&Table, &Range<usize>, &str)> {
        let of_build = self.build.as_ref().and_then(|build| build.table.as_ref());
        match &self.table {
            Some(table) => Some((table, &self.table_at, "images.partitions")),
            None => Some((of_build?, &self.build_at, &self.place)),
        }
    }
}

impl Problems {
    /// `None` when what is named cannot be taken.
    pub(super) fn build(&mut self, raw: &RawImages, folder: Option<&Path>) -> Option<Built> {
        let mut built = Built {
            build: None,
            table: None,
            build_at: 0..0,
            table_at: 0..0,
            place: String::new(),
        };
        if let Some(path) = &raw.build {
            let place = self.image_path(path, folder)?;
            built.build = Some(self.taken(path, Build::read(&place))?);
            built.build_at = path.span();
            built.place = path.get_ref().clone();
        }
        if let Some(path) = &raw.partitions {
            let place = self.image_path(path, folder)?;
            built.table = Some(self.taken(path, Table::read(&place))?);
            built.table_at = path.span();
        }
        if let (Some(named), Some(Build { table: Some(of_build), .. })) =
            (&built.table, &built.build)
            && named.rows != of_build.rows
        {
            let reason = format!(
                "the table of {} is another one than that of {}: take `partitions` out, or build again",
                raw.partitions.as_ref().map_or("", |path| path.get_ref()),
                built.place
            );
            self.push(built.table_at.clone(), Problem::Build { reason });
            return None;
        }
        Some(built)
    }

    fn taken<T, E: std::fmt::Display>(
        &mut self,
        path: &At<String>,
        read: Result<T, E>,
    ) -> Option<T> {
        read.map_err(|error| self.push(path.span(), Problem::Build { reason: error.to_string() }))
            .ok()
    }

    /// The images of a build, when it is one for this product.
    pub(super) fn images_of_build(
        &mut self,
        raw: &RawImages,
        built: Built,
        target: &Target<'_>,
        given: Option<String>,
    ) -> Option<Images> {
        let before = self.0.len();
        let (flash, chip) = (target.flash?, target.chip?);
        let named = built.table.as_ref().map(|table| table.bytes.clone());
        let (at, place, build) = (built.build_at, built.place, built.build?);
        if let Some(bootloader) = &raw.bootloader {
            self.push(bootloader.span(), Problem::BesideBuild { key: "bootloader" });
        }
        if let Some(app) = &raw.app {
            self.push(app.span(), Problem::BesideBuild { key: "app" });
        }
        self.compare_chip(&build, chip, &at, &place);
        self.compare_size(&build, flash, &at, &place);
        if let Some(bootloader) = &build.bootloader {
            self.bootloader_of_build(bootloader, chip, &at);
        }
        let starts = match &build.app {
            App::Image(placed) => {
                self.refuse_encrypted(placed, &at);
                let holds = |partition: &&Partition| partition.offset == placed.offset;
                flash.partitions().iter().find(holds).map(|partition| partition.name.clone())
            }
            App::Elf(_) => given.clone().or_else(|| started(flash)),
        };
        let Some(starts) = starts else {
            let reason =
                format!("{place} has no application that one of the partitions starts with");
            self.push(at, Problem::Build { reason });
            return None;
        };
        if let (Some(raw), Some(given)) = (&raw.app_partition, given)
            && given != starts
        {
            let (found, built) = (given, starts.clone());
            self.push(raw.span(), Problem::StartsOther { found, built, place: place.clone() });
        }
        let others = self.others(raw, &build, flash, target.own, &at, &place);
        if self.0.len() > before {
            return None;
        }
        Some(Images {
            bootloader: match build.bootloader {
                Some(placed) => BootloaderSource::File(placed.file),
                None => BootloaderSource::EspIdf,
            },
            app: AppSource::File(match build.app {
                App::Image(placed) => placed.file,
                App::Elf(path) => path.into(),
            }),
            app_partition: starts,
            table: build.table.map(|table| table.bytes).or(named),
            others,
            build: Some(BuildSays {
                flash_mode: build.settings.mode,
                flash_size: build.settings.size,
                elf: build.elf.clone(),
            }),
            elf: build.elf.map(ImageFile::from),
            left_out: build.left_out,
            trusts_elsewhere: raw.trusts_elsewhere,
        })
    }

    fn compare_chip(&mut self, build: &Build, chip: Chip, at: &Range<usize>, place: &str) {
        let differs = match &build.chip {
            None => None,
            Some(ChipName::Name(name)) => (*name != chip.name()).then(|| name.clone()),
            Some(ChipName::Id(id)) => (*id != chip.image_id()).then(|| {
                let known = Chip::ALL.into_iter().find(|chip| chip.image_id() == *id);
                known.map_or_else(|| format!("the chip with the id {id}"), |chip| chip.to_string())
            }),
        };
        if let Some(built) = differs {
            let place = place.to_owned();
            self.push(at.clone(), Problem::BuiltForChip { found: chip, built, place });
        }
    }

    /// A build for a smaller flash runs on a larger one, which is what ESP-IDF builds unless told otherwise.
    fn compare_size(&mut self, build: &Build, flash: &FlashMap, at: &Range<usize>, place: &str) {
        let Some(text) = &build.settings.size else { return };
        match parse_flash_size(text) {
            Ok(size) if size <= flash.size() => {}
            Ok(_) => {
                let (found, built, place) = (flash.size(), text.clone(), place.to_owned());
                self.push(at.clone(), Problem::BuiltForFlash { found, built, place });
            }
            Err(error) => self.push(at.clone(), error),
        }
    }

    fn bootloader_of_build(&mut self, placed: &Placed, chip: Chip, at: &Range<usize>) {
        self.refuse_encrypted(placed, at);
        let wanted = chip.bootloader_offset();
        if placed.offset != wanted {
            let expected = format!("the ROM of {chip} looks for the bootloader at {wanted:#x}");
            let (file, offset) = (placed.file.to_string(), placed.offset);
            self.push(at.clone(), Problem::Placement { file, offset, expected });
        }
    }

    fn refuse_encrypted(&mut self, placed: &Placed, at: &Range<usize>) {
        if placed.encrypted {
            self.push(at.clone(), Problem::ToBeEncrypted { file: placed.file.to_string() });
        }
    }

    /// A merged binary with data where its own table has no partition may be one of two builds.
    fn refuse_unpartitioned(
        &mut self,
        raw: &RawImages,
        build: &Build,
        at: &Range<usize>,
        place: &str,
    ) {
        let stray = |left: &&LeftOut| left.place == LeftOutPlace::Unpartitioned;
        let stray = build.left_out.iter().find(stray);
        let given = raw.except.iter().find(|name| name.get_ref() == UNPARTITIONED);
        match (stray, given) {
            (Some(LeftOut { offset, bytes, .. }), None) => {
                let reason = format!(
                    "{place} holds {bytes} bytes at {offset:#x}, outside of the bootloader, the partition table and every partition: which build is it of? Where it is the dump of a used chip, leave them out with except = [\"{UNPARTITIONED}\"]"
                );
                self.push(at.clone(), Problem::Build { reason });
            }
            (None, Some(name)) => {
                let (name_text, place) = (name.get_ref().clone(), place.to_owned());
                let flashed = Vec::new();
                self.push(name.span(), Problem::ExceptNothing { name: name_text, place, flashed });
            }
            _ => {}
        }
    }

    /// What the build flashes besides, each at the start of a partition of its own.
    fn others(
        &mut self,
        raw: &RawImages,
        build: &Build,
        flash: &FlashMap,
        own: &[String],
        at: &Range<usize>,
        place: &str,
    ) -> Vec<OtherImage> {
        let partition_of = |placed: &Placed| {
            flash.partition_holding(placed.offset..placed.offset.saturating_add(1))
        };
        let flashed: Vec<String> = build
            .others
            .iter()
            .filter_map(|placed| Some(partition_of(placed)?.name.clone()))
            .collect();
        self.refuse_unpartitioned(raw, build, at, place);
        for name in raw.except.iter().filter(|name| name.get_ref() != UNPARTITIONED) {
            if !flashed.contains(name.get_ref()) {
                let (name_text, place) = (name.get_ref().clone(), place.to_owned());
                let flashed = flashed.clone();
                let problem = Problem::ExceptNothing { name: name_text, place, flashed };
                self.push(name.span(), problem);
            }
        }
        let mut others: Vec<OtherImage> = Vec::new();
        for placed in &build.others {
            let file = placed.file.to_string();
            let offset = placed.offset;
            let misplaced =
                |expected: String| Problem::Placement { file: file.clone(), offset, expected };
            let Some(partition) = partition_of(placed) else {
                self.push(at.clone(), misplaced("no partition is there".to_owned()));
                continue;
            };
            if raw.except.iter().any(|name| *name.get_ref() == partition.name) {
                continue;
            }
            self.refuse_encrypted(placed, at);
            let name = partition.name.clone();
            if partition.offset != offset {
                let begins = partition.offset;
                let expected = format!("the partition \"{name}\" there begins at {begins:#x}");
                self.push(at.clone(), misplaced(expected));
            } else if own.contains(&name) {
                self.push(at.clone(), Problem::OverOwn { file: file.clone(), partition: name });
            } else if placed.file.length().is_ok_and(|length| length > partition.size.into()) {
                let size = partition.size;
                let expected = format!("it is longer than the {size:#x} bytes of \"{name}\"");
                self.push(at.clone(), misplaced(expected));
            } else if others.iter().any(|other| other.partition == name) {
                let expected = format!("something else of it goes into \"{name}\" too");
                self.push(at.clone(), misplaced(expected));
            } else {
                others.push(OtherImage { partition: name, file: placed.file.clone() });
            }
        }
        others
    }
}

/// What the boot loader starts while no OTA data names a slot.
pub(super) fn started(flash: &FlashMap) -> Option<String> {
    let app = |subtype| flash.partitions().iter().find(|partition| partition.is("app", subtype));
    app("factory").or_else(|| app("ota_0")).map(|partition| partition.name.clone())
}

pub(super) fn partition_of_build(row: &Row) -> Partition {
    Partition {
        name: row.name.clone(),
        kind: PartitionKind { kind: row.kind.clone(), subtype: row.subtype.clone() },
        offset: row.offset,
        size: row.size,
        encrypted: row.encrypted,
    }
}

/// Such as `data/nvs at 0x9000, 0x6000 bytes`.
pub(super) fn described(partition: &Partition) -> String {
    let PartitionKind { kind, subtype } = &partition.kind;
    let flag = if partition.encrypted { ", encrypted" } else { "" };
    format!("{kind}/{subtype} at {:#x}, {:#x} bytes{flag}", partition.offset, partition.size)
}

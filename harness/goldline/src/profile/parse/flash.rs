//! The sections `chip`, `partition` and `images`.

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use super::{
    Problems,
    build::{Built, Target, described, partition_of_build, started},
};
use crate::{
    build::Table,
    profile::{
        AppSource, BootloaderSource, FlashMap, Images, Partition, PartitionKind,
        flash_map::{Misplaced, PartitionField, parse_flash_size},
        problem::Problem,
        raw::{At, RawApp, RawImages, RawPartition},
    },
};

/// What the profile calls ESP-IDF's own bootloader.
const ESP_IDF: &str = "esp-idf";
const NOTHING_STARTS: &str = "the partition table has neither factory nor ota_0, of which one is started: name `app_partition`";

impl Problems {
    /// The build's own table, or that of the profile; both are compared.
    pub(super) fn flash_map(
        &mut self,
        flash_size: &At<String>,
        raw: Vec<RawPartition>,
        built: Option<&Built>,
        images_at: Range<usize>,
    ) -> Option<FlashMap> {
        let size = match parse_flash_size(flash_size.get_ref()) {
            Ok(size) => size,
            Err(error) => {
                self.push(flash_size.span(), error);
                return None;
            }
        };
        let built = built?;
        if let Some((table, at, place)) = built.table() {
            self.compare_tables(&raw, table, at, place);
            let partitions = table.rows.iter().map(partition_of_build).collect();
            return self.map(size, partitions, |_| at.clone());
        }
        if raw.is_empty() {
            self.push(images_at, Problem::NoTable);
            return None;
        }
        let partitions = raw.iter().map(partition).collect();
        self.map(size, partitions, |fault| span_of(&raw[fault.index], fault.field))
    }

    fn map(
        &mut self,
        size: u32,
        partitions: Vec<Partition>,
        span_of: impl Fn(&Misplaced) -> Range<usize>,
    ) -> Option<FlashMap> {
        match FlashMap::new(size, partitions) {
            Ok(map) => Some(map),
            Err(misplaced) => {
                for fault in misplaced {
                    self.push(span_of(&fault), fault.error);
                }
                None
            }
        }
    }

    /// Each row of the profile must be the build's, and the build must have no other.
    fn compare_tables(
        &mut self,
        raw: &[RawPartition],
        table: &Table,
        table_at: &Range<usize>,
        place: &str,
    ) {
        if raw.is_empty() {
            return;
        }
        let built: Vec<Partition> = table.rows.iter().map(partition_of_build).collect();
        let differs = |name: &str, found: Option<&Partition>, built: Option<&Partition>| {
            let words = |partition: Option<&Partition>| {
                partition.map_or_else(|| "missing".to_owned(), described)
            };
            let (name, place) = (name.to_owned(), place.to_owned());
            Problem::PartitionDiffers { name, found: words(found), built: words(built), place }
        };
        for row in raw {
            let own = partition(row);
            let other = built.iter().find(|partition| partition.name == own.name);
            if other != Some(&own) {
                self.push(row.name.span(), differs(&own.name, Some(&own), other));
            }
        }
        for other in &built {
            if !raw.iter().any(|row| *row.name.get_ref() == other.name) {
                self.push(table_at.clone(), differs(&other.name, None, Some(other)));
            }
        }
    }

    pub(super) fn images(
        &mut self,
        raw: At<RawImages>,
        built: Option<Built>,
        target: &Target<'_>,
        folder: Option<&Path>,
    ) -> Option<Images> {
        let span = raw.span();
        let raw = raw.into_inner();
        let (flash, built) = (target.flash?, built?);
        let given = match &raw.app_partition {
            Some(name) => Some(self.partition_of(name, flash, "an app", Partition::is_app)?),
            None => None,
        };
        let elf = match &raw.elf {
            Some(path) => Some(self.image_path(path, folder)?.into()),
            None => None,
        };
        if built.build.is_some() {
            let images = self.images_of_build(&raw, built, target, given)?;
            return Some(Images { elf: elf.or(images.elf), ..images });
        }
        let bootloader = match &raw.bootloader {
            Some(path) if path.get_ref() != ESP_IDF => {
                self.image_path(path, folder).map(|path| BootloaderSource::File(path.into()))
            }
            _ => Some(BootloaderSource::EspIdf),
        };
        let Some(app) = &raw.app else {
            self.push(span, Problem::NoApp);
            return None;
        };
        let app = self.app(app, folder);
        let started = given.or_else(|| started(flash));
        if started.is_none() {
            self.push(span, Problem::Build { reason: NOTHING_STARTS.to_owned() });
        }
        Some(Images {
            bootloader: bootloader?,
            app: app?,
            app_partition: started?,
            table: built.table.map(|table| table.bytes),
            others: Vec::new(),
            build: None,
            elf,
            left_out: Vec::new(),
            trusts_elsewhere: raw.trusts_elsewhere,
        })
    }

    pub(super) fn app(&mut self, raw: &At<RawApp>, folder: Option<&Path>) -> Option<AppSource> {
        match raw.get_ref() {
            RawApp { model: Some(model), file: None } => self.model(model, folder),
            RawApp { model: None, file: Some(file) } => {
                self.image_path(file, folder).map(|path| AppSource::File(path.into()))
            }
            _ => {
                self.push(raw.span(), Problem::AppSource);
                None
            }
        }
    }

    /// A bare name is a shipped description; anything with a folder or an ending is a path.
    fn model(&mut self, model: &At<String>, folder: Option<&Path>) -> Option<AppSource> {
        let shipped = !model.get_ref().contains(['/', '.']);
        let name = if shipped {
            model.get_ref().clone()
        } else {
            self.image_path(model, folder)?.to_string_lossy().into_owned()
        };
        Some(AppSource::Model { name })
    }

    pub(super) fn image_path(
        &mut self,
        path: &At<String>,
        folder: Option<&Path>,
    ) -> Option<PathBuf> {
        match folder {
            Some(folder) => Some(folder.join(path.get_ref())),
            None => {
                self.push(path.span(), Problem::NoFolder { path: path.get_ref().clone() });
                None
            }
        }
    }

    /// The name of a partition that exists and fits its use.
    pub(super) fn partition_of(
        &mut self,
        name: &At<String>,
        flash: &FlashMap,
        expected: &'static str,
        fits: impl Fn(&Partition) -> bool,
    ) -> Option<String> {
        let wanted = name.get_ref();
        let Some(partition) = flash.partition(wanted) else {
            let existing = flash.partitions().iter().map(|each| each.name.clone()).collect();
            self.push(name.span(), Problem::NoPartition { name: wanted.clone(), existing });
            return None;
        };
        if !fits(partition) {
            let PartitionKind { kind, subtype } = partition.kind.clone();
            let name_text = wanted.clone();
            self.push(
                name.span(),
                Problem::PartitionType { name: name_text, kind, subtype, expected },
            );
            return None;
        }
        Some(wanted.clone())
    }
}

fn partition(raw: &RawPartition) -> Partition {
    Partition {
        name: raw.name.get_ref().clone(),
        kind: PartitionKind {
            kind: raw.r#type.get_ref().clone(),
            subtype: raw.subtype.get_ref().clone(),
        },
        offset: *raw.offset.get_ref(),
        size: *raw.size.get_ref(),
        encrypted: raw.encrypted.as_ref().is_some_and(|flag| *flag.get_ref()),
    }
}

fn span_of(raw: &RawPartition, field: PartitionField) -> std::ops::Range<usize> {
    match field {
        PartitionField::Name => raw.name.span(),
        PartitionField::Type => raw.r#type.span(),
        PartitionField::Subtype => raw.subtype.span(),
        PartitionField::Offset => raw.offset.span(),
        PartitionField::Size => raw.size.span(),
        PartitionField::Encrypted => {
            raw.encrypted.as_ref().map_or_else(|| raw.name.span(), At::span)
        }
    }
}

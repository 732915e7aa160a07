//! The sections `chip`, `partition` and `images`.

use std::path::{Path, PathBuf};

use super::Problems;
use crate::profile::{
    AppSource, BootloaderSource, FlashMap, Images, Partition, PartitionKind,
    flash_map::{PartitionField, parse_flash_size},
    problem::Problem,
    raw::{At, RawApp, RawImages, RawPartition},
};

/// What the profile calls ESP-IDF's own bootloader.
const ESP_IDF: &str = "esp-idf";

impl Problems {
    pub(super) fn flash_map(
        &mut self,
        flash_size: &At<String>,
        raw: Vec<RawPartition>,
    ) -> Option<FlashMap> {
        let size = match parse_flash_size(flash_size.get_ref()) {
            Ok(size) => size,
            Err(error) => {
                self.push(flash_size.span(), error);
                return None;
            }
        };
        match FlashMap::new(size, raw.iter().map(partition).collect()) {
            Ok(map) => Some(map),
            Err(misplaced) => {
                for fault in misplaced {
                    self.push(span_of(&raw[fault.index], fault.field), fault.error);
                }
                None
            }
        }
    }

    pub(super) fn images(
        &mut self,
        raw: RawImages,
        flash: Option<&FlashMap>,
        folder: Option<&Path>,
    ) -> Option<Images> {
        let bootloader = if raw.bootloader.get_ref() == ESP_IDF {
            Some(BootloaderSource::EspIdf)
        } else {
            self.image_path(&raw.bootloader, folder).map(BootloaderSource::File)
        };
        let app = self.app(&raw.app, folder);
        let partition = self.partition_of(&raw.app_partition, flash?, "an app", Partition::is_app);
        Some(Images { bootloader: bootloader?, app: app?, app_partition: partition? })
    }

    pub(super) fn app(&mut self, raw: &At<RawApp>, folder: Option<&Path>) -> Option<AppSource> {
        match raw.get_ref() {
            RawApp { model: Some(model), file: None } => self.model(model, folder),
            RawApp { model: None, file: Some(file) } => {
                self.image_path(file, folder).map(AppSource::File)
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

    fn image_path(&mut self, path: &At<String>, folder: Option<&Path>) -> Option<PathBuf> {
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

//! A fresh image of what a device reads from an old one: nothing erased, no past.

use std::path::Path;

use goldline_nvs::{Document, Image, ItemType, Version, generate};

use crate::cli::nvs::problem::NvsProblem;

/// The same content in the same size, laid out as a generator does.
pub(super) fn image(plain: &[u8], path: &Path) -> Result<Vec<u8>, NvsProblem> {
    let image = Image::decode(plain).expect("the editor has decoded it");
    let document = Document::from_view(&image.device_view())
        .map_err(|error| NvsProblem::Compact { path: path.to_owned(), error })?;
    generate(&document, plain.len(), version(&image))
        .map_err(|error| NvsProblem::Generate { path: path.to_owned(), error })
}

/// Version 1 only where nothing speaks against it: pages marked so can hold blobs of version 2.
fn version(image: &Image<'_>) -> Version {
    let used: Vec<_> = image.pages().iter().filter(|page| !page.is_blank()).collect();
    let is_v1 = used.iter().all(|page| page.version_byte() == Version::V1.byte());
    let is_v2 = |item_type| matches!(item_type, ItemType::BlobData | ItemType::BlobIndex);
    let has_v2_blob = image.items().any(|item| is_v2(item.header.item_type()));
    match !used.is_empty() && is_v1 && !has_v2_blob {
        true => Version::V1,
        false => Version::V2,
    }
}

//! A fresh image of what a device reads from an old one: nothing erased, no past.

use std::path::Path;

use goldline_nvs::{Document, Image, Version, generate};

use crate::cli::nvs::problem::NvsProblem;

/// The same content in the same size, laid out as a generator does.
pub(super) fn image(plain: &[u8], path: &Path) -> Result<Vec<u8>, NvsProblem> {
    let image = Image::decode(plain).expect("the editor has decoded it");
    let document = Document::from_view(&image.device_view())
        .map_err(|error| NvsProblem::Compact { path: path.to_owned(), error })?;
    generate(&document, plain.len(), Version::of(&image))
        .map_err(|error| NvsProblem::Generate { path: path.to_owned(), error })
}

//! `NAMESPACE/KEY` in an argument. Both may hold a slash, so what is meant depends on the image.

use goldline_nvs::DeviceView;

/// Splits a name: as an entry of the image has it, else behind a namespace of the image, else at
/// the first slash. Nothing for a name without one.
pub(super) fn split<'n>(name: &'n str, view: &DeviceView) -> Option<(&'n str, &'n str)> {
    let splits = || name.match_indices('/').map(|(at, _)| (&name[..at], &name[at + 1..]));
    let exists = |(namespace, key): &(&str, &str)| view.entry(namespace, key).is_some();
    let is_opened =
        |(namespace, _): &(&str, &str)| view.namespaces().iter().any(|known| *known == **namespace);
    splits().find(exists).or_else(|| splits().find(is_opened)).or_else(|| splits().next())
}

#[cfg(test)]
mod tests {
    use goldline_nvs::{Document, Image, Value, Version, generate};

    use super::*;

    #[test]
    fn a_slash_in_a_name_is_understood_by_what_the_image_holds() {
        let mut document = Document::new();
        for (namespace, key) in [("a/b", "c"), ("mesh", "nk/0000")] {
            document.insert(namespace, key, Value::U8(1)).expect("a value");
        }
        let bytes = generate(&document, 0x3000, Version::V2).expect("it fits");
        let view = Image::decode(&bytes).expect("an image").device_view();
        assert_eq!(split("a/b/c", &view), Some(("a/b", "c")));
        assert_eq!(split("a/b/new", &view), Some(("a/b", "new")));
        assert_eq!(split("mesh/nk/0000", &view), Some(("mesh", "nk/0000")));
        assert_eq!(split("new/x/y", &view), Some(("new", "x/y")));
        assert_eq!(split("none", &view), None);
    }
}

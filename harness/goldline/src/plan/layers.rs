//! The bytes that a span of the flash may hold: images on top of each other.
//!
//! An image takes whole sectors, for they are erased before it is written; of what lay there before, only
//! what stands out behind is left. Below all images the flash is erased.

use std::{
    collections::BTreeMap,
    sync::{LazyLock, Mutex},
};

use md5::{Digest, Md5};

use super::{BoundPlan, Content, Expects, NotLearnt, Region};
use crate::profile::SECTOR;

/// Of an erased byte.
const ERASED: u8 = 0xFF;

/// One content that a span may have: the topmost image first; none is erased flash.
#[derive(Clone, PartialEq, Eq)]
pub struct Layers<'a>(Vec<&'a [u8]>);

impl<'a> Layers<'a> {
    /// Erased flash.
    pub fn erased() -> Self {
        Self(Vec::new())
    }

    /// One image on erased flash.
    pub fn of(image: &'a [u8]) -> Self {
        Self(vec![image])
    }

    /// Every content that writing some of these images one after the other can leave.
    pub(super) fn of_any(images: &[&'a [u8]]) -> Vec<Self> {
        let mut all = vec![Self::erased()];
        let mut from = 0;
        while from < all.len() {
            let to = all.len();
            for at in from..to {
                let above = all[at].0.clone();
                let others = images.iter().copied().filter(|image| !above.contains(image));
                all.extend(others.map(|image| Self([above.as_slice(), &[image]].concat())));
            }
            from = to;
        }
        all
    }

    /// Whether that image lies on top.
    pub(super) fn begins_with(&self, image: &[u8]) -> bool {
        self.0.first() == Some(&image)
    }

    /// Where the topmost image ends.
    pub fn end_of_image(&self) -> usize {
        self.0.first().map_or(0, |image| image.len())
    }

    /// All bytes of a span of that size.
    pub fn bytes(&self, size: u32) -> Vec<u8> {
        let mut bytes = vec![ERASED; size as usize];
        for image in self.0.iter().rev() {
            let sectors = image.len().next_multiple_of(SECTOR as usize).min(bytes.len());
            bytes[..sectors].fill(ERASED);
            let length = image.len().min(bytes.len());
            bytes[..length].copy_from_slice(&image[..length]);
        }
        bytes
    }

    /// MD5 of a span of that size.
    pub fn digest(&self, size: u32) -> [u8; 16] {
        match self.0.as_slice() {
            [] => digest_of_erased(size),
            _ => Md5::digest(self.bytes(size)).into(),
        }
    }
}

impl BoundPlan {
    /// The bytes to write into a region, for which sectors are erased as far as they go: over the firmware
    /// that wrote the unit's values, which carries them, up to where it ended.
    ///
    /// # Errors
    /// [`NotLearnt`] while they are not known.
    pub fn written(&self, region: &Region) -> Result<Vec<u8>, NotLearnt> {
        let mut bytes = self.image(region)?.to_vec();
        if region.content == Content::App {
            let earlier = self.flash.factory_app.as_ref().map_or(0, Vec::len);
            bytes.resize(bytes.len().max(earlier), 0xFF);
        }
        Ok(bytes)
    }

    /// What a span may hold whose bytes the bench knows, the likeliest first; nothing while it does not.
    pub fn contents(&self, expects: Expects) -> Vec<Layers<'_>> {
        let planned = |content| self.images().iter().find(|image| image.region.content == content);
        let app = planned(Content::App).map(|image| image.bytes.as_slice());
        let updates = || {
            let images: Vec<&[u8]> =
                app.into_iter().chain(self.flash.updates.iter().map(Vec::as_slice)).collect();
            Layers::of_any(&images)
        };
        match expects {
            Expects::Erased => vec![Layers::erased()],
            Expects::Planned(content) => {
                planned(content).map(|image| Layers::of(&image.bytes)).into_iter().collect()
            }
            Expects::UpdateSlot => updates(),
            Expects::UpdatedApp => {
                let Some(app) = app else { return Vec::new() };
                updates().into_iter().filter(|layers| layers.begins_with(app)).collect()
            }
            Expects::OwnNvs | Expects::FirmwaresNvs | Expects::OtaData | Expects::Firmwares => {
                Vec::new()
            }
        }
    }
}

/// The same few sizes are asked for in every run.
fn digest_of_erased(size: u32) -> [u8; 16] {
    static KNOWN: LazyLock<Mutex<BTreeMap<u32, [u8; 16]>>> = LazyLock::new(Mutex::default);
    let mut known = KNOWN.lock().expect("no thread panics while it digests");
    *known.entry(size).or_insert_with(|| Md5::digest(vec![ERASED; size as usize]).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: u32 = 4 * SECTOR;

    #[test]
    fn behind_an_image_the_flash_is_erased() {
        let image = [1; 5000];
        let bytes = Layers::of(&image).bytes(SIZE);
        assert_eq!((bytes[4999], bytes[5000], bytes.len()), (1, 0xFF, SIZE as usize));
        assert_eq!(Layers::of(&image).digest(SIZE), <[u8; 16]>::from(Md5::digest(&bytes)));
        assert_eq!(Layers::erased().bytes(SIZE), [0xFF; SIZE as usize]);
        assert_eq!(Layers::erased().digest(0x20), <[u8; 16]>::from(Md5::digest([0xFF; 0x20])));
    }

    #[test]
    fn of_an_earlier_image_only_whole_sectors_stand_out() {
        let (short, long) = ([1; 5000], [2; 10000]);
        let bytes = Layers(vec![&short, &long]).bytes(SIZE);
        assert_eq!([bytes[4999], bytes[5000], bytes[8191]], [1, 0xFF, 0xFF]);
        assert_eq!([bytes[8192], bytes[9999], bytes[10000]], [2, 2, 0xFF]);
    }

    #[test]
    fn all_orders_of_writing_are_thought_of() {
        let [a, b, c]: [&[u8]; 3] = [&[1], &[2], &[3]];
        let all = Layers::of_any(&[a, b, c]);
        assert_eq!(all.len(), 1 + 3 + 6 + 6);
        assert_eq!(all.iter().filter(|layers| layers.begins_with(a)).count(), 1 + 2 + 2);
        assert!(all[0] == Layers::erased());
    }
}

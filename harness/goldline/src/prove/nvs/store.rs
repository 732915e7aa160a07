//! Where a unit keeps its NVS in the flash, and how it is read and put back there.
//!
//! Offsets are bytes from the start of the flash.

use std::ops::Range;

use goldline_nvs::crypt::{HmacKey, Keys, decrypt, encrypt};

use crate::{
    profile::{NvsKeyScheme, Profile},
    station::declared_hmac_key,
};

/// The NVS partition of a product's own values.
#[derive(Clone)]
pub(super) struct Store {
    offset: usize,
    size: usize,
    locked: Locked,
}

/// What it takes to read it.
#[derive(Clone)]
enum Locked {
    Plain,
    /// The keys lie in the flash.
    ByPartition {
        offset: usize,
        size: usize,
    },
    /// The key lies in the eFuses.
    ByEfuses(Box<HmacKey>),
}

impl Store {
    /// `None` where nobody can know the key.
    pub(super) fn of(profile: &Profile) -> Option<Self> {
        let partition = |name: &str| {
            let partition = profile.flash.partition(name)?;
            Some((partition.offset as usize, partition.size as usize))
        };
        let (offset, size) = partition(&profile.nvs.partition)?;
        let locked = match profile.nvs.encryption.as_ref().map(|encryption| &encryption.scheme) {
            None => Locked::Plain,
            Some(NvsKeyScheme::Partition { name }) => {
                let (offset, size) = partition(name)?;
                Locked::ByPartition { offset, size }
            }
            Some(NvsKeyScheme::Hmac) => {
                let key = HmacKey::new(&declared_hmac_key(profile)?).ok()?;
                Locked::ByEfuses(Box::new(key))
            }
        };
        Some(Self { offset, size, locked })
    }

    /// Where it lies.
    pub(super) fn range(&self) -> Range<u32> {
        let [from, to] = [self.offset, self.offset + self.size];
        let of = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        of(from)..of(to)
    }

    /// What it holds, decrypted; `None` while nothing that can be read lies there.
    pub(super) fn plain(&self, cells: &[u8]) -> Option<Vec<u8>> {
        let bytes = self.raw(cells);
        match self.keys(cells)? {
            Some(keys) => decrypt(bytes, &keys).ok(),
            None => Some(bytes.to_vec()),
        }
    }

    /// As it lies in the flash.
    pub(super) fn raw<'a>(&self, cells: &'a [u8]) -> &'a [u8] {
        &cells[self.offset..][..self.size]
    }

    /// Puts something else there, as a unit with the same keys would hold it; where it differs first.
    pub(super) fn put(&self, cells: &mut [u8], plain: &[u8]) -> Option<u32> {
        let bytes = match self.keys(cells)? {
            Some(keys) => encrypt(plain, &keys),
            None => plain.to_vec(),
        };
        self.put_raw(cells, &bytes)
    }

    /// Puts bytes there as they are; where they differ first.
    pub(super) fn put_raw(&self, cells: &mut [u8], bytes: &[u8]) -> Option<u32> {
        let differs = self.raw(cells).iter().zip(bytes).position(|(old, new)| old != new)?;
        cells[self.offset..][..self.size].copy_from_slice(bytes);
        u32::try_from(self.offset + differs).ok()
    }

    /// `Some(None)` where none are needed.
    fn keys(&self, cells: &[u8]) -> Option<Option<Keys>> {
        match &self.locked {
            Locked::Plain => Some(None),
            Locked::ByPartition { offset, size } => {
                Keys::from_partition(&cells[*offset..][..*size]).ok().map(Some)
            }
            Locked::ByEfuses(key) => Some(Some(key.derive())),
        }
    }
}

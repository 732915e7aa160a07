//! The section `security`.

use std::{collections::BTreeMap, ops::Range};

use super::Problems;
use crate::profile::{
    Chip, DownloadMode, Feature, FlashEncryption, Jtag, KeyPurpose, SecureBoot, Security,
    problem::Problem,
    raw::{At, RawSecurity, Text},
    security::KEY_BLOCKS,
};

/// The block that these chips cannot encrypt the flash with.
const FLAWED_BLOCK: u8 = KEY_BLOCKS - 1;

impl Problems {
    pub(super) fn security(
        &mut self,
        raw: At<RawSecurity>,
        chip: Option<Chip>,
    ) -> Option<Security> {
        let at = raw.span();
        let raw = raw.into_inner();
        let before = self.0.len();
        let demanded = [&raw.secure_boot, &raw.flash_encryption, &raw.download_mode, &raw.jtag];
        if demanded.iter().all(|leaf| leaf.is_none()) && raw.keys.is_empty() {
            self.push(at.clone(), Problem::NothingDemanded);
        }
        let wanted: Vec<_> =
            SecureBoot::ALL.iter().copied().filter(|(_, boot)| *boot != SecureBoot::V1).collect();
        let secure_boot = self.leaf("secure_boot", raw.secure_boot.as_ref(), &wanted);
        let flash_encryption =
            self.leaf("flash_encryption", raw.flash_encryption.as_ref(), FlashEncryption::ALL);
        let download_mode =
            self.leaf("download_mode", raw.download_mode.as_ref(), DownloadMode::ALL);
        let jtag = self.leaf("jtag", raw.jtag.as_ref(), Jtag::ALL);
        let keys = self.key_purposes(&raw.keys);
        let demand = Security { secure_boot, flash_encryption, download_mode, jtag, keys };
        if let Some(chip) = chip {
            self.security_of_chip(&demand, chip, &at, raw.keys.keys().next().map(At::span));
        }
        (self.0.len() == before).then_some(demand)
    }

    fn leaf<T: Copy>(
        &mut self,
        what: &'static str,
        raw: Option<&Text>,
        words: &[(&str, T)],
    ) -> Option<T> {
        raw.and_then(|raw| self.one_of(what, raw, words))
    }

    fn key_purposes(&mut self, raw: &BTreeMap<Text, Text>) -> BTreeMap<u8, KeyPurpose> {
        let names: Vec<String> = (0..KEY_BLOCKS).map(|block| format!("BLOCK_KEY{block}")).collect();
        let blocks: Vec<(&str, u8)> = names.iter().map(String::as_str).zip(0..).collect();
        let mut keys = BTreeMap::new();
        for (name, purpose) in raw {
            let block = self.one_of("key block", name, &blocks);
            let found = self.one_of("key purpose", purpose, KeyPurpose::ALL);
            let (Some(block), Some(found)) = (block, found) else { continue };
            if found != KeyPurpose::User && keys.values().any(|other| *other == found) {
                self.push(purpose.span(), Problem::PurposeTwice { purpose: found.name() });
            }
            if found.encrypts_flash() && block == FLAWED_BLOCK {
                self.push(purpose.span(), Problem::KeyBlockFive);
            }
            keys.insert(block, found);
        }
        keys
    }

    /// What the chip lacks, and what would leave it dead.
    fn security_of_chip(
        &mut self,
        demand: &Security,
        chip: Chip,
        at: &Range<usize>,
        keys_at: Option<Range<usize>>,
    ) {
        let mut want = |feature, needed_by, instead, place: Range<usize>| {
            if !chip.has(feature) {
                self.push(place, Problem::ChipLacks { chip, feature, needed_by, instead });
            }
        };
        want(Feature::SecurityFuses, "[security]", "leave the section out", at.clone());
        if demand.download_mode == Some(DownloadMode::Secure) {
            let instead = "choose disabled or enabled";
            want(Feature::SecureDownload, "download_mode = \"secure\"", instead, at.clone());
        }
        if let Some(place) = keys_at {
            let halves = [KeyPurpose::Xts256First, KeyPurpose::Xts256Second];
            if demand.keys.values().any(|purpose| halves.contains(purpose)) {
                let instead = "choose XTS_AES_128_KEY";
                want(Feature::Xts256, "a key XTS_AES_256_KEY", instead, place.clone());
            }
            want(Feature::KeyPurposes, "[security.keys]", "leave the keys out", place);
        }
        if !chip.has(Feature::KeyPurposes) {
            return;
        }
        let has = |is: fn(KeyPurpose) -> bool| demand.keys.values().any(|purpose| is(*purpose));
        let boots_signed = demand.secure_boot == Some(SecureBoot::V2);
        if boots_signed && !has(KeyPurpose::is_digest) {
            let (leaf, value) = ("secure_boot", SecureBoot::V2.name());
            let expected = "SECURE_BOOT_DIGEST0, 1 or 2";
            self.push(at.clone(), Problem::SecurityNeedsKey { leaf, value, expected });
        }
        let encrypts =
            demand.flash_encryption.filter(|encryption| *encryption != FlashEncryption::Off);
        let halves = [KeyPurpose::Xts256First, KeyPurpose::Xts256Second];
        let whole = has(|purpose| purpose == KeyPurpose::Xts128)
            || halves.iter().all(|half| demand.keys.values().any(|purpose| purpose == half));
        if let Some(encryption) = encrypts.filter(|_| !whole) {
            let (leaf, value) = ("flash_encryption", encryption.name());
            let expected = "XTS_AES_128_KEY, or both XTS_AES_256_KEY_1 and _2";
            self.push(at.clone(), Problem::SecurityNeedsKey { leaf, value, expected });
        }
    }
}

//! What a chip's security fuses mean, and what is missing of a demand.
//!
//! Fuses of a unit and the demand of its profile → one [`Finding`] for each thing that is demanded. The check
//! `security_state` judges by them, and `goldline secure` makes commands of them. A burnt fuse stays burnt: what is
//! missing can be burnt, and what is burnt too much cannot be undone.

mod commands;
mod switches;

use std::{collections::BTreeSet, fmt};

use crate::{
    device::{Fuses, PURPOSE_FUSES},
    profile::{DownloadMode, FlashEncryption, Jtag, KEY_BLOCKS, KeyPurpose, SecureBoot, Security},
};

pub use commands::{Commands, KeyFiles, KeyFilesError, Port, Step, commands};
use switches::{KeyPlace, Switches};

/// Key blocks by espefuse's names.
const BLOCKS: [&str; KEY_BLOCKS as usize] =
    ["BLOCK_KEY0", "BLOCK_KEY1", "BLOCK_KEY2", "BLOCK_KEY3", "BLOCK_KEY4", "BLOCK_KEY5"];

/// One thing that is demanded, and what the fuses say of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// As in the profile, such as `jtag` or `BLOCK_KEY0`.
    pub what: &'static str,
    /// The word in the profile.
    pub demanded: &'static str,
    /// The word for what the unit is.
    pub found: String,
    /// What is to be burnt yet.
    pub missing: Vec<Missing>,
    /// What is burnt and must not be.
    pub excess: Vec<Burnt>,
    /// The fuses of it that the unit does not tell, because it is locked: of these nothing is proven.
    pub untold: BTreeSet<&'static str>,
}

impl Finding {
    /// Whether it is as demanded, and all of it was told.
    pub fn is_met(&self) -> bool {
        self.missing.is_empty() && self.excess.is_empty() && self.untold.is_empty()
    }
}

/// Something that is to be burnt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Missing {
    /// Bits of a fuse.
    Fuse {
        /// By espefuse's name.
        name: &'static str,
        /// Its bits now.
        is: u32,
        /// What its bits must be.
        must_be: u32,
    },
    /// A key with its purpose, which espefuse burns together.
    Key {
        /// The block, as espefuse's commands name it.
        block: &'static str,
        /// Its purpose, where blocks have one.
        purpose: Option<KeyPurpose>,
        /// What stands in the eFuses in its place.
        is: String,
    },
    /// The protection that keeps a key from being read.
    ReadProtection {
        /// The block, as espefuse's commands name it.
        block: &'static str,
    },
}

/// A fuse that is burnt too much.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Burnt {
    /// By espefuse's name.
    pub name: &'static str,
    /// Its bits.
    pub is: u32,
    /// What is demanded of it.
    pub must_be: u32,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fuse { name, is, must_be } => {
                write!(f, "{name} is {is:#x} and must be {must_be:#x}")
            }
            Self::Key { block, purpose: Some(purpose), is } => {
                write!(f, "{block} is {is} and must be {purpose}")
            }
            Self::Key { block, purpose: None, is } => {
                write!(f, "{block} is {is} and must hold a key")
            }
            Self::ReadProtection { block } => {
                write!(
                    f,
                    "{block} holds a secret key that every tool can read: RD_DIS must protect it"
                )
            }
        }
    }
}

impl fmt::Display for Burnt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, is, must_be } = self;
        write!(f, "{name} is {is:#x}, demanded is {must_be:#x}, and a burnt bit stays burnt")
    }
}

/// Compares a unit's fuses with what is demanded of them, in the order of the profile's keys.
///
/// Empty of a chip whose fuses are not known; no profile demands anything there.
pub fn compare(demand: &Security, fuses: &Fuses) -> Vec<Finding> {
    let Some(switches) = switches::of(fuses.chip) else { return Vec::new() };
    let chip = Chip { switches, fuses };
    let leaves = [
        demand.secure_boot.map(|wanted| chip.secure_boot(wanted)),
        demand.flash_encryption.map(|wanted| {
            chip.flash_encryption(wanted, demand.secure_boot == Some(SecureBoot::V2))
        }),
        demand.download_mode.map(|wanted| chip.download_mode(wanted)),
        demand.jtag.map(|wanted| chip.jtag(wanted)),
    ];
    let keys = demand.keys.iter().map(|(block, wanted)| chip.key(*block, *wanted));
    leaves.into_iter().flatten().chain(keys).collect()
}

/// Fuses, and what they mean.
struct Chip<'a> {
    switches: &'static Switches,
    fuses: &'a Fuses,
}

/// What is missing and what is too much, while it is compared.
#[derive(Default)]
struct Difference {
    missing: Vec<Missing>,
    excess: Vec<Burnt>,
    untold: BTreeSet<&'static str>,
}

impl Difference {
    fn into_finding(
        self,
        what: &'static str,
        demanded: &'static str,
        found: impl Into<String>,
    ) -> Finding {
        let Self { missing, excess, untold } = self;
        Finding { what, demanded, found: found.into(), missing, excess, untold }
    }
}

impl Chip<'_> {
    /// The bits of a fuse; of one that the unit does not tell none, and that is noted.
    fn bits(&self, name: &'static str, difference: &mut Difference) -> u32 {
        self.fuses.get(name).unwrap_or_else(|| {
            difference.untold.insert(name);
            0
        })
    }

    fn is_burnt(&self, name: &'static str, difference: &mut Difference) -> bool {
        self.bits(name, difference) != 0
    }

    fn are_burnt(&self, names: &[&'static str], difference: &mut Difference) -> bool {
        // All of them are asked for, so that what is untold is noted.
        let burnt = names.iter().filter(|name| self.is_burnt(name, difference));
        burnt.count() == names.len()
    }

    /// Wants exactly these bits.
    fn want(&self, name: &'static str, must_be: u32, difference: &mut Difference) {
        let Some(is) = self.fuses.get(name) else {
            difference.untold.insert(name);
            return;
        };
        if is & !must_be != 0 {
            difference.excess.push(Burnt { name, is, must_be });
        } else if is != must_be {
            difference.missing.push(Missing::Fuse { name, is, must_be });
        }
    }

    fn secure_boot(&self, wanted: SecureBoot) -> Finding {
        let Switches { secure_boot_v1, secure_boot_v2, .. } = self.switches;
        let mut difference = Difference::default();
        let v1 = secure_boot_v1.is_some_and(|name| self.is_burnt(name, &mut difference));
        let found = match (v1, self.is_burnt(secure_boot_v2, &mut difference)) {
            (_, true) => SecureBoot::V2,
            (true, false) => SecureBoot::V1,
            (false, false) => SecureBoot::Off,
        };
        if let Some(name) = secure_boot_v1 {
            self.want(name, 0, &mut difference);
        }
        let is_wanted = wanted == SecureBoot::V2;
        if is_wanted && let Some(place) = &self.switches.digest {
            self.want_key(place, &mut difference);
        }
        self.want(secure_boot_v2, u32::from(is_wanted), &mut difference);
        difference.into_finding("secure_boot", wanted.name(), found.name())
    }

    /// A key of a chip whose blocks say no purpose: write-protected once it is burnt.
    fn want_key(&self, place: &KeyPlace, difference: &mut Difference) {
        if !self.fuses.has("WR_DIS") {
            difference.untold.insert("WR_DIS");
        } else if !self.is_written(place, difference) {
            let is = "not write-protected".to_owned();
            difference.missing.push(Missing::Key { block: place.block, purpose: None, is });
        } else if place.read_protection != 0 {
            self.want_hidden(place.block, place.read_protection, difference);
        }
    }

    fn is_written(&self, place: &KeyPlace, difference: &mut Difference) -> bool {
        self.bits("WR_DIS", difference) >> place.write_protection & 1 == 1
    }

    /// Nobody may read what these bits of RD_DIS protect.
    fn want_hidden(&self, block: &'static str, bits: u32, difference: &mut Difference) {
        let is = self.bits("RD_DIS", difference);
        if self.fuses.has("RD_DIS") && is & bits != bits {
            difference.missing.push(Missing::ReadProtection { block });
        }
    }

    fn encrypts(&self, difference: &mut Difference) -> bool {
        self.bits(self.switches.crypt_count.0, difference).count_ones() % 2 == 1
    }

    /// Whether the count can change no more.
    fn is_encrypted_for_good(&self, difference: &mut Difference) -> bool {
        let (name, full) = self.switches.crypt_count;
        if self.bits(name, difference) == full {
            return true;
        }
        self.encrypts(difference) && self.is_count_locked(difference)
    }

    fn is_count_locked(&self, difference: &mut Difference) -> bool {
        self.bits("WR_DIS", difference) >> self.switches.crypt_count_lock & 1 == 1
    }

    fn flash_encryption(&self, wanted: FlashEncryption, with_secure_boot: bool) -> Finding {
        let Switches { crypt_count: (count, full), release, .. } = self.switches;
        let mut difference = Difference::default();
        let encrypts = self.encrypts(&mut difference);
        let is = self.bits(count, &mut difference);
        if wanted == FlashEncryption::Off {
            let found = if encrypts { "on" } else { FlashEncryption::Off.name() };
            if encrypts {
                difference.excess.push(Burnt { name: count, is, must_be: 0 });
            }
            return difference.into_finding("flash_encryption", wanted.name(), found);
        }
        let for_good = self.is_encrypted_for_good(&mut difference);
        let is_closed = self.are_burnt(release, &mut difference);
        let found = match encrypts {
            false => FlashEncryption::Off,
            true if for_good && is_closed => FlashEncryption::Release,
            true => FlashEncryption::Development,
        };
        self.want_flash_key(with_secure_boot, &mut difference);
        let is_told = self.fuses.has(count);
        if is_told && !encrypts && self.is_count_locked(&mut difference) {
            // Nothing can switch it on any more.
            let (is, lock) = (self.bits("WR_DIS", &mut difference), self.switches.crypt_count_lock);
            difference.excess.push(Burnt { name: "WR_DIS", is, must_be: is & !(1 << lock) });
        } else if wanted == FlashEncryption::Release {
            for name in release.iter() {
                self.want(name, 1, &mut difference);
            }
            // What was burnt before it may be protected with it.
            if is_told && !for_good && (!encrypts || self.fuses.has("WR_DIS")) {
                difference.missing.push(Missing::Fuse { name: count, is, must_be: *full });
            }
        } else if is_told && !encrypts {
            // One bit more than now makes it odd.
            let must_be = is | (is + 1) & full;
            difference.missing.push(Missing::Fuse { name: count, is, must_be });
        } else if found == FlashEncryption::Release {
            difference.excess.push(Burnt { name: count, is, must_be: 1 });
        }
        difference.into_finding("flash_encryption", wanted.name(), found.name())
    }

    /// A key that every tool can read encrypts nothing. Keys with purposes are demanded, and judged, by their blocks.
    fn want_flash_key(&self, with_secure_boot: bool, difference: &mut Difference) {
        if let Some((name, bits)) = self.switches.crypt_configuration {
            self.want(name, bits, difference);
        }
        let Some(place) = &self.switches.flash_key else { return };
        // Where both keys lie in one block they are burnt at once, and half of it stays readable.
        let bits = if place.is_shared && with_secure_boot { 1 } else { place.read_protection };
        self.want_key(&KeyPlace { read_protection: bits, ..*place }, difference);
    }

    fn download_mode(&self, wanted: DownloadMode) -> Finding {
        let Switches { download_off, secure_download, .. } = self.switches;
        let mut difference = Difference::default();
        let secure = secure_download.is_some_and(|name| self.is_burnt(name, &mut difference));
        let found = match (self.is_burnt(download_off, &mut difference), secure) {
            (true, _) => DownloadMode::Disabled,
            (false, true) => DownloadMode::Secure,
            (false, false) => DownloadMode::Enabled,
        };
        let is_disabled = wanted == DownloadMode::Disabled;
        self.want(download_off, u32::from(is_disabled), &mut difference);
        if let Some(name) = secure_download.filter(|_| !is_disabled) {
            self.want(name, u32::from(wanted == DownloadMode::Secure), &mut difference);
        }
        difference.into_finding("download_mode", wanted.name(), found.name())
    }

    fn jtag(&self, wanted: Jtag) -> Finding {
        let Switches { jtag, soft_jtag, .. } = self.switches;
        let mut difference = Difference::default();
        let found = match self.are_burnt(jtag, &mut difference) {
            true => Jtag::Disabled,
            false => Jtag::Enabled,
        };
        let must_be = u32::from(wanted == Jtag::Disabled);
        for name in jtag.iter() {
            self.want(name, must_be, &mut difference);
        }
        if let Some(name) = soft_jtag.filter(|_| wanted == Jtag::Enabled) {
            self.want(name, 0, &mut difference);
        }
        difference.into_finding("jtag", wanted.name(), found.name())
    }

    fn key(&self, block: u8, wanted: KeyPurpose) -> Finding {
        let place = usize::from(block);
        let (name, fuse) = (BLOCKS[place], PURPOSE_FUSES[place]);
        let mut difference = Difference::default();
        let is = self.bits(fuse, &mut difference);
        let known = KeyPurpose::ALL.iter().find(|(_, purpose)| purpose.number() == is);
        let found = known.map_or_else(|| format!("purpose {is}"), |(word, _)| (*word).to_owned());
        if !self.fuses.has(fuse) {
            return difference.into_finding(name, wanted.name(), found);
        }
        if is != 0 && is != wanted.number() {
            difference.excess.push(Burnt { name: fuse, is, must_be: wanted.number() });
        } else if is != wanted.number() {
            let (purpose, is) = (Some(wanted), found.clone());
            difference.missing.push(Missing::Key { block: name, purpose, is });
        } else if wanted.is_secret() {
            self.want_hidden(name, 1 << block, &mut difference);
        }
        difference.into_finding(name, wanted.name(), found)
    }
}

#[cfg(test)]
mod tests;

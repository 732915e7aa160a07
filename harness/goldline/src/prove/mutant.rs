//! One way in which a unit of a product can be bad: what is wrong with it, and what a run must say of it.
//!
//! A mutant changes flash, firmware or what surrounds the unit, and never what a check sees. Must not know how it is
//! run, nor what came of it.

use std::fmt;

use goldline_simulator::{Fault, Tampering, chip::efuse::Burnt};
use serde::Serialize;

use crate::identity::Mac;

/// What is wrong with a unit, as reports count it.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Something that its firmware does otherwise than the product's does.
    Firmware,
    /// Bytes of a region of the flash.
    Region,
    /// An entry of its NVS.
    Nvs,
    /// It is what another unit is.
    Identity,
    /// Its radio.
    Radio,
    /// Its clock.
    Time,
    /// Its supply, and what stands or falls with it.
    Power,
    /// The wire to it. Nothing is wrong with the unit itself.
    Wire,
    /// What its console says, and when.
    Console,
    /// Its own certificate, and whom it trusts.
    Certificate,
    /// What it takes as an update.
    Update,
    /// What its eFuses lock and leave open.
    Security,
}

impl Kind {
    /// In the order of reports.
    pub const ALL: [Self; 12] = [
        Self::Firmware,
        Self::Region,
        Self::Nvs,
        Self::Identity,
        Self::Radio,
        Self::Time,
        Self::Power,
        Self::Wire,
        Self::Console,
        Self::Certificate,
        Self::Update,
        Self::Security,
    ];

    /// As in the JSON of a report, and at the beginning of each mutant's id.
    pub fn name(self) -> &'static str {
        match self {
            Self::Firmware => "firmware",
            Self::Region => "region",
            Self::Nvs => "nvs",
            Self::Identity => "identity",
            Self::Radio => "radio",
            Self::Time => "time",
            Self::Power => "power",
            Self::Wire => "wire",
            Self::Console => "console",
            Self::Certificate => "certificate",
            Self::Update => "update",
            Self::Security => "security",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A unit with one defect.
#[derive(Clone, Debug)]
pub struct Mutant {
    /// What the defect is of.
    pub kind: Kind,
    /// Names it, from build to build and seed to seed: `nvs.factory.wifi_ssid.missing`. Begins with the kind's name.
    pub id: String,
    /// What is wrong, as a clause: "the NVS entry wifi_ssid is missing".
    pub what: String,
    /// What it would mean for a customer who gets such a unit, as a sentence.
    pub means: String,
    /// Which check or limit would catch it, as a sentence.
    pub remedy: String,
    /// What a run must say.
    pub must: Must,
    /// What is changed.
    pub change: Change,
}

/// What a run must come to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Must {
    /// FAIL, and the diagnosis, or what the blamed checks found, holds one of these texts; a code among them stands for
    /// itself (`wifi.wrong_password`).
    Fail {
        /// Texts, of which one is enough. Upper and lower case are the same.
        naming: Vec<String>,
    },
    /// Whatever, but no FAIL: the unit is good.
    NotBlame,
}

/// What is changed; all else is as in a good unit.
#[derive(Clone, Debug)]
pub enum Change {
    /// A firmware of the profile that is described otherwise.
    Firmware {
        /// The description's name in the profile.
        model: String,
        /// The whole description, as TOML.
        description: String,
    },
    /// The flash, after it was written.
    Flash(Tampering),
    /// A fault that every product can have.
    Fault {
        /// Which.
        fault: Fault,
        /// Decides where and when it shows.
        seed: u64,
    },
    /// The base MAC address in the eFuses.
    Mac(Mac),
    /// All security fuses that are burnt.
    Fuses(Vec<Burnt>),
}

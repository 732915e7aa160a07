//! What the engine saw of one unit, without any judgement.
//!
//! Keyed by what the bench itself knows: the unit's MAC at the access point and its network address
//! at the broker. Client id and user name are claims that a check compares. Times are milliseconds.

use std::net::Ipv4Addr;

use crate::{
    device::{ChipFacts, ConsoleLine},
    plan::Moment,
    record::{Diagnosis, Outcome},
};

/// Everything seen in one run.
#[derive(Clone, Debug, Default)]
pub struct Observations {
    /// What the chip says of itself.
    pub chip: Option<ChipFacts>,
    /// Taken before the first boot.
    pub before_boot: Option<Evidence>,
    /// Taken after the firmware ran.
    pub after_boot: Option<Evidence>,
    /// Whether the unit was reset into its application.
    pub booted: bool,
    /// The serial log since the boot.
    pub console: Vec<ConsoleLine>,
    /// The wait for the network, when it took place.
    pub join: Option<JoinObservation>,
    /// The wait for the broker, when it took place.
    pub broker: Option<BrokerObservation>,
    /// What ended the run before its last step.
    pub stopped: Option<Stop>,
    /// Whether someone stopped the run.
    pub aborted: bool,
}

impl Observations {
    /// The evidence of a moment.
    pub fn evidence(&mut self, moment: Moment) -> &mut Option<Evidence> {
        match moment {
            Moment::BeforeBoot => &mut self.before_boot,
            Moment::AfterBoot => &mut self.after_boot,
        }
    }
}

/// What ended a run early.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stop {
    /// The stage that could not be done.
    pub stage: &'static str,
    /// [`Outcome::Fail`] when the unit is at fault, [`Outcome::Error`] otherwise.
    pub blame: Outcome,
    /// Why.
    pub diagnosis: Diagnosis,
}

/// What lay in the flash at one moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Evidence {
    /// Digests of the regions.
    pub digests: Vec<RegionDigest>,
    /// The NVS partition, whole.
    pub nvs: Vec<u8>,
}

/// A region's digest, computed by the unit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RegionDigest {
    /// Name of the region.
    pub name: String,
    /// MD5 of as many bytes as were planned.
    pub md5: [u8; 16],
}

/// The wait for the network.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct JoinObservation {
    /// The address that the bench gave the unit; `None` while it has none.
    pub address: Option<Ipv4Addr>,
    /// From reset to the address.
    pub joined_after_ms: Option<u64>,
    /// The last refusal that the access point gave.
    pub refused: Option<u16>,
    /// How long the engine waited in vain.
    pub waited_ms: u64,
    /// The bench's own attempt, made after a failure.
    pub witness: Option<Witness>,
}

/// The wait for the broker.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BrokerObservation {
    /// Whether the unit's address ever reached the broker.
    pub reached: bool,
    /// Why it was turned away, the last time.
    pub refusal: Option<Refusal>,
    /// Such as `TLSv1.3`.
    pub tls_version: Option<String>,
    /// The name that the unit asked for.
    pub server_name: Option<String>,
    /// Subject of the unit's certificate, if it showed one.
    pub client_certificate: Option<String>,
    /// As the unit calls itself.
    pub client_id: Option<String>,
    /// As the unit logs in.
    pub username: Option<String>,
    /// Whether the broker accepted it.
    pub accepted: bool,
    /// From reset to acceptance.
    pub connected_after_ms: Option<u64>,
    /// Topic filters granted to it.
    pub subscriptions: Vec<String>,
    /// The command's way there and back.
    pub round_trip_ms: Option<u64>,
    /// What was wrong with the last answer, without its text: a unit may answer with a secret.
    pub wrong_answer: Option<String>,
    /// The bench's own attempt, made after a failure.
    pub witness: Option<Witness>,
}

/// Why a connection ended at the broker's door.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The unit did not accept the broker's certificate; the TLS alert it sent.
    ServerUntrusted(String),
    /// The handshake failed otherwise.
    Handshake(String),
    /// User name or password is wrong.
    BadCredentials,
    /// Known, but not allowed: client id or certificate.
    NotAuthorized(String),
    /// The unit broke the protocol.
    Protocol(String),
}

/// Whether a service was sound, told by someone other than the unit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Witness {
    /// Whether the service did what the unit says it does not.
    pub sound: bool,
    /// Who tried what, and what came of it.
    pub detail: String,
}

//! What the engine saw of one unit, without any judgement.
//!
//! Keyed by what the bench itself knows: which connections its network opened for the unit. Client id and user name are claims that a check compares. Times are milliseconds.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, SocketAddr},
};

use time::OffsetDateTime;

use super::{UnitLog, Witness};
use crate::{
    device::{ChipFacts, ConsoleLine, Fuses, Left},
    jig::Reading,
    plan::Moment,
    profile::{CheckId, ConsoleMeasure},
    record::{Code, Diagnosis, Outcome, Panic},
    tls::Expiry,
};

/// Everything seen in one run.
#[derive(Clone, Debug, Default)]
pub struct Observations {
    /// What the chip says of itself.
    pub chip: Option<ChipFacts>,
    /// The NVS partition before a re-provisioning changed it.
    pub nvs_before: Option<Vec<u8>>,
    /// What the security fuses said before the boot of the trial, and after it, where they are judged and the device
    /// could be asked.
    pub fuses: Option<FusesSeen>,
    /// Taken before the first boot.
    pub before_boot: Option<Evidence>,
    /// Taken after the firmware ran.
    pub after_boot: Option<Evidence>,
    /// Taken of what the unit is shipped with, where that is other than what it was tested with.
    pub finally: Option<Evidence>,
    /// How the unit was left, where it must not start here any more.
    pub left: Option<Left>,
    /// Whether the device could not vouch for itself, such as an emulator that hung, or nobody can for who lay there:
    /// what the unit did or did not do is not its own then.
    pub not_vouched_for: bool,
    /// Whether the unit was reset into its application.
    pub booted: bool,
    /// The serial log since the boot of the trial.
    pub console: UnitLog,
    /// The serial log of the boots before it, in which the unit got its values.
    pub earlier_console: Vec<ConsoleLine>,
    /// The serial log from the first update on.
    pub update_console: Vec<ConsoleLine>,
    /// Lines of these logs that tell something and found no room. While there are any, nothing is
    /// concluded from what is not in a log.
    pub lines_lost: usize,
    /// The device id that the unit printed, when it was waited for.
    pub device_id: Option<DeviceIdObservation>,
    /// What was typed into the console and what it answered, dialogue by dialogue.
    pub dialogues: Vec<DialogueObservation>,
    /// The registration at the CA, the bench's or the unit's own.
    pub ca: Option<CaObservation>,
    /// The unit's question for the time.
    pub time: Option<ServiceObservation>,
    /// The unit's question for its configuration.
    pub configuration: Option<ServiceObservation>,
    /// The call of the server that gave the unit its MQTT credentials, when it was called.
    pub api: Option<ApiObservation>,
    /// What became of the unit's row in the registry.
    pub registry: Option<RegistryObservation>,
    /// What a factory reset left in the flash.
    pub leftovers: Option<Leftovers>,
    /// The installer's alert.
    pub alert: Option<AlertObservation>,
    /// The network that the unit must not open any more.
    pub portal: Option<PortalSeen>,
    /// Of a unit on contacts, what it lost that its nest can lose as well.
    pub nest: Option<NestDoubt>,
    /// What programs of the product's own measured, by the names of their tests.
    pub own_tests: BTreeMap<String, OwnTestObservation>,
    /// The broker that the unit must not trust.
    pub trust: Option<TrustObservation>,
    /// The updates that were tried.
    pub ota: Option<OtaObservation>,
    /// Names of the secret values that the unit printed; the log holds the names in their place.
    pub leaked: BTreeSet<String>,
    /// Whether the application started and went on, where nothing else tells.
    pub start: Option<StartObservation>,
    /// What the way between the unit and the antenna loses in its nest, where the station file says.
    pub path: Option<NestPath>,
    /// What a wire saw of the unit since its last start, for people.
    pub traffic: Vec<String>,
    /// The wait for the network, when it took place.
    pub join: Option<JoinObservation>,
    /// The wait for the broker, when it took place.
    pub broker: Option<BrokerObservation>,
    /// Where its firmware crashed, of units that run machine code.
    pub panic: Option<Panic>,
    /// Why the unit was heard once more; all that it said from that boot on is the second time's.
    pub misheard: Option<Hearsay>,
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
            Moment::Final => &mut self.finally,
        }
    }
}

/// The security fuses of the unit; `None` where the device does not let anyone ask.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FusesSeen {
    /// Before the boot in which it was tried.
    pub before: Option<Fuses>,
    /// After it, when it came so far.
    pub after: Option<Fuses>,
}

/// Something that a console said once, and that a unit would fail for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hearsay {
    /// The check that would fail; `None` when a step could not be done.
    pub check: Option<CheckId>,
    /// What would be said of the unit.
    pub message: String,
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
    /// Digests of the spans whose bytes the bench knows.
    pub digests: Vec<SpanDigest>,
    /// The unit's own NVS partition, whole.
    pub nvs: Vec<u8>,
    /// Where it differed at first from what was written, when it was written once more.
    pub nvs_rewritten: Option<Vec<Difference>>,
    /// Other partitions whose content is judged, whole, by name.
    pub partitions: BTreeMap<String, Vec<u8>>,
}

/// A digest of a part of the flash, computed by the unit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SpanDigest {
    /// From the start of the flash.
    pub offset: u32,
    /// Bytes.
    pub size: u32,
    /// MD5 of all of them.
    pub md5: [u8; 16],
    /// Where it is other than expected; empty where nothing was found.
    pub differs: Vec<Difference>,
    /// Where it was that at first, when it was written once more.
    pub rewritten: Option<Vec<Difference>>,
}

impl SpanDigest {
    /// The first byte that is other than expected, from the start of the flash.
    pub fn differs_at(&self) -> Option<u32> {
        self.differs.first().map(|difference| difference.offset)
    }
}

/// Bytes of the flash that are other than expected. What they are is not kept: they may be a secret's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Difference {
    /// From the start of the flash.
    pub offset: u32,
    /// How many; of a sector that cannot be read steadily, all.
    pub count: u32,
}

/// Differences as a sentence names them.
pub fn places(differences: &[Difference]) -> String {
    const SHOWN: usize = 4;
    let place = |one: &Difference| match one.count {
        1 => format!("{:#x} (1 byte)", one.offset),
        count => format!("{:#x} ({count} bytes)", one.offset),
    };
    let mut places: Vec<String> = differences.iter().take(SHOWN).map(place).collect();
    if let Some(more) = differences.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        places.push(format!("{more} more places"));
    }
    if places.is_empty() { "one look and not at the next".to_owned() } else { places.join(", ") }
}

/// The watch over the unit's application.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct StartObservation {
    /// From the reset to the end of the watch.
    pub waited_ms: u64,
    /// From the application's start, or from its last crash, to the end of the watch; `None` when none started.
    pub steady_ms: Option<u64>,
}

/// The way of a radio's signal between a nest and the antenna at its other end.
#[derive(Clone, PartialEq, Debug)]
pub struct NestPath {
    /// The nest's name.
    pub nest: String,
    /// What a signal loses on it, in dB.
    pub loss_db: f64,
    /// When that was measured, such as "calibrated on 2026-11-01".
    pub calibration: String,
}

/// The wait for the network.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct JoinObservation {
    /// Who tells of it.
    pub told_by: ToldBy,
    /// The address that the bench gave the unit; `None` while it has none.
    pub address: Option<Ipv4Addr>,
    /// From reset to the address.
    pub joined_after_ms: Option<u64>,
    /// Whether the unit showed that it has that address: it printed one, or sent something from it.
    pub address_shown: bool,
    /// The last refusal that the access point gave.
    pub refused: Option<u16>,
    /// What the access point tells, where it is asked.
    pub access_point: Option<AtAccessPoint>,
    /// How long the engine waited in vain.
    pub waited_ms: u64,
    /// The bench's own attempt, made after a failure.
    pub witness: Option<Witness>,
}

/// What an access point tells of a unit since its reset.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AtAccessPoint {
    /// As sentences call it, such as "hostapd on wlan1".
    pub name: String,
    /// From reset to the last time that it was admitted.
    pub admitted_after_ms: Option<u64>,
    /// Whether it is admitted now.
    pub is_admitted: bool,
    /// How often it was refused since it was admitted last, or ever.
    pub refused: usize,
    /// What for, the last time.
    pub refused_for: Option<RefusedFor>,
    /// How strong it was heard, in dBm, in order.
    pub signals_dbm: Vec<i8>,
}

/// What an access point refuses a station for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RefusedFor {
    /// It has another passphrase.
    Passphrase,
    /// What it shows by 802.1X.
    Credentials,
}

impl AtAccessPoint {
    /// Whether it admitted the unit, then or now.
    pub fn was_admitted(&self) -> bool {
        self.is_admitted || self.admitted_after_ms.is_some()
    }
}

impl JoinObservation {
    /// Whether both ends know the unit's address.
    pub fn has_address(&self) -> bool {
        self.address.is_some() && self.address_shown
    }

    /// Whether the unit is in its network, by the way that it must have come.
    pub fn is_in(&self) -> bool {
        self.has_address() && self.access_point.as_ref().is_none_or(AtAccessPoint::was_admitted)
    }
}

/// Who tells that a unit is in its network.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ToldBy {
    /// The network, which is the bench's.
    #[default]
    Network,
    /// The unit's own console, on a network of a site: a claim.
    Console,
    /// A service of the bench, which the unit came to over a site's network, and the console beside it.
    Service,
}

/// Who saw what the unit did at the broker.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Observer {
    /// The broker itself, which is the bench's own.
    #[default]
    Broker,
    /// Another client of a broker that is already there: it sees what the unit publishes.
    Client,
}

/// The wait for the broker.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BrokerObservation {
    /// Who saw it.
    pub observer: Observer,
    /// Whether it is on a site's network, where a client has no name before it says one, and what another is to the
    /// unit nobody but that other tells.
    pub on_site: bool,
    /// Whether who was turned away gave no name, and only the unit's log says that it was the unit.
    pub nameless: bool,
    /// Whether the unit's address ever reached the broker.
    pub reached: bool,
    /// Why it was turned away, the last time.
    pub refusal: Option<Refusal>,
    /// Such as `TLSv1.3`.
    pub tls_version: Option<String>,
    /// The name that the unit asked for.
    pub server_name: Option<String>,
    /// Where the unit's connections went, of whatever kind they were, as its network saw them.
    pub connected_to: Vec<SocketAddr>,
    /// Subject of the unit's certificate, if it showed one.
    pub client_certificate: Option<String>,
    /// How long that certificate is still valid, or the one that the unit was given.
    pub client_certificate_days: Option<i64>,
    /// How long the broker's own is, and those between it and its CA.
    pub broker_certificate: Option<Remaining>,
    /// As the unit calls itself.
    pub client_id: Option<String>,
    /// As the unit logs in.
    pub username: Option<String>,
    /// Whether the broker accepted it.
    pub accepted: bool,
    /// From reset to acceptance.
    pub connected_after_ms: Option<u64>,
    /// How often a broker of others ended a connection of the unit's.
    pub broken_off: usize,
    /// After how many milliseconds another client took the unit's id from the bench, while the unit was held
    /// in reset.
    pub rival_after_ms: Option<u64>,
    /// Topic filters granted to it.
    pub subscriptions: Vec<String>,
    /// What else it did there until its run ended; `None` where the broker does not tell.
    pub conduct: Option<Conduct>,
    /// The command's way there and back.
    pub round_trip_ms: Option<u64>,
    /// What was wrong with the last answer, without its text: a unit may answer with a secret.
    pub wrong_answer: Option<String>,
    /// The bench's own attempt, made after a failure.
    pub witness: Option<Witness>,
}

/// How long certificates that are needed together are still valid.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Remaining {
    /// Whole days to the end of the first; negative when it is over.
    pub days: i64,
    /// The first to end, by its common name in quotes.
    pub subject: String,
}

impl Remaining {
    /// What is left until then.
    pub fn until(expiry: &Expiry, now: OffsetDateTime) -> Self {
        Self { days: expiry.days_left(now), subject: expiry.subject.clone() }
    }
}

/// All that a unit did at its broker, over all of its connections.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Conduct {
    /// Every topic filter that it asked for, granted or not.
    pub asked: Vec<String>,
    /// Every client id and user name that it was accepted as.
    pub names: Vec<(String, String)>,
    /// Every topic that it published on.
    pub published: Vec<String>,
    /// The topics on which it left a message for later subscribers.
    pub retained: Vec<String>,
    /// How many of its connections another one of the same client id ended.
    pub taken_over: usize,
    /// How much of that was not kept: with any, nothing is known to be absent.
    pub dropped: u64,
}

/// The device id in the serial log.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DeviceIdObservation {
    /// What the unit printed; `None` when it printed none in time.
    pub found: Option<String>,
    /// What it must be.
    pub expected: String,
    /// What a firmware prints that drops the leading zero of each byte.
    pub dropped_zeros: String,
    /// From the reset.
    pub waited_ms: u64,
}

/// A dialogue with the unit's console.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct DialogueObservation {
    /// Which one.
    pub name: String,
    /// Line by line, up to the first that was not answered well.
    pub exchanges: Vec<ExchangeObservation>,
}

/// What a contact or a nest's supply can do as well as a unit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NestDoubt {
    /// What was seen.
    pub lost: Lost,
    /// By what the nest is known to be good, or why nobody knows.
    pub known: Result<String, String>,
}

/// What was lost on the way to a unit, or by it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lost {
    /// It printed nothing at all.
    Words,
    /// Its supply broke down.
    Supply,
}

impl Lost {
    /// As the beginning of a sentence.
    pub fn words(self) -> &'static str {
        match self {
            Self::Words => "the unit printed nothing",
            Self::Supply => "the unit's supply broke down",
        }
    }
}

/// What came of a program that was asked to measure; secrets are masked.
#[derive(Clone, PartialEq, Debug)]
pub struct OwnTestObservation {
    /// What it measured, or why nothing is known.
    pub reading: Result<Reading, String>,
    /// What the witness of the instrument said, where a value is not as it must be and there is one: its words, or
    /// why it does not vouch for it.
    pub vouched: Option<Result<String, String>>,
}

/// One line and its answer; secrets are masked.
#[derive(Clone, PartialEq, Debug)]
pub struct ExchangeObservation {
    /// What was typed.
    pub sent: String,
    /// The first lines that answered.
    pub answer: Vec<String>,
    /// The same of the first time, where the line had to be typed twice.
    pub earlier: Option<Vec<String>>,
    /// The unit restarted as it was told to, so that the line could not be typed again.
    pub restarted: bool,
    /// What the answer came to.
    pub answered: Answered,
    /// The number that is sought in it, and what was found.
    pub measured: Option<(ConsoleMeasure, Option<f64>)>,
    /// What it must hold, by its templates.
    pub expected: Vec<String>,
    /// How long it might take, in seconds.
    pub within_s: u64,
    /// What the unit's log complains of, as the end of a sentence.
    pub complaint: String,
    /// The line of its log that misses a value which no line of the dialogue gives it.
    pub misses: Option<String>,
    /// How long the answer took.
    pub took_ms: u64,
    /// What of the bench the answer depends on, as the fault of the testbed that it would be.
    pub depends_on: Option<Code>,
    /// The bench's own attempt at that, made after a wrong answer.
    pub witness: Option<Witness>,
}

/// Whose fault something is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Blame {
    /// The unit's.
    Unit(Diagnosis),
    /// The testbed's, or nobody knows whose.
    Testbed(Diagnosis),
}

/// What the answer to a line came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answered {
    /// It held what was expected.
    Well,
    /// The line that refuses.
    Refused(String),
    /// Nothing of the kind came in time; the first lines of what the unit said, and of what it logged.
    Missing {
        /// Lines that are no log.
        said: Vec<String>,
        /// Lines of its log.
        logged: Vec<String>,
    },
}

/// What is known of the unit's registration at its CA.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CaObservation {
    /// Who called: the bench or the unit.
    pub caller: &'static str,
    /// Whether the CA accepted the unit's UUID and secret.
    pub accepted: bool,
    /// Why it did not.
    pub refusal: Option<String>,
    /// The UUID that was registered.
    pub uuid: Option<String>,
    /// Whether a certificate was there already that is still valid for long enough.
    pub kept: bool,
    /// The new certificate's serial number.
    pub serial: Option<String>,
    /// How long the certificate is still valid.
    pub remaining_validity_days: Option<i64>,
    /// How long the CA's own certificates are, as far as they came with the answer.
    pub ca_certificate: Option<Remaining>,
    /// How long it took: the call, or the wait for the unit's call.
    pub took_ms: Option<u64>,
    /// Remarks that do not decide.
    pub notes: Vec<String>,
    /// The bench's own attempt, made after a failure.
    pub witness: Option<Witness>,
    /// Another MAC that the unit gave, and its own.
    pub other_mac: Option<(String, String)>,
    /// What the unit called itself, when it called the CA by itself.
    pub device_type: Option<String>,
}

/// What the bench saw of the server that gives MQTT credentials.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ApiObservation {
    /// How long its certificates are still valid; `None` where it was called in the clear.
    pub certificate: Option<Remaining>,
}

/// The unit's call to a service.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ServiceObservation {
    /// Whether the unit called and was answered.
    pub served: bool,
    /// From the address to the answer.
    pub took_ms: Option<u64>,
    /// How long the engine waited.
    pub waited_ms: u64,
    /// What came of it, in words.
    pub detail: String,
    /// The service itself gave what is not true, to whomever.
    pub untrue: Option<String>,
    /// The bench's own attempt, made after a failure.
    pub witness: Option<Witness>,
}

/// What became of a unit's row in the registry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RegistryObservation {
    /// The row is there.
    Recorded {
        /// Its number.
        row: i64,
        /// How long it took.
        took_ms: u64,
    },
    /// The registry could not be reached; the row lies in the outbox until it can.
    Queued {
        /// Why it could not be reached.
        reason: String,
    },
    /// The row could not even be queued: the station is at fault.
    Lost {
        /// Why not.
        reason: String,
    },
    /// The registry does not take the row, now or later.
    Rejected {
        /// Why not.
        reason: String,
    },
}

/// What a search for credentials found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Leftovers {
    /// Bytes that were searched.
    pub searched: usize,
    /// What was found: whose value, and where.
    pub found: Vec<String>,
}

/// The installer's alert.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AlertObservation {
    /// From the installer's command to the alert.
    pub took_ms: Option<u64>,
    /// What the last alert lacked.
    pub lacking: Option<String>,
    /// What the operator said, when asked.
    pub confirmed: Option<bool>,
    /// The bench's own attempt, made after a failure.
    pub witness: Option<Witness>,
}

/// Whether the network is gone that the unit must not open any more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PortalSeen {
    /// The unit has none open.
    Gone,
    /// It is open, under this name.
    Open(String),
    /// Nobody can see it on this network.
    NotSeen,
}

/// What the unit did with a broker that it must not trust.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TrustObservation {
    /// Whether it tried to connect at all.
    pub tried: bool,
    /// The alert with which it refused.
    pub refused_with: Option<String>,
    /// Whether it accepted the certificate: a bad unit.
    pub accepted: bool,
    /// Somebody refused it, and nothing tells whether it was the unit.
    pub nameless: bool,
    /// Whether it came back to the right broker afterwards.
    pub returned: bool,
    /// How long the engine waited.
    pub waited_ms: u64,
    /// The bench's own attempt at the right broker, when the unit did not come back.
    pub witness: Option<Witness>,
}

/// The updates that were tried on the unit.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct OtaObservation {
    /// In order.
    pub updates: Vec<UpdateObservation>,
}

/// One update.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct UpdateObservation {
    /// What was tried, in words.
    pub what: String,
    /// What must become of it.
    pub outgoing: Outgoing,
    /// Whether that was reported in time.
    pub reported: bool,
    /// Whether the unit took, and tried to run, what it must refuse.
    pub accepted: bool,
    /// Whether the unit downloaded it.
    pub fetched: bool,
    /// Bytes of the unit's last report, when there was any.
    pub last_report: Option<usize>,
    /// How long it might take, in seconds.
    pub within_s: u64,
    /// From the notice to the end.
    pub took_ms: u64,
    /// The bench's own attempt at the broker, made after a failure.
    pub witness: Option<Witness>,
    /// The bench's own download of the same image, made after a failure.
    pub download: Option<Witness>,
}

/// What the unit must do with an update.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Outgoing {
    /// Run it.
    #[default]
    Runs,
    /// Go back to what it ran before.
    RolledBack,
    /// Not take it at all.
    Refused,
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
    /// A broker that is already there closed the connection, and told nobody but the unit why.
    BrokeOff,
}

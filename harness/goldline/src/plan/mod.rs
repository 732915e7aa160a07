//! What will be done to a unit, as plain data: profile → ordered steps.
//!
//! A plan holds symbols, never values: `{unit.mac}` or `{mqtt_password}` are bound once, by the
//! engine, into a [`BoundPlan`]. Making a plan touches nothing. Must not know how a step is done.

mod bindings;
mod bound;
mod by_console;
mod claims;
mod coverage;
mod display;
mod finish;
mod given;
mod layers;
mod lock_down;
mod method;
mod network;
mod order;
mod origin;
mod product;
mod qc;
mod regions;
mod text;
mod units;

use std::{sync::Arc, time::Duration};

use crate::{
    identity::Mac,
    image::FlashImages,
    profile::{
        Alert, Ca, Caller, CheckId, CheckSpec, CommandRoundTrip, ConsoleSpec, DialogueName,
        Exchange, FactoryFirmware, LineEnd, Ota, OwnTest, Part, Partition, Portal, Profile,
        ProvisioningApi, Quoting, RegistrySpec, ScrapedId,
    },
};

pub use bindings::{BindingError, Bindings, Identity, SaltAge, Sources};
pub use bound::{
    BoundBroker, BoundPlan, BoundWifi, LearnError, MaterialError, NotLearnt, RegionImage,
};
pub use by_console::{Excluded, NotByConsole, by_console};
pub use claims::{Claim, Made};
pub use coverage::{Coverage, Expects, Span, UNUSED};
pub use given::{Given, GivenError};
pub use layers::Layers;
pub use lock_down::{NotLocked, before_lock_down, of_locked};
pub use network::{Unprovable, on_network};
pub use order::{Need, OutOfOrder, Steps};
pub use origin::Origin;
pub use text::Text;
pub use units::{UnitRow, Units, UnitsError, UnitsProblem};

const NOT_STARTED_AGAIN: &str =
    "the unit holds what it is shipped with, and is not started on a bench again";

/// Which part of the work is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// Provision, then QC.
    Run,
    /// Provision only; there is no verdict.
    Provision,
    /// QC only, on a unit that was provisioned before.
    Check,
    /// Give one part of the unit's values anew and keep all others, then QC.
    Reprovision(Part),
    /// Take every credential from the unit, and see that none is left.
    FactoryReset,
}

impl Scope {
    /// Whether the unit's values are those that the station remembers of it.
    pub fn remembers(self) -> bool {
        matches!(self, Self::Check | Self::Reprovision(_) | Self::FactoryReset)
    }

    /// Whether a check can be done. A unit in use is not reset to the factory's state, and one that is
    /// reset to it has nothing else left to show.
    pub fn includes(self, check: CheckId, profile: &Profile) -> bool {
        // The bench registers a unit when its certificate is made, and at no other time.
        let registered_before = check == CheckId::CaRegistration
            && profile.ca.as_ref().is_some_and(|ca| ca.called_by == Caller::Bench);
        match self {
            Self::Run | Self::Provision => true,
            // It is not started on a bench again.
            Self::Check if profile.is_tested_then_finished() => {
                matches!(check, CheckId::FlashIntegrity | CheckId::NvsReadback)
            }
            Self::Check => {
                let done_before = [CheckId::FactoryReset, CheckId::RegistryRecord];
                !done_before.contains(&check) && !registered_before
            }
            Self::Reprovision(part) => {
                check != CheckId::FactoryReset && (part == Part::Certificate || !registered_before)
            }
            Self::FactoryReset => check == CheckId::FactoryReset,
        }
    }

    /// Whether the unit is flashed from the ground up.
    pub fn provisions(self) -> bool {
        matches!(self, Self::Run | Self::Provision)
    }
}

/// An ordered list of steps for one product.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The product.
    pub profile: Arc<Profile>,
    /// Which part of the work.
    pub scope: Scope,
    /// In order.
    pub steps: Steps,
    /// The checks of the product that the device cannot prove, and that the order goes without.
    pub excluded: Vec<Excluded>,
    /// The MAC address of a unit whose loader may not tell it any more.
    pub locked: Option<Mac>,
    /// The reviewed NVS image that a declared identity must give, when there is one to compare with.
    pub golden: Option<Arc<[u8]>>,
}

/// One thing to do, with what the profile says of it.
#[derive(Clone, Debug)]
pub enum Step {
    /// Enter the download mode; read chip, MAC and flash size; bind `unit.mac`.
    Identify,
    /// Enter the download mode again, after the unit ran.
    EnterLoader,
    /// Register the unit with its CA; bind `issued.certificate`. Nothing was written yet.
    Register(Box<Ca>),
    /// Ask the provisioning server for the unit's credentials; bind `issued.mqtt_user` and the like.
    RequestCredentials(Box<ProvisioningApi>),
    /// Write one region, unless it is there already.
    Write(Region),
    /// Erase whatever else the flash holds, so that nothing of an earlier life stays.
    EraseRest(Rest),
    /// Keep what lies in the NVS partition now.
    ReadNvs(Region),
    /// Put the values of one part into the NVS partition and leave all others as they are.
    RewriteNvs(Part, Region),
    /// Digest what the bench knows the bytes of and read the rest that is judged, at this moment.
    CollectEvidence {
        /// Before or after the unit ran.
        moment: Moment,
        /// What every byte of the flash must be.
        coverage: Coverage,
        /// The unit's own NVS partition.
        nvs: Region,
    },
    /// Read the security fuses, at this moment.
    ReadFuses(Moment),
    /// Judge the evidence so far; a unit with bad flash is not booted.
    Gate,
    /// Reset into the application and wait for its first line.
    Boot(Purpose),
    /// Wait for the device id in the serial log; bind `observed.device_id`.
    ReadDeviceId(ScrapedId),
    /// Type lines into the unit's console and compare each answer.
    Dialogue(Dialogue),
    /// Fill the unit's web portal; wait until the unit restarts.
    SubmitPortal(Box<Portal>),
    /// Wait until the provisioning firmware says that it is done.
    AwaitFactoryFirmware(FactoryFirmware),
    /// Look for credentials in the NVS partition, after a factory reset.
    SearchLeftovers(Region),
    /// Put the unit into the device registry, or into the queue for it.
    RecordInRegistry(Box<RegistrySpec>),
    /// Try the unit as it runs since it was given its values, where a reset could lose them.
    Try,
    /// Wait until the application runs and has said all of its start, where nothing else shows that it does.
    AwaitApplication,
    /// Wait until the unit has an address.
    AwaitJoin,
    /// Wait until the unit asked for the time and was answered.
    AwaitTime,
    /// Wait until the unit fetched its configuration.
    AwaitConfiguration(Box<ProvisioningApi>),
    /// Wait until the unit has called its CA.
    AwaitCaCall(Box<Ca>),
    /// Wait until the broker has accepted the unit and granted its subscriptions.
    AwaitBroker,
    /// Send a command over the broker and wait for the answer.
    Command(CommandRoundTrip),
    /// Let the installer's alert be sent, and wait for it.
    Alert(Box<InstallersAlert>),
    /// Look for the network that the unit must not open any more.
    SeekPortal(Box<Portal>),
    /// Watch that the application goes on running for so long.
    StayUp(Duration),
    /// Let a program of the product's own measure the unit as it runs.
    Measure(Arc<OwnTest>),
    /// Ask the unit to trust a broker that it must not trust.
    OfferStranger,
    /// Update the unit over the air, let it refuse a bad update, and put the first application back.
    Update(Box<Ota>),
    /// Judge the test: only a unit that passed it is given what it is shipped with.
    JudgeTest,
    /// Erase what the test may have written, the whole of each span.
    EraseTested(Vec<Span>),
    /// Write a region of what the unit is shipped with.
    WriteFinal(Region),
    /// Leave the unit where nothing starts it.
    Hold,
}

/// All of the flash, and the regions that are planned in it: what is besides is to be erased.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rest {
    /// What was written, and stays.
    pub written: Vec<Region>,
    /// In the order of the flash, from its first byte to its last; each of `written` begins one.
    pub stretches: Vec<Stretch>,
}

/// A part of the flash.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stretch {
    /// From the start of the flash, in bytes.
    pub offset: u32,
    /// In bytes.
    pub size: u32,
}

/// Lines to type into the unit's console, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dialogue {
    /// Which one.
    pub name: DialogueName,
    /// In order.
    pub exchanges: Vec<Exchange>,
    /// How a value stands in a line.
    pub quoting: Quoting,
    /// What ends a line.
    pub line_end: LineEnd,
    /// What the console shows when it waits for a line; known of some products.
    pub prompt: Option<String>,
    /// Whether a line is typed once more that was not answered well.
    pub retype: bool,
}

impl Dialogue {
    fn of(console: &ConsoleSpec, name: DialogueName) -> Self {
        Self {
            name,
            exchanges: console.dialogue(name).to_vec(),
            quoting: console.quoting,
            line_end: console.line_end,
            prompt: console.prompt.clone(),
            retype: console.retype,
        }
    }
}

/// The installer's alert, which is asked for on the unit's console.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InstallersAlert {
    /// What is typed, and what must arrive.
    pub alert: Alert,
    /// What ends a line.
    pub line_end: LineEnd,
    /// Whether the line may be typed once more.
    pub retype: bool,
}

/// What a boot is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Purpose {
    /// To give the unit its values.
    Provisioning,
    /// To see whether it works.
    Trial,
}

/// What the NVS partition must hold before the first boot of the trial.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NvsState {
    /// The image that the bench made, byte for byte.
    Image,
    /// Nothing: the unit's own firmware writes it later.
    Blank,
    /// The planned keys, whoever wrote them.
    Keys,
}

/// When evidence is taken; firmware writes to flash when it runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Moment {
    /// What the bench wrote, untouched.
    BeforeBoot,
    /// What the firmware left.
    AfterBoot,
    /// What the unit is shipped with, untouched.
    Final,
}

/// A part of the flash and what belongs there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Region {
    /// The partition's name, or `bootloader` or `partition_table`.
    pub name: String,
    /// From the start of the flash.
    pub offset: u32,
    /// How much fits, in bytes.
    pub capacity: u32,
    /// What belongs there.
    pub content: Content,
}

/// What belongs into a region.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Content {
    /// The second-stage bootloader.
    Bootloader,
    /// The profile's partition table.
    PartitionTable,
    /// The application.
    App,
    /// The firmware that writes the unit's values and is then replaced.
    FactoryApp,
    /// The unit's own NVS image.
    Nvs,
    /// The keys of the unit's NVS image.
    NvsKeys,
    /// What the build flashes besides its application, by its place in the profile's list.
    Other(usize),
}

impl Plan {
    /// Makes the plan of a profile. Pure: no device, no file, no clock.
    pub fn new(profile: Arc<Profile>, scope: Scope) -> Self {
        let steps = Steps::new(method::steps(&profile, scope))
            .expect("every method keeps the order: tested over all profiles and scopes");
        let shipped = scope == Scope::Check && profile.is_tested_then_finished();
        let not_again = profile.checks.iter().map(|spec| spec.id).filter(|_| shipped);
        let not_again = not_again.filter(|check| !scope.includes(*check, &profile));
        let excluded = not_again.map(|check| Excluded { check, because: NOT_STARTED_AGAIN });
        let excluded = excluded.collect();
        Self { profile, scope, steps, excluded, golden: None, locked: None }
    }

    /// Makes the plan for a unit of which the bench has the console alone: of a profile and the checks that
    /// [`by_console()`] took out of it.
    pub fn by_console(profile: Arc<Profile>, scope: Scope, excluded: Vec<Excluded>) -> Self {
        let steps = by_console::steps_by_console(method::steps(&profile, scope));
        let steps = Steps::new(steps).expect("what is left needs neither flash nor network");
        Self { profile, scope, steps, excluded, golden: None, locked: None }
    }

    /// The checks of the profile that this scope can do, in order.
    pub fn checks(&self) -> impl Iterator<Item = &CheckSpec> {
        self.profile.checks.iter().filter(|check| self.scope.includes(check.id, &self.profile))
    }

    /// Whether the profile asks for a check and this scope can do it.
    pub fn has_check(&self, id: CheckId) -> bool {
        self.checks().any(|check| check.id == id)
    }

    /// What the NVS partition must hold before the first boot of the trial.
    pub fn nvs_before_boot(&self) -> NvsState {
        use crate::profile::Method;
        match self.profile.method {
            _ if self.scope.remembers() => NvsState::Keys,
            Method::FactoryImage | Method::CaRegistration => NvsState::Image,
            Method::Console | Method::Portal => NvsState::Blank,
            Method::FactoryFirmware => NvsState::Keys,
        }
    }

    /// Whether a firmware that was written runs before the flash is compared.
    pub fn runs_before_evidence(&self) -> bool {
        self.profile.method == crate::profile::Method::FactoryFirmware
    }

    /// Whether the unit is tested with other values than it is shipped with, and given those at last.
    pub fn finishes(&self) -> bool {
        self.scope == Scope::Run && self.profile.is_tested_then_finished()
    }

    /// Whether the bench itself puts the unit's values into the flash, and not the unit's own firmware.
    pub fn flashes_values(&self) -> bool {
        self.nvs_before_boot() != NvsState::Blank
    }

    /// Whether a re-provisioning of that part may change a key.
    pub fn rewrites(&self, part: Part, namespace: &str, key: &str) -> bool {
        let own = &self.profile.nvs;
        let changing = self.profile.reprovision.get(&part);
        let entry =
            own.entries.iter().find(|entry| entry.namespace == namespace && entry.key == key);
        let (Some(entry), Some(changing)) = (entry, changing) else { return false };
        entry.value.symbols().any(|symbol| changing.iter().any(|name| name == symbol))
    }

    /// Tells one version of the product from another: what is flashed, and which keys are written.
    /// SHA-256 as lowercase hex.
    pub fn product_digest(&self, images: &FlashImages) -> String {
        product::digest(images, &self.profile.nvs)
    }

    /// The regions that no firmware may change, which are digested.
    pub fn immutable_regions(&self) -> Vec<Region> {
        regions::immutable_regions(&self.profile)
    }

    /// What every byte of the flash must be at a moment.
    pub fn coverage(&self, moment: Moment) -> Coverage {
        Coverage::of(&self.profile, self.scope, moment)
    }

    /// The regions that the plan writes or compares, in flash order of their writing.
    pub fn regions(&self) -> Vec<Region> {
        let mut all = regions::immutable_regions(&self.profile);
        all.extend(self.profile.factory.is_some().then(|| regions::factory_region(&self.profile)));
        all.push(regions::nvs_region(&self.profile));
        all
    }
}

impl Step {
    /// The stage's name in records: the step's, and the region that it writes.
    pub fn stage(&self) -> String {
        match self {
            Self::Write(Region { content: Content::FactoryApp, .. }) => {
                "write_factory_firmware".to_owned()
            }
            Self::Write(region) | Self::WriteFinal(region) => {
                format!("{}_{}", self.name(), region.name)
            }
            Self::Measure(own) => own.name.clone(),
            _ => self.name().to_owned(),
        }
    }

    /// Whether the unit's flash is other afterwards, and unfit while it goes on.
    pub fn changes_unit(&self) -> bool {
        match self {
            Self::Write(_)
            | Self::EraseRest(_)
            | Self::RewriteNvs(..)
            | Self::Boot(Purpose::Provisioning)
            | Self::SubmitPortal(_)
            | Self::AwaitFactoryFirmware(_)
            | Self::Update(_)
            | Self::EraseTested(_)
            | Self::WriteFinal(_) => true,
            Self::Dialogue(dialogue) => !dialogue.name.only_asks(),
            Self::Identify
            | Self::EnterLoader
            | Self::Register(_)
            | Self::RequestCredentials(_)
            | Self::ReadNvs(_)
            | Self::ReadFuses(_)
            | Self::CollectEvidence { .. }
            | Self::Gate
            | Self::Boot(Purpose::Trial)
            | Self::ReadDeviceId(_)
            | Self::SearchLeftovers(_)
            | Self::RecordInRegistry(_)
            | Self::Try
            | Self::AwaitApplication
            | Self::AwaitJoin
            | Self::AwaitTime
            | Self::AwaitConfiguration(_)
            | Self::AwaitCaCall(_)
            | Self::AwaitBroker
            | Self::Command(_)
            | Self::Alert(_)
            | Self::SeekPortal(_)
            | Self::StayUp(_)
            | Self::Measure(_)
            | Self::OfferStranger
            | Self::JudgeTest
            | Self::Hold => false,
        }
    }

    /// The step's short name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Identify => "identify",
            Self::EnterLoader => "enter_loader",
            Self::Register(_) => "ca_register",
            Self::RequestCredentials(_) => "request_credentials",
            Self::EraseRest(_) => "erase",
            Self::Write(_) => "write",
            Self::ReadNvs(_) => "read_nvs",
            Self::RewriteNvs(..) => "rewrite_nvs",
            Self::CollectEvidence { moment: Moment::BeforeBoot, .. } => "read_back",
            Self::CollectEvidence { moment: Moment::AfterBoot, .. } => "read_back_after_boot",
            Self::CollectEvidence { moment: Moment::Final, .. } => "read_back_final",
            Self::ReadFuses(Moment::AfterBoot) => "read_fuses_after_boot",
            Self::ReadFuses(_) => "read_fuses",
            Self::Gate => "gate",
            Self::Boot(Purpose::Provisioning) => "boot_to_provision",
            Self::Boot(Purpose::Trial) => "boot",
            Self::ReadDeviceId(_) => "device_id",
            Self::Dialogue(dialogue) => match dialogue.name {
                DialogueName::Provision => "console_provision",
                DialogueName::Wifi => "console_wifi",
                DialogueName::Status => "console_status",
                DialogueName::FactoryReset => "console_factory_reset",
                DialogueName::Off => "console_off",
            },
            Self::SubmitPortal(_) => "portal",
            Self::AwaitFactoryFirmware(_) => "factory_firmware",
            Self::SearchLeftovers(_) => "search_leftovers",
            Self::RecordInRegistry(_) => "registry",
            Self::Try => "try",
            Self::AwaitApplication => "application",
            Self::AwaitJoin => "wifi_join",
            Self::AwaitTime => "time_sync",
            Self::AwaitConfiguration(_) => "remote_config",
            Self::AwaitCaCall(_) => "ca_call",
            Self::AwaitBroker => "mqtt_connect",
            Self::Command(_) => "mqtt_command",
            Self::Alert(_) => "test_alert",
            Self::SeekPortal(_) => "portal_off",
            Self::StayUp(_) => "steady",
            Self::Measure(_) => "measure",
            Self::OfferStranger => "server_trust",
            Self::Update(_) => "ota_update",
            Self::JudgeTest => "judge_test",
            Self::EraseTested(_) => "erase_tested",
            Self::WriteFinal(_) => "write_final",
            Self::Hold => "hold",
        }
    }
}

/// The region of a whole partition.
fn partition_region(partition: &Partition, content: Content) -> Region {
    Region {
        name: partition.name.clone(),
        offset: partition.offset,
        capacity: partition.size,
        content,
    }
}

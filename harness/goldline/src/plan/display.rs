//! A plan as text, for `--dry-run` and for review: symbols stand where values will be.

use std::fmt;

use super::{
    Content, Coverage, Dialogue, Excluded, Expects, Moment, Plan, Purpose, Region, Scope, Step,
};
use crate::profile::{DialogueName, Method, Profile, ValueSource, ValueSpec};

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let profile = &self.profile;
        let scope = match self.scope {
            Scope::Run => "provision, then check".to_owned(),
            Scope::Provision => "provision".to_owned(),
            Scope::Check => "check".to_owned(),
            Scope::Reprovision(part) => format!("reprovision the {} of, then check", part.name()),
            Scope::FactoryReset => "factory-reset".to_owned(),
        };
        writeln!(f, "plan: {scope} {} ({})", profile.name, profile.title)?;
        writeln!(f, "chip: {}, {} bytes of flash", profile.chip, profile.flash.size())?;
        writeln!(f, "\nvalues")?;
        for value in &profile.values {
            let source = match &value.source {
                ValueSource::Site => "from the site".to_owned(),
                ValueSource::Lease => "leased from the state directory".to_owned(),
                ValueSource::Random { bytes } => format!("{bytes} random bytes"),
                ValueSource::Template(template) => template.to_string(),
                ValueSource::MacScheme(scheme) => format!("{} of the unit's MAC", scheme.name()),
                ValueSource::Salted { scheme, of, salt } => {
                    format!("{} of {of} and the salt {salt}", scheme.name())
                }
            };
            let secret = if value.secret { ", secret" } else { "" };
            writeln!(f, "  {} = {source}{secret}", value.name)?;
        }
        if self.finishes() {
            writeln!(f, "\nbench values, for the test alone")?;
            for (name, template) in &profile.bench_values {
                let is_secret = |spec: &&ValueSpec| spec.name == *name && spec.secret;
                let secret = profile.values.iter().find(is_secret).is_some();
                let text = if secret { "secret".to_owned() } else { template.to_string() };
                writeln!(f, "  {name} = {text}")?;
            }
        }
        writeln!(f, "\nsteps")?;
        for (index, step) in self.steps.iter().enumerate() {
            writeln!(f, "{:3}. {step}", index + 1)?;
            if writes_values(step, profile.method) {
                for entry in &profile.nvs.entries {
                    let is_of_test = self.finishes() && !matches!(step, Step::WriteFinal(_));
                    let mut symbols = entry.value.symbols();
                    let is_told = is_of_test && symbols.any(|name| is_the_benchs(profile, name));
                    writeln!(
                        f,
                        "       {}/{} : {} = {}{}",
                        entry.namespace,
                        entry.key,
                        entry.encoding.name(),
                        entry.value,
                        if is_told { ", the bench's" } else { "" }
                    )?;
                }
            }
        }
        if self.scope != Scope::Provision {
            writeln!(f, "\nchecks")?;
            for check in self.checks() {
                match &check.own {
                    Some(own) => writeln!(f, "  {own}")?,
                    None => writeln!(f, "  {}{}", check.name(), Limits(&check.limits))?,
                }
            }
        }
        if !self.excluded.is_empty() {
            writeln!(f, "\nnot proven")?;
        }
        for Excluded { check, because } in &self.excluded {
            writeln!(f, "  {}: {because}", check.name())?;
        }
        Ok(())
    }
}

/// Whether a unit is told the bench's value in place of its own while it is tested, or one that is made of that.
fn is_the_benchs(profile: &Profile, name: &str) -> bool {
    let spec = profile.values.iter().find(|spec| spec.name == name);
    profile.bench_values.contains_key(name)
        || matches!(spec.map(|spec| &spec.source), Some(ValueSource::Template(template))
            if template.symbols().any(|name| is_the_benchs(profile, name)))
}

/// Whether the unit's values get into its NVS with this step.
fn writes_values(step: &Step, method: Method) -> bool {
    let by_firmware = match step {
        Step::Dialogue(Dialogue { name, .. }) => {
            matches!(name, DialogueName::Provision | DialogueName::Wifi)
        }
        Step::SubmitPortal(_) | Step::AwaitFactoryFirmware(_) => true,
        _ => false,
    };
    let by_bench = matches!(
        step,
        Step::Write(Region { content: Content::Nvs, .. })
            | Step::WriteFinal(Region { content: Content::Nvs, .. })
            | Step::RewriteNvs(..)
    );
    by_bench || by_firmware && !method.flashes_nvs()
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identify => f.write_str("identify the chip; read {unit.mac} and the flash size"),
            Self::Write(region) => write!(f, "write {region}"),
            Self::EraseRest(_) => f.write_str("erase whatever else the flash holds"),
            Self::CollectEvidence { moment, coverage, nvs } => {
                write_evidence(f, *moment, coverage, nvs)
            }
            Self::Gate => f.write_str("judge the flash; a unit with bad flash is not booted"),
            Self::Boot(Purpose::Trial) => f.write_str("reset into the application"),
            Self::Boot(Purpose::Provisioning) => {
                f.write_str("reset into the application, to give the unit its values")
            }
            Self::EnterLoader => f.write_str("enter the download mode again"),
            Self::Register(_) => f.write_str(
                "register with the CA; verify the certificate; learn {issued.certificate}",
            ),
            Self::RequestCredentials(_) => f.write_str(
                "ask the provisioning server for credentials; learn {issued.mqtt_user} and {issued.mqtt_password}",
            ),
            Self::ReadFuses(Moment::AfterBoot) => {
                f.write_str("read the security fuses once more, after the unit ran")
            }
            Self::ReadFuses(_) => f.write_str("read the security fuses"),
            Self::ReadNvs(region) => write!(f, "read {} as it is", region.name),
            Self::RewriteNvs(part, region) => {
                write!(f, "write the {} into {}, and leave every other key", part.name(), region.name)
            }
            Self::ReadDeviceId(_) => {
                f.write_str("wait for the device id in the serial log; learn {observed.device_id}")
            }
            Self::Dialogue(Dialogue { name, .. }) => {
                write!(f, "type the lines of [[console.{}]]", name.name())
            }
            Self::SubmitPortal(_) => {
                f.write_str("fill the unit's web portal; wait until it restarts")
            }
            Self::AwaitFactoryFirmware(_) => {
                f.write_str("wait until the provisioning firmware has written the values")
            }
            Self::SearchLeftovers(_) => {
                f.write_str("search the whole NVS partition for credentials, erased entries included")
            }
            Self::RecordInRegistry(_) => {
                f.write_str("put the unit into the device registry, or into the queue for it")
            }
            Self::AwaitTime => f.write_str("wait until the unit has the time"),
            Self::AwaitConfiguration(_) => f.write_str("wait until the unit fetched its configuration"),
            Self::AwaitCaCall(_) => f.write_str("wait until the unit called its CA"),
            Self::Alert(_) => f.write_str("let the installer's alert be sent; wait for it"),
            Self::SeekPortal(portal) => {
                write!(f, "look whether the unit still opens its network {}", portal.ssid)
            }
            Self::StayUp(steady) => {
                write!(f, "watch that the application runs for {} s", steady.as_secs())
            }
            Self::Measure(own) => write!(f, "measure {}, with {}", own.name, own.program),
            Self::OfferStranger => f.write_str(
                "answer for the broker with the certificate of an unknown CA; the unit must refuse it",
            ),
            Self::Update(_) => f.write_str(
                "update the unit over the air; let it roll a bad update back; put the first application back",
            ),
            Self::JudgeTest => f.write_str(
                "judge the test; only a unit that passed it is given what it is shipped with",
            ),
            Self::EraseTested(spans) => {
                let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
                write!(f, "erase what the test may have written: all of {}", names.join(", "))
            }
            Self::WriteFinal(region) => write!(f, "final: write {region}"),
            Self::Hold => f.write_str(
                "leave the unit in its loader, where nothing starts it, and never start it here again",
            ),
            Self::Try => f.write_str(
                "try the unit as it runs; nothing says whether its values would outlive a reset there",
            ),
            Self::AwaitApplication => f.write_str("wait until the application has said its start"),
            Self::AwaitJoin => f.write_str("wait until the unit has joined the network"),
            Self::AwaitBroker => {
                f.write_str("wait until the broker has accepted the unit and its subscriptions")
            }
            Self::Command(command) => {
                write!(
                    f,
                    "send a command on {}; expect an answer on {}",
                    command.topic, command.reply_topic
                )
            }
        }
    }
}

fn write_evidence(
    f: &mut fmt::Formatter<'_>,
    moment: Moment,
    coverage: &Coverage,
    nvs: &Region,
) -> fmt::Result {
    let moment = match moment {
        Moment::BeforeBoot => "before the first boot",
        Moment::AfterBoot => "after the firmware ran",
        Moment::Final => "as it is shipped",
    };
    let names = |wanted: fn(Expects) -> bool| -> Vec<&str> {
        let spans = coverage.spans().iter().filter(|span| wanted(span.expects));
        spans.map(|span| span.name.as_str()).collect()
    };
    let digested = names(|expects| {
        matches!(expects, Expects::Planned(_) | Expects::UpdatedApp | Expects::UpdateSlot)
    });
    let mut read = vec![nvs.name.as_str()];
    read.extend(names(|expects| matches!(expects, Expects::FirmwaresNvs | Expects::OtaData)));
    let left = names(|expects| expects == Expects::Firmwares);
    write!(f, "{moment}: digest {} and all that is erased", digested.join(", "))?;
    write!(f, "; read {} back", read.join(", "))?;
    if left.is_empty() { Ok(()) } else { write!(f, "; leave {} to the firmware", left.join(", ")) }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let content = match self.content {
            Content::Bootloader => "the second-stage bootloader",
            Content::PartitionTable => "the partition table",
            Content::App => "the application",
            Content::FactoryApp => "the provisioning firmware, for a while,",
            Content::Nvs => "the unit's NVS image",
            Content::NvsKeys => "the keys of the unit's NVS",
            Content::Other(_) => "what the build has for it",
        };
        write!(f, "{content} at {:#x} ({}, {:#x} bytes)", self.offset, self.name, self.capacity)
    }
}

struct Limits<'a>(&'a std::collections::BTreeMap<String, crate::record::Limits>);

impl fmt::Display for Limits<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, limits)) in self.0.iter().enumerate() {
            f.write_str(if index == 0 { ": " } else { ", " })?;
            f.write_str(&limits.around(name))?;
        }
        Ok(())
    }
}

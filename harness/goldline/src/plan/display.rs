//! A plan as text, for `--dry-run` and for review: symbols stand where values will be.

use std::fmt;

use super::{Content, Moment, Plan, Region, Scope, Step};
use crate::profile::ValueSource;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let profile = &self.profile;
        let scope = match self.scope {
            Scope::Run => "provision, then check",
            Scope::Provision => "provision",
            Scope::Check => "check",
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
            };
            let secret = if value.secret { ", secret" } else { "" };
            writeln!(f, "  {} = {source}{secret}", value.name)?;
        }
        writeln!(f, "\nsteps")?;
        for (index, step) in self.steps.iter().enumerate() {
            writeln!(f, "{:3}. {step}", index + 1)?;
            if let Step::Write(Region { content: Content::Nvs, .. }) = step {
                for entry in &profile.nvs.entries {
                    writeln!(
                        f,
                        "       {}/{} : {} = {}",
                        profile.nvs.namespace,
                        entry.key,
                        entry.encoding.name(),
                        entry.value
                    )?;
                }
            }
        }
        if self.scope != Scope::Provision {
            writeln!(f, "\nchecks")?;
            for check in &profile.checks {
                writeln!(f, "  {}{}", check.id.name(), Limits(&check.limits))?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identify => f.write_str("identify the chip; read {unit.mac} and the flash size"),
            Self::Erase => f.write_str("erase the whole flash"),
            Self::Write(region) => write!(f, "write {region}"),
            Self::CollectEvidence { moment, digests, nvs } => {
                let names: Vec<&str> = digests.iter().map(|region| region.name.as_str()).collect();
                let moment = match moment {
                    Moment::BeforeBoot => "before the first boot",
                    Moment::AfterBoot => "after the firmware ran",
                };
                write!(f, "{moment}: digest {}; read {} back", names.join(", "), nvs.name)
            }
            Self::Gate => f.write_str("judge the flash; a unit with bad flash is not booted"),
            Self::Boot => f.write_str("reset into the application"),
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

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let content = match self.content {
            Content::Bootloader => "the second-stage bootloader",
            Content::PartitionTable => "the partition table",
            Content::App => "the application",
            Content::Nvs => "the unit's NVS image",
        };
        write!(f, "{content} at {:#x} ({}, {:#x} bytes)", self.offset, self.name, self.capacity)
    }
}

struct Limits<'a>(&'a std::collections::BTreeMap<String, crate::record::Limits>);

impl fmt::Display for Limits<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, limits)) in self.0.iter().enumerate() {
            f.write_str(if index == 0 { ": " } else { ", " })?;
            match (limits.lower, limits.upper) {
                (Some(lower), Some(upper)) => write!(f, "{lower} ≤ {name} ≤ {upper}")?,
                (Some(lower), None) => write!(f, "{name} ≥ {lower}")?,
                (None, Some(upper)) => write!(f, "{name} ≤ {upper}")?,
                (None, None) => write!(f, "{name}")?,
            }
        }
        Ok(())
    }
}

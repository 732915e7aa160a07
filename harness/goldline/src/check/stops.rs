//! What is said when a unit, or a service that the bench calls for it, does not do what a step needs, so
//! that the run ends there: facts → diagnosis.
//!
//! The engine brings the facts, redacted; each code that it needs stands here. Must not know how a fact
//! was seen.

use std::fmt::Display;

use super::{Answered, Blame, ExchangeObservation, SpanDigest, is_logged, observations::places};
use crate::{
    profile::Need,
    record::{Code, Diagnosis},
};

/// A garbled answer may be long; the record keeps its beginning.
const LINES_SHOWN: usize = 6;

/// Why a unit cannot be checked on which nothing was ever flashed.
pub const BLANK: &str = "boot loader and partition table are erased: this unit is blank";

/// Advice for flash that differs twice.
pub(super) const WRITTEN_TWICE: &str =
    "it was written twice: the flash chip is bad, or its supply; scrap or rework the unit";

/// No line of an application since the reset.
pub fn never_started(within_s: u64) -> Diagnosis {
    let message = format!("no application started within {within_s} s of the reset");
    Diagnosis::new(Code::BootSilent, message)
}

/// The port was away when the unit started, or the connection to it lost, and nothing came afterwards.
pub fn not_heard() -> Diagnosis {
    let message = "nobody heard the unit start: the port was away, or the connection to it lost, and nothing of an application was heard afterwards";
    Diagnosis::new(Code::NestUnsure, message)
}

/// No line of an application after the unit was to restart by itself; `otherwise` is what it did.
pub fn not_restarted(otherwise: &str, within_s: u64) -> Diagnosis {
    Diagnosis::new(Code::BootSilent, format!("the unit {otherwise} within {within_s} s"))
}

/// A unit restarts where its network cannot be: many a firmware does, when it finds none.
pub fn without_its_network(cause: Diagnosis) -> Diagnosis {
    let message = format!("{}; its network cannot be there on this device", cause.message);
    let action = "let the firmware go on without its network, or run the unit on a device that has it: simulator:, qemu: or a port";
    Diagnosis { action: action.to_owned(), ..Diagnosis::new(Code::EmulatorFailed, message) }
}

/// A line that was waited for is missing in a log of which lines were lost.
pub fn console_full(lost: usize, missing: &str) -> Diagnosis {
    Diagnosis::new(Code::ConsoleFull, super::console_full(lost, missing))
}

/// A value cannot be typed: nobody's fault but the value's, and nothing was typed.
pub fn not_sayable(name: &str, reason: impl Display) -> Diagnosis {
    Diagnosis::new(Code::ConsoleNotSayable, format!("{name}: {reason}"))
}

/// The unit has another network open than the planned one.
pub fn other_portal_network(found: &str, expected: &str, reason: u16) -> Diagnosis {
    Diagnosis::new(
        Code::PortalUnreachable,
        format!(
            "the unit's own network is {found}, expected is {expected}; joining it failed with reason {reason}"
        ),
    )
}

/// The unit opened no network.
pub fn no_portal_network(ssid: &str, waited_s: u64, complaint: &str) -> Diagnosis {
    let message = format!("the unit opened no network {ssid} in {waited_s} s{complaint}");
    Diagnosis::new(Code::PortalUnreachable, message)
}

/// Nothing listens in the unit's network.
pub fn no_portal(address: impl Display, error: impl Display) -> Diagnosis {
    Diagnosis::new(
        Code::PortalUnreachable,
        format!("nothing listens at {address} in the unit's network: {error}"),
    )
}

/// What was written is not what the flash holds.
pub fn written_differs(name: &str, seen: &SpanDigest) -> Diagnosis {
    let at = places(&seen.differs);
    let again =
        if seen.rewritten.is_some() { ", and again after it was written once more" } else { "" };
    let message = format!("{name} differs from what was written at {at}{again}");
    let diagnosis = Diagnosis::new(Code::RegionDiffers, message);
    match seen.rewritten {
        Some(_) => Diagnosis { action: WRITTEN_TWICE.to_owned(), ..diagnosis },
        None => diagnosis,
    }
}

/// The firmware that writes the values did not say that it has.
pub fn factory_firmware_silent(expected: &str, within_s: u64, last: &str) -> Diagnosis {
    Diagnosis::new(
        Code::FactoryFirmwareSilent,
        format!(
            "the provisioning firmware did not say \"{expected}\" in {within_s} s; its last line is \"{last}\""
        ),
    )
}

/// The firmware that writes the values says that it could not.
pub fn factory_firmware_failed(line: &str) -> Diagnosis {
    Diagnosis::new(Code::FirmwareConfiguration, format!("the provisioning firmware says: {line}"))
}

/// The unit's NVS partition cannot be edited.
pub fn nvs_unchangeable(reason: impl Display) -> Diagnosis {
    Diagnosis::new(
        Code::NvsDamaged,
        format!("the unit's NVS partition cannot be changed: {reason}"),
    )
}

/// A firmware or a client cannot be made of what the station has.
pub fn station(reason: impl Display) -> Diagnosis {
    Diagnosis::new(Code::StationState, reason.to_string())
}

/// A service refused the bench's call or answered nonsense; the client of the service knows the code.
pub fn service_call(code: Code, url: &str, error: impl Display) -> Diagnosis {
    Diagnosis::new(code, format!("{url}: {error}"))
}

/// The provisioning server gives another user than the planned one. What it gives is not repeated: it may
/// be the password in the wrong field.
pub fn other_user(given_bytes: usize, planned: &str) -> Diagnosis {
    Diagnosis::new(
        Code::ConfigMalformed,
        format!(
            "the provisioning server gives an MQTT user of {given_bytes} bytes that is not the planned {planned}"
        ),
    )
}

/// The provisioning server gives another password than the plan's scheme makes.
pub fn other_password(schemes: &str) -> Diagnosis {
    Diagnosis::new(
        Code::ConfigMalformed,
        format!(
            "the provisioning server gives another MQTT password than the planned scheme makes: its salt differs, or its scheme ({schemes})"
        ),
    )
}

impl Answered {
    /// No answer among these lines. What a firmware logs meanwhile, it would have logged to nobody.
    pub fn missing(lines: &[String]) -> Self {
        let (logged, said): (Vec<&String>, Vec<&String>) =
            lines.iter().partition(|line| is_logged(line));
        let shown = |lines: Vec<&String>| lines.into_iter().take(LINES_SHOWN).cloned().collect();
        Self::Missing { said: shown(said), logged: shown(logged) }
    }
}

impl ExchangeObservation {
    /// Lines of an answer that are kept.
    pub const LINES_SHOWN: usize = LINES_SHOWN;

    /// Why the answer is not good; `None` when it is.
    pub fn problem(&self) -> Option<Diagnosis> {
        let Self { sent, within_s, complaint, .. } = self;
        let quoted = |lines: &[String]| lines.join("\" and \"");
        let expected = quoted(&self.expected);
        let twice = self.earlier.as_ref().map_or("", |_| "; the line was typed twice");
        Some(match &self.answered {
            Answered::Well => return None,
            Answered::Refused(line) => Diagnosis::new(
                Code::ConsoleRefused,
                format!(
                    "the unit refused \"{sent}\": it says \"{line}\", expected is \"{expected}\"{twice}"
                ),
            ),
            Answered::Missing { said, .. } if said.is_empty() && self.misses.is_some() => {
                let misses = self.misses.as_deref().unwrap_or_default();
                Diagnosis::new(
                    Code::FirmwareConfiguration,
                    format!(
                        "the firmware says: {misses}; it gave no answer to \"{sent}\" in {within_s} s{twice}"
                    ),
                )
            }
            Answered::Missing { said, logged } if said.is_empty() => {
                let only = match logged.as_slice() {
                    [] => String::new(),
                    lines => format!(" but logged \"{}\"", quoted(lines)),
                };
                Diagnosis::new(
                    Code::ConsoleSilent,
                    format!(
                        "the unit gave no answer to \"{sent}\" in {within_s} s{only}; expected is \"{expected}\"{complaint}{twice}"
                    ),
                )
            }
            Answered::Missing { said, .. } => Diagnosis::new(
                Code::ConsoleUnexpected,
                format!(
                    "the unit answered \"{sent}\" with \"{}\" in {within_s} s; expected is \"{expected}\"{twice}",
                    quoted(said)
                ),
            ),
        })
    }
}

/// What of the testbed a need of a line is.
pub fn testbed_of(need: Need) -> Code {
    match need {
        Need::Wifi => Code::TestbedAccessPoint,
        Need::Broker => Code::TestbedBroker,
        Need::Ca => Code::TestbedCa,
    }
}

impl ExchangeObservation {
    /// Whose fault an answer that is not good is: the unit's, unless it depends on something of the bench
    /// that nobody found sound.
    pub fn blame(&self) -> Option<Blame> {
        let problem = self.problem()?;
        let Some(testbed) = self.depends_on else { return Some(Blame::Unit(problem)) };
        let said = problem.message;
        Some(match &self.witness {
            Some(witness) if witness.is_sound() => {
                let message = format!("{said}; {}", witness.detail());
                Blame::Unit(Diagnosis::new(problem.code, message))
            }
            Some(witness) => {
                Blame::Testbed(Diagnosis::new(testbed, format!("{}; {said}", witness.detail())))
            }
            None => Blame::Testbed(Diagnosis::new(
                testbed,
                format!("{said}; no witness tells whether the bench was sound"),
            )),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{ProbeReport, Witness};

    /// A silent unit that connected meanwhile was said to have answered with its log.
    #[test]
    fn a_log_that_goes_on_is_no_answer() {
        let problem = |lines: &[&str]| {
            let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
            let seen = ExchangeObservation {
                measured: None,
                sent: "status".to_owned(),
                answer: Vec::new(),
                earlier: None,
                restarted: false,
                answered: Answered::missing(&lines),
                expected: vec!["OK".to_owned()],
                within_s: 5,
                complaint: String::new(),
                misses: None,
                took_ms: 5000,
                depends_on: None,
                witness: None,
            };
            seen.problem().expect("a problem")
        };
        let connected = "I (1391) zc: MQTT_EVENT_CONNECTED";
        let silent = problem(&[connected]);
        assert_eq!(silent.code, Code::ConsoleSilent);
        assert!(silent.message.contains(connected), "{}", silent.message);
        let answered = problem(&[&[connected; LINES_SHOWN][..], &["I am no log"]].concat());
        assert_eq!(answered.code, Code::ConsoleUnexpected);
        assert!(answered.message.contains("with \"I am no log\" in"), "{}", answered.message);
    }

    #[test]
    fn a_line_that_depends_on_the_bench_blames_the_unit_on_a_witness_only() {
        let report = |outcome| ProbeReport { tried: "join Lab".to_owned(), outcome };
        let sound = Some(Witness::of_probe(report(Ok("joined Lab".to_owned()))));
        let broken = Some(Witness::of_probe(report(Err("reason 201".to_owned()))));
        let blame = |depends_on: Option<Code>, witness: Option<Witness>| {
            let seen = ExchangeObservation {
                measured: None,
                sent: "join Lab".to_owned(),
                answer: Vec::new(),
                earlier: None,
                restarted: false,
                answered: Answered::Refused("ERROR".to_owned()),
                expected: Vec::new(),
                within_s: 5,
                complaint: String::new(),
                misses: None,
                took_ms: 1,
                depends_on,
                witness,
            };
            match seen.blame().expect("it did not answer well") {
                Blame::Unit(problem) => (true, problem.code),
                Blame::Testbed(problem) => (false, problem.code),
            }
        };
        let wifi = Some(testbed_of(Need::Wifi));
        assert_eq!(blame(None, None), (true, Code::ConsoleRefused));
        assert_eq!(blame(wifi, sound), (true, Code::ConsoleRefused));
        assert_eq!(blame(wifi, broken), (false, Code::TestbedAccessPoint));
        assert_eq!(blame(wifi, None), (false, Code::TestbedAccessPoint));
    }
}

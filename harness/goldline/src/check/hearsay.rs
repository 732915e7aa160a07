//! What would be held against a unit on the word of its console alone, heard once.
//!
//! One bit on the wire makes another address, signal or id of the right one. What the network, the broker
//! or the flash tell is no hearsay, nor is a crash, a reset or an application that never starts: a unit that
//! fails in these ways now and then is a bad one. A secret is none either, for no one bit makes one.
//! Must not decide what is done about it.

use super::{Finding, Hearsay, LogFacts, Observations, device_id, network_join, signal, wifi_join};
use crate::{
    profile::{CheckId, CheckSpec, Profile},
    record::{Code, Diagnosis, Outcome},
};

/// Complaints about an answer to what was typed.
const TYPED: [Code; 3] = [Code::ConsoleSilent, Code::ConsoleUnexpected, Code::ConsoleRefused];

impl Hearsay {
    /// What is known so far, by the checks of a profile; `facts` are those of the present boot. `None` when
    /// nothing would fail the unit, or something else would.
    pub fn among(profile: &Profile, seen: &Observations, facts: &LogFacts) -> Option<Self> {
        if facts.unexpected_resets() > 0 {
            return None;
        }
        if let Some((Outcome::Fail, diagnosis)) = device_id::judge(seen).blame {
            let check = Some(CheckId::DeviceId);
            return Some(Self { check, message: diagnosis.message });
        }
        profile.checks.iter().find_map(|spec| {
            let message = out_of_limits(spec, seen, facts)?;
            Some(Self { check: Some(spec.id), message })
        })
    }

    /// What ended a run, where a line that came once would have prevented that.
    pub fn of_stop(stop: &Diagnosis, seen: &Observations, facts: &LogFacts) -> Option<Self> {
        if facts.unexpected_resets() > 0 {
            return None;
        }
        let restarted = || {
            let last = seen.dialogues.last().and_then(|dialogue| dialogue.exchanges.last());
            last.is_some_and(|exchange| exchange.restarted)
        };
        let once =
            stop.code == Code::FactoryFirmwareSilent || TYPED.contains(&stop.code) && restarted();
        once.then(|| Self { check: None, message: stop.message.clone() })
    }
}

/// Why a unit that is in its network would fail to be there as it must, where only its log says so.
fn out_of_limits(spec: &CheckSpec, seen: &Observations, facts: &LogFacts) -> Option<String> {
    let join = seen.join.as_ref().filter(|join| join.is_in())?;
    let mut finding = Finding::ran();
    match spec.id {
        CheckId::WifiJoin => {
            wifi_join::measure(spec, join, facts, seen.path.as_ref(), &mut finding);
        }
        CheckId::NetworkJoin => network_join::measure(spec, join, facts, &mut finding),
        _ => return None,
    }
    let (_, diagnosis) = finding.blame?;
    let mut missed = finding.measurements.iter().filter(|one| one.outcome != Outcome::Pass);
    missed.all(|one| signal::OF_UNIT.has(&one.name)).then_some(diagnosis.message)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use rstest::rstest;

    use super::*;
    use crate::{
        check::{
            Answered, DeviceIdObservation, DialogueObservation, ExchangeObservation,
            JoinObservation, UnitLog,
        },
        device::ConsoleLine,
        profile::find,
    };

    const GIVEN: Ipv4Addr = Ipv4Addr::new(127, 77, 0, 2);

    fn facts(lines: &[&str]) -> LogFacts {
        let start = ["rst:0x1 (POWERON_RESET),boot:0x13", "I (9) main_task: Calling app_main()"];
        let line = |text: &&str| ConsoleLine { at_ms: 0, text: (*text).to_owned() };
        UnitLog::of(start.iter().chain(lines).map(line).collect()).facts().clone()
    }

    fn joined(after_ms: u64) -> Observations {
        let join = JoinObservation {
            address: Some(GIVEN),
            joined_after_ms: Some(after_ms),
            address_shown: true,
            ..JoinObservation::default()
        };
        Observations { join: Some(join), ..Observations::default() }
    }

    const ADDRESS: &str = "I (99) esp_netif_handlers: sta ip: 127.77.0.2, mask: 255.0.0.0";
    const SIGNAL: &str = "I (98) wifi:security: WPA2-PSK, phy: bgn, rssi: -45";

    #[rstest]
    #[case::sound(&[ADDRESS, SIGNAL], 700, None)]
    #[case::another_address(&["sta ip: 127.77.0.3", SIGNAL], 700, Some("127.77.0.3"))]
    #[case::weak(&[ADDRESS, "wifi: rssi: -85"], 700, Some("rssi is -85"))]
    #[case::no_signal(&[ADDRESS, "wifi: rsri: -45"], 700, Some("rssi was never measured"))]
    #[case::slow_too(&["sta ip: 127.77.0.3", SIGNAL], 15_001, None)]
    #[case::slow(&[ADDRESS, SIGNAL], 15_001, None)]
    #[case::reset_once(&["sta ip: 127.77.0.3", "rst:0xc (SW_CPU_RESET)"], 700, None)]
    #[case::crashed(&["sta ip: 127.77.0.3", "Guru Meditation Error"], 700, None)]
    fn what_only_the_log_says_of_a_join_is_hearsay(
        #[case] lines: &[&str],
        #[case] after_ms: u64,
        #[case] expected: Option<&str>,
    ) {
        let profile = find("safesignal", None).expect("a shipped profile");
        let found = Hearsay::among(&profile, &joined(after_ms), &facts(lines));
        let message = found.map(|hearsay| hearsay.message);
        match (message, expected) {
            (Some(message), Some(expected)) => assert!(message.contains(expected), "{message}"),
            (message, expected) => assert_eq!(message.as_deref(), expected),
        }
    }

    #[test]
    fn a_unit_that_is_not_in_its_network_is_bad_by_more_than_its_word() {
        let profile = find("safesignal", None).expect("a shipped profile");
        let mut seen = joined(700);
        seen.join.as_mut().expect("some").address = None;
        let said = facts(&["sta ip: 127.77.0.3", "wifi: rssi: -85"]);
        assert_eq!(Hearsay::among(&profile, &seen, &said), None);
    }

    #[test]
    fn an_id_that_was_printed_once_is_hearsay_while_all_was_heard() {
        let profile = find("ble-gateway", None).expect("a shipped profile");
        let mut seen = Observations {
            device_id: Some(DeviceIdObservation {
                found: Some("240AC4000111".to_owned()),
                expected: "240AC4000110".to_owned(),
                ..DeviceIdObservation::default()
            }),
            ..Observations::default()
        };
        let check = |seen: &Observations| {
            Hearsay::among(&profile, seen, &facts(&[])).and_then(|hearsay| hearsay.check)
        };
        assert_eq!(check(&seen), Some(CheckId::DeviceId));
        seen.device_id = Some(DeviceIdObservation::default());
        assert_eq!(check(&seen), Some(CheckId::DeviceId), "missing");
        seen.lines_lost = 1;
        assert_eq!(check(&seen), None, "nobody knows that it is missing");
    }

    #[rstest]
    #[case::a_firmware_that_writes(Code::FactoryFirmwareSilent, false, true)]
    #[case::restarted(Code::ConsoleUnexpected, true, true)]
    #[case::typed_twice(Code::ConsoleUnexpected, false, false)]
    #[case::never_started(Code::BootSilent, false, false)]
    #[case::no_portal(Code::PortalUnreachable, true, false)]
    fn a_stop_that_a_line_would_have_prevented_is_hearsay(
        #[case] code: Code,
        #[case] restarted: bool,
        #[case] expected: bool,
    ) {
        let exchange = ExchangeObservation {
            measured: None,
            sent: "reset".to_owned(),
            answer: Vec::new(),
            earlier: None,
            restarted,
            answered: Answered::missing(&[]),
            expected: vec!["OK".to_owned()],
            within_s: 5,
            complaint: String::new(),
            misses: None,
            took_ms: 5000,
            depends_on: None,
            witness: None,
        };
        let dialogue =
            DialogueObservation { name: "provision".to_owned(), exchanges: vec![exchange] };
        let seen = Observations { dialogues: vec![dialogue], ..Observations::default() };
        let stop = Diagnosis::new(code, "something is missing");
        let found = Hearsay::of_stop(&stop, &seen, &facts(&[]));
        assert_eq!(found.is_some(), expected);
        let reset = facts(&["rst:0x7 (TG0WDT_SYS_RESET)"]);
        assert_eq!(Hearsay::of_stop(&stop, &seen, &reset), None);
    }
}

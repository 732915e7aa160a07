//! What a contact of the nest or its supply can do as well as the unit: a real one that is silent, or whose
//! supply breaks down, is bad only where the nest is known to be good, and nothing here knows that yet.
//!
//! Must not know how ports are opened.

use super::{Failure, Run};
use crate::{
    check::LogFacts,
    record::{Code, Diagnosis},
};

/// Where a unit stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stand {
    /// In a nest, on contacts.
    Nest,
    /// In memory, where nothing comes loose.
    Simulated,
}

impl Stand {
    /// What stopped a unit, or the nest's own possible fault.
    pub(super) fn excuses(self, failure: Failure, facts: &LogFacts, lines: usize) -> Failure {
        let Failure::Unit(diagnosis) = failure else { return failure };
        if self == Self::Simulated {
            return Failure::Unit(diagnosis);
        }
        let what = if lines == 0 {
            "the unit printed nothing"
        } else if facts.lost_supply() {
            "the unit's supply broke down"
        } else {
            return Failure::Unit(diagnosis);
        };
        let message = format!("{what}, which a contact or the nest's supply can do too");
        Failure::Service(Diagnosis::new(
            Code::NestUnsure,
            format!("{message}: {}", diagnosis.message),
        ))
    }
}

impl Run {
    /// A unit that ran, and what stopped it.
    pub(super) fn excused_by_nest(&self, failure: Failure) -> Failure {
        match (self.running(), self.console()) {
            (Ok(_), Ok(console)) => {
                self.stand.excuses(failure, &self.hearing.facts(), console.printed())
            }
            _ => failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{check::UnitLog, device::ConsoleLine};

    const START: &str = "rst:0x1 (POWERON_RESET),boot:0x13";

    #[rstest]
    #[case::silent(&[], Code::NestUnsure)]
    #[case::brown_out(&[START, "E BOD: Brownout detector was triggered"], Code::NestUnsure)]
    #[case::brown_out_reset(&[START, "rst:0xf (RTCWDT_BROWN_OUT_RESET),boot:0x13"], Code::NestUnsure)]
    #[case::panic(&[START, "Guru Meditation Error: Core  0 panic'ed"], Code::BootLoop)]
    #[case::watchdog(&[START, "rst:0x8 (TG1WDT_SYS_RESET),boot:0x13"], Code::BootLoop)]
    #[case::other(&[START, "I (9) main_task: Calling app_main()"], Code::BootLoop)]
    fn a_nest_may_be_silent_or_weak_and_cannot_panic(#[case] lines: &[&str], #[case] code: Code) {
        let line = |text: &&str| ConsoleLine { at_ms: 0, text: (*text).to_owned() };
        let log = UnitLog::of(lines.iter().map(line).collect());
        let failure = || Failure::Unit(Diagnosis::new(Code::BootLoop, "it does not start"));
        let said = Stand::Nest.excuses(failure(), log.facts(), lines.len());
        assert_eq!(said.diagnosis().code, code);
        assert_eq!(said.blames_unit(), code != Code::NestUnsure);
        let said = Stand::Simulated.excuses(failure(), log.facts(), lines.len());
        assert!(said.blames_unit());
    }
}

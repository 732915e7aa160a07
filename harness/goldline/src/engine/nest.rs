//! What a contact of the nest or its supply can do as well as the unit: a real one that is silent, or whose
//! supply breaks down, is bad only where somebody knows that the nest is good.
//!
//! Must not know how ports are opened, or nests switched.

use std::{future::Future, pin::Pin, sync::Arc};

use super::{Failure, Run};
use crate::{
    check::{LogFacts, Lost, NestDoubt},
    identity::Mac,
    record::{Code, Diagnosis},
};

/// Makes a nest ready before its port is opened; it may be told to give up. Blocks.
pub type PrepareNest = Box<dyn FnOnce(&dyn Fn() -> bool) -> Result<(), Diagnosis> + Send>;

/// What of a nest may be at fault in the place of its unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Doubt {
    /// Its contacts, or its supply.
    Contacts,
    /// The way from it into the network: who vouches for contacts and supply knows nothing of that.
    Network,
    /// The way of its radio to an access point.
    Radio,
    /// The way of the bench's radio to the network that a unit opens there.
    Portal,
}

/// Whether the nest of a unit is known to be good, and by what; or why nobody knows.
pub type AskNest = Arc<
    dyn Fn(Doubt, Option<Mac>) -> Pin<Box<dyn Future<Output = Result<String, String>> + Send>>
        + Send
        + Sync,
>;

/// Where a unit stands.
#[derive(Clone)]
pub enum Stand {
    /// On contacts, and who knows of them.
    Nest(Option<AskNest>),
    /// In memory, where nothing comes loose.
    Simulated,
}

impl Stand {
    /// Whether it is a nest of which somebody knows.
    pub(super) fn is_nest(&self) -> bool {
        matches!(self, Self::Nest(Some(_)))
    }

    /// What is known of the nest.
    pub(super) async fn vouched(self, doubt: Doubt, mac: Option<Mac>) -> Result<String, String> {
        match self {
            Self::Nest(Some(ask)) => ask(doubt, mac).await,
            Self::Nest(None) | Self::Simulated => {
                Err("no [[nest]] of a station file vouches for it".to_owned())
            }
        }
    }

    /// What stopped a unit, or the nest's own possible fault.
    async fn excuses(
        self,
        failure: Failure,
        mac: Option<Mac>,
        facts: &LogFacts,
        lines: usize,
    ) -> Failure {
        let (mut diagnosis, stand) = match (failure, self) {
            (Failure::Unit(diagnosis), stand @ Self::Nest(_)) => (diagnosis, stand),
            (failure, _) => return failure,
        };
        let Some(lost) = lost(facts, lines) else { return Failure::Unit(diagnosis) };
        match stand.vouched(Doubt::Contacts, mac).await {
            Ok(witness) => {
                diagnosis.message += &format!("; witness: {witness}");
                Failure::Unit(diagnosis)
            }
            Err(why) => {
                let what = lost.words();
                let message = format!(
                    "{what}, which a contact or the nest's supply can do too, and {why}: {}",
                    diagnosis.message
                );
                Failure::Service(Diagnosis::new(Code::NestUnsure, message))
            }
        }
    }
}

/// What a nest can lose as well as the unit in it.
fn lost(facts: &LogFacts, lines: usize) -> Option<Lost> {
    match () {
        () if lines == 0 => Some(Lost::Words),
        () if facts.lost_supply() => Some(Lost::Supply),
        () => None,
    }
}

impl Run {
    /// What is known of the nest of a unit that was tried to the end, and said nothing or lost its supply: its checks
    /// are judged by that.
    pub(super) async fn ask_after_nest(&mut self) {
        let stand @ Stand::Nest(_) = self.stand.clone() else { return };
        let Some(device) = &self.device else { return };
        // What is kept of the log, and of that only what the unit itself said.
        let printed = device.line().console().printed_by_unit();
        let lost = lost(self.seen.console.facts(), printed);
        if let Some(lost) = lost.filter(|_| self.seen.booted && self.seen.stopped.is_none()) {
            let mac = self.seen.chip.as_ref().map(|chip| chip.mac);
            let known = stand.vouched(Doubt::Contacts, mac).await;
            self.seen.nest = Some(NestDoubt { lost, known });
        }
    }

    /// Has the nest made ready, where the unit lies in one.
    pub(super) async fn prepare_nest(&mut self) -> Result<(), Failure> {
        let Some(prepare) = self.prepare.take() else { return Ok(()) };
        let cancel = self.cancel.clone();
        let prepared = tokio::task::spawn_blocking(move || prepare(&|| cancel.is_cancelled()));
        match prepared.await? {
            Err(_) if self.cancel.is_cancelled() => Err(Failure::Aborted),
            prepared => prepared.map_err(Failure::Service),
        }
    }

    /// A unit that ran, and what stopped it.
    pub(super) async fn excused_by_nest(&mut self, failure: Failure) -> Failure {
        let (Ok(_), Ok(console)) = (self.running(), self.console()) else { return failure };
        let (facts, printed) = (self.hearing.facts(), console.printed_by_unit());
        let mac = self.seen.chip.as_ref().map(|chip| chip.mac);
        self.stand.clone().excuses(failure, mac, &facts, printed).await
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{check::UnitLog, device::ConsoleLine};

    const START: &str = "rst:0x1 (POWERON_RESET),boot:0x13";

    async fn said(stand: Stand, lines: &[&str]) -> Failure {
        let line = |text: &&str| ConsoleLine { at_ms: 0, text: (*text).to_owned() };
        let log = UnitLog::of(lines.iter().map(line).collect());
        let failure = Failure::Unit(Diagnosis::new(Code::BootLoop, "it does not start"));
        stand.excuses(failure, None, log.facts(), lines.len()).await
    }

    fn nest(known: Result<&'static str, &'static str>) -> Stand {
        let known = known.map(str::to_owned).map_err(str::to_owned);
        Stand::Nest(Some(Arc::new(move |_, _| {
            let known = known.clone();
            Box::pin(async { known })
        })))
    }

    #[rstest]
    #[case::silent(&[], Code::NestUnsure)]
    #[case::brown_out(&[START, "E BOD: Brownout detector was triggered"], Code::NestUnsure)]
    #[case::brown_out_reset(&[START, "rst:0xf (RTCWDT_BROWN_OUT_RESET),boot:0x13"], Code::NestUnsure)]
    #[case::panic(&[START, "Guru Meditation Error: Core  0 panic'ed"], Code::BootLoop)]
    #[case::watchdog(&[START, "rst:0x8 (TG1WDT_SYS_RESET),boot:0x13"], Code::BootLoop)]
    #[case::other(&[START, "I (9) main_task: Calling app_main()"], Code::BootLoop)]
    #[tokio::test]
    async fn a_nest_may_be_silent_or_weak_and_cannot_panic(
        #[case] lines: &[&str],
        #[case] code: Code,
    ) {
        for stand in [Stand::Nest(None), nest(Err("nobody knows"))] {
            let said = said(stand, lines).await;
            assert_eq!(said.diagnosis().code, code);
            assert_eq!(said.blames_unit(), code != Code::NestUnsure);
        }
        let known = said(nest(Ok("the nest 3 passed another unit 4 min ago")), lines).await;
        assert_eq!((known.diagnosis().code, known.blames_unit()), (Code::BootLoop, true));
        let is_told = known.diagnosis().message.contains("witness: the nest 3 passed");
        assert_eq!(is_told, code == Code::NestUnsure, "only where it was asked");
        assert!(said(Stand::Simulated, lines).await.blames_unit());
    }

    #[tokio::test]
    async fn who_does_not_know_the_nest_says_why() {
        let said = said(nest(Err("its last PASS is 3 h old")), &[]).await.diagnosis();
        assert!(
            said.message.contains("can do too, and its last PASS is 3 h old: it does"),
            "{said:?}"
        );
    }
}

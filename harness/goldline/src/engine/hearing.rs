//! What the unit prints, heard line by line as it arrives: each line is read once, and none is missed
//! for want of room.
//!
//! Facts are made here; a line that somebody waits for, or that holds a secret, is kept. Must not judge,
//! and waits for nothing.

use std::sync::{Arc, Mutex, MutexGuard};

use regex::Regex;

use crate::{
    check::{LogFacts, plain},
    device::Listener,
    identity::Mac,
    plan::BoundPlan,
    secret::Secret,
};

/// The ears of a run; clones share them.
#[derive(Clone, Default)]
pub(super) struct Hearing(Arc<Mutex<Heard>>);

#[derive(Default)]
struct Heard {
    facts: LogFacts,
    secrets: Vec<Secret>,
    /// How the unit prints its id.
    device_id: Option<Regex>,
    /// What is waited for in every boot, and what is at the moment.
    standing: Vec<String>,
    awaited: Vec<String>,
}

impl Hearing {
    /// What the log of the present boot claims so far.
    pub(super) fn facts(&self) -> LogFacts {
        self.heard().facts.clone()
    }

    /// Whether they claim what no wait outlasts; asked at every line of a talkative unit.
    pub(super) fn ends_waiting(&self) -> bool {
        self.heard().facts.ends_waiting()
    }

    /// The unit is told to restart now.
    pub(super) fn expect_restart(&self) {
        self.heard().facts.ask_for_restart();
    }

    /// The unit will reset once more, for whatever reason.
    pub(super) fn excuse_reset(&self) {
        self.heard().facts.excuse_reset();
    }

    /// Whose lines they are from now on.
    pub(super) fn know(&self, unit: Mac, plan: &BoundPlan) {
        let profile = plan.profile();
        let scraped = profile.console.as_ref().and_then(|console| console.device_id.as_ref());
        let mut heard = self.heard();
        heard.secrets = plan.bindings().secret_parts();
        heard.device_id = scraped.map(|scraped| scraped.pattern.clone());
        heard.standing = scraped.map(|_| unit.with_dropped_zeros()).into_iter().collect();
        heard.standing.extend(profile.time.iter().filter_map(|time| time.expect.clone()));
        heard.standing.extend(profile.factory.iter().map(|factory| factory.expect.clone()));
    }

    /// Lines with these texts are waited for now, and those of the last time no more.
    pub(super) fn expect(&self, texts: Vec<String>) {
        self.heard().awaited = texts;
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().expect("no thread panics while it hears a line")
    }
}

impl Listener for Hearing {
    fn begin(&mut self) {
        self.heard().facts = LogFacts::default();
    }

    fn hear(&mut self, text: &str) -> bool {
        let text = &*plain(text);
        let mut heard = self.heard();
        heard.facts.take(text) || heard.is_waited_for(text)
    }
}

impl Heard {
    fn is_waited_for(&self, text: &str) -> bool {
        self.secrets.iter().any(|secret| text.contains(secret.expose()))
            || self.standing.iter().chain(&self.awaited).any(|waited| text.contains(waited))
            || self.device_id.as_ref().is_some_and(|pattern| pattern.is_match(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_kept_when_it_tells_something_or_is_waited_for() {
        let hearing = Hearing::default();
        let mut listener = hearing.clone();
        listener.begin();
        assert!(listener.hear("I (768) wifi:security: WPA2-PSK, phy: bgn, rssi: -45"));
        assert!(!listener.hear("I (769) app: 17"));
        assert!(!listener.hear("OK saved"));
        hearing.expect(vec!["OK".to_owned()]);
        assert!(listener.hear("OK saved"));
        assert_eq!(hearing.facts().signals_dbm, [-45]);
        listener.begin();
        assert_eq!(hearing.facts(), LogFacts::default(), "another boot is another log");
    }
}

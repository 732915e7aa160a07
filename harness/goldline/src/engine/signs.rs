//! What a unit shows while it is waited for in the network, and since when: enough to go on, or to stop.
//!
//! Some signs count only when nothing better came in a while. Must not wait by itself, nor judge.

use std::{net::Ipv4Addr, time::Duration};

use tokio::time::Instant;

use crate::{check::LogFacts, device::CAUGHT_UP};

/// A unit that uses its address may print it a little later, behind what it measured.
const PRINTED_WITHIN: Duration = Duration::from_secs(2);
/// What is limited is printed within this, or never.
const MEASURED_WITHIN: Duration = Duration::from_secs(10);
/// A unit that said that it goes no further, and why, may join all the same.
const CHANGED_ITS_MIND: Duration = Duration::from_secs(1);
/// And one that did not say why.
const SAID_NO_REASON: Duration = Duration::from_secs(5);

/// What was seen, and since when.
pub(super) struct Signs {
    /// How many samples of the signal the profile asks for, which only the log can tell.
    wanted_signals: usize,
    signals: usize,
    /// When more was said than was heard: the network is ahead of the log then, and nothing is missing there.
    behind: Option<Instant>,
    /// Both ends know the address.
    joined: bool,
    /// It is used or known, and something of it was not printed yet.
    used: Option<Instant>,
    gave_up: Option<Instant>,
    /// It said what it misses.
    reason: bool,
}

impl Signs {
    pub(super) fn new(wanted_signals: usize) -> Self {
        Self {
            wanted_signals,
            signals: 0,
            behind: None,
            joined: false,
            used: None,
            gave_up: None,
            reason: false,
        }
    }

    /// Takes what is known now: the log and when it was last behind, whether the network never heard of the
    /// unit, and its address with whether it is used.
    pub(super) fn note(
        &mut self,
        facts: &LogFacts,
        behind: Option<Instant>,
        untried: bool,
        address: Option<(Ipv4Addr, bool)>,
    ) {
        let now = Instant::now();
        self.behind = behind;
        self.signals = facts.signals_dbm.len();
        let since = |known: bool, before: Option<Instant>| known.then(|| before.unwrap_or(now));
        // The address counts when both ends know it, so that what follows does not race DHCP; and its line
        // comes after those about the signal.
        self.joined =
            address.is_some_and(|(given, _)| facts.address.is_some() || facts.names(given));
        self.used = since(self.joined || address.is_some_and(|(_, used)| used), self.used);
        let idle = untried && address.is_none() && facts.address.is_none();
        self.gave_up = since(idle && facts.gave_up.is_some(), self.gave_up);
        self.reason = facts.configuration.is_some();
    }

    /// Whether nothing more is to be waited for.
    pub(super) fn enough(&self) -> bool {
        self.joined && !self.owes_signal() || self.any() && self.next() <= Instant::now()
    }

    /// Whether time alone will be enough.
    pub(super) fn any(&self) -> bool {
        self.used.is_some() || self.gave_up.is_some()
    }

    /// When that will be.
    pub(super) fn next(&self) -> Instant {
        let patience = if self.reason { CHANGED_ITS_MIND } else { SAID_NO_REASON };
        let within = if self.owes_signal() { MEASURED_WITHIN } else { PRINTED_WITHIN };
        let caught_up = self.behind.map(|behind| behind + CAUGHT_UP);
        let used = self.used.map(|since| (since + within).max(caught_up.unwrap_or(since)));
        let gave_up = self.gave_up.map(|since| since + patience);
        used.into_iter().chain(gave_up).min().unwrap_or_else(Instant::now)
    }

    fn owes_signal(&self) -> bool {
        self.signals < self.wanted_signals
    }
}

/// Whether the log speaks of a unit that may be in its network.
pub(super) fn is_up(facts: &LogFacts) -> bool {
    facts.has_application() && (facts.disconnects.is_empty() || facts.sessions > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{check::UnitLog, device::ConsoleLine};

    const GIVEN: Ipv4Addr = Ipv4Addr::new(127, 77, 0, 2);

    fn facts(lines: &[&str]) -> LogFacts {
        let line = |text: &&str| ConsoleLine { at_ms: 0, text: (*text).to_owned() };
        UnitLog::of(lines.iter().map(line).collect()).facts().clone()
    }

    /// Whether it is enough, at once and after so long.
    async fn enough(
        lines: &[&str],
        address: Option<(Ipv4Addr, bool)>,
        after: Duration,
    ) -> (bool, bool) {
        let mut signs = Signs::new(0);
        let facts = facts(lines);
        signs.note(&facts, None, true, address);
        let at_once = signs.enough();
        tokio::time::advance(after).await;
        signs.note(&facts, None, true, address);
        (at_once, signs.enough())
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn an_address_counts_when_both_ends_know_it() {
        let printed = ["I (9) esp_netif_handlers: sta ip: 127.77.0.2, mask: 255.0.0.0"];
        assert!(enough(&printed, Some((GIVEN, false)), SECOND).await.0);
        assert_eq!(enough(&printed, None, 30 * SECOND).await, (false, false));
        assert!(
            enough(&["[WIFI] Got IP address: 127.77.0.2"], Some((GIVEN, false)), SECOND).await.0
        );
        let of_another = ["AP IP address: 192.168.4.1"];
        assert_eq!(enough(&of_another, Some((GIVEN, false)), 30 * SECOND).await, (false, false));
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_is_used_is_not_waited_for_in_the_log() {
        assert_eq!(enough(&[], Some((GIVEN, true)), SECOND).await, (false, false));
        assert_eq!(enough(&[], Some((GIVEN, true)), 2 * SECOND).await, (false, true));
    }

    /// A busy bench heard 25,000 lines more slowly than the unit got to its broker.
    #[tokio::test(start_paused = true)]
    async fn nothing_is_missing_from_a_log_that_was_not_heard_to_its_end() {
        let mut signs = Signs::new(0);
        for _ in 0..300 {
            signs.note(&LogFacts::default(), Some(Instant::now()), true, Some((GIVEN, true)));
            assert!(!signs.enough());
            tokio::time::advance(Duration::from_millis(100)).await;
        }
        tokio::time::advance(CAUGHT_UP).await;
        assert!(signs.enough());
    }

    #[tokio::test(start_paused = true)]
    async fn a_signal_is_waited_for_where_it_is_limited() {
        let printed = "I (9) esp_netif_handlers: sta ip: 127.77.0.2, mask: 255.0.0.0";
        let mut signs = Signs::new(1);
        signs.note(&facts(&[printed]), None, true, Some((GIVEN, true)));
        tokio::time::advance(5 * SECOND).await;
        assert!(!signs.enough());
        signs.note(&facts(&[printed, "rssi: -45"]), None, true, Some((GIVEN, true)));
        assert!(signs.enough());
        signs.note(&facts(&[printed]), None, true, Some((GIVEN, true)));
        tokio::time::advance(5 * SECOND).await;
        assert!(signs.enough(), "a unit that never prints it is not waited for without end");
    }

    #[tokio::test(start_paused = true)]
    async fn a_unit_that_says_that_it_stops_is_not_waited_for() {
        let stops = "E (381) vault: Device not provisioned!";
        let reason = "E (380) vault: Failed to load wifi_ssid from NVS: ESP_ERR_NVS_NOT_FOUND";
        assert_eq!(enough(&[reason, stops], None, SECOND).await, (false, true));
        assert_eq!(enough(&[stops], None, SECOND).await, (false, false));
        assert_eq!(enough(&[stops], None, 5 * SECOND).await, (false, true));
        assert_eq!(enough(&[reason], None, 30 * SECOND).await, (false, false), "it may cope");
        let restarted = [reason, stops, "I (9) main_task: Calling app_main()"];
        assert_eq!(enough(&restarted, None, 30 * SECOND).await, (false, false));
    }
}

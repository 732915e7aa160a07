//! Ports that go away together: a hub or its supply is one cause, and not one for each unit.
//!
//! Must not know what the ports hang on.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::watch, time::timeout};

use super::{Failure, Run};
use crate::{
    device::{DeviceError, Move, OnMove},
    record::{Code, Diagnosis},
};

/// A hub that goes takes its ports within a moment; the kernel says so of one after the other.
const TOGETHER: Duration = Duration::from_secs(2);

/// The ports that went away, of all runs that go on side by side.
#[derive(Clone)]
pub struct Outages {
    units: usize,
    departures: Arc<watch::Sender<Vec<Departure>>>,
}

/// A port that went. One run says so at once, another only when it has looked for its port in vain.
#[derive(Clone)]
struct Departure {
    port: String,
    at: Instant,
    is_back: bool,
}

impl Outages {
    /// Of so many units.
    pub fn among(units: usize) -> Self {
        Self { units, departures: Arc::new(watch::Sender::default()) }
    }

    /// Hears of the moves of a port.
    pub(super) fn listener(&self, port: &str) -> OnMove {
        let (this, port) = (self.clone(), port.to_owned());
        Box::new(move |moved| match moved {
            Move::Went(at) => this.note(&port, at),
            Move::Back => this.departures.send_modify(|departures| {
                let of_port = departures.iter_mut().filter(|departure| departure.port == port);
                of_port.for_each(|departure| departure.is_back = true);
            }),
        })
    }

    fn note(&self, port: &str, at: Instant) {
        let departure = Departure { port: port.to_owned(), at, is_back: false };
        self.departures.send_modify(|departures| departures.push(departure));
    }

    /// All ports that went in the same moment as one that did, this one among them. One that is back was reset, as a
    /// chip's own USB is.
    async fn with(&self, port: &str) -> Vec<String> {
        let went = |departures: &[Departure]| {
            let own = departures.iter().rfind(|one| one.port == port && !one.is_back);
            own.map(|departure| departure.at)
        };
        let known = went(&self.departures.borrow());
        let at = known.unwrap_or_else(|| {
            // Of what is no line nobody heard when it went.
            let now = Instant::now();
            self.note(port, now);
            now
        });
        let together = |departures: &[Departure]| -> Vec<String> {
            let near = |one: &&Departure| at.max(one.at) - at.min(one.at) <= TOGETHER;
            let gone = departures.iter().filter(|one| !one.is_back).filter(near);
            let mut ports: Vec<String> = gone.map(|departure| departure.port.clone()).collect();
            ports.sort();
            ports.dedup();
            ports
        };
        let mut seen = self.departures.subscribe();
        // No event tells that no other will go.
        let all = seen.wait_for(|departures| together(departures).len() >= self.units);
        let _not_all = timeout(TOGETHER.saturating_sub(at.elapsed()), all).await;
        let departures = self.departures.borrow().clone();
        together(&departures)
    }
}

impl Run {
    /// A port that went away, and what else did with it.
    pub(super) async fn one_of_several(&mut self, failure: Failure) -> Failure {
        let vanished = matches!(
            failure,
            Failure::PortVanished | Failure::Device(DeviceError::Vanished { .. })
        );
        if !vanished || self.cancel.is_cancelled() {
            return failure;
        }
        let ports = self.outages.with(&self.device_url).await;
        match ports.len() {
            0 | 1 => failure,
            several => {
                let message = format!(
                    "{several} ports went away within {} s: {}",
                    TOGETHER.as_secs(),
                    ports.join(", ")
                );
                Failure::Service(Diagnosis::new(Code::PortsVanished, message))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ports_that_go_together_are_one_outage_and_one_that_goes_alone_is_its_own() {
        let outages = Outages::among(3);
        let said = |port: &'static str| {
            let outages = outages.clone();
            tokio::spawn(async move { outages.with(port).await })
        };
        let (one, other) = (said("b"), said("a"));
        assert_eq!(one.await.expect("it ends"), ["a", "b"]);
        assert_eq!(other.await.expect("it ends"), ["a", "b"]);
        assert_eq!(Outages::among(3).with("c").await, ["c"]);
    }

    /// As it was: two causes, for the second was given up ten seconds later.
    #[tokio::test(start_paused = true)]
    async fn the_moment_counts_at_which_a_port_went_and_not_that_at_which_it_was_given_up() {
        let outages = Outages::among(3);
        let long_ago = Instant::now().checked_sub(Duration::from_secs(11)).expect("it was");
        outages.listener("running")(Move::Went(long_ago));
        outages.listener("writing")(Move::Went(long_ago + Duration::from_secs(1)));
        outages.listener("later")(Move::Went(Instant::now()));
        for port in ["writing", "running"] {
            assert_eq!(outages.with(port).await, ["running", "writing"]);
        }
        assert_eq!(outages.with("later").await, ["later"]);
    }

    /// Chips on a USB of their own are reset all the time.
    #[tokio::test(start_paused = true)]
    async fn a_port_that_is_back_is_no_part_of_an_outage() {
        let outages = Outages::among(2);
        let reset = outages.listener("reset");
        reset(Move::Went(Instant::now()));
        reset(Move::Back);
        outages.listener("pulled")(Move::Went(Instant::now()));
        assert_eq!(outages.with("pulled").await, ["pulled"]);
    }

    /// One unit, or all of them: nobody else is waited for.
    #[tokio::test(start_paused = true)]
    async fn nobody_waits_when_no_other_can_follow() {
        let began = tokio::time::Instant::now();
        assert_eq!(Outages::among(1).with("a").await, ["a"]);
        assert!(began.elapsed().is_zero());
    }
}

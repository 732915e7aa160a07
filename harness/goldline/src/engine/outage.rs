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
    device::DeviceError,
    record::{Code, Diagnosis},
};

/// A hub that goes takes its ports within a moment; the kernel says so of one after the other.
const TOGETHER: Duration = Duration::from_secs(2);

/// The ports that went away, of all runs that go on side by side.
#[derive(Clone)]
pub struct Outages {
    units: usize,
    lost: Arc<watch::Sender<Vec<(Instant, String)>>>,
}

impl Outages {
    /// Of so many units.
    pub fn among(units: usize) -> Self {
        Self { units, lost: Arc::new(watch::Sender::default()) }
    }

    /// Notes that a port went away, and gives all that did so in the same moment, this one among them.
    async fn note(&self, port: &str) -> Vec<String> {
        let now = Instant::now();
        let together = |lost: &[(Instant, String)]| -> Vec<String> {
            let near = |at: &Instant| now.max(*at) - now.min(*at) <= TOGETHER;
            let near = lost.iter().filter(|(at, _)| near(at)).map(|(_, port)| port.clone());
            let mut ports: Vec<String> = near.collect();
            ports.sort();
            ports
        };
        let mut seen = self.lost.subscribe();
        self.lost.send_modify(|lost| lost.push((now, port.to_owned())));
        // No event tells that no other will go.
        let all = seen.wait_for(|lost| together(lost).len() >= self.units);
        let _not_all = timeout(TOGETHER, all).await;
        let lost = self.lost.borrow().clone();
        together(&lost)
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
        let ports = self.outages.clone().note(&self.device_url.clone()).await;
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
        let noted = |port: &'static str| {
            let outages = outages.clone();
            tokio::spawn(async move { outages.note(port).await })
        };
        let (one, other) = (noted("b"), noted("a"));
        assert_eq!(one.await.expect("it ends"), ["a", "b"]);
        assert_eq!(other.await.expect("it ends"), ["a", "b"]);
        assert_eq!(Outages::among(3).note("c").await, ["c"]);
    }

    /// One unit, or all of them: nobody else is waited for.
    #[tokio::test(start_paused = true)]
    async fn nobody_waits_when_no_other_can_follow() {
        let began = tokio::time::Instant::now();
        assert_eq!(Outages::among(1).note("a").await, ["a"]);
        assert!(began.elapsed().is_zero());
    }
}

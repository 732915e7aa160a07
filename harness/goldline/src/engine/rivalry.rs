//! Two clients of one id put each other out, at a broker of others without a word. Only who takes the
//! unit's place while the unit is silent can tell: the bench itself, under the unit's own name.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    Failure, Run, millis,
    probing::{hold_as_unit, may_hold_as_unit},
};
use crate::check::{BrokerObservation, Observer, Witness};

/// Another client comes back within this: the reconnection delay of esp-mqtt and of most others, and more.
const HOLD: Duration = Duration::from_secs(12);

impl Run {
    /// After a failure at a broker that ended the unit's connections though it serves others: holds the unit
    /// in reset and takes its place. Whether it did; the unit runs no more then.
    pub(super) async fn look_for_rival(&mut self) -> Result<bool, Failure> {
        if self.may_have_namesake()? && may_hold_as_unit(self.bound()?, &self.bench) {
            return self.look_for_namesake().await;
        }
        // Who is put out has come through its handshake.
        let distrusts = self.hearing.facts().tls.is_some();
        if distrusts
            || !self.seen.broker.as_ref().is_some_and(may_have_rival)
            || !may_hold_as_unit(self.bound()?, &self.bench)
        {
            return Ok(false);
        }
        self.enter_loader().await?;
        let held = hold_as_unit(self.testbed()?, self.bound()?, &self.bench, HOLD).await?;
        if let Some(broker) = &mut self.seen.broker {
            match held {
                Ok(ended) => broker.rival_after_ms = ended.map(millis),
                Err(report) => broker.witness = Some(Witness::of_probe(report)),
            }
        }
        Ok(true)
    }

    /// The same on a site's network, where whoever comes with the unit's identity while the unit is held in reset is
    /// another, also one that the broker turns away.
    async fn look_for_namesake(&mut self) -> Result<bool, Failure> {
        self.enter_loader().await?;
        let then = Instant::now();
        let held = hold_as_unit(self.testbed()?, self.bound()?, &self.bench, HOLD).await?;
        let came = self.namesake_after(then)?;
        if let Some(broker) = &mut self.seen.broker {
            broker.rival_after_ms = came;
            if let Err(report) = held {
                broker.witness = Some(Witness::of_probe(report));
            }
        }
        Ok(true)
    }
}

fn may_have_rival(broker: &BrokerObservation) -> bool {
    let failed = !broker.accepted || broker.round_trip_ms.is_none();
    let sound = broker.witness.as_ref().is_some_and(Witness::is_sound);
    broker.observer == Observer::Client && broker.broken_off > 0 && failed && sound
}

//! The command that the unit must answer: its texts, and how a unit shows itself through a broker where
//! the bench sees nothing but messages.

use std::{future::pending, time::Duration};

use tokio::time::{Interval, MissedTickBehavior, interval};
use uuid::Uuid;

use super::{Failure, Run};
use crate::{plan::Text, profile::CommandRoundTrip, testbed::broker::Broker};

/// Often enough for a measured time, and seldom enough for a production broker.
const PERIOD: Duration = Duration::from_millis(250);

/// A command with this unit's values and a mark of its own.
pub(super) struct Said {
    pub(super) topic: String,
    pub(super) payload: String,
    pub(super) reply_topic: String,
    /// What the answer must hold.
    pub(super) expected: Vec<String>,
}

impl Run {
    pub(super) fn said(&self, command: &CommandRoundTrip) -> Result<Said, Failure> {
        let mut bindings = self.bound()?.bindings().clone();
        bindings.bind("nonce", Text::public(Uuid::new_v4().simple().to_string()))?;
        let text = |template| -> Result<String, Failure> {
            Ok(bindings
                .render(template)
                .map_err(crate::plan::MaterialError::from)?
                .expose()
                .to_owned())
        };
        Ok(Said {
            topic: text(&command.topic)?,
            payload: text(&command.payload)?,
            reply_topic: text(&command.reply_topic)?,
            expected: command.reply_contains.iter().map(text).collect::<Result<_, _>>()?,
        })
    }
}

/// A broker that is already there tells no client who else is connected: so the unit is asked for an
/// answer, again and again, until it subscribes and gives one.
pub(super) struct Pings(Option<(Said, Interval)>);

impl Pings {
    /// None at the built-in broker, which says by itself whom it accepted.
    pub(super) fn new(run: &Run, broker: &Broker) -> Result<Self, Failure> {
        let command = run.plan.profile.command().filter(|_| broker.is_external());
        let Some(command) = command else { return Ok(Self(None)) };
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self(Some((run.said(command)?, ticks))))
    }

    /// Sends the next one when it is due; for ever pending without any.
    pub(super) async fn next(&mut self, broker: &Broker) -> Result<(), Failure> {
        let Some((said, ticks)) = &mut self.0 else { return pending().await };
        ticks.tick().await;
        broker
            .publish(&said.topic, said.payload.as_bytes())
            .map_err(|error| Failure::Publish(error.to_string()))
    }
}

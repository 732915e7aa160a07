//! The installer's alert: asked for on the unit's console, it must arrive at the broker with the unit's
//! tenant and place.

use tokio::{task::spawn_blocking, time::Instant};

use super::{
    AskOperator, Failure, Run, millis,
    probing::{Talk, at_broker},
};
use crate::{
    check::AlertObservation, clock::Deadline, plan::InstallersAlert, profile::Template,
    testbed::broker::Connection,
};

impl Run {
    pub(super) async fn alert(&mut self, step: &InstallersAlert) -> Result<(), Failure> {
        let InstallersAlert { alert, line_end } = step;
        let plan = self.bound()?;
        let text = |template: &Template| -> Result<String, Failure> {
            Ok(plan.render(template)?.expose().to_owned())
        };
        let (send, topic) = (text(&alert.send)?, text(&alert.topic)?);
        let expected = alert.contains.iter().map(text).collect::<Result<Vec<_>, _>>()?;
        let typed = format!("{send}{}", line_end.text());
        let deadline = Deadline::after(self.plan.profile.deadlines.command);
        let sent = Instant::now();
        self.with_device(move |device| device.type_text(typed.as_bytes())).await?;

        let testbed = self.testbed()?;
        let broker = &testbed.broker;
        let alerts = |connection: &Connection| {
            let of_unit = connection.caller.is_unit();
            let messages = connection
                .published
                .iter()
                .filter(|(at, message)| of_unit && *at >= sent && message.topic == topic);
            messages
                .map(|(at, message)| (*at, String::from_utf8_lossy(&message.payload).into_owned()))
                .collect::<Vec<_>>()
        };
        let lacking = |text: &str| -> Vec<String> {
            let parts = alert.contains.iter().zip(&expected);
            let missing = parts.filter(|(_, part)| !text.contains(part.as_str()));
            missing.map(|(template, _)| template.to_string()).collect()
        };
        let arrived = tokio::select! {
            arrived = broker.wait_for(deadline, |connection| {
                alerts(connection).into_iter().find(|(_, text)| lacking(text).is_empty())
            }) => arrived.ok(),
            failure = self.interrupted() => return Err(failure),
        };
        let last = broker.connections().iter().flat_map(alerts).map(|(_, text)| text).next_back();
        let lacking = last.map(|text| format!("it lacks {}", lacking(&text).join(", ")));
        let witness = match arrived {
            Some(_) => None,
            None => Some(at_broker(testbed, self.bound()?, &self.bench, Talk::Alert).await?),
        };
        let confirmed = match (&arrived, &self.confirm_alert) {
            (Some(_), Some(ask)) => Some(self.confirm(AskOperator::clone(ask), &topic).await?),
            _ => None,
        };
        self.seen.alert = Some(AlertObservation {
            took_ms: arrived.as_ref().map(|(at, _)| millis(at.duration_since(sent))),
            lacking: lacking.filter(|_| arrived.is_none()),
            confirmed,
            witness,
        });
        Ok(())
    }

    /// Whether the operator saw the alert where the installer's people would see it. However long that
    /// takes: only the operator knows.
    async fn confirm(&mut self, ask: AskOperator, topic: &str) -> Result<bool, Failure> {
        let question = format!("{}: was the alert on {topic} seen?", self.device_url);
        let answer = spawn_blocking(move || ask(&question));
        tokio::select! {
            // A question that nobody can answer leaves the unit without a verdict.
            answer = answer => answer.ok().flatten().ok_or(Failure::Aborted),
            () = self.cancel.cancelled() => Err(Failure::Aborted),
        }
    }
}

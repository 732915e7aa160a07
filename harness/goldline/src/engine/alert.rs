//! The installer's alert: asked for on the unit's console, it must arrive at the broker with the unit's
//! tenant and place.

use tokio::{task::spawn_blocking, time::Instant};

use super::{
    AskOperator, Failure, Run,
    answer::Answer,
    echo::Echo,
    millis,
    probing::{Talk, at_broker},
};
use crate::{
    check::AlertObservation,
    clock::Deadline,
    plan::{BoundPlan, InstallersAlert},
    profile::{Alert, Template},
    testbed::broker::Connection,
};

/// The alert that must arrive.
struct Sought {
    topic: String,
    /// What it must hold: as the profile writes it, and as this unit says it.
    parts: Vec<(String, String)>,
}

impl Sought {
    fn of(alert: &Alert, plan: &BoundPlan) -> Result<Self, Failure> {
        let text = |template: &Template| -> Result<String, Failure> {
            Ok(plan.render(template)?.expose().to_owned())
        };
        let part = |template: &Template| Ok((template.to_string(), text(template)?));
        let parts = alert.contains.iter().map(part).collect::<Result<_, Failure>>()?;
        Ok(Self { topic: text(&alert.topic)?, parts })
    }

    /// What a unit said there since then.
    fn said(&self, connection: &Connection, since: Instant) -> Vec<(Instant, String)> {
        let of_unit = connection.caller.is_unit();
        let messages = connection
            .published
            .iter()
            .filter(|(at, message)| of_unit && *at >= since && message.topic == self.topic);
        messages
            .map(|(at, message)| (*at, String::from_utf8_lossy(&message.payload).into_owned()))
            .collect()
    }

    fn lacking(&self, text: &str) -> Vec<String> {
        let missing = self.parts.iter().filter(|(_, part)| !text.contains(part.as_str()));
        missing.map(|(template, _)| template.clone()).collect()
    }
}

impl Run {
    /// Asks for the alert, and once more where the line may not have arrived as it was typed.
    pub(super) async fn alert(&mut self, step: &InstallersAlert) -> Result<(), Failure> {
        let InstallersAlert { alert, line_end, retype } = step;
        let plan = self.bound()?;
        let line = plan.render(&alert.send)?.expose().to_owned();
        let sought = Sought::of(alert, plan)?;
        let console = self.console()?;
        let before = console.printed();
        let mut sent = self.ask_for_alert(&line, line_end.text()).await?;
        let mut arrived = self.await_alert(&sought, sent).await?;
        let heard = Answer::of(&console.lines_after(before), &line, &[]).echo();
        if arrived.is_none() && *retype && heard != Some(Echo::Whole) {
            self.attempts = self.attempts.max(2);
            // The line's end may be what was lost.
            let end = if heard.is_none() { line_end.text() } else { "" };
            self.type_text(end.to_owned()).await?;
            self.await_silence(&console).await?;
            sent = self.ask_for_alert(&line, line_end.text()).await?;
            arrived = self.await_alert(&sought, sent).await?;
        }
        self.note_alert(&sought, sent, arrived).await
    }

    async fn ask_for_alert(&mut self, line: &str, end: &str) -> Result<Instant, Failure> {
        let sent = Instant::now();
        self.type_text(format!("{line}{end}")).await?;
        Ok(sent)
    }

    async fn await_alert(
        &mut self,
        sought: &Sought,
        since: Instant,
    ) -> Result<Option<Instant>, Failure> {
        let deadline = Deadline::after(self.plan.profile.deadlines.command);
        let right = |connection: &Connection| {
            let mut said = sought.said(connection, since).into_iter();
            said.find(|(_, text)| sought.lacking(text).is_empty()).map(|(at, _)| at)
        };
        tokio::select! {
            arrived = self.testbed()?.broker.wait_for(deadline, right) => Ok(arrived.ok()),
            failure = self.interrupted() => Err(failure),
        }
    }

    async fn note_alert(
        &mut self,
        sought: &Sought,
        sent: Instant,
        arrived: Option<Instant>,
    ) -> Result<(), Failure> {
        let testbed = self.testbed()?;
        let connections = testbed.broker.connections();
        let last = connections.iter().flat_map(|one| sought.said(one, sent)).next_back();
        let lacking =
            last.map(|(_, text)| format!("it lacks {}", sought.lacking(&text).join(", ")));
        let witness = match arrived {
            Some(_) => None,
            None => Some(at_broker(testbed, self.bound()?, &self.bench, Talk::Alert).await?),
        };
        let confirmed = match (arrived, &self.confirm_alert) {
            (Some(_), Some(ask)) => {
                Some(self.confirm(AskOperator::clone(ask), &sought.topic).await?)
            }
            _ => None,
        };
        self.seen.alert = Some(AlertObservation {
            took_ms: arrived.map(|at| millis(at.duration_since(sent))),
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

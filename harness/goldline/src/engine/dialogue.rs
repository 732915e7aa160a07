//! Typing into the unit's console and comparing each answer; and the id that it prints at its start.
//!
//! The expected texts must stand in the unit's own words in their order. Every wait has a deadline.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::{
    Failure, Next, Run,
    answer::{Answer, Reply},
    millis,
    probing::{Talk, at_broker, at_ca, at_network},
};
use crate::{
    check::{
        Answered, Blame, DeviceIdObservation, DialogueObservation, ExchangeObservation, Witness,
        plain, stops,
    },
    clock::Deadline,
    device::Console,
    plan::{BoundPlan, Dialogue, Text},
    profile::{DialogueName, Exchange, Need, Piece, Quoting, ScrapedId, Template},
};

/// So long nothing is printed when a firmware has said all of its start.
const SILENCE: Duration = Duration::from_millis(200);
/// How long a firmware that never falls silent is waited for.
const LONGEST_START: Duration = Duration::from_secs(3);
/// What stands for a secret in a line that is shown.
const MASK: &str = "********";
/// Of a MAC address without colons.
const MAC_DIGITS: usize = 12;

/// A line as it is typed, and as it may be shown.
struct Line {
    typed: Text,
    shown: String,
}

impl Run {
    /// Types the lines of a dialogue, in order. The status is only looked at; every other dialogue must
    /// go well to its end.
    pub(super) async fn dialogue(&mut self, dialogue: &Dialogue) -> Result<(), Failure> {
        self.await_console().await?;
        let Dialogue { name, exchanges, quoting, line_end } = dialogue;
        // A value that cannot be said is refused before the first line is sent.
        let lines = self.lines(exchanges, *quoting)?;
        let mut seen = DialogueObservation { name: name.name().to_owned(), exchanges: Vec::new() };
        let mut failure = None;
        for (exchange, line) in exchanges.iter().zip(lines) {
            let observed = self.exchange(exchange, line, line_end.text()).await?;
            failure = observed.blame();
            seen.exchanges.push(observed);
            if failure.is_some() {
                break;
            }
        }
        self.seen.dialogues.push(seen);
        match failure {
            Some(Blame::Unit(problem)) if *name != DialogueName::Status => {
                Err(Failure::Unit(problem))
            }
            Some(Blame::Testbed(problem)) if *name != DialogueName::Status => {
                Err(Failure::Service(problem))
            }
            _ => Ok(()),
        }
    }

    fn lines(&self, exchanges: &[Exchange], quoting: Quoting) -> Result<Vec<Line>, Failure> {
        let plan = self.bound()?;
        exchanges.iter().map(|exchange| line(&exchange.send, quoting, plan)).collect()
    }

    /// Types one line and waits for its answer.
    async fn exchange(
        &mut self,
        exchange: &Exchange,
        line: Line,
        line_end: &str,
    ) -> Result<ExchangeObservation, Failure> {
        let console = self.console()?;
        let (before, lost_before) = (console.printed(), console.lost());
        let applications_before = self.hearing.facts().application_lines;
        let plan = self.bound()?;
        let expected = exchange
            .expect
            .iter()
            .map(|text| Ok(plan.render(text)?.expose().to_owned()))
            .collect::<Result<Vec<String>, Failure>>()?;
        self.hearing.expect([expected.clone(), exchange.refuse.clone()].concat());
        if exchange.restarts {
            self.hearing.expect_restart();
        }
        self.typed.push(line.typed.as_secret().clone());
        let typed = format!("{}{line_end}", line.typed.expose());
        let deadline = Deadline::after(exchange.within);
        let began = Instant::now();
        self.with_device(move |device| device.type_text(typed.as_bytes())).await?;
        let reply = loop {
            let printed = console.printed();
            let answer = Answer::of(&console.lines_after(before), line.typed.expose());
            if let Some(reply) = answer.reply(&expected, &exchange.refuse) {
                break reply;
            }
            tokio::select! {
                () = console.changed(printed) => {}
                () = sleep_until(deadline.instant()) => break Reply::Missing,
                failure = self.interrupted() => return Err(failure),
            }
        };
        if matches!(reply, Reply::Good) && exchange.restarts {
            self.await_application(applications_before, "did not restart").await?;
        }
        let lost = console.lost() - lost_before;
        if matches!(reply, Reply::Missing) && lost > 0 {
            let missing = format!("no answer to \"{}\"", line.shown);
            return Err(Failure::Service(stops::console_full(lost, &missing)));
        }
        let plan = self.bound()?;
        let answer: Vec<String> = Answer::of(&console.lines_after(before), line.typed.expose())
            .printed()
            .iter()
            .map(|text| plan.bindings().redact(text).0)
            .collect();
        let answered = match reply {
            Reply::Good => Answered::Well,
            Reply::Refused(line) => Answered::Refused(plan.bindings().redact(&line).0),
            Reply::Missing => Answered::missing(&answer),
        };
        let complaint = plan.bindings().redact(&self.hearing.facts().complains()).0;
        let took_ms = millis(began.elapsed());
        let witness = match exchange.needs {
            Some(need) if answered != Answered::Well => Some(self.witness_for(need).await?),
            _ => None,
        };
        Ok(ExchangeObservation {
            sent: line.shown,
            answer: answer.into_iter().take(ExchangeObservation::LINES_SHOWN).collect(),
            answered,
            expected: exchange.expect.iter().map(ToString::to_string).collect(),
            within_s: exchange.within.as_secs(),
            complaint,
            took_ms,
            depends_on: exchange.needs.map(stops::testbed_of),
            witness,
        })
    }

    /// Asks for what a line depends on, after the unit did not answer it well.
    async fn witness_for(&mut self, need: Need) -> Result<Witness, Failure> {
        let (testbed, plan) = (self.testbed()?, self.bound()?);
        match need {
            Need::Wifi => Ok(at_network(testbed, plan).await),
            Need::Broker => at_broker(testbed, plan, &self.bench, Talk::Command).await,
            Need::Ca => at_ca(testbed, plan, &self.bench, self.mac()?).await,
        }
    }

    /// The unit restarts by itself, beyond the lines about its application that were there before; what
    /// comes after must not find it on its way down.
    pub(super) async fn await_application(
        &mut self,
        before: usize,
        otherwise: &str,
    ) -> Result<(), Failure> {
        let deadline = Deadline::after(self.plan.profile.deadlines.boot);
        let console = self.console()?;
        loop {
            let printed = console.printed();
            if self.hearing.facts().application_lines > before {
                return Ok(());
            }
            tokio::select! {
                () = console.changed(printed) => {}
                () = sleep_until(deadline.instant()) => {
                    let within = deadline.allowed().as_secs();
                    return Err(Failure::Unit(stops::not_restarted(otherwise, within)));
                }
                failure = self.interrupted() => return Err(failure),
            }
        }
    }

    /// Waits until the application runs: a line that is typed before is lost.
    pub(super) async fn await_console(&mut self) -> Result<(), Failure> {
        let deadline = self.running()?.at + self.plan.profile.deadlines.boot;
        let console = self.console()?;
        loop {
            let printed = console.printed();
            if self.hearing.facts().has_application() {
                return self.await_silence(&console).await;
            }
            tokio::select! {
                () = console.changed(printed) => {}
                () = sleep_until(deadline) => {
                    let waited = self.plan.profile.deadlines.boot.as_secs();
                    return Err(Failure::Unit(stops::never_started(waited)));
                }
                failure = self.interrupted() => return Err(failure),
            }
        }
    }

    /// A firmware that has just started says what it starts, which is no answer to a line; only then does its
    /// console listen. One that never falls silent is typed to all the same.
    async fn await_silence(&mut self, console: &Console) -> Result<(), Failure> {
        let limit = Instant::now() + LONGEST_START;
        loop {
            let printed = console.printed();
            tokio::select! {
                () = console.changed(printed) => {}
                () = sleep(SILENCE) => return Ok(()),
                failure = self.interrupted() => return Err(failure),
            }
            if Instant::now() >= limit {
                return Ok(());
            }
        }
    }

    /// Waits for the device id in the serial log. A wrong one ends the run: its credentials would be
    /// another unit's.
    pub(super) async fn read_device_id(&mut self, scraped: &ScrapedId) -> Result<Next, Failure> {
        let (mac, booted_at) = self.unit_and_boot()?;
        let deadline = booted_at + scraped.within;
        let console = self.console()?;
        let found = loop {
            let printed = console.printed();
            let lines = console.lines_after(0);
            let lines: Vec<_> = lines.iter().map(|line| plain(&line.text)).collect();
            let found = lines.iter().find_map(|line| scraped.pattern.captures(line));
            // A firmware with another form of id than the pattern's has printed one all the same.
            let found = found.map(|found| found[1].to_owned()).or_else(|| {
                let wrong = mac.with_dropped_zeros();
                // Without a zero to drop it is the right one, in a line that is not the required one.
                if wrong.len() == MAC_DIGITS {
                    return None;
                }
                lines.iter().any(|line| line.ends_with(&wrong)).then_some(wrong)
            });
            if found.is_some() {
                break found;
            }
            tokio::select! {
                () = console.changed(printed) => {}
                () = sleep_until(deadline) => break None,
                failure = self.interrupted() => return Err(failure),
            }
        };
        let expected = self.bound()?.render(&scraped.expected)?.expose().to_owned();
        let right = found.as_deref() == Some(expected.as_str());
        let plan = self.bound_mut()?;
        if right && plan.bindings().get("observed.device_id").is_none() {
            plan.learn_observed("observed.device_id", Text::public(expected.clone()))?;
        }
        self.seen.device_id = Some(DeviceIdObservation {
            found,
            expected,
            dropped_zeros: mac.with_dropped_zeros(),
            waited_ms: millis(booted_at.elapsed()),
        });
        Ok(if right { Next::GoOn } else { Next::Enough })
    }
}

/// A line with its values; each value as the console takes it.
fn line(template: &Template, quoting: Quoting, plan: &BoundPlan) -> Result<Line, Failure> {
    let (mut typed, mut shown, mut secret) = (String::new(), String::new(), false);
    for piece in template.parts() {
        match piece {
            Piece::Text(text) => {
                typed.push_str(text);
                shown.push_str(text);
            }
            Piece::Symbol { name, .. } => {
                let one: Template = format!("{{{name}}}").parse().expect("a symbol is a template");
                let value = plan.render(&one)?;
                let said = quoting
                    .apply(value.expose())
                    .map_err(|error| Failure::Service(stops::not_sayable(name, error)))?;
                typed.push_str(&said);
                shown.push_str(if value.is_secret() { MASK } else { &said });
                secret |= value.is_secret();
            }
        }
    }
    let typed =
        if secret { Text::secret(crate::secret::Secret::new(typed)) } else { Text::public(typed) };
    Ok(Line { typed, shown })
}

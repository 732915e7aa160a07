//! Typing into the unit's console and comparing each answer; and the id that it prints at its start.
//!
//! The expected texts must stand in the unit's own words in their order. Every wait has a deadline.

use tokio::time::{Instant, sleep_until};

use super::{
    Failure, Next, Run,
    answer::{Answer, Reply},
    echo::{Echo, MASK, Typed},
    millis,
    paste::Pasted,
    probing::{Talk, at_broker, at_ca, at_network},
    readiness::is_at_prompt,
};
use crate::{
    check::{
        Answered, Blame, DeviceIdObservation, DialogueObservation, ExchangeObservation, LogFacts,
        Witness, plain, stops,
    },
    clock::Deadline,
    plan::{BoundPlan, Dialogue, Text},
    profile::{Exchange, Need, NvsContent, Piece, Quoting, ScrapedId, Template},
};

/// Of a MAC address without colons.
const MAC_DIGITS: usize = 12;

/// A line as it is typed, and as it may be shown.
struct Line {
    typed: Text,
    shown: String,
    /// What is typed behind it.
    paste: Option<Pasted>,
}

/// Which time a line is typed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Attempt {
    /// It may be typed once more.
    First,
    /// It must not.
    Only,
    /// It was answered wrong; whether the console gave it back then.
    Second { echoes: bool },
}

/// What a line that was typed once came to; secrets are masked.
struct Heard {
    answer: Vec<String>,
    answered: Answered,
    echo: Option<Echo>,
    /// Whether the console asked for what is pasted, and was given it.
    pasted: bool,
    /// Lines that tell something and found no room meanwhile.
    lost: usize,
}

impl Heard {
    /// Whether one bit on the wire may be all that is wrong. A line that came back damaged may have arrived so,
    /// and its value with it; one that restarts the unit is obeyed then. But no bit makes a unit silent that
    /// got its line whole, unless it waits for the end of what is pasted.
    fn is_doubtful(&self, exchange: &Exchange) -> bool {
        match &self.answered {
            Answered::Well => self.echo == Some(Echo::Damaged) && !exchange.restarts,
            Answered::Refused(_) => true,
            Answered::Missing { said, .. } => {
                !said.is_empty() || self.echo != Some(Echo::Whole) || self.pasted
            }
        }
    }

    /// A digit that a bit on the wire changed is no measurement of the unit.
    fn is_out_of_limits(&self, exchange: &Exchange) -> bool {
        let sought = exchange.measure.as_ref().filter(|_| self.answered == Answered::Well);
        sought.is_some_and(|sought| {
            !sought.find(&self.answer).is_some_and(|found| sought.limits.hold(found))
        })
    }

    /// Neither an echo nor a word of the unit's came.
    fn is_silent(&self) -> bool {
        let said_nothing =
            matches!(&self.answered, Answered::Missing { said, .. } if said.is_empty());
        said_nothing && self.echo.is_none()
    }
}

fn shown(answer: Vec<String>) -> Vec<String> {
    answer.into_iter().take(ExchangeObservation::LINES_SHOWN).collect()
}

impl Run {
    /// Types the lines of a dialogue, in order. One that only asks is looked at; every other must go well to
    /// its end.
    pub(super) async fn dialogue(&mut self, dialogue: &Dialogue) -> Result<(), Failure> {
        self.await_console(dialogue.prompt.as_deref()).await?;
        let Dialogue { name, exchanges, quoting, .. } = dialogue;
        // A value that cannot be said is refused before the first line is sent.
        let lines = self.lines(exchanges, *quoting)?;
        let mut seen = DialogueObservation { name: name.name().to_owned(), exchanges: Vec::new() };
        let mut failure = None;
        for (exchange, line) in exchanges.iter().zip(lines) {
            let observed = self.exchange(dialogue, exchange, line).await?;
            failure = observed.blame();
            seen.exchanges.push(observed);
            if failure.is_some() {
                break;
            }
        }
        // What only asks is judged later, when nobody can tell any more what ran the unit.
        if failure.is_some() && name.only_asks() {
            self.vouched().await?;
        }
        self.seen.dialogues.push(seen);
        match failure {
            Some(Blame::Unit(problem)) if !name.only_asks() => Err(Failure::Unit(problem)),
            Some(Blame::Testbed(problem)) if !name.only_asks() => Err(Failure::Service(problem)),
            _ => Ok(()),
        }
    }

    fn lines(&self, exchanges: &[Exchange], quoting: Quoting) -> Result<Vec<Line>, Failure> {
        let plan = self.bound()?;
        exchanges.iter().map(|exchange| line(exchange, quoting, plan)).collect()
    }

    /// Types one line and waits for its answer. What is wrong once is asked for once more: only the second
    /// answer is the unit's.
    async fn exchange(
        &mut self,
        dialogue: &Dialogue,
        exchange: &Exchange,
        line: Line,
    ) -> Result<ExchangeObservation, Failure> {
        let began = Instant::now();
        let before = self.hearing.facts();
        if exchange.restarts {
            self.hearing.expect_restart();
        }
        let has_restarted = |now: LogFacts| exchange.restarts && now.has_restarted_since(&before);
        let first = if dialogue.retype { Attempt::First } else { Attempt::Only };
        let mut heard = self.typed(dialogue, exchange, &line, first).await?;
        let mut earlier = None;
        let doubtful = heard.is_doubtful(exchange) || heard.is_out_of_limits(exchange);
        if dialogue.retype && doubtful {
            let console = self.console()?;
            self.await_silence(&console).await?;
            if !has_restarted(self.hearing.facts()) {
                let first = heard;
                heard = self.typed_again(dialogue, exchange, &line, &first).await?;
                earlier = Some(shown(first.answer));
            }
        }
        let well = heard.answered == Answered::Well;
        if well && exchange.restarts {
            self.await_application(before.application_lines, "did not restart").await?;
        }
        if heard.lost > 0 && matches!(heard.answered, Answered::Missing { .. }) {
            let missing = format!("no answer to \"{}\"", line.shown);
            return Err(Failure::Service(stops::console_full(heard.lost, &missing)));
        }
        if well && dialogue.retype && (heard.echo.is_none() || heard.pasted) {
            self.given.blindly |= exchange.symbols().next().is_some();
        }
        let plan = self.bound()?;
        let facts = self.hearing.facts();
        let complaint = plan.bindings().redact(&facts.complains()).0;
        let misses = facts.configuration.filter(|line| {
            plan.plan().flashes_values() && !is_given(dialogue, &plan.profile().nvs, line)
        });
        let misses = misses.map(|line| plan.bindings().redact(&line).0);
        let took_ms = millis(began.elapsed());
        let restarted = !well && has_restarted(self.hearing.facts());
        let witness = match exchange.needs {
            Some(need) if !well => Some(self.witness_for(need).await?),
            _ => None,
        };
        let measured = exchange.measure.clone().map(|sought| {
            let found = sought.find(&heard.answer);
            (sought, found)
        });
        Ok(ExchangeObservation {
            measured,
            sent: line.shown,
            answer: shown(heard.answer),
            earlier,
            restarted,
            answered: heard.answered,
            expected: exchange.expect.iter().map(ToString::to_string).collect(),
            within_s: exchange.within.as_secs(),
            complaint,
            misses,
            took_ms,
            depends_on: exchange.needs.map(stops::testbed_of),
            witness,
        })
    }

    async fn typed_again(
        &mut self,
        dialogue: &Dialogue,
        exchange: &Exchange,
        line: &Line,
        first: &Heard,
    ) -> Result<Heard, Failure> {
        self.attempts = self.attempts.max(2);
        if let Some(paste) = line.paste.as_ref().filter(|_| first.pasted) {
            // Its end may be what was lost: the unit takes what is typed next for more of it.
            self.type_end_of(paste, dialogue.line_end).await?;
        }
        if first.is_silent() {
            // The line's end may be what was lost: what lies there is no part of the next line.
            self.type_text(dialogue.line_end.text().to_owned()).await?;
            let console = self.console()?;
            self.await_silence(&console).await?;
        }
        let second = Attempt::Second { echoes: first.echo.is_some() };
        let mut heard = self.typed(dialogue, exchange, line, second).await?;
        let well = heard.answered == Answered::Well;
        if well
            && first.is_silent()
            && heard.echo.is_none()
            && self.answers_twice(exchange, line).await?
        {
            heard.answered = Answered::missing(&[]);
        }
        Ok(heard)
    }

    /// Whether the unit answers once more. Without an echo a late answer to the first of two lines looks as
    /// one to the second; the second's own is then still to come.
    async fn answers_twice(&mut self, exchange: &Exchange, line: &Line) -> Result<bool, Failure> {
        let console = self.console()?;
        let before = console.printed();
        let expected = expected(exchange, self.bound()?)?;
        let deadline = Deadline::after(exchange.within);
        loop {
            let printed = console.printed();
            let answer =
                Answer::of(&console.lines_after(before), line.typed.expose(), &exchange.refuse);
            if matches!(answer.reply(&expected, &exchange.refuse), Some(Reply::Good)) {
                return Ok(true);
            }
            tokio::select! {
                () = console.changed(printed) => {}
                () = sleep_until(deadline.instant()) => return Ok(false),
                failure = self.interrupted() => return Err(failure),
            }
        }
    }

    /// Types a line once. A wrong answer is waited out, as more may come; that of a first attempt ends with
    /// the prompt.
    async fn typed(
        &mut self,
        dialogue: &Dialogue,
        exchange: &Exchange,
        line: &Line,
        attempt: Attempt,
    ) -> Result<Heard, Failure> {
        let console = self.console()?;
        if let Some(prompt) = &dialogue.prompt {
            self.await_turn(&console, prompt).await?;
        }
        let (before, lost_before) = (console.printed(), console.lost());
        let plan = self.bound()?;
        let expected = expected(exchange, plan)?;
        let asks = exchange.paste.iter().map(|paste| paste.when.clone());
        self.hearing.expect(expected.iter().chain(&exchange.refuse).cloned().chain(asks).collect());
        let typed = line.typed.as_secret().clone();
        self.typed.push(Typed { line: typed, shown: line.shown.clone(), after: before });
        let deadline = Deadline::after(exchange.within);
        self.type_text(format!("{}{}", line.typed.expose(), dialogue.line_end.text())).await?;
        let prompt = dialogue.prompt.as_deref().filter(|_| attempt == Attempt::First);
        let answer = || {
            let answer =
                Answer::of(&console.lines_after(before), line.typed.expose(), &exchange.refuse);
            match attempt {
                // A late answer to the first is none to the second, of which the echo comes behind it.
                Attempt::Second { echoes } if echoes || answer.echo().is_some() => {
                    answer.behind_echo()
                }
                _ => answer,
            }
        };
        let pasted = match &line.paste {
            Some(paste) => {
                let asked = || answer().reply(std::slice::from_ref(&paste.when), &exchange.refuse);
                self.paste(paste, dialogue.line_end, &console, asked, deadline).await?
            }
            None => false,
        };
        let reply = loop {
            let (printed, bytes) = (console.printed(), console.bytes());
            let answer = answer();
            if let Some(reply) = answer.reply(&expected, &exchange.refuse) {
                break reply;
            }
            let prompt = prompt.filter(|_| answer.answers_its_echo());
            let is_over = prompt.is_some_and(|prompt| is_at_prompt(&console.partial(), prompt));
            // What came meanwhile may be what was waited for.
            if is_over && console.bytes() == bytes {
                break Reply::Missing;
            }
            tokio::select! {
                () = console.changed(printed) => {}
                () = console.fed(bytes), if prompt.is_some() => {}
                () = sleep_until(deadline.instant()) => break Reply::Missing,
                failure = self.interrupted() => return Err(failure),
            }
        };
        let plan = self.bound()?;
        let answer = answer();
        let echo = answer.echo();
        let answer: Vec<String> =
            answer.printed().iter().map(|text| plan.bindings().redact(text).0).collect();
        let answered = match reply {
            Reply::Good => Answered::Well,
            Reply::Refused(line) => Answered::Refused(plan.bindings().redact(&line).0),
            Reply::Missing => Answered::missing(&answer),
        };
        Ok(Heard { answer, answered, echo, pasted, lost: console.lost() - lost_before })
    }

    pub(super) async fn type_text(&mut self, text: String) -> Result<(), Failure> {
        self.with_device(move |device| device.type_text(text.as_bytes())).await
    }

    /// Asks for what a line depends on, after the unit did not answer it well.
    async fn witness_for(&mut self, need: Need) -> Result<Witness, Failure> {
        let (testbed, plan) = (self.testbed()?, self.bound()?);
        match need {
            Need::Wifi => at_network(testbed, plan, &self.way_in()?).await,
            Need::Broker => at_broker(testbed, plan, &self.bench, Talk::Command).await,
            Need::Ca => at_ca(testbed, plan, &self.bench, self.mac()?).await,
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
        if found.is_none() {
            self.vouched().await?;
        }
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

/// The texts of a good answer, with the unit's values.
fn expected(exchange: &Exchange, plan: &BoundPlan) -> Result<Vec<String>, Failure> {
    let text = |template: &Template| Ok(plan.render(template)?.expose().to_owned());
    exchange.expect.iter().map(text).collect()
}

/// Whether a line of a log names a key whose value is typed in this dialogue: until then it may be missing.
fn is_given(dialogue: &Dialogue, nvs: &NvsContent, line: &str) -> bool {
    let typed: Vec<&str> = dialogue.exchanges.iter().flat_map(Exchange::symbols).collect();
    let is_typed = |symbol: &str| typed.contains(&symbol);
    let mut given = nvs.entries.iter().filter(|entry| entry.value.symbols().any(is_typed));
    let words: Vec<&str> = line.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    given.any(|entry| words.contains(&entry.key.as_str()))
}

/// A line with its values; each value as the console takes it.
fn line(exchange: &Exchange, quoting: Quoting, plan: &BoundPlan) -> Result<Line, Failure> {
    let (mut typed, mut shown, mut secret) = (String::new(), String::new(), false);
    for piece in exchange.send.parts() {
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
    let paste = exchange.paste.as_ref().map(|paste| Pasted::of(paste, plan)).transpose()?;
    Ok(Line { typed, shown, paste })
}

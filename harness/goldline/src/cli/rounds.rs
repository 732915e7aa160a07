//! `--loop`: unit after unit in the same jig, with a prompt before each and a summary at the end.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    arguments::RunArguments,
    exit, output,
    problem::{of_station, of_store},
    session::{Ready, Session, bars},
    table::aligned,
};
use crate::{
    plan::Scope,
    record::Record,
    report::verdict_text,
    station::{Request, Rows, places},
};

const HELP: &str = "press Enter, or q to end";
const HELP_WITH_ROWS: &str = "press Enter (identifiers pick other rows, q ends)";

/// Runs rounds until someone ends them, or no row is left; the code is the worst run's.
pub(super) fn run(arguments: &RunArguments, scope: Scope) -> miette::Result<u8> {
    let session = Session::start()?;
    let request = arguments.request()?;
    let mut rounds = Rounds { rows: Rows::of(&request).map_err(of_station)?, done: Vec::new() };
    let known = session.wait(rounds.rows.settle_known(&request)).map_err(of_store)?;
    if known > 0 {
        output::complain(&format!("made before, and passed over: {}", counted(known, "row")));
    }
    let units = places(&request).map_err(of_station)?;
    let mut code = exit::PASS;
    while let Some(rows) = rounds.ask(&session, units) {
        let number = rounds.done.last().map_or(1, |(number, ..)| number + 1);
        let round = arguments.of_round(number);
        let ready = Ready::new(&of_rows(&request, &rows), &round, scope);
        let ended = match ready.and_then(|ready| {
            let bars = bars(arguments.wants_bars(), &ready);
            session.round(ready, bars)
        }) {
            Ok(ended) => ended,
            // Nothing of this round was touched; what was made before it is told all the same.
            Err(report) if rounds.done.is_empty() => return Err(report),
            Err(report) => {
                output::complain(&format!("{report:?}"));
                code = exit::worst([code, super::code_of(&report)]);
                break;
            }
        };
        code = exit::worst([code, ended.code]);
        if !arguments.json {
            output::print(&ended.records.iter().map(verdict_text).collect::<String>())?;
        }
        rounds.take(number, rows, ended.records);
        if session.is_stopped() {
            break;
        }
    }
    session.end();
    rounds.print(arguments.json)?;
    Ok(code)
}

/// The request of one round: its rows, and as many of the devices.
fn of_rows(request: &Request, rows: &[String]) -> Request {
    let mut request = request.clone();
    if !rows.is_empty() {
        request.devices.truncate(rows.len());
        request.rows = rows.to_vec();
    }
    request
}

/// What was made so far, and what is still to be made.
struct Rounds {
    rows: Rows,
    /// Number of the round, the row if there are rows, and what came of it.
    done: Vec<(usize, Option<String>, Record)>,
}

impl Rounds {
    /// The rows of the next round, or none at all where none are given; `None` ends.
    fn ask(&self, session: &Session, places: usize) -> Option<Vec<String>> {
        loop {
            let next = self.rows.next(places);
            output::ask(&self.prompt(&next));
            let typed = session.wait_for_line()?;
            match self.parse(&typed, next, places) {
                Ok(rows) => return rows,
                Err(why) => output::complain(&why),
            }
        }
    }

    fn prompt(&self, next: &[String]) -> String {
        match (self.rows.are_given(), next) {
            (false, _) => format!("next unit: connect it and {HELP}: "),
            (true, []) => {
                "no row is left: an identifier tests its unit again, Enter ends: ".to_owned()
            }
            (true, rows) => {
                format!("next unit: connect {} and {HELP_WITH_ROWS}: ", rows.join(", "))
            }
        }
    }

    /// `Ok(None)` ends.
    fn parse(
        &self,
        typed: &str,
        next: Vec<String>,
        places: usize,
    ) -> Result<Option<Vec<String>>, String> {
        let words: Vec<String> = typed
            .split([',', ' '])
            .map(str::trim)
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect();
        match words.as_slice() {
            [] if self.rows.are_given() && next.is_empty() => Ok(None),
            [] => Ok(Some(next)),
            [word] if word == "q" => Ok(None),
            _ if !self.rows.are_given() => Err(format!("\"{}\": {HELP}", typed.trim())),
            // An identifier may hold spaces.
            _ if self.rows.has(typed.trim()) => Ok(Some(vec![typed.trim().to_owned()])),
            words => self.picked(words, places).map(Some),
        }
    }

    fn picked(&self, words: &[String], places: usize) -> Result<Vec<String>, String> {
        if let Some(unknown) = words.iter().find(|word| !self.rows.has(word)) {
            return Err(format!("\"{unknown}\" stands in no row of the file"));
        }
        if words.iter().collect::<BTreeSet<_>>().len() < words.len() {
            return Err("one row is named twice".to_owned());
        }
        if words.len() > places {
            return Err(format!("{} rows for {places} devices", words.len()));
        }
        Ok(words.to_vec())
    }

    fn take(&mut self, number: usize, rows: Vec<String>, records: Vec<Record>) {
        let mut rows = rows.into_iter();
        for record in records {
            let row = rows.next();
            if let Some(row) = &row {
                self.rows.take(row, &record);
            }
            self.done.push((number, row, record));
        }
    }

    fn print(self, json: bool) -> miette::Result<()> {
        if json {
            let records: Vec<_> = self.done.into_iter().map(|(.., record)| record).collect();
            return output::print_json(&records);
        }
        output::print(&self.summary())
    }

    /// A line a run, then what came of the units: of one that was tested again, its last run.
    fn summary(&self) -> String {
        let header = ["round", "unit", "ids", "outcome", "reason"].map(str::to_owned).to_vec();
        let lines = self.done.iter().map(line);
        let mut text =
            "\n".to_owned() + &aligned(&std::iter::once(header).chain(lines).collect::<Vec<_>>());
        let mut last: BTreeMap<String, &str> = BTreeMap::new();
        for (number, row, record) in &self.done {
            let unit = record.unit.mac.map(|mac| mac.to_string());
            let unit = unit.or_else(|| row.clone()).unwrap_or_else(|| format!("round {number}"));
            last.insert(unit, outcome(record));
        }
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for outcome in last.values() {
            *counts.entry(outcome).or_default() += 1;
        }
        let counts: Vec<_> = counts.iter().map(|(word, count)| format!("{count} {word}")).collect();
        let (runs, units) = (counted(self.done.len(), "run"), counted(last.len(), "unit"));
        text += &format!("{runs} of {units}: {}\n", counts.join(", "));
        let left: Vec<_> = self.rows.left().collect();
        if !left.is_empty() {
            text += &format!("{} left: {}\n", counted(left.len(), "row"), left.join(", "));
        }
        text
    }
}

fn line((number, _, record): &(usize, Option<String>, Record)) -> Vec<String> {
    let ids: Vec<_> = record.unit.ids.values().cloned().collect();
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    vec![
        number.to_string(),
        or_dash(record.unit.mac.map(|mac| mac.to_string())),
        if ids.is_empty() { "-".to_owned() } else { ids.join(" ") },
        outcome(record).to_owned(),
        or_dash(record.diagnosis.as_ref().map(|diagnosis| diagnosis.code.as_str().to_owned())),
    ]
}

/// The verdict; a run that only provisions has none.
fn outcome(record: &Record) -> &'static str {
    match (record.verdict, &record.diagnosis) {
        (Some(verdict), _) => verdict.as_str(),
        (None, None) => "provisioned",
        (None, Some(_)) => "not provisioned",
    }
}

fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

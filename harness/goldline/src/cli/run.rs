//! `goldline run`, `provision` and `check`.

use super::{
    arguments::RunArguments,
    exit, output, rounds,
    session::{Ready, Session, bars},
};
use crate::{plan::Scope, record::Record, report::verdict_text};

/// Runs every device of the arguments; the code is the worst unit's.
pub(super) fn run(arguments: &RunArguments, scope: Scope) -> miette::Result<u8> {
    if arguments.repeat {
        return rounds::run(arguments, scope);
    }
    let ready = Ready::new(&arguments.request()?, &arguments.outputs(), scope)?;
    if arguments.dry_run {
        output::print(&ready.plan().to_string())?;
        return Ok(exit::PASS);
    }
    let session = Session::start()?;
    let bars = bars(arguments.wants_bars(), &ready);
    let ended = session.round(ready, bars)?;
    session.end();
    match print_records(&ended.records, arguments.json) {
        Ok(()) => Ok(ended.code),
        Err(report) => {
            output::complain(&format!("{report:?}"));
            Ok(exit::worst([ended.code, exit::ERROR]))
        }
    }
}

fn print_records(records: &[Record], json: bool) -> miette::Result<()> {
    match (json, records) {
        (true, [record]) => output::print_json(record),
        (true, records) => output::print_json(&records),
        (false, records) => output::print(&records.iter().map(verdict_text).collect::<String>()),
    }
}

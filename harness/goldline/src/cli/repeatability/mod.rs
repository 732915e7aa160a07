//! `goldline repeatability`: how good the test is, by units that are run again and again, or by the runs of this station.

pub(super) mod arguments;
mod text;

use super::{
    arguments::{RepeatabilityArguments, RunArguments},
    exit, output,
    problem::of_station,
    records::moment,
    session::{Ready, Session, bars},
    station_state::runtime,
};
use crate::{
    gauge::Study,
    plan::Scope,
    record::{Record, Verdict},
    station::{Kept, Request, kept_study, live_study, places, round_of},
};

/// Runs or reads, and says what came of it.
pub(super) fn run(arguments: &RepeatabilityArguments) -> miette::Result<u8> {
    if arguments.study.schema {
        output::print_json(&schemars::schema_for!(Study))?;
        return Ok(exit::PASS);
    }
    let (study, bench) = match arguments.study.times {
        Some(times) => made(arguments, times)?,
        None => (read(arguments)?, exit::PASS),
    };
    if arguments.run.dry_run {
        return Ok(exit::PASS);
    }
    if arguments.run.json {
        output::print_json(&study)?;
    } else {
        output::print(&text::study(&study))?;
    }
    Ok(exit::worst([bench, judged(&study, arguments.study.max_grr)]))
}

/// What the study itself comes to. A limit that nothing can be held against is the bench's to mend, and no PASS.
fn judged(study: &Study, max_grr: Option<f64>) -> u8 {
    if !study.agrees {
        return exit::FAIL;
    }
    if !study.repeats() {
        output::complain("no unit has two runs that say anything of it: nothing was repeated");
        return exit::ERROR;
    }
    let Some(max) = max_grr else { return exit::PASS };
    match study.worst() {
        Some((worst, percent)) if percent > max => {
            let (check, name) = (&worst.check, &worst.name);
            output::complain(&format!(
                "{check}.{name} takes {} % of its tolerance, expected at most {max} % (--max-grr)",
                text::percent(percent)
            ));
            exit::FAIL
        }
        Some(_) => exit::PASS,
        None => {
            output::complain(&format!(
                "no measurement has limits and two values of one unit: nothing can be held against {max} % (--max-grr)"
            ));
            exit::ERROR
        }
    }
}

fn read(arguments: &RepeatabilityArguments) -> miette::Result<Study> {
    let RunArguments { profile, profiles, devices, lot, state, .. } = &arguments.run;
    let request = Request {
        profile: profile.clone(),
        profiles: profiles.clone(),
        devices: devices.clone(),
        lot: lot.clone(),
        state: state.clone(),
        ..Request::default()
    };
    let kept = Kept {
        since: arguments.study.since.as_deref().map(moment).transpose()?,
        until: arguments.study.until.as_deref().map(moment).transpose()?,
    };
    let study = kept_study(&request, kept, arguments.study.appraiser.into());
    runtime()?.block_on(study).map_err(of_station)
}

/// Runs each unit so often, and says beside the study what the bench came to: a FAIL is the unit's, and counts in the
/// study.
fn made(arguments: &RepeatabilityArguments, times: u32) -> miette::Result<(Study, u8)> {
    let scope = if arguments.study.check_only { Scope::Check } else { Scope::Run };
    let session = Session::start()?;
    let request = arguments.run.request()?;
    let units = places(&request).map_err(of_station)?;
    let (mut records, mut bench) = (Vec::new(), exit::PASS);
    for round in 0..times {
        let request = round_of(&request, u64::from(round), units);
        let ready = Ready::new(&request, &arguments.run.of_round(round as usize + 1), scope);
        if arguments.run.dry_run {
            output::print(&ready?.plan().to_string())?;
            break;
        }
        let ended = match ready.and_then(|ready| {
            let bars = bars(arguments.run.wants_bars(), &ready);
            session.round(ready, bars)
        }) {
            Ok(ended) => ended,
            // Nothing of this round was touched; what was learnt before it is told all the same.
            Err(report) if records.is_empty() => return Err(report),
            Err(report) => {
                output::complain(&format!("{report:?}"));
                bench = exit::worst([bench, super::code_of(&report)]);
                break;
            }
        };
        if ended.code > exit::FAIL {
            bench = exit::worst([bench, ended.code]);
        }
        if !arguments.run.json {
            output::complain(&text::round(round + 1, times, &ended.records));
        }
        let says_nothing = !ended.records.iter().any(says_something);
        records.extend(ended.records);
        if session.is_stopped() {
            if round + 1 < times {
                bench = exit::worst([bench, exit::ABORTED]);
            }
            break;
        }
        if says_nothing && round + 1 < times {
            output::complain("this round said nothing of any unit: the rest is not run");
            break;
        }
    }
    session.end();
    Ok((live_study(&request, &records, arguments.study.appraiser.into()), bench))
}

fn says_something(record: &Record) -> bool {
    matches!(record.verdict, Some(Verdict::Pass | Verdict::Fail))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gauge::{Appraisers, UnitVerdicts};

    /// One unit with two runs and nothing measured.
    fn agreeing() -> Study {
        let came_to = [("PASS".to_owned(), 2)].into();
        let unit = "24:0a:c4:00:05:01".to_owned();
        let unit = UnitVerdicts { unit, came_to, agrees: true, by_appraiser: [].into() };
        Study { units: vec![unit], runs: 2, ..Study::of("lamp", None, &[], Appraisers::Nests) }
    }

    #[test]
    fn what_was_not_repeated_is_no_pass() {
        let none = Study::of("lamp", None, &[], Appraisers::Nests);
        assert_eq!((none.agrees, judged(&none, None)), (true, exit::ERROR));
        assert_eq!(judged(&agreeing(), None), exit::PASS);
    }

    #[test]
    fn a_limit_that_nothing_is_held_against_is_no_pass() {
        assert_eq!(judged(&agreeing(), Some(30.0)), exit::ERROR);
    }

    #[test]
    fn differing_verdicts_outweigh_what_was_not_measured() {
        let study = Study { agrees: false, ..agreeing() };
        assert_eq!(judged(&study, Some(30.0)), exit::FAIL);
    }

    #[test]
    fn a_limit_is_a_percentage_above_zero() {
        assert_eq!([arguments::percent("30"), arguments::percent("12.5%")], [Ok(30.0), Ok(12.5)]);
        for wrong in ["0", "-1", "NaN", "inf", "much"] {
            assert!(arguments::percent(wrong).is_err(), "{wrong}");
        }
    }
}

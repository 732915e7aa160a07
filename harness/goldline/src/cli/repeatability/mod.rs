//! `goldline repeatability`: how good the test is, by units that are run again and again, or by the runs of this station.

mod text;

use clap::{Args, ValueEnum};

use super::{
    arguments::RunArguments,
    exit, output,
    problem::of_station,
    records::moment,
    session::{Ready, Session, bars},
    station_state::runtime,
};
use crate::{
    gauge::{Appraisers, Study},
    plan::Scope,
    record::{Record, Verdict},
    station::{Kept, Request, kept_study, live_study, places, round_of},
};

/// Arguments of a study.
#[derive(Args)]
pub(super) struct RepeatabilityArguments {
    /// Run each unit so often
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..), required_unless_present_any = ["from_records", "schema"],
          conflicts_with_all = ["repeat", "replaces", "save_credentials", "junit", "retry_errors"])]
    times: Option<u32>,
    /// Study the runs that this station kept, and touch no unit: of the profile as it is now, of --lot and --device where
    /// they are given
    #[arg(long, conflicts_with_all = ["times", "check_only"])]
    from_records: bool,
    /// With --from-records: runs since a day or a moment of the station's zone
    #[arg(long, value_name = "TIME", conflicts_with = "times")]
    since: Option<String>,
    /// With --from-records: runs before a day or a moment of the station's zone
    #[arg(long, value_name = "TIME", conflicts_with = "times")]
    until: Option<String>,
    /// Run the QC list only, as goldline check does: the units were provisioned before
    #[arg(long)]
    check_only: bool,
    /// What takes the appraiser's part
    #[arg(long, value_enum, default_value_t = Appraiser::Nest)]
    appraiser: Appraiser,
    /// Exit with 1 where the GRR of a measurement takes more of its tolerance than this; 30 is the field's limit
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    max_grr: Option<f64>,
    /// Print the JSON Schema of what --json prints
    #[arg(long)]
    schema: bool,
    #[command(flatten)]
    pub(super) run: RunArguments,
}

#[derive(Clone, Copy, ValueEnum)]
enum Appraiser {
    /// The nests, or the ports where no nest is named
    Nest,
    /// Those whom --operator names
    Operator,
}

impl From<Appraiser> for Appraisers {
    fn from(appraiser: Appraiser) -> Self {
        match appraiser {
            Appraiser::Nest => Self::Nests,
            Appraiser::Operator => Self::Operators,
        }
    }
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim_end_matches('%').parse().ok();
    let found = number.filter(|percent: &f64| percent.is_finite() && *percent > 0.0);
    found.ok_or_else(|| "expected a percentage above 0, such as 30".to_owned())
}

/// Runs or reads, and says what came of it.
pub(super) fn run(arguments: &RepeatabilityArguments) -> miette::Result<u8> {
    if arguments.schema {
        output::print_json(&schemars::schema_for!(Study))?;
        return Ok(exit::PASS);
    }
    let (study, bench) = match arguments.times {
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
    Ok(exit::worst([bench, judged(&study, arguments.max_grr)]))
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
        since: arguments.since.as_deref().map(moment).transpose()?,
        until: arguments.until.as_deref().map(moment).transpose()?,
    };
    let study = kept_study(&request, kept, arguments.appraiser.into());
    runtime()?.block_on(study).map_err(of_station)
}

/// Runs each unit so often, and says beside the study what the bench came to: a FAIL is the unit's, and counts in the
/// study.
fn made(arguments: &RepeatabilityArguments, times: u32) -> miette::Result<(Study, u8)> {
    let scope = if arguments.check_only { Scope::Check } else { Scope::Run };
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
            let bars = bars(&arguments.run, &ready);
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
            break;
        }
        if says_nothing && round + 1 < times {
            output::complain("this round said nothing of any unit: the rest is not run");
            break;
        }
    }
    session.end();
    Ok((live_study(&request, &records, arguments.appraiser.into()), bench))
}

fn says_something(record: &Record) -> bool {
    matches!(record.verdict, Some(Verdict::Pass | Verdict::Fail))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gauge::UnitVerdicts;

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
        assert_eq!([percent("30"), percent("12.5%")], [Ok(30.0), Ok(12.5)]);
        for wrong in ["0", "-1", "NaN", "inf", "much"] {
            assert!(percent(wrong).is_err(), "{wrong}");
        }
    }
}

//! Counts what became of units while they run, and keeps of them only what a report shows.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    accepted::Known,
    asked::Campaign,
    bound::{upper_bound, upper_bound_of},
    catalogue::Catalogue,
    draw::Drawn,
    fate::Fate,
    firmware::Untold,
    mutant::{Kind, Must, Mutant},
    proof::{
        Bounds, Case, CheckResult, GoodUnits, KindResult, Proof, SCHEMA, StageTime, Survivor, Tally,
    },
    trial::TrialError,
};
use crate::{
    check::reasons,
    profile::{Accepted, CheckSpec, Profile},
    record::{CheckRecord, Outcome, Record, Verdict},
};

/// What is known so far.
pub(super) struct Count {
    accepted: Known,
    only: Vec<String>,
    said: Said,
    good: Good,
    kinds: BTreeMap<Kind, OfKind>,
    checks: BTreeMap<String, OfCheck>,
    survivors: Vec<Survivor>,
    wrong_causes: Vec<Case>,
    undecided: Vec<Case>,
    blamed: Vec<Case>,
    impossible: Vec<Case>,
    untold: Vec<Untold>,
    cut_off: usize,
}

/// What the mutants of a product say of the checks that they are for.
#[derive(Default)]
struct Said {
    naming: BTreeSet<String>,
    remedies: BTreeSet<String>,
}

impl Said {
    fn of(catalogue: &Catalogue) -> Self {
        let mut said = Self::default();
        let mut hear = |mutant: &Mutant| {
            if let Must::Fail { naming } = &mutant.must {
                said.naming.extend(naming.iter().cloned());
            }
            said.remedies.insert(mutant.remedy.clone());
        };
        for (_, population) in catalogue.populations() {
            population.counted.iter().for_each(&mut hear);
            population.families.iter().for_each(|family| hear(&family.member(0)));
        }
        said
    }

    /// Whether a mutant's remedy names the check, or a FAIL of it would name the mutant.
    fn is_for(&self, check: &CheckSpec, profile: &Profile) -> bool {
        let names = [check.id.name(), check.name()];
        let words = |text: &str| {
            let mut words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
            words.any(|word| names.contains(&word))
        };
        self.remedies.iter().any(|remedy| words(remedy))
            || reasons(check.id, profile).iter().any(|code| self.naming.contains(code.as_str()))
    }
}

#[derive(Default)]
struct Good {
    passed: usize,
    refused: Vec<Case>,
    durations: Vec<u64>,
    stages: Vec<(String, Vec<u64>)>,
}

#[derive(Default)]
struct OfKind {
    there_are: usize,
    counted: Tally,
    drawn: Tally,
}

#[derive(Default)]
struct OfCheck {
    caught: usize,
    alone: usize,
    others_not_asked: usize,
    by_kind: BTreeMap<Kind, usize>,
}

impl Count {
    pub(super) fn new(catalogue: &Catalogue, accepted: &[Accepted]) -> Self {
        let of_kind =
            |there_are| OfKind { there_are, counted: Tally::default(), drawn: Tally::default() };
        let kinds = catalogue.populations();
        Self {
            accepted: Known::new(catalogue, accepted),
            only: catalogue.only().iter().map(ToString::to_string).collect(),
            said: Said::of(catalogue),
            good: Good::default(),
            kinds: kinds.map(|(kind, of)| (kind, of_kind(of.counted.len()))).collect(),
            checks: BTreeMap::new(),
            survivors: Vec::new(),
            wrong_causes: Vec::new(),
            undecided: Vec::new(),
            blamed: Vec::new(),
            impossible: Vec::new(),
            untold: catalogue.untold.clone(),
            cut_off: 0,
        }
    }

    /// How long good units take, by their median.
    pub(super) fn median_of_good(&self) -> Duration {
        Duration::from_millis(median(&self.good.durations))
    }

    pub(super) fn cut_off(&mut self, units: usize) {
        self.cut_off += units;
    }

    /// What came of a unit; of a good one if it was not drawn.
    pub(super) fn unit(&mut self, drawn: Option<Drawn>, record: Result<Record, TrialError>) {
        match (drawn, record) {
            (_, Ok(record)) if record.verdict == Some(Verdict::Aborted) => self.cut_off += 1,
            (None, Ok(record)) => self.good(&record),
            (None, Err(error)) => self.good.refused.push(Case::refused("good", None, &error)),
            (Some(drawn), Ok(record)) => self.bad(&drawn, &record),
            (Some(Drawn { mutant, of_family }), Err(error)) => {
                let is_impossible = error.says_that_it_cannot_be();
                let tally = self.tally(mutant.kind, of_family);
                tally.ran += 1;
                let case = Case::refused(&mutant.id, Some(&mutant), &error);
                match is_impossible {
                    true => {
                        tally.impossible += 1;
                        self.impossible.push(case);
                    }
                    false => {
                        tally.undecided += 1;
                        self.undecided.push(case);
                    }
                }
            }
        }
    }

    pub(super) fn good(&mut self, record: &Record) {
        let good = &mut self.good;
        if record.verdict != Some(Verdict::Pass) {
            good.refused.push(Case::of("good", None, record));
            return;
        }
        good.passed += 1;
        good.durations.push(record.duration_ms);
        for stage in &record.stages {
            match good.stages.iter_mut().find(|(name, _)| *name == stage.name) {
                Some((_, times)) => times.push(stage.duration_ms),
                None => good.stages.push((stage.name.clone(), vec![stage.duration_ms])),
            }
        }
    }

    fn bad(&mut self, drawn: &Drawn, record: &Record) {
        let Drawn { mutant, of_family } = drawn;
        let fate = Fate::of(record, &mutant.must);
        let case = Case::of(&mutant.id, Some(mutant), record);
        let accepted_because = self.accepted.saw(drawn, &fate);
        let tally = self.tally(mutant.kind, *of_family);
        tally.ran += 1;
        tally.good += usize::from(mutant.must == Must::NotBlame);
        match fate {
            Fate::Caught => tally.caught += 1,
            Fate::WrongCause => tally.wrong_cause += 1,
            Fate::Undecided => tally.undecided += 1,
            Fate::Escaped if accepted_because.is_some() => tally.accepted += 1,
            Fate::Escaped => tally.escaped += 1,
            Fate::Blamed => tally.blamed += 1,
        }
        match fate {
            Fate::Caught => {}
            Fate::WrongCause => self.wrong_causes.push(case),
            Fate::Undecided => self.undecided.push(case),
            Fate::Blamed => self.blamed.push(case),
            Fate::Escaped => self.survivors.push(Survivor {
                case,
                means: mutant.means.clone(),
                remedy: mutant.remedy.clone(),
                accepted_because,
            }),
        }
        if record.verdict == Some(Verdict::Fail) && fate != Fate::Blamed {
            self.blame(mutant.kind, &record.checks);
        }
    }

    /// Which checks blamed it; a run that was stopped blames it without any.
    fn blame(&mut self, kind: Kind, checks: &[CheckRecord]) {
        let failed = checks.iter().filter(|check| check.outcome == Outcome::Fail);
        let mut failed: Vec<&str> = failed.map(|check| check.id.as_str()).collect();
        if failed.is_empty() {
            failed.push(NO_CHECK);
        }
        let is_alone = failed.len() == 1;
        let is_cut_short = checks.iter().any(|check| check.outcome == Outcome::NotRun);
        for id in &failed {
            let check = self.checks.entry((*id).to_owned()).or_default();
            check.caught += 1;
            check.alone += usize::from(is_alone);
            check.others_not_asked += usize::from(is_alone && is_cut_short);
            *check.by_kind.entry(kind).or_default() += 1;
        }
    }

    fn tally(&mut self, kind: Kind, of_family: bool) -> &mut Tally {
        let of_kind = self.kinds.entry(kind).or_default();
        if of_family { &mut of_kind.drawn } else { &mut of_kind.counted }
    }

    /// All of it, for a report.
    pub(super) fn into_proof(self, campaign: &Campaign, profile: &Profile) -> Proof {
        let Self { accepted, good, kinds, said, mut checks, .. } = self;
        let stages: Vec<StageTime> = good
            .stages
            .iter()
            .map(|(stage, times)| StageTime { stage: stage.clone(), median_ms: median(times) })
            .collect();
        let mut of_check = |id: &str, has_mutants| {
            let of = checks.remove(id).unwrap_or_default();
            let OfCheck { caught, alone, others_not_asked, by_kind } = of;
            let times: Vec<u64> = stages
                .iter()
                .filter(|stage| check_of(&stage.stage) == Some(id))
                .map(|stage| stage.median_ms)
                .collect();
            let median_ms = (!times.is_empty()).then(|| times.iter().sum());
            let id = id.to_owned();
            CheckResult { id, caught, alone, others_not_asked, has_mutants, by_kind, median_ms }
        };
        let of_spec = |spec: &CheckSpec| of_check(spec.name(), said.is_for(spec, profile));
        let mut results: Vec<CheckResult> = profile.checks.iter().map(of_spec).collect();
        let stop = of_check(NO_CHECK, true);
        results.extend((stop.caught > 0).then_some(stop));
        Proof {
            schema: SCHEMA,
            profile: profile.name.clone(),
            goldline: env!("CARGO_PKG_VERSION").to_owned(),
            subject: campaign.subject.clone(),
            seed: campaign.seed,
            budget_s: campaign.budget.map(|budget| budget.as_secs()),
            all: campaign.all,
            only: self.only,
            again: format!("goldline prove {}", profile.name),
            stopped: false,
            duration_ms: u64::try_from(campaign.began.elapsed().as_millis()).unwrap_or(u64::MAX),
            cut_off: self.cut_off,
            bounds: Bounds::default(),
            good: GoodUnits {
                runs: good.passed + good.refused.len(),
                passed: good.passed,
                median_ms: median(&good.durations),
                refused: good.refused,
                stages,
            },
            kinds: kinds.into_iter().map(KindResult::from).collect(),
            survivors: self.survivors,
            wrong_causes: self.wrong_causes,
            undecided: self.undecided,
            blamed: self.blamed,
            impossible: self.impossible,
            untold: self.untold,
            checks: results,
            accepted_in_vain: accepted.in_vain(),
        }
    }
}

impl From<(Kind, OfKind)> for KindResult {
    fn from((kind, OfKind { there_are, counted, drawn }): (Kind, OfKind)) -> Self {
        // What cannot be made is none of those that could be met.
        let possible = there_are - counted.impossible;
        let counted_upper_bound = (counted.judged() < possible)
            .then(|| upper_bound_of(possible, counted.misjudged(), counted.judged()))
            .flatten();
        let upper_bound = upper_bound(drawn.misjudged(), drawn.judged());
        Self { kind, counted, there_are, counted_upper_bound, drawn, upper_bound }
    }
}

/// What stands for the checks where a run is stopped before any.
const NO_CHECK: &str = "";

/// The check that a stage of a run is for.
fn check_of(stage: &str) -> Option<&str> {
    match stage {
        "read_back" => Some("flash_integrity"),
        "read_back_after_boot" => Some("nvs_readback"),
        "application" | "steady" => Some("start"),
        "mqtt_command" => Some("mqtt_connect"),
        "ca_call" | "ca_register" => Some("ca_registration"),
        "registry" => Some("registry_record"),
        "portal_off" | "console_off" => Some("interface_off"),
        "console_factory_reset" | "search_leftovers" => Some("factory_reset"),
        "measure" => Some("command"),
        other => Some(other),
    }
}

fn median(of: &[u64]) -> u64 {
    let mut sorted = of.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

impl Case {
    fn of(id: &str, mutant: Option<&Mutant>, record: &Record) -> Self {
        let why = record.diagnosis.as_ref();
        Self {
            mutant: id.to_owned(),
            kind: mutant.map(|mutant| mutant.kind),
            what: mutant.map(|mutant| mutant.what.clone()).unwrap_or_default(),
            verdict: record.verdict.map_or("none", Verdict::as_str).to_owned(),
            code: why.map(|why| why.code.as_str().to_owned()),
            message: why.map(|why| why.message.clone()),
        }
    }

    fn refused(id: &str, mutant: Option<&Mutant>, error: &TrialError) -> Self {
        Self {
            mutant: id.to_owned(),
            kind: mutant.map(|mutant| mutant.kind),
            what: mutant.map(|mutant| mutant.what.clone()).unwrap_or_default(),
            verdict: "refused".to_owned(),
            code: None,
            message: Some(error.to_string()),
        }
    }
}

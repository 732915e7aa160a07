//! The nests of an order: which one each unit lies in, made ready for its run, and left as it must be left whatever
//! comes of that; and what nests share.
//!
//! The only file of the station that switches anything. What was begun is on the disk before it is done, so that the
//! next start takes back what a run that was killed has left.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::Value;
use time::{Date, OffsetDateTime};
use uuid::Uuid;

use crate::{
    check::NestPath,
    clock::Clock,
    engine::{AskNest, Doubt, Held, PrepareNest, Shares},
    identity::Mac,
    jig::{self, Lamp},
    process::{Program, Unusable},
    profile::{CheckId, Nest, Profile, Resource, StationFile},
    record::{Code, Diagnosis, Record, Verdict},
    store::{
        Found, HeldNest, NestInUse, RecordStore, RunFilter, RunOutcome, RunSummary, StateDirectory,
        StoreError, ToTakeBack,
    },
    testbed::network::NetworkKind,
};

/// How a nest is named as a device.
const SCHEME: &str = "nest:";
/// Every nest of the station file.
const ALL: &str = "nest:all";
/// How often a piece that others have is looked for: no event tells across processes that one is free.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Longer than any run keeps one, where the station file says nothing.
const PATIENCE: Duration = Duration::from_secs(60 * 60);

/// A nest cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum NestsError {
    #[error("--device {device}: {}", existing(.nests))]
    Unknown { device: String, nests: Vec<String> },
    #[error(transparent)]
    InUse(#[from] NestInUse),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(
        "the nest {nest} holds {held} for its whole run, and the test {test} waits for {wanted} meanwhile: another nest that does so the other way round would wait for ever"
    )]
    Crosswise { nest: String, held: Resource, test: String, wanted: Resource },
    #[error("the nest {nest} has a path loss that does not hold: {}", .calibration.as_deref().unwrap_or("the station file names none"))]
    Uncalibrated { nest: String, calibration: Option<String> },
    #[error("the nest {nest} has no program: {error}")]
    Program { nest: String, error: Unusable },
    #[error("a run that was killed left the nest {nest}, and it cannot be taken back: {why}")]
    Left { nest: String, why: String },
    #[error("{0}")]
    NotLeftWell(String),
}

impl NestsError {
    /// What to do about it, where the message does not say so.
    pub fn action(&self) -> Option<String> {
        let action = match self {
            Self::Unknown { .. } => {
                "name one of them, or describe it in [[nest]] of the station file (--station FILE)"
            }
            Self::Crosswise { wanted, .. } => {
                return Some(format!(
                    "let the nests use {wanted} too, or name it so that it comes later in the alphabet"
                ));
            }
            Self::Uncalibrated { .. } => {
                "measure what a signal loses between the nest and the antenna, and write it down with the day: path_loss_db = 12.5 and calibrated = 2026-11-01 in its [[nest]]; or take calibration = true out of [require]"
            }
            Self::Program { .. } => "correct it in [[nest]] of the station file",
            Self::InUse(NestInUse::Held { .. }) => "wait for its end, or choose another nest",
            Self::Left { .. } | Self::NotLeftWell(_) => {
                "do not reach into the nest before its supply is known to be off; run the programs of the message by hand and mend what fails: the next start tries them again"
            }
            Self::InUse(NestInUse::Store(_)) | Self::Store(_) => return None,
        };
        Some(action.to_owned())
    }
}

fn existing(nests: &[String]) -> String {
    match nests {
        [] => "the station has no nest".to_owned(),
        names => format!("there is no such nest: there are {}", names.join(", ")),
    }
}

/// A device as it was asked for, the URL that it is, and the nest that it is in.
pub(super) type Placed = (String, String, Option<Nest>);

/// The devices of a request, in order; `nest:all` is every nest of the station.
///
/// # Errors
/// [`NestsError::Unknown`] names the nests there are.
pub(super) fn placed(
    devices: &[String],
    station: Option<&StationFile>,
) -> Result<Vec<Placed>, NestsError> {
    let nests = station.map_or(&[][..], |station| &station.nests);
    let mut placed: Vec<Placed> = Vec::with_capacity(devices.len());
    let of_nest = |nest: &Nest| {
        let name = format!("{SCHEME}{}", nest.name);
        (name, nest.device.clone(), Some(nest.clone()))
    };
    for device in devices {
        let Some(name) = device.strip_prefix(SCHEME) else {
            placed.push((device.clone(), device.clone(), None));
            continue;
        };
        let before = placed.len();
        let named = nests.iter().filter(|nest| device == ALL || nest.name == name);
        placed.extend(named.map(of_nest));
        if placed.len() == before {
            let nests = nests.iter().map(|nest| nest.name.clone()).collect();
            return Err(NestsError::Unknown { device: device.clone(), nests });
        }
    }
    Ok(placed)
}

/// Takes back what runs that were killed have left. Touches no nest that another process uses; one that nobody
/// wants now and that cannot be taken back is only told. Blocks.
///
/// # Errors
/// [`NestsError::Left`] when a nest cannot be left as it must be.
pub(super) fn take_back_what_was_left(
    state: &StateDirectory,
    wanted: &[Option<Nest>],
) -> Result<(), NestsError> {
    for nest in state.nests_left()? {
        match state.hold_nest(&nest) {
            Ok(held) => match take_back_left(&held) {
                Err(error) if wanted.iter().flatten().all(|wanted| wanted.name != nest) => {
                    // Of another nest's trouble no unit here is to suffer.
                    tracing::error!("{error}; {}", error.action().unwrap_or_default());
                }
                taken_back => taken_back?,
            },
            Err(NestInUse::Held { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn take_back_left(held: &HeldNest) -> Result<(), NestsError> {
    let Some(left) = held.left()? else { return Ok(()) };
    tracing::warn!(nest = held.name(), "a run that was killed left this nest: it is taken back");
    jig::take_back(held.name(), &left.programs, left.within())
        .map_err(|why| NestsError::Left { nest: held.name().to_owned(), why })?;
    Ok(held.taken_back()?)
}

/// A nest that a run has.
#[derive(Clone)]
pub(super) struct NestOfRun {
    nest: Arc<Nest>,
    held: Arc<HeldNest>,
    shared: Arc<Mutex<Vec<Held>>>,
}

impl NestOfRun {
    /// Takes a nest for a run of this process.
    pub(super) fn take(state: &StateDirectory, nest: &Nest) -> Result<Self, NestsError> {
        nest.programs()
            .try_for_each(Program::refuse_unusable)
            .map_err(|error| NestsError::Program { nest: nest.name.clone(), error })?;
        let held = Arc::new(state.hold_nest(&nest.name)?);
        Ok(Self { nest: Arc::new(nest.clone()), held, shared: Arc::default() })
    }

    /// What it holds for the whole run.
    pub(super) fn uses(&self) -> &[Resource] {
        &self.nest.uses
    }

    /// What makes it ready, once it has what it shares with others.
    pub(super) fn preparer(&self, shares: &Shares) -> PrepareNest {
        let (this, shares) = (self.clone(), shares.clone());
        Box::new(move |given_up| {
            let mut uses = this.nest.uses.clone();
            uses.sort();
            for resource in &uses {
                let share = (shares.take)(resource, given_up)?;
                let Some(share) = share else { return Err(aborted()) };
                this.shared.lock().unwrap_or_else(PoisonError::into_inner).push(share);
            }
            let to_take_back = this.to_take_back(Lamp::Error);
            let noted = this.held.will_take_back(&to_take_back);
            noted.map_err(|error| Diagnosis::new(Code::StationState, error.to_string()))?;
            jig::make_ready(&this.nest, given_up).map_err(|error| error.diagnosis())
        })
    }

    /// Leaves it as it must be left; `record` is missing of a run that broke down. Blocks.
    ///
    /// # Errors
    /// [`NestsError::NotLeftWell`]: then the next start tries again.
    pub(super) fn leave(self, record: Option<&Record>) -> Result<(), NestsError> {
        if self.held.left()?.is_none() {
            return Ok(());
        }
        let ToTakeBack { programs, .. } = self.to_take_back(lamp_of(record));
        jig::take_back(&self.nest.name, &programs, self.nest.within)
            .map_err(NestsError::NotLeftWell)?;
        Ok(self.held.taken_back()?)
    }

    /// Who knows whether contacts and supply are sound: the nest's own witness, else another unit's PASS. Of its way into
    /// the network only a unit that came in can tell.
    pub(super) fn ask(
        &self,
        records: &RecordStore,
        clock: &Clock,
        network: NetworkKind,
    ) -> AskNest {
        let (nest, records, clock) = (Arc::clone(&self.nest), records.clone(), clock.clone());
        Arc::new(move |doubt, mac| {
            let (nest, records, now) = (Arc::clone(&nest), records.clone(), clock.now());
            Box::pin(async move {
                let shows = match doubt {
                    Doubt::Network => {
                        Some(Shows::Checks(&[CheckId::NetworkJoin, CheckId::WifiJoin]))
                    }
                    Doubt::Radio => Some(Shows::Checks(&[CheckId::WifiJoin])),
                    Doubt::Portal => Some(Shows::Stage("portal")),
                    Doubt::Contacts => None,
                };
                if let Some(shows) = shows {
                    return last_join(&nest, &records, mac, now, (network, shows)).await;
                }
                let asked = Arc::clone(&nest);
                let witness =
                    tokio::task::spawn_blocking(move || jig::bear_witness(&asked, &|| false));
                match witness.await {
                    Ok(Some(Ok(words))) if words.is_empty() => {
                        Ok(format!("the witness of the nest {} vouches for it", nest.name))
                    }
                    Ok(Some(Ok(words))) => {
                        Ok(format!("the witness of the nest {} vouches for it: {words}", nest.name))
                    }
                    Ok(Some(Err(why))) => Err(format!("its witness does not vouch for it ({why})")),
                    Ok(None) => {
                        let passed = last_pass(&nest, &records, mac, now).await;
                        passed.map(|(_, words)| words)
                    }
                    Err(panic) => Err(format!("its witness broke down ({panic})")),
                }
            })
        })
    }

    fn to_take_back(&self, lamp: Lamp) -> ToTakeBack {
        let programs = jig::taking_back(&self.nest, lamp);
        ToTakeBack { programs, within_s: self.nest.within.as_secs() }
    }
}

/// The newest run of another unit in the nest must have been a PASS, not long ago.
async fn last_pass(
    nest: &Nest,
    records: &RecordStore,
    mac: Option<Mac>,
    now: OffsetDateTime,
) -> Result<(Uuid, String), String> {
    let device = format!("{SCHEME}{}", nest.name);
    let since = now - nest.vouches;
    let filter = RunFilter { since: Some(since), ..RunFilter::default() };
    let runs = records.list(&filter).await.map_err(|error| error.to_string())?;
    // A run that never came to its unit speaks against the nest as well.
    let of_others = |run: &&RunSummary| run.mac.is_none() || run.mac != mac;
    let judged = |run: &&RunSummary| matches!(run.outcome, RunOutcome::Judged(verdict) if verdict != Verdict::Aborted);
    let others = runs.iter().filter(|run| run.device == device).filter(judged).filter(of_others);
    let newest = others.max_by_key(|run| run.started_at);
    let minutes = nest.vouches.as_secs() / 60;
    match newest {
        Some(run) if run.outcome == RunOutcome::Judged(Verdict::Pass) => {
            let ago = (now - run.started_at).whole_minutes();
            Ok((run.run_id, format!("the nest {} passed another unit {ago} min ago", nest.name)))
        }
        Some(_) => Err(format!("the last other unit in the nest {} did not pass", nest.name)),
        None => Err(format!("no other unit passed in the nest {} within {minutes} min", nest.name)),
    }
}

/// What of a record shows that a unit came in.
#[derive(Clone, Copy)]
enum Shows {
    /// One of these checks.
    Checks(&'static [CheckId]),
    /// That stage, which it went through.
    Stage(&'static str),
}

/// As [`last_pass`], of a unit that came in, over a network of this kind.
async fn last_join(
    nest: &Nest,
    records: &RecordStore,
    mac: Option<Mac>,
    now: OffsetDateTime,
    (network, shows): (NetworkKind, Shows),
) -> Result<String, String> {
    let (run_id, words) = last_pass(nest, records, mac, now).await?;
    let found = records.find(run_id).await.map_err(|error| error.to_string())?;
    let came_in = match &found {
        Some(Found::Record(record)) => came_in_over(network, record, shows),
        Some(Found::Unended(_)) | None => false,
    };
    match came_in {
        true => Ok(words),
        false => {
            Err(format!("the last other unit in the nest {} was in no such network", nest.name))
        }
    }
}

/// Whether a unit that passed came in over a network of this kind.
fn came_in_over(network: NetworkKind, record: &Value, shows: Shows) -> bool {
    let has = |list: &str, is_one: &dyn Fn(&Value) -> bool| {
        record[list].as_array().is_some_and(|list| list.iter().any(is_one))
    };
    let came_in = match shows {
        Shows::Checks(by) => has("checks", &|check| by.iter().any(|id| check["id"] == id.name())),
        Shows::Stage(name) => has("stages", &|stage| stage["name"] == name),
    };
    record["network"]["name"] == network.name() && came_in
}

fn lamp_of(record: Option<&Record>) -> Lamp {
    match record.and_then(|record| record.verdict) {
        Some(Verdict::Pass) => Lamp::Pass,
        Some(Verdict::Fail) => Lamp::Fail,
        Some(Verdict::Error | Verdict::Aborted) => Lamp::Error,
        // What is only provisioned has no verdict: it went well, or there is a reason.
        None if record.is_some_and(|record| record.diagnosis.is_none()) => Lamp::Pass,
        None => Lamp::Error,
    }
}

fn aborted() -> Diagnosis {
    Diagnosis::new(Code::Aborted, "the run was stopped")
}

/// What is added to each signal of a unit in a nest.
pub(super) fn path_of(nest: &Nest, today: Date) -> Option<NestPath> {
    let path = nest.path?;
    let calibration = path.calibration(today);
    Some(NestPath { nest: nest.name.clone(), loss_db: path.loss_db, calibration })
}

/// A limit of a signal holds for nests alone of which somebody knows what they do to it.
pub(super) fn refuse_uncalibrated(
    nests: &[Option<Nest>],
    is_required: bool,
    today: Date,
) -> Result<(), NestsError> {
    for nest in nests.iter().flatten() {
        let is_calibrated = nest.path.is_some_and(|path| path.is_calibrated(today));
        let calibration = nest.path.map(|path| path.calibration(today));
        if is_required && !is_calibrated {
            return Err(NestsError::Uncalibrated { nest: nest.name.clone(), calibration });
        }
        if let Some(calibration) = calibration.filter(|_| !is_calibrated) {
            tracing::warn!(nest = nest.name, "its path loss is {calibration}");
        }
    }
    Ok(())
}

/// What is held is held in one order, the alphabet's, so that no two runs wait for each other.
pub(super) fn refuse_crosswise(
    nests: &[Option<Nest>],
    profile: &Profile,
) -> Result<(), NestsError> {
    for nest in nests.iter().flatten() {
        let Some(held) = nest.uses.iter().max() else { continue };
        for own in profile.own_tests() {
            let before = own.uses.iter().find(|used| *used < held && !nest.uses.contains(used));
            if let Some(wanted) = before {
                let (nest, test) = (nest.name.clone(), own.name.clone());
                let (held, wanted) = (held.clone(), wanted.clone());
                return Err(NestsError::Crosswise { nest, held, test, wanted });
            }
        }
    }
    Ok(())
}

/// What the units of a station share: so many as its file says, one where it says nothing; and how long the same runs
/// may keep it while another waits.
pub(super) fn shares(
    state: &StateDirectory,
    counts: &BTreeMap<Resource, u32>,
    within: Option<Duration>,
) -> Shares {
    let (state, counts, within) = (state.clone(), counts.clone(), within.unwrap_or(PATIENCE));
    Shares {
        held_already: Vec::new(),
        joins_are_counted: counts.contains_key(&Resource::joins()),
        take: Arc::new(move |resource, given_up| {
            let count = counts.get(resource).copied().unwrap_or(1);
            wait_for_share(&state, (resource, count), within, given_up)
        }),
    }
}

/// A wait goes on for as long as others come and go. A holder whose process ended holds nothing.
fn wait_for_share(
    state: &StateDirectory,
    (resource, count): (&Resource, u32),
    within: Duration,
    given_up: &dyn Fn() -> bool,
) -> Result<Option<Held>, Diagnosis> {
    let (mut same, mut since) = (None, Instant::now());
    while !given_up() {
        let holders = match state.try_share(resource, count) {
            Ok(Ok(share)) => return Ok(Some(Box::new(share) as Box<dyn Send>)),
            Ok(Err(holders)) => holders,
            Err(error) => return Err(Diagnosis::new(Code::StationState, error.to_string())),
        };
        if same.as_ref() != Some(&holders) {
            since = Instant::now();
        } else if since.elapsed() >= within {
            let (seconds, processes) = (within.as_secs(), holders.processes());
            let message = format!(
                "{resource} was not to be had: there are {count}, and the same runs kept them for {seconds} s (process {processes})"
            );
            return Err(Diagnosis::new(Code::NestFailed, message));
        }
        same = Some(holders);
        sleep(LOOK_EVERY);
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const WITHIN: Duration = Duration::from_millis(300);

    #[test]
    fn a_wait_ends_when_the_same_run_keeps_what_is_shared_too_long_and_not_while_others_come_and_go()
     {
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateDirectory::open(&folder.path().join("state")).expect("a state");
        let meter: Resource = "meter".parse().expect("a name");
        let wait = || wait_for_share(&state, (&meter, 1), WITHIN, &|| false);
        let held = state.try_share(&meter, 1).expect("readable").expect("it is free");
        let why = wait().err().expect("it is kept");
        let message = format!(
            "meter was not to be had: there are 1, and the same runs kept them for 0 s (process {})",
            std::process::id()
        );
        assert_eq!((why.code, why.message), (Code::NestFailed, message));
        let lock = folder.path().join("state/shares/meter.0.lock");
        let began = Instant::now();
        let others = std::thread::spawn(move || {
            while began.elapsed() < WITHIN * 3 {
                fs::write(&lock, format!("1 {:?}", began.elapsed())).expect("another's note");
                sleep(LOOK_EVERY);
            }
            drop(held);
        });
        assert!(matches!(wait(), Ok(Some(_))), "it was free in the end");
        assert!(began.elapsed() >= WITHIN * 3);
        others.join().expect("they ended");
    }
}

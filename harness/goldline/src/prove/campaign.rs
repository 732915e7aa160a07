//! Many units of a product, bad ones and good ones in between, within a budget of time.
//!
//! Must not know what a report looks like.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::mpsc, task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    asked::Campaign,
    catalogue::Catalogue,
    draw::{Drawn, Sequence, Until},
    gate::Gate,
    good_unit::said,
    proof::Proof,
    tally::Count,
    trial::{self, TrialError},
};
use crate::{
    profile::{Accepted, Profile},
    record::{Record, Verdict},
    station::Specimens,
};

/// Good units that run before any bad one, to know how long they take.
const FIRST: usize = 3;
/// After so many bad units comes a good one.
const GOOD_AFTER: usize = 10;
/// How long a run that is stopped may take to end.
const STOPPING: Duration = Duration::from_secs(2);

/// Nothing can be said of a test.
#[derive(Debug, thiserror::Error)]
pub enum CampaignError {
    /// A good unit cannot be run.
    #[error(transparent)]
    Trial(#[from] TrialError),
    /// A good unit does not pass.
    #[error("a good unit does not pass: {0}")]
    NoGoodUnit(String),
}

/// A unit that ran.
struct Ended {
    /// `None` of a good one.
    drawn: Option<Drawn>,
    record: Result<Record, TrialError>,
}

/// Runs mutants and good units of a product until there are no more of them, or the time is over. `watch` is told how
/// many ran.
///
/// # Errors
/// [`CampaignError`] when no good unit passes at the beginning: then nothing can be said of bad ones.
pub async fn prove(
    specimens: Arc<Specimens>,
    catalogue: &Catalogue,
    accepted: &[Accepted],
    campaign: &Campaign,
    mut watch: impl FnMut(usize),
    cancel: &CancellationToken,
) -> Result<Proof, CampaignError> {
    let mut count = Count::new(catalogue, accepted);
    for first in 0..FIRST {
        if first > 0 && campaign.is_late(Duration::ZERO) {
            break;
        }
        let record = trial::run(&specimens, None, cancel.child_token()).await?;
        if record.verdict != Some(Verdict::Pass) {
            return Err(CampaignError::NoGoodUnit(said(&record)));
        }
        count.good(&record);
    }
    let mut units = Units::new(specimens, count.median_of_good(), cancel);
    let until = match (campaign.budget, campaign.all) {
        (Some(_), _) => Until::TimeIsOver,
        (None, true) => Until::All,
        (None, false) => Until::Enough,
    };
    let mut sequence = Sequence::new(catalogue, campaign.seed, until);
    let (mut begun, mut ran) = (0_usize, 0);
    while !campaign.is_late(units.longest) && !cancel.is_cancelled() {
        let drawn = match begun % (GOOD_AFTER + 1) {
            GOOD_AFTER => None,
            _ => match sequence.next() {
                Some(drawn) => Some(drawn),
                None => break,
            },
        };
        begun += 1;
        if !units.begin(drawn, campaign.left()).await {
            break;
        }
        while let Some(ended) = units.try_next() {
            ran += 1;
            count.unit(ended.drawn, ended.record);
            watch(ran);
        }
    }
    while let Some(ended) = units.next(campaign.left()).await {
        ran += 1;
        count.unit(ended.drawn, ended.record);
        watch(ran);
    }
    count.cut_off(units.stop().await);
    let stopped = cancel.is_cancelled();
    Ok(Proof { stopped, ..count.into_proof(campaign, units.profile()) })
}

/// The units that run.
struct Units {
    specimens: Arc<Specimens>,
    gate: Gate,
    cancel: CancellationToken,
    runs: JoinSet<()>,
    ended: mpsc::UnboundedReceiver<(Ended, Duration)>,
    ending: mpsc::UnboundedSender<(Ended, Duration)>,
    longest: Duration,
}

impl Units {
    fn new(specimens: Arc<Specimens>, good: Duration, cancel: &CancellationToken) -> Self {
        let (ending, ended) = mpsc::unbounded_channel();
        let (gate, cancel) = (Gate::new(good), cancel.child_token());
        let (runs, longest) = (JoinSet::new(), good);
        Self { specimens, gate, cancel, runs, ended, ending, longest }
    }

    /// Waits for room, and begins; `false` when there is none within that time.
    async fn begin(&mut self, drawn: Option<Drawn>, within: Option<Duration>) -> bool {
        let admitted = match within {
            None => self.gate.admit().await,
            Some(within) => match timeout(within, self.gate.admit()).await {
                Ok(admitted) => admitted,
                Err(_elapsed) => return false,
            },
        };
        let (specimens, cancel) = (Arc::clone(&self.specimens), self.cancel.clone());
        let ending = self.ending.clone();
        self.runs.spawn(async move {
            let began = Instant::now();
            let change = drawn.as_ref().map(|drawn| drawn.mutant.change.clone());
            // Of its own, so that one that panics is told too.
            let run =
                tokio::spawn(async move { trial::run(&specimens, change.as_ref(), cancel).await });
            let record = run.await.unwrap_or_else(|error| Err(error.into()));
            drop(admitted);
            // Whoever listened went away with all of it.
            let _heard = ending.send((Ended { drawn, record }, began.elapsed()));
        });
        while self.runs.try_join_next().is_some() {}
        true
    }

    fn try_next(&mut self) -> Option<Ended> {
        let (ended, took) = self.ended.try_recv().ok()?;
        self.longest = self.longest.max(took);
        Some(ended)
    }

    /// The next one that ends within a time; `None` at the end of it, and when no unit runs any more.
    async fn next(&mut self, within: Option<Duration>) -> Option<Ended> {
        match within {
            Some(within) => timeout(within, self.next_ended()).await.ok()?,
            None => self.next_ended().await,
        }
    }

    async fn next_ended(&mut self) -> Option<Ended> {
        loop {
            tokio::select! {
                biased;
                ended = self.ended.recv() => return ended.map(|(ended, _)| ended),
                () = self.cancel.cancelled() => return None,
                joined = self.runs.join_next() => {
                    if joined.is_none() {
                        return self.try_next();
                    }
                }
            }
        }
    }

    fn profile(&self) -> &Profile {
        self.specimens.profile()
    }

    /// Stops those that still run; says how many.
    async fn stop(&mut self) -> usize {
        self.cancel.cancel();
        let running = self.runs.len();
        let all = async { while self.runs.join_next().await.is_some() {} };
        // What blocks on a device is left to the end of the process.
        let _ended = timeout(STOPPING, all).await;
        running
    }
}

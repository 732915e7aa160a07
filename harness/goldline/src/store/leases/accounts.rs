//! What is known of a series' numbers, as its events tell it.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;
use time::OffsetDateTime;
use uuid::Uuid;

use super::LeaseOutcome;
use crate::identity::Mac;

/// Every number that one value of a profile was given.
#[derive(Clone, Debug, Serialize)]
pub struct Series {
    /// Name of the value.
    pub value: String,
    /// The number that the next lease gives; `None` when the series is used up.
    pub next: Option<u32>,
    /// Numbers below this one were given before accounts were kept: nobody knows what became of them.
    pub accounted_from: u32,
    /// The numbers, with what became of each.
    #[serde(serialize_with = "in_order")]
    pub leases: BTreeMap<u32, Lease>,
}

/// One number.
#[derive(Clone, Debug, Serialize)]
pub struct Lease {
    /// The number.
    pub number: u32,
    /// What became of it.
    #[serde(flatten)]
    pub state: LeaseState,
    /// The batch of units that it was leased for.
    pub lot: Option<String>,
    /// The run that leased it, or that last told what became of it.
    pub run_id: Option<Uuid>,
    /// When it was leased.
    #[serde(with = "time::serde::rfc3339")]
    pub leased_at: OffsetDateTime,
    /// When its fate was last noted.
    #[serde(with = "time::serde::rfc3339::option")]
    pub settled_at: Option<OffsetDateTime>,
}

/// What became of a number.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum LeaseState {
    /// Its run goes on, or died without a word.
    Leased {
        /// Base MAC of the unit; a lease of older versions names none.
        mac: Option<Mac>,
    },
    /// A unit holds it.
    Used {
        /// Base MAC of that unit.
        mac: Mac,
    },
    /// The unit that held it was given a later number.
    Replaced {
        /// Base MAC of that unit.
        mac: Mac,
        /// The number that it holds now.
        by: u32,
    },
    /// Its run ended before the unit was provisioned.
    Aborted {
        /// Base MAC, when the unit was identified.
        mac: Option<Mac>,
    },
    /// Someone wrote it off.
    Scrapped {
        /// Base MAC of the unit that held it.
        mac: Option<Mac>,
        /// Why.
        reason: String,
    },
}

impl Series {
    /// A unit holds a number, whoever gave it: by hand, or to a module in the place of another.
    pub fn note_holder(&mut self, number: u32, mac: Mac, since: OffsetDateTime) {
        let by_hand = || Lease {
            number,
            state: LeaseState::Used { mac },
            lot: None,
            run_id: None,
            leased_at: since,
            settled_at: Some(since),
        };
        let lease = self.leases.entry(number).or_insert_with(by_hand);
        if matches!(lease.state, LeaseState::Used { mac: other } if other != mac) {
            lease.state = LeaseState::Used { mac };
        }
    }

    /// The last number of a unit, unless a later one replaced it or it was written off.
    pub(super) fn number_of(&self, mac: Mac) -> Option<u32> {
        let lost = |state: &LeaseState| {
            matches!(state, LeaseState::Replaced { .. } | LeaseState::Scrapped { .. })
        };
        let mut latest_first = self.leases.values().rev();
        let own = latest_first.find(|it| it.state.mac() == Some(mac) && !lost(&it.state));
        own.map(|lease| lease.number)
    }

    /// The numbers that no unit holds, in order: what a count of a lot must explain.
    pub fn gaps(&self) -> impl Iterator<Item = &Lease> {
        self.leases.values().filter(|lease| !matches!(lease.state, LeaseState::Used { .. }))
    }
}

impl LeaseState {
    /// The unit, when one is known.
    pub fn mac(&self) -> Option<Mac> {
        match self {
            Self::Used { mac } | Self::Replaced { mac, .. } => Some(*mac),
            Self::Leased { mac } | Self::Aborted { mac } | Self::Scrapped { mac, .. } => *mac,
        }
    }

    /// Its name, without further facts.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Leased { .. } => "leased",
            Self::Used { .. } => "used",
            Self::Replaced { .. } => "replaced",
            Self::Aborted { .. } => "aborted",
            Self::Scrapped { .. } => "scrapped",
        }
    }

    pub(super) fn is(&self, outcome: &LeaseOutcome) -> bool {
        match (self, outcome) {
            (Self::Used { mac }, LeaseOutcome::Used { mac: other }) => mac == other,
            (Self::Aborted { mac }, LeaseOutcome::Aborted { mac: other }) => mac == other,
            (Self::Scrapped { reason, .. }, LeaseOutcome::Scrapped { reason: other }) => {
                reason == other
            }
            _ => false,
        }
    }

    /// Whether that a run came to nothing leaves the number where it is: in the unit that had it before.
    pub(super) fn outlasts(&self, outcome: &LeaseOutcome) -> bool {
        match (self, outcome) {
            (Self::Used { mac }, LeaseOutcome::Aborted { mac: of }) => *of == Some(*mac),
            _ => false,
        }
    }

    /// A number never changes its unit, and what was scrapped stays so.
    pub(super) fn may_become(&self, outcome: &LeaseOutcome) -> bool {
        match (self, outcome) {
            (Self::Scrapped { .. }, _) => false,
            (Self::Used { .. } | Self::Replaced { .. }, LeaseOutcome::Aborted { .. }) => false,
            (state, LeaseOutcome::Used { mac }) => state.mac().is_none_or(|held| held == *mac),
            _ => true,
        }
    }

    /// The state after an event of its file.
    pub(super) fn after(&self, outcome: LeaseOutcome) -> Self {
        match outcome {
            LeaseOutcome::Used { mac } => Self::Used { mac },
            LeaseOutcome::Aborted { mac } => Self::Aborted { mac },
            LeaseOutcome::Scrapped { reason } => Self::Scrapped { mac: self.mac(), reason },
        }
    }
}

impl From<&LeaseOutcome> for LeaseState {
    fn from(outcome: &LeaseOutcome) -> Self {
        Self::Leased { mac: None }.after(outcome.clone())
    }
}

impl fmt::Display for LeaseState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())?;
        match (self, self.mac()) {
            (Self::Scrapped { reason, .. }, _) => write!(f, " ({reason})"),
            (Self::Replaced { mac, by }, _) => write!(f, " by {by} in {mac}"),
            (_, Some(mac)) => write!(f, " by {mac}"),
            (_, None) => Ok(()),
        }
    }
}

fn in_order<S: serde::Serializer>(
    leases: &BTreeMap<u32, Lease>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(leases.values())
}

//! How far a run has come. What is known and held at each point belongs to it.
//!
//! A plan's order is sound (see `plan`), so that a step finds what it needs; the accessors say so once
//! more, here and nowhere else.

use std::net::Ipv4Addr;

use tokio::time::Instant;

use super::{Failure, OpenDevice, Run, ValuesOfUnit};
use crate::{
    check::LogFacts,
    device::Console,
    identity::Mac,
    plan::{BoundPlan, Purpose},
    testbed::Testbed,
};

/// How far a run has come.
pub(super) enum Phase {
    /// The port is not open yet.
    Unopened(OpenDevice, ValuesOfUnit),
    /// The port is open; nobody knows which unit it is.
    Unknown(ValuesOfUnit),
    /// It is known which unit it is, and it is not in its testbed: it may be none of the product's.
    Known(Box<BoundPlan>),
    /// The unit is in its testbed.
    Placed(Box<Placed>),
    /// Nothing was known when something went wrong.
    Over,
}

/// A unit in its testbed.
pub(super) struct Placed {
    pub(super) mac: Mac,
    pub(super) plan: BoundPlan,
    pub(super) testbed: Testbed,
    pub(super) activity: Activity,
}

/// What the unit does.
pub(super) enum Activity {
    /// Its loader answers; of its last boot, the log is kept.
    Rests(Option<Boot>),
    /// Its firmware runs.
    Runs(Boot),
    /// It is in the network.
    Joined(Boot, Link),
}

/// A start of the unit's firmware by the bench.
#[derive(Clone)]
pub(super) struct Boot {
    pub(super) purpose: Purpose,
    /// The reset that it is.
    pub(super) at: Instant,
    /// When the device had done it: an emulator may need several.
    pub(super) done: Instant,
    /// Lines of the earlier log that stem from boots before this one, and how many of theirs were lost.
    pub(super) earlier_lines: usize,
    pub(super) lost_before: usize,
    /// Lines that were printed before the first update, which restarts the unit, and what they claimed.
    pub(super) before_update: Option<(usize, LogFacts)>,
}

/// A unit's place in the network.
#[derive(Clone, Copy)]
pub(super) struct Link {
    pub(super) address: Ipv4Addr,
    /// When it joined, as far as it is known.
    pub(super) since: Instant,
    /// From when on what it does counts: on a site's network a unit may be at its broker before its console is heard.
    pub(super) counts_from: Instant,
}

impl Phase {
    /// The plan of the unit, as soon as it is known which unit it is.
    pub(super) fn plan(&self) -> Option<&BoundPlan> {
        match self {
            Self::Unopened(..) | Self::Unknown(_) | Self::Over => None,
            Self::Known(plan) => Some(plan),
            Self::Placed(placed) => Some(&placed.plan),
        }
    }

    pub(super) fn into_plan(self) -> Option<BoundPlan> {
        match self {
            Self::Unopened(..) | Self::Unknown(_) | Self::Over => None,
            Self::Known(plan) => Some(*plan),
            Self::Placed(placed) => Some(placed.plan),
        }
    }

    /// The last boot; its log is the present one.
    pub(super) fn last_boot(&self) -> Option<&Boot> {
        match self {
            Self::Placed(placed) => placed.activity.last_boot(),
            _ => None,
        }
    }
}

impl Activity {
    pub(super) fn last_boot(&self) -> Option<&Boot> {
        match self {
            Self::Rests(boot) => boot.as_ref(),
            Self::Runs(boot) | Self::Joined(boot, _) => Some(boot),
        }
    }

    /// Notes what was printed until now, for an update restarts the unit.
    pub(super) fn begin_update(&mut self, before: (usize, LogFacts)) {
        if let Self::Runs(boot) | Self::Joined(boot, _) = self {
            boot.before_update = Some(before);
        }
    }
}

/// What a step may take for granted.
impl Run {
    pub(super) fn placed(&self) -> Result<&Placed, Failure> {
        match &self.phase {
            Phase::Placed(placed) => Ok(placed),
            _ => Err(Failure::OutOfOrder { step: "use the unit's testbed" }),
        }
    }

    pub(super) fn placed_mut(&mut self) -> Result<&mut Placed, Failure> {
        match &mut self.phase {
            Phase::Placed(placed) => Ok(placed),
            _ => Err(Failure::OutOfOrder { step: "use the unit's testbed" }),
        }
    }

    pub(super) fn testbed(&self) -> Result<&Testbed, Failure> {
        Ok(&self.placed()?.testbed)
    }

    pub(super) fn bound(&self) -> Result<&BoundPlan, Failure> {
        Ok(&self.placed()?.plan)
    }

    pub(super) fn bound_mut(&mut self) -> Result<&mut BoundPlan, Failure> {
        Ok(&mut self.placed_mut()?.plan)
    }

    pub(super) fn mac(&self) -> Result<Mac, Failure> {
        Ok(self.placed()?.mac)
    }

    /// The boot that the unit runs since.
    pub(super) fn running(&self) -> Result<&Boot, Failure> {
        match &self.placed()?.activity {
            Activity::Runs(boot) | Activity::Joined(boot, _) => Ok(boot),
            Activity::Rests(_) => Err(Failure::OutOfOrder { step: "wait for the unit" }),
        }
    }

    /// Until when the application's first line is waited for, unless the log is behind.
    pub(super) fn start_deadline(&self) -> Result<Instant, Failure> {
        Ok(self.running()?.done + self.plan.profile.deadlines.boot)
    }

    pub(super) fn unit_and_boot(&self) -> Result<(Mac, Instant), Failure> {
        Ok((self.mac()?, self.running()?.at))
    }

    pub(super) fn link(&self) -> Result<Link, Failure> {
        match &self.placed()?.activity {
            Activity::Joined(_, link) => Ok(*link),
            _ => Err(Failure::OutOfOrder { step: "talk to the unit" }),
        }
    }

    pub(super) fn console(&self) -> Result<Console, Failure> {
        let device = self.device.as_ref().ok_or(Failure::DeviceBusy)?;
        Ok(device.line().console().clone())
    }
}

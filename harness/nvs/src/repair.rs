//! The repairs that [`check`](mod@crate::check) names, made: one flipped bit
//! each, and nothing else in the image changes.
//!
//! Must not know how a bit is found. A repair that does not remove its finding,
//! or costs a device more than it brings, is taken back.

use std::collections::HashSet;

use crate::check::{Code, Finding, Repair};
use crate::device::DeviceView;
use crate::image::{DecodeError, Image};
use crate::key::Key;

/// An image after its repairs. `Debug` shows the length of the image only.
#[derive(Clone, PartialEq, Eq)]
pub struct Repaired {
    /// The whole image, of the length that it had.
    pub bytes: Vec<u8>,
    /// The bits that were flipped, in this order.
    pub applied: Vec<Applied>,
    /// What is still to be found, as `check` says it of the repaired image.
    pub remaining: Vec<Finding>,
}

/// A repair that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Of the finding that it removed.
    pub code: Code,
    /// Page of the finding, counted in the order of the flash.
    pub page: Option<usize>,
    /// Entry of the page.
    pub entry: Option<usize>,
    /// The flipped bit.
    pub repair: Repair,
}

/// Applies every repair that `check` names, checks again, and goes on while
/// there is something new: a repaired page header uncovers its items.
///
/// Takes at most 500 checks of the image, however damaged it is; what it does
/// not come to stays among the remaining findings.
///
/// # Errors
/// The bytes are not even one page.
pub fn repair(bytes: &[u8]) -> Result<Repaired, DecodeError> {
    Image::decode(bytes)?;
    let mut bench = Bench {
        now: Judged::of(bytes.to_vec()),
        applied: Vec::new(),
        tried: HashSet::new(),
        checks_left: CHECKS_MAX,
    };
    loop {
        let mut proposed = bench.proposed();
        let Some(first) = proposed.iter().map(Applied::stage).min() else { break };
        if bench.checks_left == 0 {
            break;
        }
        proposed.retain(|applied| applied.stage() == first);
        bench.try_all(&proposed);
    }
    let Judged { bytes, findings, .. } = bench.now;
    Ok(Repaired { bytes, applied: bench.applied, remaining: findings })
}

const CHECKS_MAX: usize = 500;

/// The order of repairs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// Of a header, which hides what is wrong behind it.
    Header,
    /// Of a payload.
    Payload,
    /// Of a state, which is told from its surroundings and not by a CRC.
    State,
}

impl Applied {
    fn stage(&self) -> Stage {
        match self.code {
            Code::PageCrc | Code::EntryCrc => Stage::Header,
            _ if self.repair.is_proven() => Stage::Payload,
            _ => Stage::State,
        }
    }
}

struct Bench {
    now: Judged,
    applied: Vec<Applied>,
    /// Bits flipped once, whatever became of it: none is flipped again.
    tried: HashSet<(usize, u8)>,
    checks_left: usize,
}

impl Bench {
    /// Repairs that were not tried yet, one for each bit.
    fn proposed(&self) -> Vec<Applied> {
        let mut bits = self.tried.clone();
        let findings = self.now.findings.iter();
        findings
            .filter_map(|&Finding { code, page, entry, repair, .. }| {
                Some(Applied { code, page, entry, repair: repair? })
            })
            .filter(|Applied { repair, .. }| bits.insert((repair.offset, repair.bit)))
            .collect()
    }

    /// All at once where that is good, else each half by itself, so that many
    /// repairs cost few checks.
    fn try_all(&mut self, proposed: &[Applied]) {
        if proposed.is_empty() || self.checks_left == 0 {
            return;
        }
        self.checks_left -= 1;
        let mut bytes = self.now.bytes.clone();
        proposed.iter().for_each(|Applied { repair, .. }| repair.apply(&mut bytes));
        let after = Judged::of(bytes);
        let bit = |applied: &Applied| (applied.repair.offset, applied.repair.bit);
        if self.now.is_bettered(&after, proposed) {
            self.now = after;
            self.applied.extend_from_slice(proposed);
            self.tried.extend(proposed.iter().map(bit));
        } else if let [only] = proposed {
            self.tried.insert(bit(only));
        } else {
            let (first, second) = proposed.split_at(proposed.len() / 2);
            self.try_all(first);
            self.try_all(second);
        }
    }
}

/// An image with what is wrong with it and what a device reads of it.
struct Judged {
    bytes: Vec<u8>,
    findings: Vec<Finding>,
    is_readable: bool,
    readable: HashSet<(Key, Key)>,
}

type Place = (Code, Option<usize>, Option<usize>);

impl Judged {
    fn of(bytes: Vec<u8>) -> Self {
        let image =
            Image::decode(&bytes).expect("the image was decoded before and keeps its length");
        let (findings, view) = (image.findings(), image.device_view());
        Self {
            findings,
            is_readable: view.opening().is_readable(),
            readable: readable(&view),
            bytes,
        }
    }

    /// Whether `after`, made by these repairs, is better: their findings are
    /// gone, a device reads all that it read, and nothing is wrong that was not
    /// hidden before.
    fn is_bettered(&self, after: &Self, repairs: &[Applied]) -> bool {
        let places = |judged: &Self| judged.findings.iter().map(place).collect::<HashSet<Place>>();
        let (before_places, after_places) = (places(self), places(after));
        let is_gone = |applied: &Applied| {
            !after_places.contains(&(applied.code, applied.page, applied.entry))
        };
        let hides = |applied: &Applied| applied.stage() == Stage::Header;
        let is_new = |finding: &Finding| {
            finding.severity.is_damage() && !before_places.contains(&place(finding))
        };
        repairs.iter().all(is_gone)
            && (after.is_readable || !self.is_readable)
            && self.readable.is_subset(&after.readable)
            && (repairs.iter().all(hides) || !after.findings.iter().any(is_new))
    }
}

fn place(finding: &Finding) -> Place {
    (finding.code, finding.page, finding.entry)
}

fn readable(view: &DeviceView) -> HashSet<(Key, Key)> {
    let entries = view.entries().iter();
    entries.map(|entry| (entry.namespace, entry.key)).collect()
}

impl std::fmt::Debug for Repaired {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Repaired")
            .field("bytes", &self.bytes.len())
            .field("applied", &self.applied)
            .field("remaining", &self.remaining)
            .finish()
    }
}

#[cfg(test)]
mod tests;

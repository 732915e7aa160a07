//! What the flash of a good unit comes to hold, for who wants to know what can be damaged in it.

use std::sync::{Arc, Mutex, PoisonError};

use goldline_simulator::Tampering;
use tokio_util::sync::CancellationToken;

use crate::{
    engine::Events,
    identity::Mac,
    record::{Record, Verdict},
    station::{Specimen, Specimens, SpecimensError},
};

/// The base MAC address of another unit than the usual one.
const ANOTHER: Mac = Mac([0x24, 0x0A, 0xC4, 0x0A, 0x07, 0xE5]);

/// A good unit that was run.
#[derive(Clone)]
pub(super) struct GoodUnit {
    /// Everything on its flash, at the last look at it.
    pub(super) cells: Arc<[u8]>,
}

/// No good unit can be looked at.
#[derive(Debug, thiserror::Error)]
pub enum NoGoodUnit {
    /// The station refuses it.
    #[error(transparent)]
    Specimen(#[from] SpecimensError),
    /// It does not pass.
    #[error("a good unit does not pass: {0}")]
    NotPassed(String),
    /// Its flash was never looked at.
    #[error("nobody looked at the flash of a good unit")]
    NotSeen,
}

impl GoodUnit {
    /// The one that a profile declares.
    pub(super) async fn usual(
        specimens: &Specimens,
        cancel: &CancellationToken,
    ) -> Result<Self, NoGoodUnit> {
        Self::run(specimens, Specimen::default(), cancel).await
    }

    /// One with another MAC, and numbers and secrets of its own; `None` of a product whose other units nobody can make:
    /// what is a unit's own is burnt into its eFuses, or built into its firmware.
    pub(super) async fn another(
        specimens: &Specimens,
        cancel: &CancellationToken,
    ) -> Result<Option<Self>, NoGoodUnit> {
        let another = |mac| Specimen { mac: Some(mac), is_another: true, ..Specimen::default() };
        // The first number of its own may be the declared one.
        for mac in [ANOTHER.behind(1), ANOTHER] {
            match Self::run(specimens, another(mac), cancel).await {
                Ok(unit) if mac == ANOTHER => return Ok(Some(unit)),
                Ok(_) => {}
                // A fault of the bench is none of the product.
                Err(NoGoodUnit::NotPassed(why)) if why.starts_with(Verdict::Fail.as_str()) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    async fn run(
        specimens: &Specimens,
        specimen: Specimen,
        cancel: &CancellationToken,
    ) -> Result<Self, NoGoodUnit> {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&seen);
        let tampering = Tampering::new(move |cells| {
            let mut kept = keep.lock().unwrap_or_else(PoisonError::into_inner);
            kept.clear();
            kept.extend_from_slice(cells);
            None
        });
        let specimen = Specimen { tampering: Some(tampering), ..specimen };
        let finished = specimens.run(specimen, Events::nobody(), cancel.child_token()).await?;
        if finished.record.verdict != Some(Verdict::Pass) {
            return Err(NoGoodUnit::NotPassed(said(&finished.record)));
        }
        let cells = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
        match cells.is_empty() {
            true => Err(NoGoodUnit::NotSeen),
            false => Ok(Self { cells: cells.into() }),
        }
    }
}

/// A verdict and its reason.
pub(super) fn said(record: &Record) -> String {
    let verdict = record.verdict.map_or("none", Verdict::as_str);
    match &record.diagnosis {
        Some(why) => format!("{verdict} {}: {}", why.code.as_str(), why.message),
        None => verdict.to_owned(),
    }
}

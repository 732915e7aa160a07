//! What a unit is being changed by, and whether that came to its end: noted while a run lasts, asked for before
//! a unit is judged by what this station gave it.

use std::sync::Arc;

use uuid::Uuid;

use super::{order::Order, remembered::provisioned_unit};
use crate::{
    clock::Clock,
    engine::{AskStanding, Change, Finished, NoteChange},
    plan::Scope,
    record::{Code, Diagnosis},
    store::{Changing, Durable, RecordStore, StateDirectory, StoreError, Unsettled},
};

/// What notes the changes of a run of this order.
pub(super) fn noter(
    state: &StateDirectory,
    order: &Order,
    run_id: Uuid,
    clock: &Clock,
) -> NoteChange {
    let (state, clock, profile) = (state.clone(), clock.clone(), order.profile.name.clone());
    Arc::new(move |mac, stage, change| {
        let (profile, stage) = (profile.clone(), stage.to_owned());
        let changing = Changing { run_id, mac, profile, stage, at: clock.now() };
        let durable = if change == Change::None { Durable::Now } else { Durable::Later };
        state.journal_changing(&changing, durable).map_err(|error| error.to_string())
    })
}

/// What asks whether a unit may be judged.
pub(super) fn asker(records: &RecordStore) -> AskStanding {
    let records = records.clone();
    Arc::new(move |mac| {
        let records = records.clone();
        Box::pin(async move {
            match records.unsettled(mac).await {
                Ok(None) => Ok(()),
                Ok(Some(run)) => Err(interrupted(&run)),
                Err(error) => Err(Diagnosis::new(Code::StationState, error.to_string())),
            }
        })
    })
}

fn interrupted(run: &Unsettled) -> Diagnosis {
    let Unsettled { run_id, profile, stage, recorded } = run;
    let ended = if *recorded { "ended" } else { "was interrupted" };
    let message = format!(
        "the last run of this unit ({run_id}, {profile}) {ended} at {stage}, before the unit was as it should be; provision it again"
    );
    Diagnosis::new(Code::RunInterrupted, message)
}

/// Notes that a unit is as its run was to leave it, where it is: called when the station knows how.
pub(super) fn settle_change(
    state: &StateDirectory,
    scope: Scope,
    finished: &Finished,
) -> Result<(), StoreError> {
    let gives_values = !matches!(scope, Scope::Check | Scope::FactoryReset);
    let has_them = !gives_values || provisioned_unit(scope, finished).is_some();
    match finished.change {
        Change::Done if has_them => state.journal_settled(finished.record.run_id),
        _ => Ok(()),
    }
}

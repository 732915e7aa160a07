//! One unit, one identity, ever after: what a unit is given is its own, also where it takes another's place.

use std::sync::Arc;

use uuid::Uuid;

use super::{order::Order, remembered::RememberedError};
use crate::{
    clock::Clock,
    engine::{ClaimIdentity, NoClaim},
    plan::Given,
    store::{Claimant, IdentityError, StateDirectory},
};

/// What makes the identity of a unit of this order its own.
pub(super) fn claimer(
    state: &StateDirectory,
    order: &Order,
    claimed_by: Uuid,
    clock: &Clock,
) -> ClaimIdentity {
    let (state, clock) = (state.clone(), clock.clone());
    let (profile, replaces) = (order.profile.name.clone(), order.replaces.clone());
    Arc::new(move |mac, claims| {
        let (profile, replaces) = (profile.clone(), replaces.clone());
        let claimant = Claimant { mac, profile, claimed_by, replaces, at: clock.now() };
        state.claim(&claimant, claims).map_err(|error| match error {
            IdentityError::Taken { .. } => NoClaim::Taken(error.to_string()),
            IdentityError::Store(error) => NoClaim::Unknown(error.to_string()),
        })
    })
}

/// A new module in the place of another is given what that one was given, but what its own MAC makes anew.
pub(super) fn with_replaced(
    order: &Order,
    state: &StateDirectory,
    given: &Given,
) -> Result<Given, RememberedError> {
    let mut given = given.clone();
    let Some(replaced) = &order.replaces else { return Ok(given) };
    let mac = replaced.mac;
    let unit = state.recall(mac)?.ok_or(RememberedError::NeverProvisioned { mac })?;
    if unit.profile != order.profile.name {
        let (found, wanted) = (unit.profile, order.profile.name.clone());
        return Err(RememberedError::OtherProfile { mac, found, wanted });
    }
    let given_to_it = unit.values.into_iter().filter(|(name, _)| {
        let spec = order.profile.values.iter().find(|spec| spec.name == *name);
        spec.is_some_and(|spec| !spec.source.is_derived())
    });
    given.take_remembered(given_to_it);
    Ok(given)
}

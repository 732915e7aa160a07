//! The units that this station provisioned: what it keeps of one, and when that may be used again.

use std::sync::Arc;

use super::leases::{Leasing, Taken};
use crate::{
    engine::{Finished, TEST_VALUES},
    identity::Mac,
    plan::{BindingError, Bindings, Given, Identity, Scope},
    profile::Profile,
    record::{Code, Diagnosis},
    store::{Holder, StateDirectory, StoreError, UnitEntry},
};

/// A unit's values are not known, or are not those of this product.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum RememberedError {
    #[error("this station never provisioned {mac}; run goldline provision first")]
    NeverProvisioned { mac: Mac },
    #[error("{mac} was provisioned as {found}, not as {wanted}; check it with that profile")]
    OtherProfile { mac: Mac, found: String, wanted: String },
    #[error(
        "the profile {profile} or its images changed since {mac} was provisioned; check it with the old ones, or provision it again"
    )]
    OtherProduct { mac: Mac, profile: String },
    #[error(
        "{mac} was given values by the bench's own {services}, which nobody else knows: a real unit is not shipped so; provision it with the product's own"
    )]
    OfTheBench { mac: Mac, services: String },
    #[error(
        "{mac} was tested, and was not given what it is to be shipped with, or not all of it was there when it was read back"
    )]
    TestedOnly { mac: Mac },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Binding(#[from] BindingError),
}

impl RememberedError {
    /// What is said of it in the record.
    pub(super) fn diagnosis(&self) -> Diagnosis {
        let code = match self {
            Self::NeverProvisioned { .. }
            | Self::OtherProfile { .. }
            | Self::OtherProduct { .. } => Code::UnitUnknown,
            Self::OfTheBench { .. } | Self::TestedOnly { .. } => Code::EndpointBench,
            Self::Store(_) | Self::Binding(_) => Code::StationState,
        };
        let diagnosis = Diagnosis::new(code, self.to_string());
        match self {
            Self::TestedOnly { .. } => Diagnosis {
                action: "run it again: goldline run tests it and writes its final image".to_owned(),
                ..diagnosis
            },
            _ => diagnosis,
        }
    }
}

/// What is needed to find the values of a unit again, whichever it turns out to be.
pub(super) struct Recall {
    pub(super) state: StateDirectory,
    pub(super) profile: Arc<Profile>,
    /// Which version of the product is asked for: [`Plan::product_digest`](crate::plan::Plan::product_digest).
    pub(super) product: String,
    pub(super) identity: Identity,
    /// What is given now outranks what is remembered.
    pub(super) given: Given,
    pub(super) taken: Taken,
    /// Whether the unit will be shipped as it is judged.
    pub(super) ships: bool,
}

impl Recall {
    /// The values of the unit that the holder names.
    pub(super) fn values_of(self, holder: Holder) -> Result<Bindings, RememberedError> {
        let Self { state, profile, product, identity, mut given, taken, ships } = self;
        let mac = holder.mac;
        let unit = state.recall(mac)?.ok_or(RememberedError::NeverProvisioned { mac })?;
        if unit.profile != profile.name {
            let (found, wanted) = (unit.profile, profile.name.clone());
            return Err(RememberedError::OtherProfile { mac, found, wanted });
        }
        if unit.product != product {
            return Err(RememberedError::OtherProduct { mac, profile: profile.name.clone() });
        }
        if unit.of_bench.iter().any(|of| of == TEST_VALUES) {
            return Err(RememberedError::TestedOnly { mac });
        }
        if ships && !unit.of_bench.is_empty() {
            let services = unit.of_bench.join(" and ");
            return Err(RememberedError::OfTheBench { mac, services });
        }
        let changing: Vec<String> = given.set_names().collect();
        let made_of_it = |name: &String| {
            let spec = profile.values.iter().find(|spec| spec.name == *name);
            spec.is_some_and(|spec| spec.source.names(&changing))
        };
        // A salt is not the unit's: where the station has one, that is in force.
        let salts = profile.values.iter().filter_map(|spec| spec.source.salt());
        let in_force: Vec<&str> = salts.filter(|salt| given.text(salt).is_some()).collect();
        let kept = |name: &String| !made_of_it(name) && !in_force.contains(&name.as_str());
        given.take_remembered(unit.values.into_iter().filter(|(name, _)| kept(name)));
        let mut sources = Leasing { state: &state, profile: &profile.name, holder, taken };
        Ok(Bindings::resolve(&profile, &given, identity, &mut sources)?)
    }
}

/// Remembers what later commands need of a unit that was given its values.
pub(super) fn remember(
    state: &StateDirectory,
    scope: Scope,
    finished: &Finished,
) -> Result<(), StoreError> {
    let record = &finished.record;
    let (Some(plan), Some(mac)) = (&finished.plan, provisioned_unit(scope, finished)) else {
        return Ok(());
    };
    let of_bench = match scope.provisions() {
        true => finished.of_bench.iter().map(ToString::to_string).collect(),
        // What one part is given anew leaves the others as they were.
        false => state.recall(mac)?.map(|unit| unit.of_bench).unwrap_or_default(),
    };
    state.remember(&UnitEntry {
        of_bench,
        mac,
        profile: record.profile.clone(),
        product: finished.product.clone(),
        run_id: record.run_id,
        provisioned_at: record.started_at,
        values: plan.shipped().bindings().to_remember(),
    })
}

/// The unit, when there is evidence that it got its values.
pub(super) fn provisioned_unit(scope: Scope, finished: &Finished) -> Option<Mac> {
    let writes = scope != Scope::Check && scope != Scope::FactoryReset;
    let seen = &finished.observations;
    let flashed = finished.plan.as_ref().is_none_or(|plan| plan.plan().flashes_values());
    let got_them = match flashed {
        // The bench wrote them, and read them back.
        true => seen.before_boot.is_some(),
        // Its own firmware took them: all of them, or the plan would have gone no further.
        false => seen.before_boot.is_some() && (seen.booted || seen.stopped.is_none()),
    };
    finished.record.unit.mac.filter(|_| writes && got_them)
}

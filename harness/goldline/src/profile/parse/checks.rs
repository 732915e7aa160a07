//! The sections `deadlines` and `check`.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use super::Problems;
use crate::{
    profile::{
        CheckId, CheckSpec, Deadlines,
        problem::Problem,
        raw::{At, RawCheck, RawDeadlines, RawLimits},
    },
    record::Limits,
};

/// Without these a unit whose flash is bad would be booted, and could pass.
const ALWAYS: [CheckId; 2] = [CheckId::FlashIntegrity, CheckId::NvsReadback];
/// How long anything but a boot may take where the profile does not say.
pub(super) const UNLESS_GIVEN: Duration = Duration::from_secs(20);
/// How long an application must run without a crash where the profile does not say.
const STEADY: Duration = Duration::from_secs(5);
/// Longer than anyone stands in front of a jig, in seconds.
const LONGEST_DEADLINE: u64 = 600;

impl Problems {
    pub(super) fn deadlines(&mut self, raw: &RawDeadlines) -> Deadlines {
        Deadlines {
            boot: self.deadline(&raw.boot_s),
            wifi: self.deadline_or(raw.wifi_s.as_ref()),
            mqtt: self.deadline_or(raw.mqtt_s.as_ref()),
            command: self.deadline_or(raw.command_s.as_ref()),
            service: self.deadline_or(raw.service_s.as_ref()),
            steady: raw.steady_s.as_ref().map_or(STEADY, |raw| self.deadline(raw)),
        }
    }

    fn deadline_or(&mut self, raw: Option<&At<u64>>) -> Duration {
        raw.map_or(UNLESS_GIVEN, |raw| self.deadline(raw))
    }

    pub(super) fn deadline(&mut self, raw: &At<u64>) -> Duration {
        let seconds = *raw.get_ref();
        if !(1..=LONGEST_DEADLINE).contains(&seconds) {
            self.push(raw.span(), Problem::Deadline { found: seconds });
        }
        Duration::from_secs(seconds)
    }

    /// A product that joins nothing is watched whether it runs at all, also where its list does not say so.
    pub(super) fn checks(
        &mut self,
        raw: At<Vec<RawCheck>>,
        joins: bool,
        folder: Option<&Path>,
    ) -> Vec<CheckSpec> {
        let span = raw.span();
        let mut checks: Vec<CheckSpec> = Vec::new();
        for raw in raw.into_inner() {
            let names = CheckId::ALL.map(|check| (check.name(), check));
            let Some(id) = self.one_of("check", &raw.id, &names) else { continue };
            if id == CheckId::Command {
                let taken: Vec<String> =
                    checks.iter().map(|check| check.name().to_owned()).collect();
                let own = self.own_test(raw, folder, &taken).map(Arc::new);
                checks.extend(own.map(|own| CheckSpec { own: Some(own), ..CheckSpec::of(id) }));
                continue;
            }
            self.refuse_keys_of_command(&raw, id);
            if checks.iter().any(|check| check.id == id) {
                self.push(raw.id.span(), Problem::CheckTwice { id: id.name() });
            }
            let without_radio = raw.without_radio.and_then(|name| {
                let names: Vec<_> =
                    id.without_radio().map(|id| (id.name(), id)).into_iter().collect();
                self.one_of("check without a radio", &name, &names)
            });
            let limits = self.limits(id, raw.limits);
            if let Some(silent) = raw.silent.as_ref().filter(|_| id != CheckId::Start) {
                self.push(silent.span(), Problem::SilentCheck { id: id.name() });
            }
            let silent = raw.silent.is_some_and(At::into_inner);
            checks.push(CheckSpec { id, own: None, without_radio, silent, limits });
        }
        for id in ALWAYS {
            if !checks.iter().any(|check| check.id == id) {
                self.push(span.clone(), Problem::MissingCheck { id: id.name() });
            }
        }
        if !joins && !checks.iter().any(|check| check.id == CheckId::Start) {
            let flash = checks.iter().take_while(|check| ALWAYS.contains(&check.id)).count();
            checks.insert(flash, CheckSpec::of(CheckId::Start));
        }
        checks
    }

    fn limits(
        &mut self,
        check: CheckId,
        raw: BTreeMap<At<String>, RawLimits>,
    ) -> BTreeMap<String, Limits> {
        let names: Vec<_> = check.measurements().iter().map(|name| (*name, ())).collect();
        let mut limits = BTreeMap::new();
        for (name, RawLimits { lower, upper, .. }) in raw {
            if self.one_of("measurement", &name, &names).is_none() {
                continue;
            }
            if !passes_something(lower, upper) {
                self.push(name.span(), Problem::Limits { name: name.get_ref().clone() });
            }
            limits.insert(name.into_inner(), Limits { lower, upper });
        }
        limits
    }
}

/// Whether there is a bound and a number within it; NaN is neither.
pub(super) fn passes_something(lower: Option<f64>, upper: Option<f64>) -> bool {
    match (lower, upper) {
        (None, None) => false,
        (Some(lower), Some(upper)) => lower <= upper,
        (Some(bound), None) | (None, Some(bound)) => bound.is_finite(),
    }
}

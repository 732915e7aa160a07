//! The values of a unit while it is tested, where it is shipped with others.

use super::{BindingError, Bindings, Origin};
use crate::profile::{BENCH_ROOT, Profile, ValueSource};

impl Bindings {
    /// The same unit on a bench whose CA has that root (PEM): the profile's bench values in place of its own, and
    /// anew what is made of them. Identities, numbers and secrets that are its own stay.
    ///
    /// # Errors
    /// When a bench value does not fit, or what is made of it.
    pub fn on_bench(&self, profile: &Profile, bench_root: &str) -> Result<Self, BindingError> {
        let mut bench = Self {
            chip: self.chip,
            bound: Default::default(),
            waiting: Vec::new(),
            remembered: self.remembered.clone(),
        };
        let learnt = |origin| matches!(origin, Origin::Engine | Origin::Issued);
        let learnt = self.bound.iter().filter(|(_, bound)| learnt(bound.origin));
        bench.bound.extend(learnt.map(|(name, bound)| (name.clone(), bound.clone())));
        for spec in &profile.values {
            if let Some(template) = profile.bench_values.get(&spec.name) {
                let root = |name: &str| (name == BENCH_ROOT).then_some(bench_root);
                bench.bind_spec(spec, &template.render(root)?, Origin::Bench)?;
                continue;
            }
            let is_made_of_others = matches!(
                spec.source,
                ValueSource::Template(_) | ValueSource::MacScheme(_) | ValueSource::Salted { .. }
            );
            match self.bound.get(&spec.name) {
                Some(bound) if !is_made_of_others || bound.origin != Origin::Template => {
                    bench.bound.insert(spec.name.clone(), bound.clone());
                }
                Some(_) | None => bench.waiting.push(spec.clone()),
            }
        }
        bench.bind_templates()?;
        bench.check_addresses(profile)?;
        bench.check_wifi(profile)?;
        Ok(bench)
    }
}

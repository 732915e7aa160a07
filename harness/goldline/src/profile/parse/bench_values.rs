//! The section `bench_values`, and whether a product can be tested with other values than it is shipped with.

use std::{collections::BTreeMap, ops::Range};

use super::Problems;
use crate::profile::{
    BENCH_ROOT, DialogueName, Method, Profile, Template, ValueSource, ValueSpec, problem::Problem,
    raw::At,
};

impl Problems {
    /// What a unit is told on the bench, by the names of the values that it stands in for.
    pub(super) fn bench_values(
        &mut self,
        raw: BTreeMap<At<String>, At<String>>,
        values: &[ValueSpec],
    ) -> BTreeMap<String, Template> {
        let mut found = BTreeMap::new();
        for (name, text) in raw {
            let Some(spec) = values.iter().find(|spec| spec.name == *name.get_ref()) else {
                let expected = values.iter().map(|spec| spec.name.clone()).collect();
                let found = name.get_ref().clone();
                self.push(name.span(), Problem::Unknown { what: "value", found, expected });
                continue;
            };
            if let Some(found) = why_it_must_stay(spec) {
                let name_text = name.get_ref().clone();
                self.push(name.span(), Problem::BenchValue { name: name_text, found });
                continue;
            }
            if let Some(template) = self.bench_text(spec, &text) {
                found.insert(spec.name.clone(), template);
            }
        }
        found
    }

    fn bench_text(&mut self, spec: &ValueSpec, text: &At<String>) -> Option<Template> {
        let template = match text.get_ref().parse::<Template>() {
            Ok(template) => template,
            Err(error) => {
                self.push(text.span(), error);
                return None;
            }
        };
        let name = || spec.name.clone();
        if let Some(found) = template.symbols().find(|symbol| *symbol != BENCH_ROOT) {
            let found = found.to_owned();
            self.push(text.span(), Problem::BenchSymbol { name: name(), found });
            return None;
        }
        if let Ok(text_of_it) = template.render(|_| None) {
            let (length, min, max) = (text_of_it.len(), spec.min_bytes, spec.max_bytes);
            if !(min..=max).contains(&length) {
                let what = "bench's value";
                self.push(text.span(), Problem::Length { what, name: name(), length, min, max });
            }
        }
        Some(template)
    }

    /// Two sets of values need a product whose NVS the bench writes, and nothing else of which outlives the test.
    pub(super) fn two_sets_of_values(&mut self, profile: &Profile, at: &Range<usize>) {
        if !profile.is_tested_then_finished() {
            if !profile.bench_values.is_empty() {
                let section = "[bench_values]";
                let needed = "[mqtt] with policy = \"test_then_final\"";
                self.push(at.clone(), Problem::SectionNeeds { section, needed });
            }
            return;
        }
        if profile.bench_values.is_empty() {
            self.push(at.clone(), Problem::NoBenchValues);
        }
        if let Some(why) = why_not_finishable(profile) {
            self.push(at.clone(), Problem::NotFinishable { why });
        }
    }
}

/// Identities are the same on the bench and in the field, and what is made of other values follows them.
fn why_it_must_stay(spec: &ValueSpec) -> Option<&'static str> {
    match spec.source {
        _ if spec.id => Some("is a public id"),
        ValueSource::Site | ValueSource::Random { .. } => None,
        ValueSource::Lease => Some("is a number that is leased"),
        ValueSource::Template(_) | ValueSource::MacScheme(_) | ValueSource::Salted { .. } => {
            Some("is made of others")
        }
    }
}

/// What the unit's own firmware writes, only it can write again, and for that it would have to run.
fn why_not_finishable(profile: &Profile) -> Option<&'static str> {
    let console = profile.console.as_ref();
    let is_typed =
        console.is_some_and(|console| !console.dialogue(DialogueName::Provision).is_empty());
    match profile.method {
        Method::Console => {
            Some("its values are typed into its console, and its firmware stores them")
        }
        Method::Portal => Some("its values go into its web portal, and its firmware stores them"),
        Method::FactoryFirmware => Some("a provisioning firmware writes its values, by running"),
        Method::FactoryImage | Method::CaRegistration if is_typed => {
            Some("some of its values are typed into its console, and its firmware stores them")
        }
        Method::FactoryImage | Method::CaRegistration => None,
    }
}

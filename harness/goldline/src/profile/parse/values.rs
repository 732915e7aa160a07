//! The section `values`, and what the other sections may know of it.

use std::collections::BTreeMap;

use toml::Spanned;

use super::Problems;
use crate::profile::{
    Part, Template, ValueSource, ValueSpec, forbidden_character, is_lease_number, problem::Problem,
    raw::RawValue,
};

/// The longest string that Espressif's generator puts into NVS, in bytes.
pub(super) const LONGEST_STRING: usize = 3967;
/// The digits of the largest number that is leased.
const LONGEST_NUMBER: usize = 10;

/// What the engine binds once it knows it, and how a value of it looks.
const ENGINE_SYMBOLS: [(&str, &str); 1] = [("unit.mac", "00:00:00:00:00:00")];
const RESERVED: [&str; 4] = ["unit", "issued", "observed", "nonce"];

/// The values that a template may name.
pub(super) struct Scope<'a> {
    known: &'a [ValueSpec],
    later: &'a [String],
    nonce: bool,
}

impl<'a> Scope<'a> {
    pub(super) fn of(known: &'a [ValueSpec]) -> Self {
        Self { known, later: &[], nonce: false }
    }

    /// The same scope where `{nonce}` has a meaning too.
    pub(super) fn with_nonce(&self) -> Self {
        Self { nonce: true, ..*self }
    }

    /// Why a symbol cannot be used here.
    pub(super) fn missing(&self, symbol: &str) -> Option<Problem> {
        let engine = ENGINE_SYMBOLS.map(|(name, _)| name);
        if self.spec(symbol).is_some()
            || engine.contains(&symbol)
            || self.nonce && symbol == "nonce"
        {
            return None;
        }
        if self.later.iter().any(|later| later == symbol) {
            return Some(Problem::LaterValue { name: symbol.to_owned() });
        }
        let names = self.known.iter().map(|spec| spec.name.as_str());
        let expected = names.chain(engine).map(str::to_owned).collect();
        Some(Problem::Unknown { what: "value", found: symbol.to_owned(), expected })
    }

    /// The shortest and the longest text that a template can become, in bytes.
    pub(super) fn bounds(&self, template: &Template) -> (usize, usize) {
        template.parts().iter().fold((0, 0), |(shortest, longest): (usize, usize), part| {
            let (least, most) = match part {
                Part::Text(text) => (text.len(), text.len()),
                Part::Symbol { name, width } => {
                    let (least, most) = self.symbol_bounds(name);
                    (least.max(*width), most.max(*width))
                }
            };
            (shortest.saturating_add(least), longest.saturating_add(most))
        })
    }

    fn symbol_bounds(&self, symbol: &str) -> (usize, usize) {
        match (self.spec(symbol), engine_sample(symbol)) {
            (Some(spec), _) => (spec.min_bytes, spec.max_bytes),
            (None, Some(sample)) => (sample.len(), sample.len()),
            (None, None) => (0, LONGEST_STRING),
        }
    }

    /// What a template is for the declared identity; `None` when a sample is missing.
    pub(super) fn sample(&self, template: &Template) -> Option<String> {
        template.render(|name| self.symbol_sample(name)).ok()
    }

    fn symbol_sample(&self, symbol: &str) -> Option<&str> {
        engine_sample(symbol).or_else(|| self.spec(symbol)?.sample.as_deref())
    }

    pub(super) fn is_secret(&self, template: &Template) -> bool {
        template.symbols().any(|symbol| self.spec(symbol).is_some_and(|spec| spec.secret))
    }

    fn spec(&self, symbol: &str) -> Option<&ValueSpec> {
        self.known.iter().find(|spec| spec.name == symbol)
    }
}

fn engine_sample(symbol: &str) -> Option<&'static str> {
    ENGINE_SYMBOLS.iter().find(|(name, _)| *name == symbol).map(|(_, sample)| *sample)
}

impl Problems {
    /// The values, in the file's order. A value with a fault is kept as far as it goes, so that the
    /// sections that name it are not blamed as well.
    pub(super) fn values(&mut self, raw: BTreeMap<Spanned<String>, RawValue>) -> Vec<ValueSpec> {
        let mut raw: Vec<_> = raw.into_iter().collect();
        raw.sort_by_key(|(name, _)| name.span().start);
        let names: Vec<String> = raw.iter().map(|(name, _)| name.get_ref().clone()).collect();
        let mut values = Vec::new();
        for (index, (name, raw)) in raw.iter().enumerate() {
            let scope = Scope { known: &values, later: &names[index..], nonce: false };
            let spec = self.value(name, raw, &scope);
            values.push(spec);
        }
        values
    }

    fn value(&mut self, name: &Spanned<String>, raw: &RawValue, scope: &Scope<'_>) -> ValueSpec {
        self.value_name(name);
        let source = self.value_source(name, raw, scope).unwrap_or(ValueSource::Site);
        let (shortest, longest) = default_bounds(&source, scope);
        let derived_secret =
            matches!(&source, ValueSource::Template(template) if scope.is_secret(template));
        let spec = ValueSpec {
            name: name.get_ref().clone(),
            secret: raw.secret || derived_secret,
            id: raw.id.as_ref().is_some_and(|id| *id.get_ref()),
            min_bytes: raw.min_bytes.as_ref().map_or(shortest, |min| *min.get_ref()),
            max_bytes: raw.max_bytes.as_ref().map_or(longest, |max| *max.get_ref()),
            sample: match &source {
                ValueSource::Template(template) => scope.sample(template),
                _ => raw.sample.as_ref().map(|sample| sample.get_ref().clone()),
            },
            source,
        };
        self.value_limits(name, raw, &spec);
        self.value_sample(name, raw, &spec);
        spec
    }

    fn value_name(&mut self, name: &Spanned<String>) {
        let text = name.get_ref();
        let good = text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
        if !good || RESERVED.contains(&text.as_str()) {
            self.push(name.span(), Problem::ValueName { name: text.clone() });
        }
    }

    fn value_source(
        &mut self,
        name: &Spanned<String>,
        raw: &RawValue,
        scope: &Scope<'_>,
    ) -> Option<ValueSource> {
        let source = match (&raw.source, &raw.template) {
            (Some(source), None) => source,
            (None, Some(template)) => {
                self.pointless(name, "sample", raw.sample.as_ref(), "a template");
                self.pointless(name, "bytes", raw.bytes.as_ref(), "a template");
                return self.template(template, scope).map(ValueSource::Template);
            }
            _ => {
                let problem = Problem::ValueSource { name: name.get_ref().clone() };
                self.push(name.span(), problem);
                return None;
            }
        };
        let choices = ["site", "lease", "random"].map(|choice| (choice, choice));
        match self.one_of("source", source, &choices)? {
            "random" => self.random(name, source, raw.bytes.as_ref()),
            "lease" => {
                self.pointless(name, "bytes", raw.bytes.as_ref(), "a lease");
                Some(ValueSource::Lease)
            }
            _ => {
                self.pointless(name, "bytes", raw.bytes.as_ref(), "the site");
                Some(ValueSource::Site)
            }
        }
    }

    fn random(
        &mut self,
        name: &Spanned<String>,
        source: &Spanned<String>,
        bytes: Option<&Spanned<usize>>,
    ) -> Option<ValueSource> {
        let found = bytes.map_or(0, |bytes| *bytes.get_ref());
        if !(16..=64).contains(&found) {
            let span = bytes.map_or_else(|| source.span(), Spanned::span);
            self.push(span, Problem::RandomBytes { name: name.get_ref().clone(), found });
            return None;
        }
        Some(ValueSource::Random { bytes: found })
    }

    fn pointless<T>(
        &mut self,
        name: &Spanned<String>,
        key: &'static str,
        given: Option<&Spanned<T>>,
        source_name: &'static str,
    ) {
        if let Some(given) = given {
            let name = name.get_ref().clone();
            self.push(given.span(), Problem::Pointless { name, key, source_name });
        }
    }

    fn value_limits(&mut self, name: &Spanned<String>, raw: &RawValue, spec: &ValueSpec) {
        let (min, max) = (spec.min_bytes, spec.max_bytes);
        let span = [&raw.max_bytes, &raw.min_bytes].into_iter().flatten().next();
        let span = span.map_or_else(|| name.span(), Spanned::span);
        if min > max || max == 0 {
            self.push(span, Problem::EmptyRange { name: spec.name.clone(), min, max });
        } else if let ValueSource::Random { bytes } = spec.source {
            let length = 2 * bytes;
            if !(min..=max).contains(&length) {
                let (what, name) = ("generated text", spec.name.clone());
                self.push(span, Problem::Length { what, name, length, min, max });
            }
        }
        if let Some(id) = raw.id.as_ref().filter(|_| spec.secret && spec.id) {
            self.push(id.span(), Problem::SecretId { name: spec.name.clone() });
        }
    }

    fn value_sample(&mut self, name: &Spanned<String>, raw: &RawValue, spec: &ValueSpec) {
        let Some(sample) = &spec.sample else { return };
        let span = [&raw.sample, &raw.template].into_iter().flatten().next();
        let span = span.map_or_else(|| name.span(), Spanned::span);
        let (name, length) = (spec.name.clone(), sample.len());
        let (min, max) = (spec.min_bytes, spec.max_bytes);
        if spec.source == ValueSource::Lease && !is_lease_number(sample) {
            self.push(span, Problem::SampleNumber { name, sample: sample.clone() });
        } else if let Some(what) = forbidden_character(sample) {
            self.push(span, Problem::Character { name, what });
        } else if min <= max && !(min..=max).contains(&length) {
            self.push(span, Problem::Length { what: "sample", name, length, min, max });
        }
    }
}

/// The bounds of a value that states none, in bytes.
fn default_bounds(source: &ValueSource, scope: &Scope<'_>) -> (usize, usize) {
    match source {
        ValueSource::Site | ValueSource::Random { .. } => (1, LONGEST_STRING),
        ValueSource::Lease => (1, LONGEST_NUMBER),
        ValueSource::Template(template) => scope.bounds(template),
    }
}

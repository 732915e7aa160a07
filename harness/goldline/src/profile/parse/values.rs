//! The section `values`, and what the other sections may know of it.

use std::collections::BTreeMap;

use super::{
    Problems,
    learnt::{EngineSymbol, SAMPLE_MAC},
};
use crate::{
    identity::{MacScheme, Salt, SaltedScheme},
    profile::{
        Piece, Template, ValueSource, ValueSpec, is_lease_number,
        problem::Problem,
        raw::{At, RawValue},
    },
    secret::Secret,
};

/// The longest string that Espressif's generator puts into NVS, in bytes.
pub(super) const LONGEST_STRING: usize = 3967;
/// Characters of a UUID.
const UUID_LENGTH: usize = 36;
/// The digits of the largest number that is leased.
const LONGEST_NUMBER: usize = 10;

/// The words before the dot in what the engine binds, and its words without one.
const RESERVED: [&str; 5] = ["unit", "issued", "observed", "ota", "nonce"];

/// The names in scope where a template stands.
#[derive(Clone, Copy)]
pub(super) struct Names<'a> {
    known: &'a [ValueSpec],
    later: &'a [String],
    /// What the engine learns in the course of a run of this profile.
    learnt: &'a [EngineSymbol],
    /// What has a meaning here only, such as `nonce`.
    here: &'static [&'static str],
}

impl<'a> Names<'a> {
    pub(super) fn of(known: &'a [ValueSpec], learnt: &'a [EngineSymbol]) -> Self {
        Self { known, later: &[], learnt, here: &[] }
    }

    /// The same scope where these words have a meaning too.
    pub(super) fn with(&self, here: &'static [&'static str]) -> Self {
        Self { here, ..*self }
    }

    /// Why a symbol cannot be used here.
    pub(super) fn missing(&self, symbol: &str) -> Option<Problem> {
        let learnt = self.learnt.iter().map(|symbol| symbol.name);
        if self.spec(symbol).is_some()
            || learnt.clone().any(|name| name == symbol)
            || self.here.contains(&symbol)
        {
            return None;
        }
        if self.later.iter().any(|later| later == symbol) {
            return Some(Problem::LaterValue { name: symbol.to_owned() });
        }
        let names = self.known.iter().map(|spec| spec.name.as_str());
        let expected = names.chain(learnt).map(str::to_owned).collect();
        Some(Problem::Unknown { what: "value", found: symbol.to_owned(), expected })
    }

    /// The shortest and the longest text that a template can become, in bytes.
    pub(super) fn bounds(&self, template: &Template) -> (usize, usize) {
        template.parts().iter().fold((0, 0), |(shortest, longest): (usize, usize), part| {
            let (least, most) = match part {
                Piece::Text(text) => (text.len(), text.len()),
                Piece::Symbol { name, width } => {
                    let (least, most) = self.symbol_bounds(name);
                    (least.max(*width), most.max(*width))
                }
            };
            (shortest.saturating_add(least), longest.saturating_add(most))
        })
    }

    fn symbol_bounds(&self, symbol: &str) -> (usize, usize) {
        match (self.spec(symbol), self.engine_sample(symbol)) {
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
        self.engine_sample(symbol).or_else(|| self.spec(symbol)?.sample.as_deref())
    }

    fn engine_sample(&self, symbol: &str) -> Option<&'static str> {
        self.learnt.iter().find(|learnt| learnt.name == symbol).map(|learnt| learnt.sample)
    }

    pub(super) fn is_secret(&self, template: &Template) -> bool {
        template.symbols().any(|symbol| {
            self.spec(symbol).is_some_and(|spec| spec.secret)
                || self.learnt.iter().any(|learnt| learnt.name == symbol && learnt.secret)
        })
    }

    fn spec(&self, symbol: &str) -> Option<&ValueSpec> {
        self.known.iter().find(|spec| spec.name == symbol)
    }
}

impl Problems {
    /// The values, in the file's order. A value with a fault is kept as far as it goes, so that the
    /// sections that name it are not blamed as well.
    pub(super) fn values(
        &mut self,
        raw: BTreeMap<At<String>, RawValue>,
        learnt: &[EngineSymbol],
    ) -> Vec<ValueSpec> {
        let mut raw: Vec<_> = raw.into_iter().collect();
        raw.sort_by_key(|(name, _)| name.span().start);
        let names: Vec<String> = raw.iter().map(|(name, _)| name.get_ref().clone()).collect();
        let mut values = Vec::new();
        for (index, (name, raw)) in raw.iter().enumerate() {
            let scope = Names { known: &values, later: &names[index..], learnt, here: &[] };
            let spec = self.value(name, raw, &scope);
            values.push(spec);
        }
        values
    }

    fn value(&mut self, name: &At<String>, raw: &RawValue, scope: &Names<'_>) -> ValueSpec {
        self.value_name(name);
        let source = self.value_source(name, raw, scope).unwrap_or(ValueSource::Site);
        let (shortest, longest) = default_bounds(&source, scope);
        let derived_secret = match &source {
            ValueSource::Template(template) => scope.is_secret(template),
            ValueSource::Salted { .. } => true,
            _ => false,
        };
        let spec = ValueSpec {
            name: name.get_ref().clone(),
            secret: raw.secret || derived_secret,
            id: raw.id.as_ref().is_some_and(|id| *id.get_ref()),
            shared: raw.shared,
            multiline: raw.multiline,
            min_bytes: raw.min_bytes.as_ref().map_or(shortest, |min| *min.get_ref()),
            max_bytes: raw.max_bytes.as_ref().map_or(longest, |max| *max.get_ref()),
            sample: match &source {
                ValueSource::Template(template) => scope.sample(template),
                ValueSource::MacScheme(scheme) => Some(scheme.derive(SAMPLE_MAC)),
                ValueSource::Salted { scheme, of, salt } => salted_sample(*scheme, of, salt, scope),
                _ => raw.sample.as_ref().map(|sample| sample.get_ref().clone()),
            },
            source,
        };
        self.value_limits(name, raw, &spec);
        self.value_sample(name, raw, &spec);
        spec
    }

    fn value_name(&mut self, name: &At<String>) {
        let text = name.get_ref();
        let good = text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
        if !good || RESERVED.contains(&text.as_str()) {
            self.push(name.span(), Problem::ValueName { name: text.clone() });
        }
    }

    fn value_source(
        &mut self,
        name: &At<String>,
        raw: &RawValue,
        scope: &Names<'_>,
    ) -> Option<ValueSource> {
        if raw.scheme.is_none() {
            self.pointless(name, "of", raw.of.as_ref(), "no scheme");
            self.pointless(name, "salt", raw.salt.as_ref(), "no scheme");
        }
        let source = match (&raw.source, &raw.template, &raw.scheme) {
            (Some(source), None, None) => source,
            (None, Some(template), None) => {
                self.pointless(name, "sample", raw.sample.as_ref(), "a template");
                self.pointless(name, "bytes", raw.bytes.as_ref(), "a template");
                return self.template(template, scope).map(ValueSource::Template);
            }
            (None, None, Some(scheme)) => {
                self.pointless(name, "sample", raw.sample.as_ref(), "a scheme");
                self.pointless(name, "bytes", raw.bytes.as_ref(), "a scheme");
                return self.scheme(name, scheme, raw, scope);
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

    fn scheme(
        &mut self,
        name: &At<String>,
        scheme: &At<String>,
        raw: &RawValue,
        scope: &Names<'_>,
    ) -> Option<ValueSource> {
        let of_mac = MacScheme::ALL.map(|scheme| (scheme.name(), Derivation::OfMac(scheme)));
        let salted = SaltedScheme::ALL.map(|scheme| (scheme.name(), Derivation::Salted(scheme)));
        let schemes: Vec<_> = of_mac.into_iter().chain(salted).collect();
        match self.one_of("scheme", scheme, &schemes)? {
            Derivation::OfMac(scheme) => {
                self.pointless(name, "of", raw.of.as_ref(), "the unit's MAC");
                self.pointless(name, "salt", raw.salt.as_ref(), "the unit's MAC");
                Some(ValueSource::MacScheme(scheme))
            }
            Derivation::Salted(scheme) => {
                let (Some(of), Some(salt)) = (&raw.of, &raw.salt) else {
                    let problem = Problem::SaltedParts { name: name.get_ref().clone() };
                    self.push(name.span(), problem);
                    return None;
                };
                let (of, salt_template) = (self.template(of, scope), self.template(salt, scope));
                let (of, salt_template) = (of?, salt_template?);
                if !scope.is_secret(&salt_template) {
                    let problem = Problem::PublicSalt { name: name.get_ref().clone() };
                    self.push(salt.span(), problem);
                }
                Some(ValueSource::Salted { scheme, of, salt: salt_template })
            }
        }
    }

    fn random(
        &mut self,
        name: &At<String>,
        source: &At<String>,
        bytes: Option<&At<usize>>,
    ) -> Option<ValueSource> {
        let found = bytes.map_or(0, |bytes| *bytes.get_ref());
        if !(16..=64).contains(&found) {
            let span = bytes.map_or_else(|| source.span(), At::span);
            self.push(span, Problem::RandomBytes { name: name.get_ref().clone(), found });
            return None;
        }
        Some(ValueSource::Random { bytes: found })
    }

    fn pointless<T>(
        &mut self,
        name: &At<String>,
        key: &'static str,
        given: Option<&At<T>>,
        source_name: &'static str,
    ) {
        if let Some(given) = given {
            let name = name.get_ref().clone();
            self.push(given.span(), Problem::Pointless { name, key, source_name });
        }
    }

    fn value_limits(&mut self, name: &At<String>, raw: &RawValue, spec: &ValueSpec) {
        let (min, max) = (spec.min_bytes, spec.max_bytes);
        let span = [&raw.max_bytes, &raw.min_bytes].into_iter().flatten().next();
        let span = span.map_or_else(|| name.span(), At::span);
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

    fn value_sample(&mut self, name: &At<String>, raw: &RawValue, spec: &ValueSpec) {
        let Some(sample) = &spec.sample else { return };
        let span = [&raw.sample, &raw.template].into_iter().flatten().next();
        let span = span.map_or_else(|| name.span(), At::span);
        let (name, length) = (spec.name.clone(), sample.len());
        let (min, max) = (spec.min_bytes, spec.max_bytes);
        if spec.source == ValueSource::Lease && !is_lease_number(sample) {
            self.push(span, Problem::SampleNumber { name, sample: sample.clone() });
        } else if let Some(what) = spec.forbidden_in(sample) {
            self.push(span, Problem::Character { name, what });
        } else if min <= max && !(min..=max).contains(&length) {
            self.push(span, Problem::Length { what: "sample", name, length, min, max });
        }
    }
}

/// A scheme by what it needs.
#[derive(Clone, Copy)]
enum Derivation {
    OfMac(MacScheme),
    Salted(SaltedScheme),
}

/// `None` when a sample is missing, or the salt's is too short, which is said where it is bound.
fn salted_sample(
    scheme: SaltedScheme,
    of: &Template,
    salt: &Template,
    scope: &Names<'_>,
) -> Option<String> {
    let salt = Salt::new(Secret::new(scope.sample(salt)?)).ok()?;
    Some(scheme.derive(&scope.sample(of)?, &salt).expose().to_owned())
}

/// The bounds of a value that states none, in bytes.
fn default_bounds(source: &ValueSource, scope: &Names<'_>) -> (usize, usize) {
    match source {
        ValueSource::Site | ValueSource::Random { .. } => (1, LONGEST_STRING),
        ValueSource::Lease => (1, LONGEST_NUMBER),
        ValueSource::Template(template) => scope.bounds(template),
        ValueSource::MacScheme(_) => (UUID_LENGTH, UUID_LENGTH),
        ValueSource::Salted { scheme, .. } => (scheme.length(), scheme.length()),
    }
}

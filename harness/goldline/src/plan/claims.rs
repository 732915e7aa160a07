//! What makes a unit itself: the values that no other unit may have.
//!
//! Must not know who keeps the claims, nor who holds one already.

use uuid::Uuid;

use super::{Bindings, Origin, Text};
use crate::profile::{Profile, Template, ValueSource, ValueSpec};

/// A value that belongs to one unit alone.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The value's name in the profile.
    pub value: String,
    /// The value itself.
    pub text: Text,
    /// The same for all spellings of one identity, with the kind of it; a secret if the value is one.
    normal: String,
}

/// Which claims are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Made {
    /// Of everything that is bound.
    ForTheUnit,
    /// Only of what was given: the rest stands for what is not made yet.
    InRehearsal,
}

impl Claim {
    fn of(spec: &ValueSpec, text: &Text, profile: &Profile) -> Self {
        Self {
            value: spec.name.clone(),
            text: text.clone(),
            normal: normal(spec, text.expose(), &profile.name),
        }
    }

    /// Whether both are of the same identity, in whatever letters.
    pub fn is_of_the_same(&self, other: &Self) -> bool {
        self.normal == other.normal
    }

    /// What is kept of it, under a key: it may hold a secret.
    pub fn normal(&self) -> &str {
        &self.normal
    }
}

/// A UUID is one across profiles and spellings, a number is one with zeros before it, a secret is one
/// byte for byte, and of other texts capitals make no difference.
fn normal(spec: &ValueSpec, text: &str, profile: &str) -> String {
    let text = if spec.secret { text } else { text.trim() };
    if !spec.secret
        && let Ok(uuid) = Uuid::parse_str(text)
    {
        return format!("uuid\n{uuid}");
    }
    let text = match (&spec.source, text.parse::<u32>()) {
        (ValueSource::Lease, Ok(number)) => number.to_string(),
        _ if spec.secret => text.to_owned(),
        _ => text.to_lowercase(),
    };
    format!("{profile}.{}\n{text}", spec.name)
}

impl Bindings {
    /// What of the bound values belongs to this unit alone: public identifiers, leased numbers, and secrets
    /// that are made for a unit, whoever gave them. The samples of a declared identity are everybody's.
    pub fn claims(&self, profile: &Profile, made: Made) -> Vec<Claim> {
        let own = profile.values.iter().filter(|spec| is_a_units_own(spec));
        let own = own.filter(|spec| !self.is_everybodys(profile, &spec.name, made));
        own.filter_map(|spec| Some(Claim::of(spec, self.get(&spec.name)?, profile))).collect()
    }

    /// Whether a value rests on nothing but samples, or on what is not made yet.
    fn is_everybodys(&self, profile: &Profile, name: &str, made: Made) -> bool {
        let Some(spec) = profile.values.iter().find(|spec| spec.name == name) else {
            // Learnt by the engine: the MAC for one.
            return false;
        };
        match self.origin(name) {
            None | Some(Origin::Sample) => true,
            Some(Origin::Lease | Origin::Random) => made == Made::InRehearsal,
            Some(Origin::Template) => {
                let everybodys = |template: &Template| {
                    template.symbols().all(|symbol| self.is_everybodys(profile, symbol, made))
                };
                match &spec.source {
                    ValueSource::Template(template) => everybodys(template),
                    ValueSource::Salted { of, .. } => everybodys(of),
                    _ => false,
                }
            }
            Some(_) => false,
        }
    }
}

fn is_a_units_own(spec: &ValueSpec) -> bool {
    let made_for_it = matches!(
        spec.source,
        ValueSource::Random { .. } | ValueSource::Salted { .. } | ValueSource::MacScheme(_)
    );
    !spec.shared && (spec.id || spec.source == ValueSource::Lease || made_for_it)
}

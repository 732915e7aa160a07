//! `--profile`: which entries are secret, as a profile says, and by the codec's careful rule where
//! no profile speaks. Must not know how a secret is hidden.

use std::{collections::HashMap, path::PathBuf};

use clap::Args;
use goldline_nvs::{
    DeviceView, Image, Key, SecretRule, Value,
    leftover::{Leftover, leftover_secrets, secrets_of_lost_pages},
    secret::Reason,
};

use crate::{
    cli::problem::of_catalog,
    profile::{self, NvsEntry, Profile, ValueSource},
};

#[derive(Args)]
pub(super) struct SecretArguments {
    /// Take what is secret from a profile, by name or path; else every telling name is secret
    #[arg(long, value_name = "PROFILE")]
    profile: Option<String>,
    /// Profiles of one's own
    #[arg(long, value_name = "DIR", env = "GOLDLINE_PROFILES")]
    profiles: Option<PathBuf>,
}

impl SecretArguments {
    pub(super) fn read(&self) -> miette::Result<Secrets> {
        let Some(name) = &self.profile else { return Ok(Secrets::default()) };
        let profile = profile::find(name, self.profiles.as_deref()).map_err(of_catalog)?;
        Ok(Secrets::of(&profile))
    }
}

/// Decides on entries. What shows by itself that it is secret is so whatever a profile says.
#[derive(Default)]
pub(super) struct Secrets {
    /// What the profile says of its own keys, by namespace and key.
    decided: HashMap<(String, String), bool>,
}

impl Secrets {
    fn of(profile: &Profile) -> Self {
        let entries = profile.nvs.entries.iter();
        let decided = entries.filter_map(|entry| {
            let name = (entry.namespace.clone(), entry.key.clone());
            Some((name, holds_secret(profile, entry)?))
        });
        Self { decided: decided.collect() }
    }

    /// Whether an entry's value must not be shown.
    pub(super) fn is_secret(&self, namespace: &Key, key: &Key, value: &Value) -> bool {
        let rule = match self.decided.get(&(namespace.to_string(), key.to_string())) {
            Some(true) => return true,
            Some(false) => none_by_name(),
            None => SecretRule::careful(),
        };
        rule.is_secret(namespace, key, value)
    }

    /// The secrets of one view, for those who take a rule.
    pub(super) fn rule_for(&self, view: &DeviceView) -> SecretRule {
        let entries = view.entries().iter();
        let secret = entries.filter(|e| self.is_secret(&e.namespace, &e.key, &e.value));
        SecretRule::listed_keys(secret.map(|e| (e.namespace, e.key)))
    }

    /// Secrets that no device reads any more, in the order of the flash.
    pub(super) fn leftovers(&self, image: &Image<'_>) -> Vec<Leftover> {
        self.found_by(|rule| leftover_secrets(image, rule))
    }

    /// The same of pages that lie outside of every partition, where nothing is live.
    pub(super) fn of_lost_pages(&self, image: &Image<'_>) -> Vec<Leftover> {
        self.found_by(|rule| secrets_of_lost_pages(image, rule))
    }

    fn found_by(&self, find: impl Fn(&SecretRule) -> Vec<Leftover>) -> Vec<Leftover> {
        let names = |wanted| {
            let decided = self.decided.iter().filter(move |(_, secret)| **secret == wanted);
            decided.map(|((namespace, key), _)| (namespace.clone(), key.clone()))
        };
        let public: Vec<_> = names(false).collect();
        // What shows by itself that it is a secret is one, whatever a profile says of its name.
        let is_public = |leftover: &Leftover| {
            let item = leftover.item.filter(|_| leftover.reason == Reason::Name);
            item.is_some_and(|item| {
                let namespace = item.namespace.map(|name| name.to_string()).unwrap_or_default();
                public.contains(&(namespace, item.key.to_string()))
            })
        };
        let mut leftovers = find(&SecretRule::careful());
        leftovers.retain(|leftover| !is_public(leftover));
        leftovers.extend(find(&SecretRule::listed(names(true))));
        leftovers.sort_unstable();
        leftovers.dedup_by_key(|leftover| (leftover.offset, leftover.item));
        leftovers
    }
}

/// Only what shows itself.
fn none_by_name() -> SecretRule {
    SecretRule::listed(Vec::<(String, String)>::new())
}

/// What the profile's values say of an entry; nothing where it holds none of them.
fn holds_secret(profile: &Profile, entry: &NvsEntry) -> Option<bool> {
    let known = entry.value.symbols().map(|name| is_secret_value(profile, name));
    let known: Vec<bool> = known.collect::<Option<_>>()?;
    (!known.is_empty()).then(|| known.contains(&true))
}

/// Whether a value is secret or built of one that is.
fn is_secret_value(profile: &Profile, name: &str) -> Option<bool> {
    let spec = profile.values.iter().find(|spec| spec.name == name)?;
    let is_built_of_secret = match &spec.source {
        ValueSource::Template(template) => {
            template.symbols().any(|name| is_secret_value(profile, name) == Some(true))
        }
        _ => false,
    };
    Some(spec.secret || is_built_of_secret)
}

//! Values that are made of others: templates, identities made of the MAC, and passwords made with a salt, of which the
//! one before may be valid still.
//!
//! Must not know who gave what they are made of.

use super::{BindingError, Bindings, UNIT_MAC};
use crate::{
    identity::{Mac, MacError, Salt},
    plan::{Origin, Text},
    profile::{Template, ValueSource, ValueSpec},
    secret::Secret,
};

/// The salt before the one in force, or what it makes of a salted value; no value has such a name.
pub(super) fn previous(name: &str) -> String {
    format!("previous.{name}")
}

/// Which salt a password was made with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SaltAge {
    /// The one in force.
    Current,
    /// The one before it, which is valid still.
    Previous,
}

impl Bindings {
    /// Binds the values that are made of others, as far as those are bound. One pass does, because a
    /// value names only such that stand before it.
    pub(super) fn bind_templates(&mut self) -> Result<(), BindingError> {
        for spec in std::mem::take(&mut self.waiting) {
            let in_force = self.derive(&spec)?;
            let before = match in_force {
                Some(_) => self.derive_previous(&spec)?,
                None => None,
            };
            if let Some(before) = &before {
                self.insert(&previous(&spec.name), before.clone(), Origin::Engine);
            }
            // What the unit has stays, as long as it is valid.
            let held = self.remembered.get(&spec.name);
            let held = before.filter(|before| held == Some(before.as_secret()));
            match held.or(in_force) {
                Some(text) => self.bind_spec(&spec, text.expose(), Origin::Template)?,
                None => self.waiting.push(spec),
            }
        }
        Ok(())
    }

    /// The text of a value that is made of others; `None` while one of them is not bound.
    fn derive(&self, spec: &ValueSpec) -> Result<Option<Text>, BindingError> {
        let refuse = |reason: String| BindingError::Identity { name: spec.name.clone(), reason };
        Ok(match &spec.source {
            ValueSource::Template(template) => self.render(template).ok(),
            ValueSource::MacScheme(scheme) => {
                let Some(mac) = self.get(UNIT_MAC) else { return Ok(None) };
                let mac: Mac =
                    mac.expose().parse().map_err(|error: MacError| refuse(error.to_string()))?;
                Some(Text::public(scheme.derive(mac)))
            }
            ValueSource::Salted { salt, .. } => match self.render(salt) {
                Ok(salt) => self.salted(spec, &salt)?,
                Err(_) => None,
            },
            _ => None,
        })
    }

    /// What the salt before the one in force makes of a salted value, where it is valid still.
    fn derive_previous(&self, spec: &ValueSpec) -> Result<Option<Text>, BindingError> {
        match spec.source.salt().and_then(|salt| self.get(&previous(salt))) {
            Some(salt) => self.salted(spec, salt),
            None => Ok(None),
        }
    }

    fn salted(&self, spec: &ValueSpec, salt: &Text) -> Result<Option<Text>, BindingError> {
        let ValueSource::Salted { scheme, of, .. } = &spec.source else { return Ok(None) };
        let Ok(of) = self.render(of) else { return Ok(None) };
        let salt = Salt::new(salt.as_secret().clone()).map_err(|error| BindingError::Identity {
            name: spec.name.clone(),
            reason: error.to_string(),
        })?;
        Ok(Some(Text::secret(scheme.derive(of.expose(), &salt))))
    }

    /// Which salt a password was made with that is planned as that template; `None` for one that is of none, or
    /// of one that is not valid any more.
    pub fn salt_of(&self, planned: &Template, password: &Secret) -> Option<SaltAge> {
        let before = planned.lone_symbol().and_then(|name| self.get(&previous(name)));
        if before.is_some_and(|before| before.as_secret() == password) {
            return Some(SaltAge::Previous);
        }
        let in_force = self.render(planned).ok()?;
        (in_force.as_secret() == password).then_some(SaltAge::Current)
    }
}

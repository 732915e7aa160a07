//! Two units of one order that were given the same identity: found before anything is touched.

use super::{leases::Rehearsal, values::ValuesError};
use crate::{
    plan::{Bindings, Claim, Given, Identity, Made},
    profile::Profile,
};

/// Two units of one order would have the same identity.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the units of the devices {first} and {second} would have the same {}", .named)]
pub struct Twins {
    /// Counted from 1, in the order of the devices.
    first: usize,
    second: usize,
    named: String,
    value: String,
}

impl Twins {
    /// What to do about it.
    pub fn action(&self) -> String {
        format!(
            "give each unit a {} of its own, with a row of --units for each; what units of the product may share is \
             marked shared = true in the profile",
            self.value
        )
    }
}

/// Refuses an order in which what was given is one identity for two units.
pub(super) fn refuse_twins(
    profile: &Profile,
    given: &[Given],
    identity: Identity,
) -> Result<(), IdentitiesError> {
    let mut known: Vec<(usize, Claim)> = Vec::new();
    for (index, given) in given.iter().enumerate() {
        let bindings = Bindings::resolve(profile, given, identity, &mut Rehearsal::default());
        let bindings = bindings.map_err(ValuesError::from)?;
        for claim in bindings.claims(profile, Made::InRehearsal) {
            let twin = known.iter().find(|(_, other)| other.is_of_the_same(&claim));
            if let Some((first, _)) = twin {
                return Err(twins(*first, index, &claim).into());
            }
            known.push((index, claim));
        }
    }
    Ok(())
}

fn twins(first: usize, second: usize, claim: &Claim) -> Twins {
    let value = claim.value.clone();
    let named = match claim.text.is_secret() {
        true => format!("secret {value}"),
        false => format!("{value}, {}", claim.text.expose()),
    };
    Twins { first: first + 1, second: second + 1, named, value }
}

/// What was given cannot be the identities of these units.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum IdentitiesError {
    #[error(transparent)]
    Twins(#[from] Twins),
    #[error(transparent)]
    Values(#[from] ValuesError),
}

impl IdentitiesError {
    /// What to do about it, where the message does not say so.
    pub fn action(&self) -> Option<String> {
        match self {
            Self::Twins(twins) => Some(twins.action()),
            Self::Values(error) => error.action(),
        }
    }
}

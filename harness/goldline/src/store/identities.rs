//! Which unit has which identity: one unit, one identity, for as long as the state directory lives.
//!
//! A file of lines, each an event of one identity, kept twice, appended under a lock and forced to the disk. Secrets and
//! identifiers alike are kept as fingerprints under the station's key; of public ones the text stands
//! beside it, for people. Must not know what an identity is made of.

use std::{collections::HashMap, fs, path::Path};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{StateDirectory, StoreError, lock, twofold::Twofold};
use crate::{
    identity::Mac,
    plan::Claim,
    record::Replacement,
    secret::{FingerprintKey, Secret},
};

/// Who claims, and why an earlier holder has to let go.
#[derive(Clone, Debug)]
pub struct Claimant {
    /// Base MAC of the unit.
    pub mac: Mac,
    /// Name of its profile.
    pub profile: String,
    /// The command that claims; what came to nothing is given back under its name.
    pub claimed_by: Uuid,
    /// The module that this one takes the place of, and why.
    pub replaces: Option<Replacement>,
    /// When.
    pub at: OffsetDateTime,
}

/// An identity cannot be given to a unit.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum IdentityError {
    #[error("{} belongs to the unit {holder} since {since}", named(.value, .text.as_deref()))]
    Taken { value: String, text: Option<String>, holder: Mac, since: OffsetDateTime },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A public identity, and who has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeldIdentity {
    /// The value as the unit has it.
    pub text: String,
    /// Base MAC of the unit.
    pub mac: Mac,
    /// When it was claimed.
    pub since: OffsetDateTime,
}

/// The value by its name, and what it is unless that is a secret.
fn named(value: &str, text: Option<&str>) -> String {
    text.map_or_else(|| format!("the secret {value}"), |text| format!("{value} {text}"))
}

#[derive(Serialize, Deserialize)]
struct Entry {
    event: Happened,
    identity: String,
    value: String,
    profile: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    mac: Mac,
    claimed_by: Uuid,
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replaces: Option<Replacement>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Happened {
    Claimed,
    Released,
}

impl StateDirectory {
    /// Gives a unit all these identities, or none of them. What it has already, it keeps.
    ///
    /// # Errors
    /// [`IdentityError::Taken`] when another unit has one of them.
    pub fn claim(&self, claimant: &Claimant, claims: &[Claim]) -> Result<(), IdentityError> {
        let _lock = self.lock_identities()?;
        let mut file = IdentitiesFile::open(self)?;
        let mut fresh = Vec::new();
        for claim in claims {
            let entry = file.entry(claimant, claim);
            match file.held.get(&entry.identity) {
                Some(held) if held.mac == claimant.mac => {}
                Some(held) if entry.replaces.as_ref().is_none_or(|old| old.mac != held.mac) => {
                    let (holder, since) = (held.mac, held.at);
                    let (value, text) = (entry.value, entry.text);
                    return Err(IdentityError::Taken { value, text, holder, since });
                }
                _ => fresh.push(entry),
            }
        }
        Ok(file.append(fresh)?)
    }

    /// Gives back what a command claimed for a unit that never got it.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read or written.
    pub fn release(
        &self,
        mac: Mac,
        claimed_by: Uuid,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let _lock = self.lock_identities()?;
        let mut file = IdentitiesFile::open(self)?;
        let of_it = |held: &&Entry| held.mac == mac && held.claimed_by == claimed_by;
        // A replaced module's identity was moved on purpose, and stays where it was to go.
        let given_back: Vec<Entry> = file
            .held
            .values()
            .filter(of_it)
            .filter(|held| held.replaces.is_none())
            .map(|held| Entry {
                event: Happened::Released,
                identity: held.identity.clone(),
                value: held.value.clone(),
                profile: held.profile.clone(),
                text: held.text.clone(),
                replaces: None,
                at: now,
                ..*held
            })
            .collect();
        file.append(given_back)
    }

    /// The public identities of a value, and who has them.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when the file cannot be understood.
    pub fn identities(&self, profile: &str, value: &str) -> Result<Vec<HeldIdentity>, StoreError> {
        let _lock = self.lock_identities()?;
        let file = IdentitiesFile::open(self)?;
        let held = file.held.into_values();
        let held = held.filter(|held| held.profile == profile && held.value == value);
        Ok(held
            .filter_map(|held| {
                Some(HeldIdentity { text: held.text?, mac: held.mac, since: held.at })
            })
            .collect())
    }

    fn lock_identities(&self) -> Result<fs::File, StoreError> {
        lock(&self.root.join("identities.lock"))
    }
}

/// The open file; the caller holds the lock.
struct IdentitiesFile {
    file: Twofold,
    key: FingerprintKey,
    /// Who has what, by fingerprint.
    held: HashMap<String, Entry>,
}

impl IdentitiesFile {
    fn open(state: &StateDirectory) -> Result<Self, StoreError> {
        let file = Twofold::open(&state.root, Path::new("identities.jsonl"))?;
        let mut held = HashMap::new();
        for (index, line) in file.lines().iter().enumerate() {
            let entry: Entry = serde_json::from_str(line).map_err(|_| StoreError::Damaged {
                path: file.path().to_owned(),
                reason: format!("line {} is no event of an identity", index + 1),
            })?;
            match entry.event {
                Happened::Claimed => held.insert(entry.identity.clone(), entry),
                Happened::Released => held.remove(&entry.identity),
            };
        }
        Ok(Self { file, key: state.fingerprint_key(), held })
    }

    fn entry(&self, claimant: &Claimant, claim: &Claim) -> Entry {
        let public = !claim.text.is_secret();
        Entry {
            event: Happened::Claimed,
            identity: Secret::new(claim.normal()).fingerprint(&self.key),
            value: claim.value.clone(),
            profile: claimant.profile.clone(),
            text: public.then(|| claim.text.expose().to_owned()),
            mac: claimant.mac,
            claimed_by: claimant.claimed_by,
            at: claimant.at,
            replaces: claimant.replaces.clone(),
        }
    }

    /// A unit is written only when no loss of power can give its identity to another.
    fn append(&mut self, entries: Vec<Entry>) -> Result<(), StoreError> {
        if entries.is_empty() {
            return Ok(());
        }
        let line = |entry| serde_json::to_string(entry).expect("an event becomes JSON");
        self.file.append(entries.iter().map(line).collect())
    }
}

//! What of a state directory cannot be made again: the station's key and its CA. A digest of each file is kept,
//! twice, so that one that is lost or changed is refused and never replaced in silence.
//!
//! Units carry the CA, and what is remembered of them is sealed with the key: a new one is made on purpose only.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{StoreError, at, lock, twofold::Twofold};
use crate::hex::hex;

/// Files whose presence tells that a station was at work.
const TRACES: [&str; 5] = [
    "journal.jsonl",
    "records.sqlite",
    "identities.jsonl",
    "ca/root.pem",
    "copies/identities.jsonl",
];

/// One file as it was last made.
#[derive(Serialize, Deserialize)]
struct Entry {
    file: String,
    /// SHA-256 of its bytes; of the key, of what is derived from it.
    digest: String,
}

/// The open list, locked.
pub(super) struct Inventory {
    _lock: fs::File,
    root: PathBuf,
    list: Twofold,
    known: BTreeMap<String, String>,
}

impl Inventory {
    pub(super) fn open(root: &Path) -> Result<Self, StoreError> {
        let lock = lock(&root.join("inventory.lock"))?;
        let list = Twofold::open(root, Path::new("inventory.jsonl"))?;
        let mut known = BTreeMap::new();
        for (index, line) in list.lines().iter().enumerate() {
            let entry: Entry = serde_json::from_str(line).map_err(|_| StoreError::Damaged {
                path: list.path().to_owned(),
                reason: format!("line {} names no file", index + 1),
            })?;
            known.insert(entry.file, entry.digest);
        }
        Ok(Self { _lock: lock, root: root.to_owned(), list, known })
    }

    /// Whether a file was ever made here.
    pub(super) fn knows(&self, file: &str) -> bool {
        self.known.contains_key(file)
    }

    /// Whether a station was at work here before it kept this list.
    pub(super) fn has_traces(&self) -> bool {
        !self.known.is_empty() || TRACES.iter().any(|trace| self.root.join(trace).exists())
    }

    /// Refuses a file that is not as it was made; one that was never listed is from now on.
    pub(super) fn require(&mut self, files: &[(&str, &[u8])]) -> Result<(), StoreError> {
        let mut fresh = Vec::new();
        for (file, bytes) in files {
            let digest = hex(&Sha256::digest(bytes));
            match self.known.get(*file) {
                Some(known) if *known == digest => {}
                Some(_) => return Err(self.refuse(file, "is not the one that this station made")),
                None => fresh.push(((*file).to_owned(), digest)),
            }
        }
        self.append(fresh)
    }

    /// Lists files that were made anew.
    pub(super) fn renew(&mut self, files: &[(&str, &[u8])]) -> Result<(), StoreError> {
        let entry =
            |(file, bytes): &(&str, &[u8])| ((*file).to_owned(), hex(&Sha256::digest(bytes)));
        self.append(files.iter().map(entry).collect())
    }

    /// Why a file is not replaced.
    pub(super) fn refuse(&self, file: &str, found: &'static str) -> StoreError {
        let (means, command) = match file.starts_with("ca/") {
            true => ("units that were provisioned here trust that CA", "goldline station renew ca"),
            false => (
                "what is remembered of units and rows for the registry are sealed with it",
                "goldline station renew key",
            ),
        };
        StoreError::Irreplaceable { path: self.root.join(file), found, means, command }
    }

    fn append(&mut self, files: Vec<(String, String)>) -> Result<(), StoreError> {
        if files.is_empty() {
            return Ok(());
        }
        let line = |(file, digest): &(String, String)| {
            let entry = Entry { file: file.clone(), digest: digest.clone() };
            serde_json::to_string(&entry).expect("an entry becomes JSON")
        };
        self.list.append(files.iter().map(line).collect())?;
        self.known.extend(files);
        Ok(())
    }
}

/// Puts a file that is replaced on purpose where nothing reads it; whoever finds what was lost needs it.
pub(super) fn set_aside(path: &Path) -> Result<(), StoreError> {
    let mut aside = path.as_os_str().to_owned();
    let stamp = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    aside.push(format!(".replaced-{}", stamp.map_or(0, |since| since.as_millis())));
    match fs::rename(path, aside) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        renamed => renamed.map_err(at(path)),
    }
}

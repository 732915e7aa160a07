//! `ca/`: the bench's CA, made once. Units carry it, so that it is never replaced but on purpose.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    StateDirectory, StoreError, at,
    inventory::{self, Inventory},
    lock, make_private_folder, private, write_private,
};
use crate::{
    clock::Clock,
    secret::Secret,
    testbed::authority::{Authority, AuthorityPem},
};

const ROOT: &str = "root.pem";
const CA_FILES: [&str; 4] =
    ["ca/root.key", "ca/intermediate.key", "ca/intermediate.pem", "ca/root.pem"];

/// Root and intermediate of the bench CA that a state directory holds, as PEM; `None` where it holds none, or
/// is no state directory. Makes nothing.
pub fn bench_ca_if_any(state: &Path) -> Option<String> {
    let read = |name: &str| fs::read_to_string(state.join("ca").join(name)).ok();
    Some([read(ROOT)?, read("intermediate.pem")?].concat())
}

impl StateDirectory {
    /// The bench CA, made on first use. Units that trust it stay testable on this station.
    ///
    /// # Errors
    /// [`StoreError::Authority`] when the stored one is damaged or no longer valid, and as
    /// [`StateDirectory::open`].
    pub fn authority(&self, clock: &Clock) -> Result<Authority, StoreError> {
        let (folder, _lock) = self.lock_authority()?;
        let mut inventory = Inventory::open(&self.root)?;
        let complete = folder.join(ROOT).exists();
        if let Some(lost) = CA_FILES.into_iter().find(|file| {
            let made =
                inventory.knows(file) || complete || self.root.join("journal.jsonl").exists();
            made && !self.root.join(file).exists()
        }) {
            return Err(inventory.refuse(lost, "is gone"));
        }
        if !complete {
            return self.create_authority(&folder, &mut inventory, clock);
        }
        let pem = read_authority(&folder)?;
        inventory.require(&ca_files(&pem))?;
        Ok(Authority::load(pem, clock.clone())?)
    }

    /// Makes a new CA on purpose; the earlier one is set aside. Units that trust that one fail from now on.
    ///
    /// # Errors
    /// As [`StateDirectory::authority`].
    pub fn renew_authority(&self, clock: &Clock) -> Result<(), StoreError> {
        let (folder, _lock) = self.lock_authority()?;
        for file in CA_FILES {
            inventory::set_aside(&self.root.join(file))?;
        }
        let mut inventory = Inventory::open(&self.root)?;
        self.create_authority(&folder, &mut inventory, clock).map(drop)
    }

    /// Two first runs at once must not make two CAs.
    fn lock_authority(&self) -> Result<(PathBuf, fs::File), StoreError> {
        let folder = self.root.join("ca");
        make_private_folder(&folder)?;
        private::require(&folder, &fs::metadata(&folder).map_err(at(&folder))?)?;
        let lock = lock(&folder.join("lock"))?;
        Ok((folder, lock))
    }

    fn create_authority(
        &self,
        folder: &Path,
        inventory: &mut Inventory,
        clock: &Clock,
    ) -> Result<Authority, StoreError> {
        let authority = Authority::create(clock.clone())?;
        keep_authority(folder, inventory, authority.to_pem())?;
        Ok(authority)
    }

    /// Takes another station's CA over, in the place of one of its own: for a state that nobody keeps.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be written.
    pub fn adopt_authority(&self, other: &Authority) -> Result<(), StoreError> {
        let (folder, _lock) = self.lock_authority()?;
        keep_authority(&folder, &mut Inventory::open(&self.root)?, other.to_pem())
    }
}

fn keep_authority(
    folder: &Path,
    inventory: &mut Inventory,
    pem: &AuthorityPem,
) -> Result<(), StoreError> {
    write_private(&folder.join("root.key"), pem.root_key.expose().as_bytes())?;
    write_private(&folder.join("intermediate.key"), pem.intermediate_key.expose().as_bytes())?;
    write_private(&folder.join("intermediate.pem"), pem.intermediate_certificate.as_bytes())?;
    // Last: it is what says that the CA is complete.
    write_private(&folder.join(ROOT), pem.root_certificate.as_bytes())?;
    inventory.renew(&ca_files(pem))
}

fn ca_files(pem: &AuthorityPem) -> [(&'static str, &[u8]); 4] {
    [
        ("ca/root.key", pem.root_key.expose().as_bytes()),
        ("ca/intermediate.key", pem.intermediate_key.expose().as_bytes()),
        ("ca/intermediate.pem", pem.intermediate_certificate.as_bytes()),
        ("ca/root.pem", pem.root_certificate.as_bytes()),
    ]
}

fn read_authority(folder: &Path) -> Result<AuthorityPem, StoreError> {
    let read = |name: &str| {
        let path = folder.join(name);
        let bytes = private::read(&path)?;
        let text = std::str::from_utf8(&bytes).map(str::to_owned);
        let reason = "it is not text; expected PEM".to_owned();
        text.map_err(|_| StoreError::Damaged { path, reason })
    };
    Ok(AuthorityPem {
        root_certificate: read("root.pem")?,
        root_key: Secret::new(read("root.key")?),
        intermediate_certificate: read("intermediate.pem")?,
        intermediate_key: Secret::new(read("intermediate.key")?),
    })
}

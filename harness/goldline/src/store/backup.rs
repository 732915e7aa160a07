//! A copy of the whole directory, a directory made of one, and the step to this version's form, with a copy first.
//!
//! Keys and all: a backup is as secret as the station's state, and is made readable by its owner only.

use std::{
    fs::{self, File, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use super::{
    StateDirectory, StoreError, at, database::Database, make_private_folder, private,
    records::sum_older_rows,
};

/// SQLite copies its database by itself, with what lies beside it.
const DATABASE: [&str; 3] = ["records.sqlite", "records.sqlite-wal", "records.sqlite-shm"];
/// Says nothing once its processes are gone.
const RUNNING: &str = "running";

/// What was copied.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Copied {
    /// Files.
    pub files: usize,
    /// Their length together.
    pub bytes: u64,
}

/// What a step to this version came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Migrated {
    /// The version before.
    pub from: usize,
    /// This version.
    pub to: usize,
    /// Where the state lies as it was.
    pub backup: PathBuf,
}

impl StateDirectory {
    /// Copies the directory, of this version or an earlier one, into a new folder.
    ///
    /// # Errors
    /// [`StoreError::UnderWay`] while a run goes on, [`StoreError::Io`] when the folder is there already or cannot
    /// be written.
    pub async fn backup(&self, to: &Path) -> Result<Copied, StoreError> {
        let database = match self.earlier_database().await? {
            Some((earlier, _)) => earlier,
            None => self.database().await?,
        };
        self.copy_with(&database, to).await
    }

    /// Brings a state of an earlier version into this version's form, after a backup: into `to`, else into a folder
    /// beside it. `None` when it is of this version already.
    ///
    /// # Errors
    /// As [`StateDirectory::backup`], before anything is changed.
    pub async fn migrate(&self, to: Option<&Path>) -> Result<Option<Migrated>, StoreError> {
        let Some((database, from)) = self.earlier_database().await? else {
            return Ok(None);
        };
        let beside = || self.beside(&format!("backup-of-version-{from}"));
        let backup = to.map_or_else(beside, Path::to_owned);
        self.copy_with(&database, &backup).await?;
        let to = database.bring_up_to_date(from).await?;
        sum_older_rows(&database).await?;
        Ok(Some(Migrated { from, to, backup }))
    }

    async fn copy_with(&self, database: &Database, to: &Path) -> Result<Copied, StoreError> {
        if self.any_run_under_way()? {
            return Err(StoreError::UnderWay { path: self.root.clone() });
        }
        make_new_folder(to)?;
        let mut copied = copy(&self.root, to)?;
        let place = to.join(DATABASE[0]);
        database.copy_into(&place).await?;
        fs::set_permissions(&place, Permissions::from_mode(0o600)).map_err(at(&place))?;
        copied.count(&place)?;
        Ok(copied)
    }

    /// Makes a directory of a backup, and takes it into use with numbers from `first` on.
    ///
    /// # Errors
    /// [`StoreError::Io`] when there is something in the place, or the backup cannot be read.
    pub fn restore(from: &Path, root: &Path, first: u32) -> Result<Copied, StoreError> {
        private::require(from, &fs::metadata(from).map_err(at(from))?)?;
        // Somebody may have made the folder for it.
        match fs::remove_dir(root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed.map_err(at(root))?,
        }
        make_new_folder(root)?;
        let mut copied = copy(from, root)?;
        let database = from.join(DATABASE[0]);
        if database.exists() {
            let place = root.join(DATABASE[0]);
            copy_file(&database, &place)?;
            copied.count(&place)?;
        }
        Self::open(root)?.adopt(first)?;
        Ok(copied)
    }

    fn any_run_under_way(&self) -> Result<bool, StoreError> {
        let folder = self.root.join(RUNNING);
        let runs = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            runs => runs.map_err(at(&folder))?,
        };
        let goes_on =
            |path: &Path| File::open(path).is_ok_and(|file| file.try_lock_shared().is_err());
        Ok(runs.flatten().any(|run| goes_on(&run.path())))
    }
}

impl Copied {
    fn count(&mut self, file: &Path) -> Result<(), StoreError> {
        self.files += 1;
        self.bytes += fs::metadata(file).map_err(at(file))?.len();
        Ok(())
    }
}

fn make_new_folder(path: &Path) -> Result<(), StoreError> {
    if fs::symlink_metadata(path).is_ok() {
        let there = io::Error::new(io::ErrorKind::AlreadyExists, "it is there already");
        return Err(at(path)(there));
    }
    make_private_folder(path)
}

/// All regular files but locks, the database and what tells of running processes.
fn copy(from: &Path, to: &Path) -> Result<Copied, StoreError> {
    let mut copied = Copied::default();
    for entry in fs::read_dir(from).map_err(at(from))? {
        let entry = entry.map_err(at(from))?;
        let (name, path) = (entry.file_name(), entry.path());
        let name = name.to_string_lossy();
        let kind = entry.file_type().map_err(at(&path))?;
        if DATABASE.contains(&&*name) || name == RUNNING || name.ends_with("lock") {
            continue;
        }
        let place = to.join(entry.file_name());
        if kind.is_dir() {
            make_private_folder(&place)?;
            let below = copy(&path, &place)?;
            copied.files += below.files;
            copied.bytes += below.bytes;
        } else if kind.is_file() {
            copy_file(&path, &place)?;
            copied.count(&place)?;
        }
    }
    Ok(copied)
}

fn copy_file(from: &Path, to: &Path) -> Result<(), StoreError> {
    fs::copy(from, to).map_err(at(from))?;
    fs::set_permissions(to, Permissions::from_mode(0o600)).map_err(at(to))?;
    File::open(to).and_then(|file| file.sync_all()).map_err(at(to))
}

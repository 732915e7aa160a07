//! `records.sqlite`: opened, given its tables, and shared by every process of the station.
//!
//! SQLite in WAL mode with full synchronisation: a commit is on the disk when it returns. Must not know
//! what a row means.

use std::{
    fs::{self, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::{
    ConnectOptions, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{StateDirectory, StoreError, at, inventory::set_aside, lock};

/// A writer of another process holds the file for milliseconds; this long means that one hangs.
const BUSY: Duration = Duration::from_secs(60);
const FILE: &str = "records.sqlite";

/// The tables, one script for each version of the schema. A script that was released is never changed:
/// a change is a further script. Their number is the version of the state.
const SCRIPTS: &[&str] =
    &[include_str!("schema_1.sql"), include_str!("schema_2.sql"), include_str!("schema_3.sql")];

/// The open database.
#[derive(Clone, Debug)]
pub(super) struct Database {
    pub(super) pool: SqlitePool,
    path: PathBuf,
}

impl StateDirectory {
    /// Opens the database, and makes its tables.
    ///
    /// # Errors
    /// [`StoreError::OlderSchema`] and [`StoreError::NewerSchema`] when it is another version's.
    pub(super) async fn database(&self) -> Result<Database, StoreError> {
        let path = self.root.join(FILE);
        // Two first starts at once must not both make tables, nor both switch to WAL.
        let _lock = lock_apart(self.root.join("records.lock")).await?;
        if fs::metadata(&path).map_or(0, |found| found.len()) == 0 {
            // What SQLite left beside a file that is lost belongs to none.
            self.set_database_aside()?;
        }
        create_private(&path)?;
        let opened = open_sound(&path).await;
        match opened {
            Err(StoreError::Database { source, .. }) if is_damage(&source) => {}
            opened => return opened,
        }
        // Every row of it is in the journal.
        if !self.root.join("journal.jsonl").is_file() {
            let reason =
                "it is no sound database, and there is no journal to make it again".to_owned();
            return Err(StoreError::Damaged { path, reason });
        }
        tracing::warn!("{} was damaged: it is made again from the journal", path.display());
        self.set_database_aside()?;
        create_private(&path)?;
        open_sound(&path).await
    }

    /// The database of a state of an earlier version, with that version; `None` when there is nothing to do.
    pub(super) async fn earlier_database(&self) -> Result<Option<(Database, usize)>, StoreError> {
        let path = self.root.join(FILE);
        if !path.is_file() {
            return Ok(None);
        }
        let database = connect(&path).await?;
        let version = database.version().await?;
        if (1..SCRIPTS.len()).contains(&version) {
            return Ok(Some((database, version)));
        }
        database.pool.close().await;
        Ok(None)
    }

    fn set_database_aside(&self) -> Result<(), StoreError> {
        ["", "-wal", "-shm"]
            .iter()
            .try_for_each(|ending| set_aside(&self.root.join(format!("{FILE}{ending}"))))
    }
}

/// Opens the file, and makes its tables where there are none.
async fn open_sound(path: &Path) -> Result<Database, StoreError> {
    let database = connect(path).await?;
    match database.require_this_version().await {
        Ok(()) => Ok(database),
        Err(error) => {
            database.pool.close().await;
            Err(error)
        }
    }
}

/// Opens the file as it is.
async fn connect(path: &Path) -> Result<Database, StoreError> {
    let path = path.to_owned();
    let options = SqliteConnectOptions::new()
        .filename(&path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY)
        .disable_statement_logging();
    // Nothing is kept up in the background: the task that sqlx starts for that counts its idle connections down below
    // none now and then, and then looks through all numbers there are, while nothing can end it.
    let pool = SqlitePoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
    let pool = pool.connect_with(options).await;
    let pool = pool.map_err(|source| StoreError::Database { path: path.clone(), source })?;
    Ok(Database { pool, path })
}

/// Whether SQLite says that the file is none of its own, or not whole.
fn is_damage(error: &sqlx::Error) -> bool {
    const CORRUPT: i32 = 11;
    const NOT_A_DATABASE: i32 = 26;
    let code = error.as_database_error().and_then(|error| error.code()?.parse::<i32>().ok());
    code.is_some_and(|code| [CORRUPT, NOT_A_DATABASE].contains(&(code & 0xFF)))
}

/// Waits for a lock without holding up other tasks, one of which may be its holder.
pub(super) async fn lock_apart(path: PathBuf) -> Result<std::fs::File, StoreError> {
    let place = path.clone();
    match tokio::task::spawn_blocking(move || lock(&place)).await {
        Ok(locked) => locked,
        Err(panic) => Err(at(&path)(io::Error::other(panic))),
    }
}

/// SQLite would make the file readable by all that the umask allows; its further files follow its mode.
fn create_private(path: &Path) -> Result<(), StoreError> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true).mode(0o600);
    options.open(path).map(drop).map_err(at(path))
}

impl Database {
    /// Words an error of SQLite.
    pub(super) fn failed(&self, source: sqlx::Error) -> StoreError {
        StoreError::Database { path: self.path.clone(), source }
    }

    /// A row of a run is not as it was written.
    pub(super) fn altered(&self, run: impl ToString) -> StoreError {
        StoreError::Altered { path: self.path.clone(), run: run.to_string() }
    }

    pub(super) fn damaged(&self, reason: impl ToString) -> StoreError {
        StoreError::Damaged { path: self.path.clone(), reason: reason.to_string() }
    }

    /// A transaction that may write: it takes its turn at the start, and never fails for want of one
    /// in the middle.
    pub(super) async fn write(&self) -> Result<sqlx::SqliteTransaction<'static>, StoreError> {
        self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(|source| self.failed(source))
    }

    /// Writes the database, as it is, into a file that does not exist yet.
    pub(super) async fn copy_into(&self, path: &Path) -> Result<(), StoreError> {
        let name = path.to_string_lossy().into_owned();
        let copied = sqlx::query("VACUUM INTO ?").bind(name).execute(&self.pool).await;
        copied.map(drop).map_err(|source| self.failed(source))
    }

    /// Makes the tables of a new one.
    async fn require_this_version(&self) -> Result<(), StoreError> {
        let (version, known) = (self.version().await?, SCRIPTS.len());
        let path = || self.path.clone();
        match version {
            0 => self.extend(SCRIPTS).await,
            _ if version < known => Err(StoreError::OlderSchema { path: path(), version, known }),
            _ if version > known => Err(StoreError::NewerSchema { path: path(), version, known }),
            _ => Ok(()),
        }
    }

    /// Adds what this version has and `version` did not have; says which version it is now.
    pub(super) async fn bring_up_to_date(&self, version: usize) -> Result<usize, StoreError> {
        self.extend(&SCRIPTS[version..]).await?;
        Ok(SCRIPTS.len())
    }

    /// 0 of an empty one.
    async fn version(&self) -> Result<usize, StoreError> {
        let version = sqlx::query_scalar("PRAGMA user_version").fetch_one(&self.pool).await;
        let version: i64 = version.map_err(|source| self.failed(source))?;
        Ok(usize::try_from(version).unwrap_or(usize::MAX))
    }

    async fn extend(&self, scripts: &[&'static str]) -> Result<(), StoreError> {
        let failed = |source| self.failed(source);
        for script in scripts {
            let mut transaction = self.write().await?;
            // A script ends with the statement that raises the version.
            sqlx::raw_sql(*script).execute(&mut *transaction).await.map_err(failed)?;
            transaction.commit().await.map_err(failed)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    fn state() -> (tempfile::TempDir, StateDirectory) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let state = StateDirectory::open(&folder.path().join("state")).expect("it opens");
        (folder, state)
    }

    #[tokio::test]
    async fn nobody_else_can_read_it_nor_its_further_files() {
        let (_folder, state) = state();
        let database = state.database().await.expect("made");
        sqlx::query("INSERT INTO journal_read VALUES (1)").execute(&database.pool).await.expect("");
        for name in [FILE, "records.sqlite-wal", "records.sqlite-shm", "records.lock"] {
            let mode = std::fs::metadata(state.root.join(name)).expect(name).mode();
            assert_eq!(mode & 0o077, 0, "{name} has mode {mode:o}");
        }
    }

    #[tokio::test]
    async fn a_newer_schema_is_left_alone() {
        let (_folder, state) = state();
        let database = state.database().await.expect("made");
        sqlx::query("PRAGMA user_version = 99").execute(&database.pool).await.expect("raised");
        database.pool.close().await;
        let refused = state.database().await;
        assert!(matches!(refused, Err(StoreError::NewerSchema { version: 99, .. })), "{refused:?}");
    }

    #[tokio::test]
    async fn several_first_starts_make_one_database() {
        let (_folder, state) = state();
        let (one, two, three) = tokio::join!(state.database(), state.database(), state.database());
        for opened in [one, two, three] {
            opened.expect("opened");
        }
    }
}

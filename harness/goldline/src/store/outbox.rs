//! Rows that wait for a registry, sealed with the station's key, since they hold a unit's PSK.
//!
//! The journal says which row was queued and which arrived, so that a lost database loses none; the record
//! store's database has those that wait, how often they were tried, and what came of it. A newer row of a unit
//! takes the place of an older one that was not delivered. A row leaves only after its receiver said that
//! it has it; a crash in between sends it again, so receivers must bear the same row twice. Must not know
//! what a row says.

use sqlx::{Row, sqlite::SqliteRow};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

use super::{
    RecordStore, StateDirectory, StoreError,
    database::{Database, lock_apart},
    journal::Queued,
};
use crate::{hex::hex, secret::Secret};

/// The open outbox; several processes may have it open at once.
#[derive(Clone, Debug)]
pub struct Outbox {
    records: RecordStore,
}

/// Which row of which receiver.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct OutboxKey {
    /// The receiver, without its credentials, such as `db.example.test:5432/fleet`; `None` while the
    /// station does not know one, and then any will do.
    pub registry: Option<String>,
    /// Name of the profile.
    pub profile: String,
    /// The unit's UUID, or its MAC where only that is known.
    pub unit: String,
    /// The status that alone is to be told of the unit: such a row waits beside the unit's whole one, which it
    /// cannot take the place of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

/// A row that waits, without what it says.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Waiting {
    /// Rises with each row that is queued.
    pub id: i64,
    /// Names this queueing.
    #[serde(skip)]
    pub(super) ticket: Uuid,
    /// Which row.
    #[serde(flatten)]
    pub key: OutboxKey,
    /// When it was queued.
    #[serde(with = "time::serde::rfc3339")]
    pub queued_at: OffsetDateTime,
    /// How often it was sent in vain.
    pub attempts: u32,
    /// What went wrong the last time.
    pub last_error: Option<String>,
}

/// Why a receiver did not take a row, in words without secrets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NotDelivered {
    /// It cannot be reached: no other row needs to be tried.
    Unavailable(String),
    /// It refuses this row; others may pass.
    Refused(String),
}

/// A row that has its turn.
enum Opened {
    Row(Secret),
    /// There is a newer one in its place.
    Replaced,
    /// It is not what this station sealed with the key that it has.
    Unreadable,
}

/// Why a row that cannot be opened waits on.
const UNREADABLE: &str = "it was changed, or sealed with another station.key than there is now: provision the unit again, which sends its row anew, or restore the key from a backup";

/// What came of a delivery.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct Delivered {
    /// Rows that the receiver has now.
    pub delivered: u32,
    /// Rows that it refused; they wait on.
    pub refused: u32,
    /// Rows that could not be sent; they wait on.
    pub waiting: u32,
}

impl StateDirectory {
    /// Opens the outbox.
    ///
    /// # Errors
    /// As [`StateDirectory::records`].
    pub async fn outbox(&self) -> Result<Outbox, StoreError> {
        let outbox = Outbox { records: self.records().await? };
        outbox.journal_older_rows().await?;
        Ok(outbox)
    }
}

impl Outbox {
    /// Queues a row; it is on the disk when this returns. An older one with the same key is dropped.
    /// Returns what names it.
    ///
    /// # Errors
    /// [`StoreError`] when journal or database cannot be written.
    pub async fn enqueue(
        &self,
        key: &OutboxKey,
        row: &Secret,
        at: OffsetDateTime,
    ) -> Result<Uuid, StoreError> {
        let sealed = self.state().key.seal(&sealing_name(key), row.expose().as_bytes())?;
        let ticket = Uuid::new_v4();
        self.state().journal_queued(&queued(ticket, key, at, &sealed))?;
        self.records.take_in_journal().await?;
        Ok(ticket)
    }

    /// Rows of a version that kept them in the database alone.
    async fn journal_older_rows(&self) -> Result<(), StoreError> {
        let rows = sqlx::query(
            "SELECT registry, profile, unit, queued_at, sealed FROM outbox WHERE ticket IS NULL ORDER BY id",
        )
        .fetch_all(&self.database().pool)
        .await
        .map_err(|source| self.database().failed(source))?;
        for row in &rows {
            let at = self.time_of(row)?;
            let sealed: Vec<u8> = row.get("sealed");
            let older = queued(Uuid::new_v4(), &key_of(row), at, &sealed);
            self.state().journal_queued(&older)?;
        }
        self.records.take_in_journal().await
    }

    fn database(&self) -> &Database {
        &self.records.database
    }

    fn state(&self) -> &StateDirectory {
        &self.records.state
    }

    fn time_of(&self, row: &SqliteRow) -> Result<OffsetDateTime, StoreError> {
        let text = row.get("queued_at");
        OffsetDateTime::parse(text, &Rfc3339).map_err(|error| self.database().damaged(error))
    }

    /// The rows that wait for a receiver or for whichever comes, or all of them, in the order in which they were queued.
    ///
    /// # Errors
    /// [`StoreError::Database`] when they cannot be read.
    pub async fn pending(&self, registry: Option<&str>) -> Result<Vec<Waiting>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, ticket, registry, profile, unit, queued_at, attempts, last_error FROM outbox \
             WHERE (?1 IS NULL OR registry IN (?1, '')) ORDER BY id",
        )
        .bind(registry)
        .fetch_all(&self.database().pool)
        .await
        .map_err(|source| self.database().failed(source))?;
        let waiting = |row: &SqliteRow| {
            let ticket = row.get::<String, _>("ticket").parse();
            Ok(Waiting {
                id: row.get("id"),
                ticket: ticket.map_err(|error| self.database().damaged(error))?,
                key: key_of(row),
                queued_at: self.time_of(row)?,
                attempts: row.get("attempts"),
                last_error: row.get("last_error"),
            })
        };
        rows.iter().map(waiting).collect()
    }

    /// Sends each waiting row of a receiver, or of any, once and in order. One delivery goes on at a
    /// time, so that an older row never overtakes a newer one.
    ///
    /// # Errors
    /// [`StoreError`] when the outbox itself cannot be used; what the receiver says is in the answer.
    pub async fn deliver_with(
        &self,
        registry: Option<&str>,
        mut send: impl AsyncFnMut(&OutboxKey, Secret) -> Result<(), NotDelivered>,
    ) -> Result<Delivered, StoreError> {
        let _one_at_a_time = lock_apart(self.state().root.join("outbox.lock")).await?;
        let pending = self.pending(registry).await?;
        let mut done = Delivered::default();
        for (sent, waiting) in (0_u32..).zip(&pending) {
            let answer = match self.open(waiting).await? {
                // Another process did it meanwhile; the newer one has its turn next time.
                Opened::Replaced => continue,
                // The others are not held up by it.
                Opened::Unreadable => Err(NotDelivered::Refused(UNREADABLE.to_owned())),
                Opened::Row(row) => send(&waiting.key, row).await,
            };
            match answer {
                Ok(()) => {
                    self.remove(waiting.ticket).await?;
                    done.delivered += 1;
                }
                Err(NotDelivered::Refused(why)) => {
                    self.note(waiting.ticket, &why).await?;
                    done.refused += 1;
                }
                Err(NotDelivered::Unavailable(why)) => {
                    self.note(waiting.ticket, &why).await?;
                    done.waiting = u32::try_from(pending.len()).unwrap_or(u32::MAX) - sent;
                    break;
                }
            }
        }
        Ok(done)
    }

    async fn open(&self, waiting: &Waiting) -> Result<Opened, StoreError> {
        let row = sqlx::query("SELECT sealed FROM outbox WHERE id = ?")
            .bind(waiting.id)
            .fetch_optional(&self.database().pool)
            .await
            .map_err(|source| self.database().failed(source))?;
        let Some(row) = row else { return Ok(Opened::Replaced) };
        let plain = self.state().key.open(&sealing_name(&waiting.key), row.get("sealed"));
        let text = plain.and_then(|plain| std::str::from_utf8(&plain).ok().map(Secret::new));
        Ok(text.map_or(Opened::Unreadable, Opened::Row))
    }

    /// Drops a row that arrived; one that was queued in its place meanwhile stays.
    pub(super) async fn remove(&self, ticket: Uuid) -> Result<(), StoreError> {
        self.state().journal_arrived(ticket)?;
        self.records.take_in_journal().await
    }

    /// Counts an attempt in vain.
    pub(super) async fn note(&self, ticket: Uuid, why: &str) -> Result<(), StoreError> {
        sqlx::query("UPDATE outbox SET attempts = attempts + 1, last_error = ? WHERE ticket = ?")
            .bind(why)
            .bind(ticket.to_string())
            .execute(&self.database().pool)
            .await
            .map(drop)
            .map_err(|source| self.database().failed(source))
    }
}

fn queued(ticket: Uuid, key: &OutboxKey, at: OffsetDateTime, sealed: &[u8]) -> Queued {
    let OutboxKey { registry, profile, .. } = key.clone();
    Queued { ticket, registry, profile, unit: kept_unit(key), at, sealed: hex(sealed) }
}

/// The unit as journal and database have it: neither a UUID nor a MAC has a space.
fn kept_unit(key: &OutboxKey) -> String {
    match &key.status {
        Some(status) => format!("{} {status}", key.unit),
        None => key.unit.clone(),
    }
}

fn key_of(row: &SqliteRow) -> OutboxKey {
    let kept: String = row.get("unit");
    let (unit, status) = match kept.split_once(' ') {
        Some((unit, status)) => (unit.to_owned(), Some(status.to_owned())),
        None => (kept, None),
    };
    OutboxKey {
        registry: Some(row.get("registry")).filter(|name: &String| !name.is_empty()),
        profile: row.get("profile"),
        unit,
        status,
    }
}

/// Authenticated with the row, so that one unit's row cannot be passed off as another's.
fn sealing_name(key: &OutboxKey) -> String {
    serde_json::to_string(&("outbox", &key.registry, &key.profile, kept_unit(key)))
        .expect("texts become JSON")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    fn state() -> (tempfile::TempDir, StateDirectory) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let state = StateDirectory::open(&folder.path().join("state")).expect("it opens");
        (folder, state)
    }

    fn key(unit: &str) -> OutboxKey {
        let registry = Some("db.example.test:5432/fleet".to_owned());
        OutboxKey { registry, profile: "zeroconf".to_owned(), unit: unit.to_owned(), status: None }
    }

    async fn queue(outbox: &Outbox, unit: &str, row: &str) {
        let at = OffsetDateTime::UNIX_EPOCH;
        outbox.enqueue(&key(unit), &Secret::new(row), at).await.expect("queued");
    }

    async fn units(outbox: &Outbox) -> Vec<String> {
        let pending = outbox.pending(None).await.expect("readable");
        pending.into_iter().map(|waiting| waiting.key.unit).collect()
    }

    #[tokio::test]
    async fn rows_are_delivered_in_their_order_and_each_once() {
        let (_folder, state) = state();
        let outbox = state.outbox().await.expect("open");
        for unit in ["a", "b", "c"] {
            queue(&outbox, unit, unit).await;
        }
        // A unit that is provisioned anew goes to the end, and its older row is never sent.
        queue(&outbox, "a", "a, newer").await;
        let sent = RefCell::new(Vec::new());
        let send = async |_: &OutboxKey, row: Secret| {
            sent.borrow_mut().push(row.expose().to_owned());
            Ok(())
        };
        let done = outbox.deliver_with(None, send).await.expect("delivered");
        assert_eq!(done, Delivered { delivered: 3, refused: 0, waiting: 0 });
        assert_eq!(*sent.borrow(), ["b", "c", "a, newer"]);
        assert!(units(&outbox).await.is_empty());
    }

    #[tokio::test]
    async fn a_refused_row_waits_and_lets_others_pass() {
        let (_folder, state) = state();
        let outbox = state.outbox().await.expect("open");
        for unit in ["a", "b"] {
            queue(&outbox, unit, unit).await;
        }
        let send = async |key: &OutboxKey, _| match key.unit.as_str() {
            "a" => Err(NotDelivered::Refused("too long".to_owned())),
            _ => Ok(()),
        };
        let done = outbox.deliver_with(None, send).await.expect("delivered");
        assert_eq!(done, Delivered { delivered: 1, refused: 1, waiting: 0 });
        let pending = outbox.pending(None).await.expect("readable");
        assert_eq!((pending.len(), pending[0].attempts), (1, 1));
        assert_eq!(pending[0].last_error.as_deref(), Some("too long"));
    }

    /// It held up all that came after it.
    #[tokio::test]
    async fn a_row_of_an_earlier_key_says_what_to_do_and_lets_others_pass() {
        let (_folder, state) = state();
        queue(&state.outbox().await.expect("open"), "a", "a").await;
        StateDirectory::renew_key(&state.root).expect("renewed");
        let state = StateDirectory::open(&state.root).expect("it opens");
        let outbox = state.outbox().await.expect("open");
        queue(&outbox, "b", "b").await;
        let send = async |key: &OutboxKey, _| {
            assert_eq!(key.unit, "b");
            Ok(())
        };
        let done = outbox.deliver_with(None, send).await.expect("delivered");
        assert_eq!(done, Delivered { delivered: 1, refused: 1, waiting: 0 });
        let pending = outbox.pending(None).await.expect("readable");
        assert_eq!(pending.len(), 1);
        assert_eq!(pending[0].last_error.as_deref(), Some(UNREADABLE));
        // The unit is provisioned again.
        queue(&outbox, "a", "a, newer").await;
        let done = outbox.deliver_with(None, async |_: &OutboxKey, _| Ok(())).await;
        assert_eq!(done.expect("delivered").delivered, 1);
        assert!(units(&outbox).await.is_empty());
    }

    /// The unit's new secret went with the row that it took the place of.
    #[tokio::test]
    async fn a_status_alone_waits_behind_the_whole_row() {
        let (_folder, state) = state();
        let outbox = state.outbox().await.expect("open");
        queue(&outbox, "a", "a, whole").await;
        let failed = OutboxKey { status: Some("failed".to_owned()), ..key("a") };
        let at = OffsetDateTime::UNIX_EPOCH;
        for row in ["a failed", "a failed again"] {
            outbox.enqueue(&failed, &Secret::new(row), at).await.expect("queued");
        }
        let sent = RefCell::new(Vec::new());
        let send = async |key: &OutboxKey, row: Secret| {
            sent.borrow_mut().push((key.clone(), row.expose().to_owned()));
            Ok(())
        };
        outbox.deliver_with(None, send).await.expect("delivered");
        let whole = (key("a"), "a, whole".to_owned());
        assert_eq!(*sent.borrow(), [whole, (failed, "a failed again".to_owned())]);
    }

    #[tokio::test]
    async fn an_absent_receiver_is_asked_once() {
        let (_folder, state) = state();
        let outbox = state.outbox().await.expect("open");
        for unit in ["a", "b", "c"] {
            queue(&outbox, unit, unit).await;
        }
        let asked = RefCell::new(0);
        let send = async |_: &OutboxKey, _| {
            *asked.borrow_mut() += 1;
            Err(NotDelivered::Unavailable("down".to_owned()))
        };
        let done = outbox.deliver_with(None, send).await.expect("tried");
        assert_eq!(done, Delivered { delivered: 0, refused: 0, waiting: 3 });
        assert_eq!(*asked.borrow(), 1);
        assert_eq!(units(&outbox).await, ["a", "b", "c"]);
    }

    #[tokio::test]
    async fn a_row_that_is_replaced_on_its_way_is_not_lost() {
        let (_folder, state) = state();
        let outbox = state.outbox().await.expect("open");
        queue(&outbox, "a", "old").await;
        let send = async |_: &OutboxKey, row: Secret| {
            if row.expose() == "old" {
                queue(&outbox, "a", "new").await;
            }
            Ok(())
        };
        outbox.deliver_with(None, send).await.expect("delivered");
        assert_eq!(units(&outbox).await, ["a"], "the newer row was never sent");
    }

    #[tokio::test]
    async fn rows_of_another_receiver_are_left_alone() {
        let (_folder, state) = state();
        let outbox = state.outbox().await.expect("open");
        queue(&outbox, "a", "a").await;
        let send = async |_: &OutboxKey, _| panic!("nothing is to be sent");
        let done = outbox.deliver_with(Some("other"), send).await.expect("nothing to do");
        assert_eq!(done, Delivered::default());
        assert_eq!(units(&outbox).await, ["a"]);
        let anyones = OutboxKey { registry: None, ..key("b") };
        let at = OffsetDateTime::UNIX_EPOCH;
        outbox.enqueue(&anyones, &Secret::new("b"), at).await.expect("queued");
        let send = async |key: &OutboxKey, _| {
            assert_eq!((key.unit.as_str(), &key.registry), ("b", &None));
            Ok(())
        };
        let done = outbox.deliver_with(Some("other"), send).await.expect("delivered");
        assert_eq!(done.delivered, 1, "a row of no certain receiver goes to any");
    }

    #[tokio::test]
    async fn no_file_shows_what_a_row_says() {
        let (_folder, state) = state();
        let outbox = state.outbox().await.expect("open");
        queue(&outbox, "a", "PSK-7d8e9f0a1b2c3d4e").await;
        for entry in std::fs::read_dir(&state.root).expect("the folder") {
            let path = entry.expect("an entry").path();
            let bytes = if path.is_file() { std::fs::read(&path).expect("a file") } else { vec![] };
            let shown = bytes.windows(20).any(|window| window == b"PSK-7d8e9f0a1b2c3d4e");
            assert!(!shown, "{} shows the secret", path.display());
        }
    }
}

//! The fleet's register of devices: PostgreSQL with the table of document 001.
//!
//! A row is written by an upsert on the unit's UUID, so the same row may arrive twice, and an older one
//! never overwrites a newer. No error, log or `Debug` text holds a PSK or the database's password. Must
//! not know how a unit was provisioned, nor where a row waits when the database is away.

mod columns;
mod error;
mod row;
mod schema;
mod url;

use std::fmt;

use sqlx::{Connection, PgConnection, Row, postgres::PgRow};
use time::{OffsetDateTime, PrimitiveDateTime, UtcOffset};

use crate::{clock::Deadline, identity::Mac};

pub use error::RegistryError;
pub use row::{Device, DeviceRow, RowError};
pub use url::{RegistryUrl, UrlError};

use schema::Columns;

/// Writes a row unless a newer one is there. What the station does not know of the place and the board
/// stays as the register has it; everything else is the newest provisioning's.
const UPSERT: &str = "\
    INSERT INTO devices (global_uuid, mac_address, psk_secret, ca_service_url, wifi_ssid, \
        firmware_version, hardware_revision, location, status, provisioned_at) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
    ON CONFLICT (global_uuid) DO UPDATE SET \
        mac_address = EXCLUDED.mac_address, \
        psk_secret = EXCLUDED.psk_secret, \
        ca_service_url = EXCLUDED.ca_service_url, \
        wifi_ssid = EXCLUDED.wifi_ssid, \
        firmware_version = EXCLUDED.firmware_version, \
        hardware_revision = coalesce(EXCLUDED.hardware_revision, devices.hardware_revision), \
        location = coalesce(EXCLUDED.location, devices.location), \
        status = EXCLUDED.status, \
        provisioned_at = EXCLUDED.provisioned_at \
    WHERE (devices.provisioned_at IS NULL OR devices.provisioned_at <= EXCLUDED.provisioned_at) \
        AND (devices.mac_address IS NULL \
            OR regexp_replace(lower(devices.mac_address), '[^0-9a-f]', '', 'g') IN ($11, $12)) \
    RETURNING id::bigint";

/// A connection to the register.
pub struct Registry {
    connection: PgConnection,
    label: String,
}

/// What the register made of a row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Registered {
    /// It holds this row now.
    Written {
        /// The row's own number.
        id: i64,
    },
    /// It holds a row of this unit that was provisioned later, and kept it. For a unit that was
    /// provisioned just now this means that some station's clock is wrong.
    NewerKept {
        /// The row's own number.
        id: i64,
        /// When that unit was provisioned, as the register has it.
        provisioned_at: OffsetDateTime,
    },
    /// Its row of that UUID is another unit's, and it kept it.
    HeldByOther {
        /// The row's own number.
        id: i64,
        /// That unit's base MAC, as the register has it.
        mac: String,
    },
}

impl Registered {
    /// The row's own number.
    pub fn id(&self) -> i64 {
        match *self {
            Self::Written { id } | Self::NewerKept { id, .. } | Self::HeldByOther { id, .. } => id,
        }
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registry({})", self.label)
    }
}

impl Registry {
    /// Connects.
    ///
    /// # Errors
    /// [`RegistryError::Unavailable`] when nothing answers in time, or refuses.
    pub async fn connect(url: &RegistryUrl, deadline: Deadline) -> Result<Self, RegistryError> {
        let label = url.label().to_owned();
        let connection = PgConnection::connect_with(url.options());
        let connection = within(&label, deadline, connection).await?;
        Ok(Self { connection, label })
    }

    /// Where it is, without credentials: `db.example.test:5432/fleet`.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Makes the table where there is none, and looks whether one that is there fits.
    ///
    /// # Errors
    /// [`RegistryError::Schema`] when it does not fit, with the statement that mends it: nothing that is
    /// there is ever altered. [`RegistryError::Unavailable`] as [`Registry::connect`].
    pub async fn ensure_schema(&mut self, deadline: Deadline) -> Result<(), RegistryError> {
        let label = self.label.clone();
        let columns = within(&label, deadline, async {
            let columns = Columns::read(&mut self.connection).await?;
            if !columns.is_absent() {
                return Ok(columns);
            }
            schema::create(&mut self.connection).await?;
            Columns::read(&mut self.connection).await
        });
        let problems = columns.await?.problems();
        if problems.is_empty() {
            return Ok(());
        }
        Err(RegistryError::Schema { label, problem: problems.join("; ") })
    }

    /// Writes a row, or finds that a newer one of the same unit is there.
    ///
    /// # Errors
    /// [`RegistryError::Unavailable`] when the database does not answer in time: the row may have
    /// arrived all the same. [`RegistryError::Rejected`] when it refuses the row for what is in it.
    pub async fn upsert(
        &mut self,
        row: &DeviceRow,
        deadline: Deadline,
    ) -> Result<Registered, RegistryError> {
        let label = self.label.clone();
        let written = within(&label, deadline, write(&mut self.connection, row)).await;
        match written {
            Err(RegistryError::Rejected { code, .. }) if code == error::TOO_LONG => {
                // The database does not say which column it was.
                let columns = Columns::read(&mut self.connection);
                let columns = within(&label, deadline, columns).await?;
                let problem = columns.too_long(row).unwrap_or_else(|| "a value is too long".into());
                Err(RegistryError::Rejected { label, code, problem })
            }
            written => written,
        }
    }

    /// Says goodbye; without it the server notes a lost client.
    pub async fn close(self) {
        // The other end may be gone already, which is what is wanted.
        let _closed = self.connection.close().await;
    }
}

async fn write(connection: &mut PgConnection, row: &DeviceRow) -> sqlx::Result<Registered> {
    let device = row.device();
    let written = sqlx::query(UPSERT)
        .bind(device.uuid.to_string())
        .bind(device.mac.to_string())
        .bind(device.psk.expose())
        .bind(&device.ca_service_url)
        .bind(&device.wifi_ssid)
        .bind(&device.firmware_version)
        .bind(&device.hardware_revision)
        .bind(&device.location)
        .bind(&device.status)
        .bind(utc(device.provisioned_at))
        .bind(device.mac.compact())
        .bind(device.replaces.map(Mac::compact))
        .fetch_optional(&mut *connection)
        .await?;
    if let Some(row) = written {
        return Ok(Registered::Written { id: row.try_get(0)? });
    }
    let kept = sqlx::query(
        "SELECT id::bigint, provisioned_at::timestamp, mac_address FROM devices WHERE global_uuid = $1",
    )
    .bind(device.uuid.to_string())
    .fetch_one(connection)
    .await?;
    why_kept(&kept, device)
}

/// Another unit's row outranks every comparison of times.
fn why_kept(row: &PgRow, device: &Device) -> sqlx::Result<Registered> {
    let mac: Option<String> = row.try_get(2)?;
    let own = [Some(device.mac), device.replaces];
    let is_own =
        |mac: &String| own.contains(&mac.parse::<Mac>().ok()) && mac.parse::<Mac>().is_ok();
    if let Some(mac) = mac.filter(|mac| !is_own(mac)) {
        return Ok(Registered::HeldByOther { id: row.try_get(0)?, mac });
    }
    let provisioned_at: PrimitiveDateTime = row.try_get(1)?;
    Ok(Registered::NewerKept { id: row.try_get(0)?, provisioned_at: provisioned_at.assume_utc() })
}

/// The document's column has no time zone; it holds UTC.
fn utc(at: OffsetDateTime) -> PrimitiveDateTime {
    let at = at.to_offset(UtcOffset::UTC);
    PrimitiveDateTime::new(at.date(), at.time())
}

/// Gives up on a database that is silent.
async fn within<T>(
    label: &str,
    deadline: Deadline,
    call: impl Future<Output = sqlx::Result<T>>,
) -> Result<T, RegistryError> {
    match tokio::time::timeout_at(deadline.instant(), call).await {
        Ok(done) => done.map_err(|error| error::of(label, error)),
        Err(_) => {
            let why = format!("no answer within {:.1} s", deadline.allowed().as_secs_f64());
            Err(RegistryError::Unavailable { label: label.to_owned(), why })
        }
    }
}

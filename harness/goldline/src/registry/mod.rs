//! The fleet's register of devices: PostgreSQL with the table of document 001.
//!
//! A row is written by an upsert on the unit's UUID, so the same row may arrive twice, and an older one
//! never overwrites a newer. A unit that is scrapped stays so, whatever arrives before or after. No error, log or
//! `Debug` text holds a PSK or the database's password. Must not know how a unit was provisioned, nor where a row waits when the database is away.

mod columns;
mod error;
mod notice;
mod row;
mod schema;
mod url;

use std::fmt;

use sqlx::{Connection, PgConnection, Row, postgres::PgRow};
use time::{OffsetDateTime, PrimitiveDateTime, UtcOffset};

use crate::{clock::Deadline, identity::Mac};

pub use error::RegistryError;
pub use notice::{Notice, UnitName};
pub use row::{Device, DeviceRow, RowError, Status};
pub use url::{RegistryUrl, UrlError};

use schema::Columns;

/// A MAC in whatever form another program wrote it, as twelve digits.
macro_rules! digits_of_mac {
    () => {
        "regexp_replace(lower(devices.mac_address), '[^0-9a-f]', '', 'g')"
    };
}

/// Writes a row unless a newer one is there, another unit's, or a scrapped one that is not replaced.
macro_rules! upsert {
    ($news:literal) => {
        concat!(
            "INSERT INTO devices (global_uuid, mac_address, psk_secret, ca_service_url, wifi_ssid, \
                 firmware_version, hardware_revision, location, status, provisioned_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
             ON CONFLICT (global_uuid) DO UPDATE SET ",
            $news,
            " status = EXCLUDED.status, provisioned_at = EXCLUDED.provisioned_at \
             WHERE (devices.provisioned_at IS NULL \
                     OR devices.provisioned_at <= EXCLUDED.provisioned_at) \
                 AND (devices.mac_address IS NULL OR ",
            digits_of_mac!(),
            " IN ($11, $12)) \
                 AND (devices.status IS DISTINCT FROM 'scrapped' OR ",
            digits_of_mac!(),
            " = $12) \
             RETURNING id::bigint"
        )
    };
}

/// What the station does not know of the place and the board stays as the register has it; everything else is
/// the newest provisioning's.
const UPSERT: &str = upsert!(
    "mac_address = EXCLUDED.mac_address, \
     psk_secret = EXCLUDED.psk_secret, \
     ca_service_url = EXCLUDED.ca_service_url, \
     wifi_ssid = EXCLUDED.wifi_ssid, \
     firmware_version = EXCLUDED.firmware_version, \
     hardware_revision = coalesce(EXCLUDED.hardware_revision, devices.hardware_revision), \
     location = coalesce(EXCLUDED.location, devices.location),"
);

/// All that the unit has stays as the register has it.
const UPSERT_STATUS: &str = upsert!("");

/// Not by time: a unit that is scrapped was not mended by what another station did to it meanwhile.
const SCRAP_UUID: &str =
    "UPDATE devices SET status = 'scrapped' WHERE global_uuid = $1 RETURNING id::bigint";
const SCRAP_MAC: &str = concat!(
    "UPDATE devices SET status = 'scrapped' WHERE ",
    digits_of_mac!(),
    " = $1 RETURNING id::bigint"
);

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
    /// The unit is scrapped, and it kept that.
    Scrapped {
        /// The row's own number.
        id: i64,
    },
}

impl Registered {
    /// The row's own number.
    pub fn id(&self) -> i64 {
        match *self {
            Self::Written { id }
            | Self::NewerKept { id, .. }
            | Self::HeldByOther { id, .. }
            | Self::Scrapped { id } => id,
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

    /// Writes a unit off. Returns the numbers of its rows, none when there is none: a module's UUID may have
    /// changed, so that one MAC may have several.
    ///
    /// # Errors
    /// As [`Registry::upsert`].
    pub async fn scrap(
        &mut self,
        unit: &UnitName,
        deadline: Deadline,
    ) -> Result<Vec<i64>, RegistryError> {
        let (statement, name) = match unit {
            UnitName::Uuid(uuid) => (SCRAP_UUID, uuid.to_string()),
            UnitName::Mac(mac) => (SCRAP_MAC, mac.compact()),
        };
        let label = self.label.clone();
        let scrapped = async {
            let rows = sqlx::query(statement).bind(name).fetch_all(&mut self.connection).await?;
            rows.iter().map(|row| row.try_get(0)).collect()
        };
        within(&label, deadline, scrapped).await
    }

    /// Says goodbye; without it the server notes a lost client.
    pub async fn close(self) {
        // The other end may be gone already, which is what is wanted.
        let _closed = self.connection.close().await;
    }
}

async fn write(connection: &mut PgConnection, row: &DeviceRow) -> sqlx::Result<Registered> {
    let device = row.device();
    let statement = if device.status_only { UPSERT_STATUS } else { UPSERT };
    let written = sqlx::query(statement)
        .bind(device.uuid.to_string())
        .bind(device.mac.to_string())
        .bind(device.psk.expose())
        .bind(&device.ca_service_url)
        .bind(&device.wifi_ssid)
        .bind(&device.firmware_version)
        .bind(&device.hardware_revision)
        .bind(&device.location)
        .bind(device.status.as_str())
        .bind(utc(device.provisioned_at))
        .bind(device.mac.compact())
        .bind(device.replaces.map(Mac::compact))
        .fetch_optional(&mut *connection)
        .await?;
    if let Some(row) = written {
        return Ok(Registered::Written { id: row.try_get(0)? });
    }
    let kept = sqlx::query(
        "SELECT id::bigint, provisioned_at::timestamp, mac_address, status FROM devices \
         WHERE global_uuid = $1",
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
    let status: Option<String> = row.try_get(3)?;
    if status.as_deref() == Some(Status::Scrapped.as_str()) {
        return Ok(Registered::Scrapped { id: row.try_get(0)? });
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

//! The table of document 001, with its PSK column wide enough for 64 hexadecimal digits.

use std::collections::BTreeMap;

use sqlx::{Connection, PgConnection, Row};

use super::DeviceRow;
use super::columns::{COLUMNS, Column};

/// The document's own statement, but for the width of the PSK and the guards of the indexes.
const CREATE: &str = "\
    CREATE TABLE IF NOT EXISTS devices (\
        id SERIAL PRIMARY KEY, \
        global_uuid VARCHAR(36) UNIQUE NOT NULL, \
        mac_address VARCHAR(17) NOT NULL, \
        psk_secret VARCHAR(64) NOT NULL, \
        ca_service_url VARCHAR(255), \
        wifi_ssid VARCHAR(32), \
        provisioned_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, \
        firmware_version VARCHAR(20), \
        hardware_revision VARCHAR(10), \
        location VARCHAR(100), \
        status VARCHAR(20) DEFAULT 'provisioned'); \
    CREATE INDEX IF NOT EXISTS idx_devices_uuid ON devices(global_uuid); \
    CREATE INDEX IF NOT EXISTS idx_devices_mac ON devices(mac_address); \
    CREATE INDEX IF NOT EXISTS idx_devices_status ON devices(status)";

/// Held while the table is made, because `IF NOT EXISTS` alone fails when two stations do so at once.
/// The number means "goldline" to nobody else.
const LOCK: &str = "SELECT pg_advisory_xact_lock(7164779834)";

/// A column as the database has it.
struct Existing {
    /// Such as `character varying(32)`.
    declared: String,
    /// `None` when there is no limit.
    characters: Option<usize>,
    is_text: bool,
}

/// The table as the database has it.
pub(super) struct Columns {
    existing: BTreeMap<String, Existing>,
    uuid_is_unique: bool,
}

/// Makes table and indexes.
pub(super) async fn create(connection: &mut PgConnection) -> sqlx::Result<()> {
    let mut transaction = connection.begin().await?;
    sqlx::raw_sql(LOCK).execute(&mut *transaction).await?;
    sqlx::raw_sql(CREATE).execute(&mut *transaction).await?;
    transaction.commit().await
}

impl Columns {
    /// Looks at the table that `devices` names for this user.
    pub(super) async fn read(connection: &mut PgConnection) -> sqlx::Result<Self> {
        let rows = sqlx::query(
            "SELECT attname::text, format_type(atttypid, atttypmod), \
                 CASE WHEN atttypid = 'varchar'::regtype AND atttypmod > 0 THEN atttypmod - 4 END, \
                 atttypid IN ('varchar'::regtype, 'text'::regtype) \
             FROM pg_attribute WHERE attrelid = to_regclass('devices') \
             AND attnum > 0 AND NOT attisdropped",
        )
        .fetch_all(&mut *connection)
        .await?;
        let mut existing = BTreeMap::new();
        for row in rows {
            let characters: Option<i32> = row.try_get(2)?;
            let characters = characters.and_then(|count| usize::try_from(count).ok());
            let column =
                Existing { declared: row.try_get(1)?, characters, is_text: row.try_get(3)? };
            existing.insert(row.try_get(0)?, column);
        }
        let unique = sqlx::query(
            "SELECT EXISTS (SELECT 1 FROM pg_index JOIN pg_attribute \
                 ON attrelid = indrelid AND attnum = indkey[0] \
             WHERE indrelid = to_regclass('devices') AND indisunique AND indisvalid \
             AND indnkeyatts = 1 AND indpred IS NULL AND attname = 'global_uuid')",
        )
        .fetch_one(connection)
        .await?;
        Ok(Self { existing, uuid_is_unique: unique.try_get(0)? })
    }

    /// Whether there is no such table.
    pub(super) fn is_absent(&self) -> bool {
        self.existing.is_empty()
    }

    /// What keeps rows from fitting, each with the statement that mends it.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems: Vec<String> =
            COLUMNS.iter().filter_map(|column| self.problem(column)).collect();
        if !self.uuid_is_unique && self.existing.contains_key("global_uuid") {
            problems.push(
                "global_uuid is not unique, so one unit could have two rows; run \
                 ALTER TABLE devices ADD UNIQUE (global_uuid);"
                    .to_owned(),
            );
        }
        problems
    }

    fn problem(&self, column: &Column) -> Option<String> {
        let Column { name, characters, declared } = column;
        let Some(existing) = self.existing.get(*name) else {
            return Some(format!(
                "it has no column {name}; run ALTER TABLE devices ADD COLUMN {name} {declared};"
            ));
        };
        let wanted = (*characters)?;
        let found = &existing.declared;
        if !existing.is_text {
            return Some(format!(
                "{name} is {found}, expected text; run \
                 ALTER TABLE devices ALTER COLUMN {name} TYPE {declared} USING {name}::text;"
            ));
        }
        existing.characters.filter(|taken| *taken < wanted).map(|taken| {
            format!(
                "{name} takes {taken} characters, up to {wanted} are needed; run \
                 ALTER TABLE devices ALTER COLUMN {name} TYPE {declared};"
            )
        })
    }

    /// The first column that is too narrow for the row, with both lengths and never the value.
    pub(super) fn too_long(&self, row: &DeviceRow) -> Option<String> {
        COLUMNS.iter().find_map(|column| {
            let found = row.text(column)?.chars().count();
            let taken = self.existing.get(column.name)?.characters?;
            let name = column.name;
            (found > taken).then(|| format!("{name} has {found} characters, it takes {taken}"))
        })
    }
}

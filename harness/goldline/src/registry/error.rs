//! Why the register did not take a row, told apart by what helps: waiting, mending the table, or neither.
//!
//! A database quotes values in its messages ("invalid input syntax … "), and one of them is the PSK. So
//! its own words are repeated only for kinds of errors that cannot hold a value.

use sqlx::postgres::PgDatabaseError;

/// SQLSTATE of a value that does not fit its column.
pub(super) const TOO_LONG: &str = "22001";

/// The register did not take a row.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum RegistryError {
    /// It is down, silent, or lets nobody in.
    #[error(
        "the registry {label} cannot be used: {why}; rows wait until goldline registry deliver reaches it"
    )]
    Unavailable { label: String, why: String },
    /// Its table is not the one that is expected.
    #[error(
        "the table devices of the registry {label} does not fit: {problem}; goldline never alters it: have it mended, then run goldline registry deliver"
    )]
    Schema { label: String, problem: String },
    /// It refuses the row for what is in it: the same row will never pass.
    #[error("the registry {label} refuses the row ({code}): {problem}; correct the unit's values")]
    Rejected { label: String, code: String, problem: String },
}

impl RegistryError {
    /// Whether the same row may pass later, so that it is worth being kept.
    pub fn may_pass_later(&self) -> bool {
        !matches!(self, Self::Rejected { .. })
    }
}

/// Sorts an error by its SQLSTATE.
pub(super) fn of(label: &str, error: sqlx::Error) -> RegistryError {
    let label = label.to_owned();
    match error {
        sqlx::Error::Database(error) => match error.try_downcast::<PgDatabaseError>() {
            Ok(error) => of_database(label, &error),
            Err(error) => unavailable(label, error.code().as_deref().unwrap_or("no code")),
        },
        sqlx::Error::Io(error) => unavailable(label, &error.to_string()),
        sqlx::Error::Tls(error) => unavailable(label, &format!("TLS: {error}")),
        // What the driver makes of a broken conversation; values are not among it, but who knows.
        sqlx::Error::Protocol(_) => unavailable(label, "it does not speak as PostgreSQL does"),
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
            let problem = "a column of the table has another type than expected".to_owned();
            RegistryError::Schema { label, problem }
        }
        // The row was there and is gone: whoever removed it, it can be written again.
        sqlx::Error::RowNotFound => unavailable(label, "the row was removed in between"),
        _ => unavailable(label, "the connection failed"),
    }
}

fn unavailable(label: String, why: &str) -> RegistryError {
    RegistryError::Unavailable { label, why: why.to_owned() }
}

fn of_database(label: String, error: &PgDatabaseError) -> RegistryError {
    let code = error.code().to_owned();
    let said = format!("{} ({code})", error.message());
    match code.get(..2).unwrap_or_default() {
        // Missing or foreign tables, columns, constraints and rights: the same row passes once mended.
        "42" | "3F" => RegistryError::Schema { label, problem: said },
        // Connection, authorisation, database, resources, shutdown, locks, a read-only standby.
        "08" | "28" | "3D" | "40" | "53" | "55" | "57" | "58" | "25" => {
            RegistryError::Unavailable { label, why: said }
        }
        // Never the message nor the detail: both may quote the PSK.
        _ => RegistryError::Rejected { label, problem: without_values(error), code },
    }
}

fn without_values(error: &PgDatabaseError) -> String {
    match (error.constraint(), error.column()) {
        (Some(constraint), _) => format!("it breaks the constraint {constraint}"),
        (None, Some(column)) => format!("the column {column} does not take its value"),
        (None, None) => "the server's log says why".to_owned(),
    }
}

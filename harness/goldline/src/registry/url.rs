//! Where the register is, and how to get in. Holds a password, and shows none of the text it came from.

use std::{fmt, str::FromStr};

use sqlx::{
    ConnectOptions,
    postgres::{PgConnectOptions, PgSslMode},
};

use crate::secret::Secret;

/// The parameters that the driver knows; it would log any other one with its value.
const PARAMETERS: [&str; 6] =
    ["sslmode", "sslrootcert", "sslcert", "sslkey", "application_name", "host"];

/// A valid address of a register, credentials included.
#[derive(Clone)]
pub struct RegistryUrl {
    options: PgConnectOptions,
    label: String,
}

/// The text is no address of a register. It is not repeated, since it may hold a password.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum UrlError {
    /// Another kind of address.
    #[error("the registry's URL does not start with postgres://: expected {EXPECTED}")]
    Scheme,
    /// A parameter that has no meaning here.
    #[error(
        "the registry's URL has an unknown parameter behind its \"?\": expected some of {}; a ? in a password is written %3F",
        PARAMETERS.join(", ")
    )]
    Parameter,
    /// Anything else.
    #[error(
        "the registry's URL cannot be read: expected {EXPECTED}, with : / ? # @ % in user and password percent-encoded"
    )]
    Form,
    /// No database is named.
    #[error("the registry's URL names no database: expected {EXPECTED}")]
    NoDatabase,
}

const EXPECTED: &str = "postgres://USER:PASSWORD@HOST:PORT/DATABASE";

impl RegistryUrl {
    /// Reads an address. What it leaves out comes from where psql takes it: PGPASSWORD, ~/.pgpass.
    ///
    /// # Errors
    /// When it is none, or names no database.
    pub fn parse(text: &Secret) -> Result<Self, UrlError> {
        let text = text.expose();
        if !["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme)) {
            return Err(UrlError::Scheme);
        }
        if let Some((_, parameters)) = text.split_once('?') {
            let known = |parameter: &str| {
                PARAMETERS.contains(&parameter.split('=').next().unwrap_or_default())
            };
            if !parameters.split('&').all(known) {
                return Err(UrlError::Parameter);
            }
        }
        let options = PgConnectOptions::from_str(text).map_err(|_| UrlError::Form)?;
        let database = options.get_database().ok_or(UrlError::NoDatabase)?;
        let label = match options.get_socket() {
            Some(socket) => format!("{}/{database}", socket.display()),
            None => format!("{}:{}/{database}", options.get_host(), options.get_port()),
        };
        Ok(Self { options: options.disable_statement_logging(), label })
    }

    /// Where it is, without credentials: `db.example.test:5432/fleet`.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Whether the connection may go without TLS.
    pub fn allows_plain(&self) -> bool {
        let mode = self.options.get_ssl_mode();
        matches!(mode, PgSslMode::Disable | PgSslMode::Allow | PgSslMode::Prefer)
    }

    pub(super) fn options(&self) -> &PgConnectOptions {
        &self.options
    }
}

impl fmt::Debug for RegistryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RegistryUrl({})", self.label)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[test]
    fn an_address_shows_its_place_and_no_credentials() {
        let text = Secret::new("postgres://line-7:hunter2%40x@db.example.test:6432/fleet");
        let url = RegistryUrl::parse(&text).expect("an address");
        assert_eq!(url.label(), "db.example.test:6432/fleet");
        assert_eq!(format!("{url:?}"), "RegistryUrl(db.example.test:6432/fleet)");
    }

    #[rstest]
    #[case::scheme("mysql://u:hunter2@db.example.test/fleet", UrlError::Scheme)]
    #[case::port("postgres://u:hunter2@db.example.test:hunter2/fleet", UrlError::Form)]
    #[case::slash_in_password("postgres://u:hunter2/x@db.example.test/fleet", UrlError::Form)]
    #[case::question_mark("postgres://u:hun?ter2@db.example.test/fleet", UrlError::Parameter)]
    #[case::misspelt("postgres://db.example.test/fleet?pasword=hunter2", UrlError::Parameter)]
    #[case::ssl_mode("postgres://db.example.test/fleet?sslmode=hunter2", UrlError::Form)]
    #[case::no_database("postgres://u:hunter2@db.example.test", UrlError::NoDatabase)]
    fn a_faulty_address_is_refused_and_not_repeated(
        #[case] text: &str,
        #[case] expected: UrlError,
    ) {
        let error = RegistryUrl::parse(&Secret::new(text)).expect_err("refused");
        assert_eq!(error, expected);
        assert!(!error.to_string().contains("hun"), "{error}");
    }
}

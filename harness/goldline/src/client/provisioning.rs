//! The server that gives a unit its MQTT credentials: `POST {server}/provision/{id}` with a bearer token.
//!
//! Must not know where the credentials go. The token and the password are [`Secret`]; what the server
//! says is shown without them.

use serde::Deserialize;
use serde_json::error::Category;

use super::{
    Blame,
    http::{HttpClient, HttpError, HttpUrl, Request, Response},
    sentence::first_line,
};
use crate::{clock::Deadline, record::Code, secret::Secret};

/// What the server gives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Credentials {
    /// The id that was asked for.
    pub device_id: String,
    /// MQTT user name.
    pub mqtt_user: String,
    /// MQTT password.
    pub mqtt_password: Secret,
    /// MQTT broker.
    pub mqtt_host: String,
    /// Its port.
    pub mqtt_port: u16,
    /// When, as the server writes it.
    pub provision_date: String,
}

/// The server gave no credentials.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum ProvisioningError {
    /// The call brought no answer.
    #[error("config server unreachable: {0}")]
    Http(#[from] HttpError),
    /// The id cannot stand in the address.
    #[error(
        "the device id \"{id}\" cannot stand in an address: expected letters, digits, dash, dot and underscore"
    )]
    Id { id: String },
    /// 401 or 403.
    #[error(
        "the config server refuses the token with status {status}: \"{sentence}\"; check the admin token"
    )]
    TokenRefused { status: u16, sentence: String },
    /// 404.
    #[error(
        "the config server knows no {url}: \"{sentence}\"; check its address and the device id"
    )]
    NotFound { url: String, sentence: String },
    /// 5xx.
    #[error("the config server failed with status {status}: \"{sentence}\"; review its log")]
    ServerFailed { status: u16, sentence: String },
    /// Any other status.
    #[error("the config server answered with status {status}: \"{sentence}\"; expected 200")]
    Refused { status: u16, sentence: String },
    /// No JSON, or none of this form.
    #[error(
        "the config server's answer {what} at line {line}, column {column}: expected the unit's credentials"
    )]
    Malformed { what: &'static str, line: usize, column: usize },
    /// A field is not there or empty.
    #[error("the config server's answer lacks {field}")]
    MissingField { field: &'static str },
    /// Another unit's credentials.
    #[error("the config server answered for device {found}: expected {expected}")]
    OtherDevice { found: String, expected: String },
}

impl ProvisioningError {
    /// The diagnosis that it becomes.
    pub fn code(&self) -> Code {
        match self {
            Self::Http(HttpError::NotHttp { .. } | HttpError::TooLarge { .. })
            | Self::Malformed { .. }
            | Self::MissingField { .. }
            | Self::OtherDevice { .. } => Code::ConfigMalformed,
            Self::Http(_) => Code::ConfigUnreachable,
            Self::Id { .. }
            | Self::TokenRefused { .. }
            | Self::NotFound { .. }
            | Self::ServerFailed { .. }
            | Self::Refused { .. } => Code::ConfigRefused,
        }
    }

    /// Whose fault it is: the unit has no part in this call.
    pub fn blame(&self) -> Blame {
        Blame::Service
    }
}

#[derive(Deserialize)]
struct RawCredentials {
    device_id: Option<String>,
    mqtt_user: Option<String>,
    mqtt_password: Option<String>,
    mqtt_host: Option<String>,
    mqtt_port: Option<u16>,
    provision_date: Option<String>,
}

/// Asks for a unit's credentials.
///
/// # Errors
/// [`ProvisioningError`].
pub async fn provision(
    client: &HttpClient,
    server: &str,
    device_id: &str,
    token: &Secret,
    deadline: Deadline,
) -> Result<Credentials, ProvisioningError> {
    let sayable = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let dots = device_id.chars().all(|c| c == '.');
    if dots || !device_id.chars().all(sayable) {
        return Err(ProvisioningError::Id { id: device_id.to_owned() });
    }
    let base: HttpUrl = server.parse()?;
    let url = base.below(&format!("/provision/{device_id}"));
    let request = Request::post(url.clone()).bearer(token.clone());
    let response = client.call(&request, deadline).await?;
    refuse_status(&response, &url, token)?;
    parse(&response, device_id)
}

fn refuse_status(
    response: &Response,
    url: &HttpUrl,
    token: &Secret,
) -> Result<(), ProvisioningError> {
    let status = response.status;
    let sentence = || first_line(&response.body.expose_text(), &[token]);
    Err(match status {
        200..300 => return Ok(()),
        401 | 403 => ProvisioningError::TokenRefused { status, sentence: sentence() },
        404 => ProvisioningError::NotFound { url: url.to_string(), sentence: sentence() },
        500.. => ProvisioningError::ServerFailed { status, sentence: sentence() },
        _ => ProvisioningError::Refused { status, sentence: sentence() },
    })
}

fn parse(response: &Response, device_id: &str) -> Result<Credentials, ProvisioningError> {
    let raw: RawCredentials =
        serde_json::from_slice(response.body.expose()).map_err(|error| malformed(&error))?;
    let found = filled("device_id", raw.device_id)?;
    if found != device_id {
        let found = first_line(&found, &[]);
        return Err(ProvisioningError::OtherDevice { found, expected: device_id.to_owned() });
    }
    let port = raw.mqtt_port.filter(|port| *port != 0);
    Ok(Credentials {
        device_id: found,
        mqtt_user: filled("mqtt_user", raw.mqtt_user)?,
        mqtt_password: Secret::new(filled("mqtt_password", raw.mqtt_password)?),
        mqtt_host: filled("mqtt_host", raw.mqtt_host)?,
        mqtt_port: port.ok_or(ProvisioningError::MissingField { field: "mqtt_port" })?,
        provision_date: filled("provision_date", raw.provision_date)?,
    })
}

fn filled(field: &'static str, value: Option<String>) -> Result<String, ProvisioningError> {
    value.filter(|text| !text.is_empty()).ok_or(ProvisioningError::MissingField { field })
}

/// The parser's own words quote the text, in which the password stands.
fn malformed(error: &serde_json::Error) -> ProvisioningError {
    let what = match error.classify() {
        Category::Data => "has a value of another type",
        Category::Eof => "ends too early",
        Category::Syntax | Category::Io => "is no JSON",
    };
    ProvisioningError::Malformed { what, line: error.line(), column: error.column() }
}

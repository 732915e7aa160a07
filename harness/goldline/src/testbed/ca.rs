//! The CA's HTTP API, as products call it to register a device: plain HTTP on loopback.
//!
//! `POST /api/devices/register` with `{uuid, psk, mac, type}` gives `{success, certificate, ca_cert,
//! expiry}`; `GET /health` says that it runs. The PSK is a shared secret of this API: it is checked
//! for its form and never kept. Must not know profiles or units.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::Arc,
};

use serde::Deserialize;
use serde_json::json;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;
use wiremock::{
    Mock, MockServer, Request, ResponseTemplate,
    matchers::{method, path},
};

use super::{
    authority::{Authority, AuthorityError, Signed},
    event_log::{EventLog, NotSeen, Stamped},
};
use crate::{
    clock::{Clock, Deadline},
    identity::Mac,
    secret::Secret,
};

/// How long a registered device's certificate is valid.
const DEVICE_VALIDITY: Duration = Duration::days(365);
/// 16 or 32 random bytes in hex; the products differ.
const PSK_DIGITS: [usize; 2] = [32, 64];

/// The CA's API cannot be started.
#[derive(Debug, thiserror::Error)]
#[error("the CA cannot listen on {address}: {source}; free the address")]
pub struct CaError {
    /// Where.
    pub address: SocketAddr,
    /// The operating system's reason.
    pub source: io::Error,
}

/// One call of the registration, accepted or not.
#[derive(Clone, Debug)]
pub enum Registration {
    /// A certificate was issued.
    Accepted(Registered),
    /// The request was refused with this sentence.
    Refused(String),
}

/// A device that registered.
#[derive(Clone, Debug)]
pub struct Registered {
    /// The device's id; the certificate's common name.
    pub uuid: Uuid,
    /// The device's address.
    pub mac: Mac,
    /// The chip, as the device said it.
    pub device_type: String,
    /// Serial number of the certificate in lowercase hex.
    pub serial: String,
    /// Last moment of the certificate's validity.
    pub expires: OffsetDateTime,
    /// The key that the CA made for a request without a signing request; the API never sends it.
    pub key: Option<Secret>,
}

/// What a device sends.
#[derive(Deserialize)]
struct RegistrationRequest {
    uuid: String,
    psk: String,
    mac: String,
    #[serde(rename = "type")]
    device_type: String,
    /// Our extension: PKCS#10 PEM, so that the key never leaves the device.
    csr: Option<String>,
}

/// Why a request is refused; the sentence goes to the device, so it never repeats the PSK.
#[derive(Debug, thiserror::Error)]
enum RequestError {
    #[error("the body is not {{uuid, psk, mac, type}} as JSON: see line {line}, column {column}")]
    Body { line: usize, column: usize },
    #[error("uuid \"{0}\" is not a UUID: expected 8-4-4-4-12 hexadecimal digits")]
    Uuid(String),
    #[error("mac \"{0}\" is not a MAC address: expected 12 hexadecimal digits")]
    Mac(String),
    #[error("psk has {0} characters: expected 32 or 64 hexadecimal digits")]
    Psk(usize),
    #[error("type is empty: expected the chip, such as esp32s3")]
    DeviceType,
    #[error(transparent)]
    Authority(#[from] AuthorityError),
}

/// The running API; ends when dropped.
pub struct CertificateAuthorityApi {
    server: MockServer,
    log: Arc<EventLog<Registration>>,
}

impl std::fmt::Debug for CertificateAuthorityApi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CertificateAuthorityApi")
            .field("address", &self.address())
            .finish_non_exhaustive()
    }
}

impl CertificateAuthorityApi {
    /// Listens on a free port of 127.0.0.1. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`CaError`] when no port can be had.
    pub async fn start(authority: Arc<Authority>, clock: Clock) -> Result<Self, CaError> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = TcpListener::bind(address).map_err(|source| CaError { address, source })?;
        // Recorded requests would keep every PSK in memory.
        let server =
            MockServer::builder().listener(listener).disable_request_recording().start().await;
        let log = Arc::new(EventLog::new(clock));

        let healthy = ResponseTemplate::new(200).set_body_json(json!({ "status": "ok" }));
        Mock::given(method("GET")).and(path("/health")).respond_with(healthy).mount(&server).await;
        let register = {
            let log = Arc::clone(&log);
            move |request: &Request| answer(&authority, &log, request)
        };
        Mock::given(method("POST"))
            .and(path("/api/devices/register"))
            .respond_with(register)
            .mount(&server)
            .await;
        Ok(Self { server, log })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        *self.server.address()
    }

    /// Its URL without a trailing slash.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Every call of the registration so far.
    pub fn registrations(&self) -> Vec<Stamped<Registration>> {
        self.log.all()
    }

    /// Waits until `answer` finds something in the registrations.
    ///
    /// # Errors
    /// [`NotSeen`] when the deadline passes first.
    pub async fn wait_for<T>(
        &self,
        deadline: Deadline,
        answer: impl FnMut(&[Stamped<Registration>]) -> Option<T>,
    ) -> Result<T, NotSeen> {
        self.log.wait_until(deadline, answer).await
    }
}

fn answer(
    authority: &Authority,
    log: &EventLog<Registration>,
    request: &Request,
) -> ResponseTemplate {
    match register(authority, request) {
        Ok((registered, signed)) => {
            let expiry = registered.expires.format(&Rfc3339);
            log.record(Registration::Accepted(registered));
            ResponseTemplate::new(200).set_body_json(json!({
                "success": true,
                "certificate": signed.certificate,
                "ca_cert": format!("{}{}", authority.intermediate_pem(), authority.root_pem()),
                "expiry": expiry.expect("a year from now has four digits, which RFC 3339 can write"),
            }))
        }
        Err(error) => {
            let sentence = error.to_string();
            log.record(Registration::Refused(sentence.clone()));
            ResponseTemplate::new(400).set_body_json(json!({ "success": false, "error": sentence }))
        }
    }
}

fn register(
    authority: &Authority,
    request: &Request,
) -> Result<(Registered, Signed), RequestError> {
    let request: RegistrationRequest = serde_json::from_slice(&request.body)
        .map_err(|error| RequestError::Body { line: error.line(), column: error.column() })?;
    let uuid = request.uuid.parse::<Uuid>().map_err(|_| RequestError::Uuid(request.uuid))?;
    let mac = request.mac.parse::<Mac>().map_err(|_| RequestError::Mac(request.mac))?;
    let hexadecimal = request.psk.bytes().all(|digit| digit.is_ascii_hexdigit());
    if !hexadecimal || !PSK_DIGITS.contains(&request.psk.len()) {
        return Err(RequestError::Psk(request.psk.chars().count()));
    }
    if request.device_type.is_empty() {
        return Err(RequestError::DeviceType);
    }

    let name = uuid.to_string();
    let (signed, key) = match &request.csr {
        Some(csr) => (authority.sign_request(csr, &name, DEVICE_VALIDITY)?, None),
        None => {
            let issued = authority.issue_device(&name, DEVICE_VALIDITY)?;
            (issued.signed, Some(issued.key))
        }
    };
    let registered = Registered {
        uuid,
        mac,
        device_type: request.device_type,
        serial: signed.serial.clone(),
        expires: signed.expires,
        key,
    };
    Ok((registered, signed))
}

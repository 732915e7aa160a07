//! The CA's HTTP API, as products call it to register a device: HTTP and HTTPS on loopback.
//!
//! `POST /api/devices/register` with `{uuid, psk, mac, type}` gives `{success, certificate, ca_cert,
//! expiry}`; `GET /health` says that it runs. The PSK is a shared secret of this API: it is checked
//! for its form and never kept. Must not know profiles or units.

use std::{
    collections::BTreeMap,
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::{Arc, Mutex, PoisonError},
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
    closed_port::ClosedPort,
    event_log::{EventLog, Follower, NotSeen, Stamped},
    fault::TestbedFault,
    tls_front::{TlsFront, TlsFrontError},
};
use crate::{
    clock::{Clock, Deadline},
    identity::Mac,
    secret::Secret,
};

/// How long a registered device's certificate is valid.
const DEVICE_VALIDITY: Duration = Duration::days(365);
/// Less than the start of a certificate lies in the past, so that it has begun and ended.
const EXPIRED: Duration = Duration::hours(-12);
const EXPIRES_SOON: Duration = Duration::days(1);
/// Longer than anyone waits.
const NEVER: std::time::Duration = std::time::Duration::from_secs(3600);
const SERVER_VALIDITY: Duration = Duration::days(90);
/// 16 or 32 random bytes in hex; the products differ.
const PSK_DIGITS: [usize; 2] = [32, 64];

/// The CA's API cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// No port can be had.
    #[error("the CA cannot listen on {address}: {source}; free the address")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// The operating system's reason.
        source: io::Error,
    },
    /// Its HTTPS side does not start.
    #[error(transparent)]
    Front(#[from] TlsFrontError),
    /// Its certificate, or that of another CA, cannot be made.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
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
    #[error("psk is not the one that belongs to uuid \"{0}\"")]
    WrongPsk(String),
    #[error(transparent)]
    Authority(#[from] AuthorityError),
}

/// The running API; ends when dropped.
pub struct CertificateAuthorityApi {
    server: MockServer,
    front: TlsFront,
    /// In place of its own addresses, for the fault `ca.down`.
    closed: Option<ClosedPort>,
    shared: Arc<Shared>,
}

/// What every call needs.
struct Shared {
    authority: Arc<Authority>,
    /// Signs in the authority's place, for the fault `ca.other_ca`.
    stranger: Option<Authority>,
    faults: Vec<TestbedFault>,
    /// The key of each UUID that is known before it calls.
    expected: Mutex<BTreeMap<String, Secret>>,
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
    /// Listens on free ports of 127.0.0.1, without and with TLS. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`CaError`] when no port can be had.
    pub async fn start(authority: Arc<Authority>, clock: Clock) -> Result<Self, CaError> {
        Self::start_as(&[], authority, &[], clock).await
    }

    /// The same under these names, with those of the faults that concern a CA.
    ///
    /// # Errors
    /// As [`CertificateAuthorityApi::start`].
    pub async fn start_as(
        names: &[String],
        authority: Arc<Authority>,
        faults: &[TestbedFault],
        clock: Clock,
    ) -> Result<Self, CaError> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let refuse = |source| CaError::Listen { address, source };
        let listener = TcpListener::bind(address).map_err(refuse)?;
        // Recorded requests would keep every PSK in memory.
        let server =
            MockServer::builder().listener(listener).disable_request_recording().start().await;
        let mut all_names = names.to_vec();
        all_names.extend(["localhost", "127.0.0.1"].map(str::to_owned));
        let certificate = authority.issue_server(&all_names, SERVER_VALIDITY)?;
        let front = TlsFront::start(&certificate, *server.address()).await?;
        let down = faults.contains(&TestbedFault::CaDown);
        let closed = down.then(ClosedPort::reserve).transpose().map_err(refuse)?;
        let other_ca = faults.contains(&TestbedFault::CaOtherCa);
        let shared = Arc::new(Shared {
            stranger: other_ca.then(|| Authority::create(clock.clone())).transpose()?,
            authority,
            faults: faults.to_vec(),
            expected: Mutex::default(),
            log: Arc::new(EventLog::new(clock)),
        });

        let healthy = ResponseTemplate::new(200).set_body_json(json!({ "status": "ok" }));
        Mock::given(method("GET")).and(path("/health")).respond_with(healthy).mount(&server).await;
        let register = {
            let shared = Arc::clone(&shared);
            move |request: &Request| answer(&shared, request)
        };
        Mock::given(method("POST"))
            .and(path("/api/devices/register"))
            .respond_with(register)
            .mount(&server)
            .await;
        Ok(Self { server, front, closed, shared })
    }

    /// Where it listens without TLS; with the fault `ca.down`, where nothing does.
    pub fn address(&self) -> SocketAddr {
        self.closed.as_ref().map_or(*self.server.address(), ClosedPort::address)
    }

    /// Where it listens with TLS; with the fault `ca.down`, where nothing does.
    pub fn secure_address(&self) -> SocketAddr {
        self.closed.as_ref().map_or(self.front.address(), ClosedPort::address)
    }

    /// From now on, this UUID is accepted with this key only.
    pub fn expect(&self, uuid: &str, psk: Secret) {
        let mut expected = self.shared.expected.lock().unwrap_or_else(PoisonError::into_inner);
        // As register() spells it.
        expected.insert(uuid.to_ascii_lowercase(), psk);
    }

    /// A reader of the registrations from the first on.
    pub fn follow(&self) -> Follower<Registration> {
        Follower::new(Arc::clone(&self.shared.log))
    }

    /// Its URL without a trailing slash.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Every call of the registration so far.
    pub fn registrations(&self) -> Vec<Stamped<Registration>> {
        self.shared.log.all()
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
        self.shared.log.wait_until(deadline, answer).await
    }
}

/// What is wrong with every answer, if anything is.
fn broken(shared: &Shared) -> Option<ResponseTemplate> {
    let failure = |status: u16, sentence: &str| {
        let body = json!({ "success": false, "error": sentence });
        Some(ResponseTemplate::new(status).set_body_json(body))
    };
    let has = |fault| shared.faults.contains(&fault);
    match () {
        () if has(TestbedFault::CaTimeout) => Some(ResponseTemplate::new(200).set_delay(NEVER)),
        () if has(TestbedFault::CaHttp500) => failure(500, "internal server error"),
        () if has(TestbedFault::CaHttp401) => failure(401, "not authorized"),
        () if has(TestbedFault::CaRefuses) => failure(200, "this device is blocked"),
        () if has(TestbedFault::CaMalformed) => {
            let page = "<html><body>It works!</body></html>";
            Some(ResponseTemplate::new(200).set_body_raw(page, "text/html"))
        }
        () => None,
    }
}

fn answer(shared: &Shared, request: &Request) -> ResponseTemplate {
    if let Some(broken) = broken(shared) {
        shared.log.record(Registration::Refused("by a fault of the bench".to_owned()));
        return broken;
    }
    let authority = &shared.authority;
    match register(shared, request) {
        Ok((registered, signed)) => {
            let expiry = registered.expires.format(&Rfc3339);
            shared.log.record(Registration::Accepted(registered));
            ResponseTemplate::new(200).set_body_json(json!({
                "success": true,
                "certificate": signed.certificate,
                "ca_cert": format!("{}{}", authority.intermediate_pem(), authority.root_pem()),
                "expiry": expiry.expect("a year from now has four digits, which RFC 3339 can write"),
            }))
        }
        Err(error) => {
            let status = if matches!(error, RequestError::WrongPsk(_)) { 403 } else { 400 };
            let sentence = error.to_string();
            shared.log.record(Registration::Refused(sentence.clone()));
            let body = json!({ "success": false, "error": sentence });
            ResponseTemplate::new(status).set_body_json(body)
        }
    }
}

fn register(shared: &Shared, request: &Request) -> Result<(Registered, Signed), RequestError> {
    let has = |fault| shared.faults.contains(&fault);
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

    let mut name = uuid.to_string();
    let expected = shared.expected.lock().unwrap_or_else(PoisonError::into_inner);
    if expected.get(&name).is_some_and(|psk| psk.expose() != request.psk) {
        return Err(RequestError::WrongPsk(name));
    }
    drop(expected);
    if has(TestbedFault::CaOtherDevice) {
        name = Uuid::nil().to_string();
    }
    let validity = match () {
        () if has(TestbedFault::CaExpired) => EXPIRED,
        () if has(TestbedFault::CaExpiresSoon) => EXPIRES_SOON,
        () => DEVICE_VALIDITY,
    };
    let authority = shared.stranger.as_ref().unwrap_or(&shared.authority);
    let request_to_sign = request.csr.as_ref().filter(|_| !has(TestbedFault::CaOtherKey));
    let (signed, key) = match request_to_sign {
        Some(csr) => (authority.sign_request(csr, &name, validity)?, None),
        None => {
            let issued = authority.issue_device(&name, validity)?;
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

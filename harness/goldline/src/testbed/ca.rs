//! The CA's HTTP API, as products call it to register a device: HTTP and HTTPS on loopback.
//!
//! `POST /api/devices/register` with `{uuid, psk, mac, type}` gives `{success, certificate, ca_cert,
//! expiry}`; `GET /health` says that it runs. Only who is expected gets a certificate: the PSK is a shared
//! secret of this API, compared and never logged. Must not know profiles or units.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use hyper::{Method, StatusCode, body::Bytes};
use serde::Deserialize;
use serde_json::json;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

use super::{
    authority::{Authority, AuthorityError, Signed},
    caller::{Borrower, Callers},
    entrance::{Answers, Entrance, Sides},
    event_log::{EventLog, Follower, Heard, NotSeen, Stamped},
    fault::TestbedFault,
    http_server::{Answer, Call, HttpServerError},
    reception::Reception,
    room::{Lent, Rooms},
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
const SERVER_VALIDITY: Duration = Duration::days(90);
/// 16 or 32 random bytes in hex; the products differ.
const PSK_DIGITS: [usize; 2] = [32, 64];

/// The CA's API cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// It cannot listen.
    #[error("the CA does not start: {0}")]
    Server(#[from] HttpServerError),
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

impl Registration {
    /// What the caller's words take in the log.
    fn held_bytes(&self) -> usize {
        match self {
            Self::Accepted(registered) => {
                registered.device_type.len()
                    + registered.key.as_ref().map_or(0, |key| key.expose().len())
            }
            Self::Refused(sentence) => sentence.len(),
        }
    }
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
    #[error("uuid \"{0}\" is of no unit that is provisioned here now")]
    NotExpected(String),
    #[error("psk is not the one that belongs to uuid \"{0}\"")]
    WrongPsk(String),
    #[error(transparent)]
    Authority(#[from] AuthorityError),
}

/// Where the API listens, once for all runs; ends when it and what it lent are dropped.
#[derive(Clone)]
pub struct CaEntrance {
    entrance: Arc<Entrance<Room>>,
    ca: Arc<Ca>,
    clock: Clock,
}

/// The API as one run has it, or whoever calls; ends when dropped.
pub struct CertificateAuthorityApi {
    entrance: Arc<Entrance<Room>>,
    room: Lent<Room>,
}

/// What signs, and how.
struct Ca {
    authority: Arc<Authority>,
    /// Signs in the authority's place, for the fault `ca.other_ca`.
    stranger: Option<Authority>,
    faults: Vec<TestbedFault>,
}

/// What every call of one run needs.
struct Room {
    ca: Arc<Ca>,
    /// Who may register, by the numbers of their leases.
    expected: Mutex<BTreeMap<u64, Registrant>>,
    /// Numbers the leases.
    leases: AtomicU64,
    log: Arc<EventLog<Heard<Registration>>>,
}

/// A unit that may register.
struct Registrant {
    /// Lowercase, as a UUID is written.
    uuid: String,
    psk: Secret,
}

/// Lets one unit register for as long as it lives.
#[must_use = "the unit may register only while this lives"]
pub struct ExpectedRegistration {
    room: Arc<Room>,
    lease: u64,
}

impl std::fmt::Debug for ExpectedRegistration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExpectedRegistration").field("lease", &self.lease).finish_non_exhaustive()
    }
}

impl Drop for ExpectedRegistration {
    fn drop(&mut self) {
        let mut expected = self.room.expected.lock().unwrap_or_else(PoisonError::into_inner);
        expected.remove(&self.lease);
    }
}

impl std::fmt::Debug for CertificateAuthorityApi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CertificateAuthorityApi")
            .field("address", &self.address())
            .finish_non_exhaustive()
    }
}

impl CaEntrance {
    /// Listens under these names, with those of the faults that concern a CA. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`CaError`] when no port can be had.
    pub async fn open(
        names: &[String],
        authority: Arc<Authority>,
        faults: &[TestbedFault],
        announced: (&Callers, &Reception),
        clock: Clock,
    ) -> Result<Self, CaError> {
        let ca = Ca::new(authority, faults, &clock)?;
        Self::open_with(names, ca, Rooms::of_runs(), announced, clock).await
    }

    async fn open_with(
        names: &[String],
        ca: Arc<Ca>,
        rooms: Arc<Rooms<Room>>,
        announced: (&Callers, &Reception),
        clock: Clock,
    ) -> Result<Self, CaError> {
        let mut all_names = names.to_vec();
        all_names.extend(["localhost", "127.0.0.1"].map(str::to_owned));
        let certificate = ca.authority.issue_server(&all_names, SERVER_VALIDITY)?;
        let down = ca.has(TestbedFault::CaDown);
        let entrance = Entrance::open(&certificate, Sides::Both, down, announced, rooms).await?;
        Ok(Self { entrance, ca, clock })
    }

    /// The API for one run: whom it expects and what it saw are no other run's.
    pub fn lend(&self, run: Borrower) -> CertificateAuthorityApi {
        let room = Room::new(Arc::clone(&self.ca), self.clock.clone());
        let room = self.entrance.lend(run, room);
        CertificateAuthorityApi { entrance: Arc::clone(&self.entrance), room }
    }
}

impl CertificateAuthorityApi {
    /// Listens on free ports of 127.0.0.1, without and with TLS, for whoever calls. Needs a tokio runtime.
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
        let ca = Ca::new(authority, faults, &clock)?;
        let room = Arc::new(Room::new(Arc::clone(&ca), clock.clone()));
        let rooms = Rooms::with_anyone(Arc::clone(&room));
        let nobody = (&Callers::default(), &Reception::default());
        let opened = CaEntrance::open_with(names, ca, rooms, nobody, clock).await?;
        Ok(Self { entrance: opened.entrance, room: Lent::own(room) })
    }

    /// Where it listens without TLS; with the fault `ca.down`, where nothing does.
    pub fn address(&self) -> SocketAddr {
        self.entrance.address()
    }

    /// Where it listens with TLS; with the fault `ca.down`, where nothing does.
    pub fn secure_address(&self) -> SocketAddr {
        self.entrance.secure_address()
    }

    /// Lets this UUID register with this key, for as long as what it gives lives; who is not expected is
    /// refused. Two runs may expect the same unit.
    pub fn expect(&self, uuid: &str, psk: Secret) -> ExpectedRegistration {
        let lease = self.room.leases.fetch_add(1, Ordering::Relaxed);
        let mut expected = self.room.expected.lock().unwrap_or_else(PoisonError::into_inner);
        // As register() spells it.
        expected.insert(lease, Registrant { uuid: uuid.to_ascii_lowercase(), psk });
        ExpectedRegistration { room: Arc::clone(&self.room), lease }
    }

    /// A reader of the registrations from the first on.
    pub fn follow(&self) -> Follower<Heard<Registration>> {
        Follower::new(Arc::clone(&self.room.log))
    }

    /// Its URL without a trailing slash.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// How many calls are not in the log any more; see [`EventLog::dropped`].
    pub fn dropped(&self) -> u64 {
        self.room.log.dropped()
    }

    /// Every call of the registration so far.
    pub fn registrations(&self) -> Vec<Stamped<Heard<Registration>>> {
        self.room.log.all()
    }

    /// Waits until `answer` finds something in the registrations.
    ///
    /// # Errors
    /// [`NotSeen`] when the deadline passes first.
    pub async fn wait_for<T>(
        &self,
        deadline: Deadline,
        answer: impl FnMut(&[Stamped<Heard<Registration>>]) -> Option<T>,
    ) -> Result<T, NotSeen> {
        self.room.log.wait_until(deadline, answer).await
    }
}

/// What is wrong with every answer, if anything is.
fn broken(ca: &Ca) -> Option<Answer> {
    let failure = |status: StatusCode, sentence: &str| {
        Some(Answer::json(status, &json!({ "success": false, "error": sentence })))
    };
    let has = |fault| ca.has(fault);
    match () {
        () if has(TestbedFault::CaTimeout) => Some(Answer::Silence),
        () if has(TestbedFault::CaHttp500) => {
            failure(StatusCode::INTERNAL_SERVER_ERROR, "internal server error")
        }
        () if has(TestbedFault::CaHttp401) => failure(StatusCode::UNAUTHORIZED, "not authorized"),
        () if has(TestbedFault::CaRefuses) => failure(StatusCode::OK, "this device is blocked"),
        () if has(TestbedFault::CaMalformed) => {
            let page = Bytes::from_static(b"<html><body>It works!</body></html>");
            Some(Answer::content(StatusCode::OK, "text/html", page))
        }
        () => None,
    }
}

impl Answers for Room {
    fn answer(&self, call: &Call) -> Answer {
        match (&call.head.method, call.path()) {
            (&Method::GET, "/health") => Answer::json(StatusCode::OK, &json!({ "status": "ok" })),
            (&Method::POST, "/api/devices/register") => answer_registration(self, call),
            _ => Answer::status(StatusCode::NOT_FOUND),
        }
    }

    /// By the UUID, which is each unit's own; whether the key is right, the answer tells.
    fn is_of_its_unit(&self, call: &Call) -> bool {
        let request = serde_json::from_slice::<RegistrationRequest>(&call.body);
        let expected = self.expected.lock().unwrap_or_else(PoisonError::into_inner);
        request.is_ok_and(|request| {
            let uuid = request.uuid.to_ascii_lowercase();
            expected.values().any(|unit| unit.uuid == uuid)
        })
    }
}

impl Ca {
    fn new(
        authority: Arc<Authority>,
        faults: &[TestbedFault],
        clock: &Clock,
    ) -> Result<Arc<Self>, CaError> {
        let other = faults.contains(&TestbedFault::CaOtherCa);
        let stranger = other.then(|| Authority::create(clock.clone())).transpose()?;
        Ok(Arc::new(Self { authority, stranger, faults: faults.to_vec() }))
    }

    fn has(&self, fault: TestbedFault) -> bool {
        self.faults.contains(&fault)
    }
}

impl Room {
    fn new(ca: Arc<Ca>, clock: Clock) -> Self {
        let log = Arc::new(EventLog::new(clock));
        Self { ca, expected: Mutex::default(), leases: AtomicU64::new(0), log }
    }
}

fn answer_registration(room: &Room, call: &Call) -> Answer {
    let record = |what: Registration| {
        let bytes = what.held_bytes();
        room.log.hear(call.who, what, bytes);
    };
    if let Some(broken) = broken(&room.ca) {
        record(Registration::Refused("by a fault of the bench".to_owned()));
        return broken;
    }
    let authority = &room.ca.authority;
    match register(room, &call.body) {
        Ok((registered, signed)) => {
            let expiry = registered.expires.format(&Rfc3339);
            record(Registration::Accepted(registered));
            let document = json!({
                "success": true,
                "certificate": signed.certificate,
                "ca_cert": format!("{}{}", authority.intermediate_pem(), authority.root_pem()),
                "expiry": expiry.expect("a year from now has four digits, which RFC 3339 can write"),
            });
            Answer::json(StatusCode::OK, &document)
        }
        Err(error) => {
            let sentence = error.to_string();
            record(Registration::Refused(sentence.clone()));
            let status = match error {
                RequestError::NotExpected(_) | RequestError::WrongPsk(_) => StatusCode::FORBIDDEN,
                _ => StatusCode::BAD_REQUEST,
            };
            Answer::json(status, &json!({ "success": false, "error": sentence }))
        }
    }
}

/// The root outlives the bench, and so would a certificate that a stranger got of it.
fn require_expected(room: &Room, uuid: &str, psk: &str) -> Result<(), RequestError> {
    let expected = room.expected.lock().unwrap_or_else(PoisonError::into_inner);
    let mut of_uuid = expected.values().filter(|unit| unit.uuid == uuid).peekable();
    if of_uuid.peek().is_none() {
        return Err(RequestError::NotExpected(uuid.to_owned()));
    }
    match of_uuid.any(|unit| unit.psk.expose() == psk) {
        true => Ok(()),
        false => Err(RequestError::WrongPsk(uuid.to_owned())),
    }
}

fn register(room: &Room, body: &[u8]) -> Result<(Registered, Signed), RequestError> {
    let ca = &room.ca;
    let has = |fault| ca.has(fault);
    let request: RegistrationRequest = serde_json::from_slice(body)
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
    require_expected(room, &name, &request.psk)?;
    if has(TestbedFault::CaOtherDevice) {
        name = Uuid::nil().to_string();
    }
    let validity = match () {
        () if has(TestbedFault::CaExpired) => EXPIRED,
        () if has(TestbedFault::CaExpiresSoon) => EXPIRES_SOON,
        () => DEVICE_VALIDITY,
    };
    let authority = ca.stranger.as_ref().unwrap_or(&ca.authority);
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

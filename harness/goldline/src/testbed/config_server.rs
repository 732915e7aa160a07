//! The server that gives a unit its MQTT credentials, and later its configuration: HTTP and HTTPS on
//! loopback.
//!
//! `POST /provision/ID` with a bearer token gives `{device_id, mqtt_user, mqtt_password, mqtt_host,
//! mqtt_port, provision_date}`; `GET /ID` gives `{company, development, mqtt_host}`, and the unit's first
//! call creates its MQTT user. Must not know how a password is made, nor which broker it is for.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use hyper::{Method, StatusCode, body::Bytes, header::AUTHORIZATION};
use serde_json::json;
use time::macros::format_description;

use super::{
    authority::Issued,
    caller::{Borrower, Callers},
    entrance::{Answers, Entrance, Sides},
    event_log::{EventLog, Follower, Heard, Stamped},
    fault::TestbedFault,
    http_server::{Answer, Call, HttpServerError},
    reception::Reception,
    room::{Lent, Rooms},
};
use crate::{clock::Clock, secret::Secret};

/// The product's broker listens there.
const MQTT_PORT: u16 = 8883;
/// More devices than any bench has; past them all are forgotten, and their users are made once more.
const MOST_KNOWN: usize = 4096;
const DEVICE_ID_DIGITS: usize = 12;

/// A unit's account at the broker.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// User name.
    pub username: String,
    /// Password.
    pub password: Secret,
}

/// Makes the account of a device id.
pub type MakeCredentials = Arc<dyn Fn(&str) -> Credentials + Send + Sync>;
/// Lets the account of a device id in at the broker.
pub type CreateUser = Arc<dyn Fn(&str) + Send + Sync>;

/// What the server is like for one run.
#[derive(Clone)]
pub struct ConfigServerConfig {
    /// What authorises a provisioner.
    pub token: Secret,
    /// The path of the unit's configuration, which no other unit asks for.
    pub path: String,
    /// Makes the account of a device id.
    pub credentials: MakeCredentials,
    /// Runs on a unit's first call.
    pub create_user: CreateUser,
    /// The MQTT host in the credentials.
    pub provisioned_host: String,
    /// The MQTT host in a unit's configuration.
    pub configured_host: String,
}

/// One call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ConfigCall {
    /// Credentials were given for a device.
    Provisioned {
        /// Its id.
        device_id: String,
    },
    /// A unit fetched its configuration.
    Fetched {
        /// Its id.
        device_id: String,
    },
    /// A call was refused, with this status.
    Refused {
        /// HTTP status.
        status: u16,
    },
}

/// Where the server listens, once for all runs; ends when it and what it lent are dropped.
#[derive(Clone)]
pub struct ConfigEntrance {
    entrance: Arc<Entrance<Room>>,
    faults: Vec<TestbedFault>,
    clock: Clock,
}

/// The server as one run has it, or whoever calls; ends when dropped.
pub struct ConfigServer {
    entrance: Arc<Entrance<Room>>,
    room: Lent<Room>,
    elsewhere: Elsewhere,
}

/// The password that another server gave the unit: this one's user must have that.
pub type Elsewhere = Arc<OnceLock<Secret>>;

impl std::fmt::Debug for ConfigServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConfigServer").field("address", &self.address()).finish_non_exhaustive()
    }
}

/// What every call of one run needs.
struct Room {
    config: ConfigServerConfig,
    faults: Vec<TestbedFault>,
    known: Mutex<BTreeSet<String>>,
    log: Arc<EventLog<Heard<ConfigCall>>>,
    clock: Clock,
}

impl ConfigEntrance {
    /// Listens on free ports of 127.0.0.1. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`HttpServerError`].
    pub async fn open(
        certificate: &Issued,
        faults: &[TestbedFault],
        announced: (&Callers, &Reception),
        clock: Clock,
    ) -> Result<Self, HttpServerError> {
        let (down, rooms) = (faults.contains(&TestbedFault::ConfigDown), Rooms::of_runs());
        let entrance = Entrance::open(certificate, Sides::Both, down, announced, rooms).await?;
        Ok(Self { entrance, faults: faults.to_vec(), clock })
    }

    /// The server for one run.
    pub fn lend(&self, run: Borrower, config: ConfigServerConfig) -> ConfigServer {
        let room = Room::new(config, &self.faults, self.clock.clone());
        let room = self.entrance.lend(run, room);
        ConfigServer { entrance: Arc::clone(&self.entrance), room, elsewhere: Elsewhere::default() }
    }
}

impl ConfigServer {
    /// Listens on free ports of 127.0.0.1, for whoever calls. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`HttpServerError`].
    pub async fn start(
        certificate: &Issued,
        config: ConfigServerConfig,
        faults: &[TestbedFault],
        clock: Clock,
    ) -> Result<Self, HttpServerError> {
        let room = Arc::new(Room::new(config, faults, clock));
        let rooms = Rooms::with_anyone(Arc::clone(&room));
        let down = room.has(TestbedFault::ConfigDown);
        let nobody = (&Callers::default(), &Reception::default());
        let entrance = Entrance::open(certificate, Sides::Both, down, nobody, rooms).await?;
        Ok(Self { entrance, room: Lent::own(room), elsewhere: Elsewhere::default() })
    }

    /// Whose `credentials` heed what is noted there.
    pub(super) fn heeding(self, elsewhere: Elsewhere) -> Self {
        Self { elsewhere, ..self }
    }

    /// Notes the password that another server gave the unit, once.
    pub fn note_given_elsewhere(&self, password: &Secret) {
        let _noted = self.elsewhere.set(password.clone());
    }

    /// Where it listens without TLS; with the fault `config.down`, where nothing does.
    pub fn address(&self) -> SocketAddr {
        self.entrance.address()
    }

    /// Where it listens with TLS; with the fault `config.down`, where nothing does.
    pub fn secure_address(&self) -> SocketAddr {
        self.entrance.secure_address()
    }

    /// How many calls are not in the log any more; see [`EventLog::dropped`].
    pub fn dropped(&self) -> u64 {
        self.room.log.dropped()
    }

    /// Every call so far.
    pub fn calls(&self) -> Vec<Stamped<Heard<ConfigCall>>> {
        self.room.log.all()
    }

    /// A reader of the calls from the first on.
    pub fn follow(&self) -> Follower<Heard<ConfigCall>> {
        Follower::new(Arc::clone(&self.room.log))
    }
}

impl Answers for Room {
    fn answer(&self, call: &Call) -> Answer {
        let segments: Vec<&str> = call.path().split('/').skip(1).collect();
        match (&call.head.method, &segments[..]) {
            (&Method::POST, ["provision", device_id]) => self.provision(call, device_id),
            (&Method::GET, [device_id]) if !device_id.is_empty() => {
                self.configuration(call, device_id)
            }
            _ => Answer::status(StatusCode::NOT_FOUND),
        }
    }

    /// The path of its configuration holds the unit's id.
    fn is_of_its_unit(&self, call: &Call) -> bool {
        call.head.method == Method::GET && call.path() == self.config.path
    }
}

impl Room {
    fn new(config: ConfigServerConfig, faults: &[TestbedFault], clock: Clock) -> Self {
        let (faults, log) = (faults.to_vec(), Arc::new(EventLog::new(clock.clone())));
        Self { config, faults, known: Mutex::default(), log, clock }
    }

    fn has(&self, fault: TestbedFault) -> bool {
        self.faults.contains(&fault)
    }

    fn record(&self, call: &Call, what: ConfigCall) {
        self.log.hear(call.who, what, DEVICE_ID_DIGITS);
    }

    fn refuse(&self, call: &Call, status: StatusCode, sentence: &str) -> Answer {
        self.record(call, ConfigCall::Refused { status: status.as_u16() });
        Answer::json(status, &json!({ "error": sentence }))
    }

    /// What is wrong with every answer, if anything is.
    fn broken(&self, call: &Call) -> Option<Answer> {
        if self.has(TestbedFault::ConfigHttp500) {
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            return Some(self.refuse(call, status, "internal server error"));
        }
        let page = Bytes::from_static(b"<html><body>It works!</body></html>");
        self.has(TestbedFault::ConfigMalformed)
            .then(|| Answer::content(StatusCode::OK, "text/html", page))
    }

    fn provision(&self, call: &Call, device_id: &str) -> Answer {
        let given = call.head.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let Some(token) = given.and_then(bearer) else {
            return self.refuse(call, StatusCode::UNAUTHORIZED, "no bearer token");
        };
        if token != self.config.token.expose() {
            return self.refuse(call, StatusCode::FORBIDDEN, "the token is not the admin's");
        }
        if let Some(broken) = self.broken(call) {
            return broken;
        }
        if !is_device_id(device_id) {
            let sentence = "the device id is not 12 uppercase hexadecimal digits";
            return self.refuse(call, StatusCode::BAD_REQUEST, sentence);
        }
        let Credentials { username, password } = (self.config.credentials)(device_id);
        let mut password = password.expose().to_owned();
        if self.has(TestbedFault::ConfigWrongPassword) {
            password = password.chars().rev().collect();
        }
        let answered = match self.has(TestbedFault::ConfigOtherDevice) {
            true => "000000000000",
            false => device_id,
        };
        let form = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
        let date = self.clock.now().format(&form).expect("a moment has these parts");
        self.record(call, ConfigCall::Provisioned { device_id: device_id.to_owned() });
        let document = json!({
            "device_id": answered,
            "mqtt_user": username,
            "mqtt_password": password,
            "mqtt_host": self.config.provisioned_host,
            "mqtt_port": MQTT_PORT,
            "provision_date": date,
        });
        Answer::json(StatusCode::OK, &document)
    }

    fn configuration(&self, call: &Call, device_id: &str) -> Answer {
        if let Some(broken) = self.broken(call) {
            return broken;
        }
        if !is_device_id(device_id) {
            return self.refuse(call, StatusCode::NOT_FOUND, "no such device");
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() == MOST_KNOWN {
            known.clear();
        }
        if known.insert(device_id.to_owned()) && !self.has(TestbedFault::ConfigNoUser) {
            (self.config.create_user)(device_id);
        }
        drop(known);
        self.record(call, ConfigCall::Fetched { device_id: device_id.to_owned() });
        let document = json!({
            "company": "Example",
            "development": "production",
            "mqtt_host": self.config.configured_host,
        });
        Answer::json(StatusCode::OK, &document)
    }
}

/// The token of an `Authorization` header; the scheme's name does not distinguish case (RFC 9110).
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then_some(token)
}

fn is_device_id(text: &str) -> bool {
    text.len() == DEVICE_ID_DIGITS
        && text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'A'..=b'F'))
}

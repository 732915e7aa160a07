//! The server that gives a unit its MQTT credentials, and later its configuration: HTTP and HTTPS on
//! loopback.
//!
//! `POST /provision/ID` with a bearer token gives `{device_id, mqtt_user, mqtt_password, mqtt_host,
//! mqtt_port, provision_date}`; `GET /ID` gives `{company, development, mqtt_host}`, and the unit's first
//! call creates its MQTT user. Must not know how a password is made, nor which broker it is for.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::json;
use time::macros::format_description;
use wiremock::{
    Mock, MockServer, Request, ResponseTemplate,
    matchers::{method, path_regex},
};

use super::{
    authority::Issued,
    closed_port::ClosedPort,
    event_log::{EventLog, Follower, Stamped},
    fault::TestbedFault,
    tls_front::{TlsFront, TlsFrontError},
};
use crate::{clock::Clock, secret::Secret};

/// The product's broker listens there.
const MQTT_PORT: u16 = 8883;
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

/// What the server is like.
#[derive(Clone)]
pub struct ConfigServerConfig {
    /// Certificate of the HTTPS side.
    pub certificate: Issued,
    /// What authorises a provisioner.
    pub token: Secret,
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

/// A running server; ends when dropped.
pub struct ConfigServer {
    server: MockServer,
    front: TlsFront,
    /// In place of its own addresses, for the fault `config.down`.
    closed: Option<ClosedPort>,
    log: Arc<EventLog<ConfigCall>>,
}

impl std::fmt::Debug for ConfigServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConfigServer").field("address", &self.address()).finish_non_exhaustive()
    }
}

/// What every call needs.
struct Shared {
    config: ConfigServerConfig,
    faults: Vec<TestbedFault>,
    known: Mutex<BTreeSet<String>>,
    log: Arc<EventLog<ConfigCall>>,
    clock: Clock,
}

impl ConfigServer {
    /// Listens on free ports of 127.0.0.1. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`TlsFrontError`].
    pub async fn start(
        config: ConfigServerConfig,
        faults: &[TestbedFault],
        clock: Clock,
    ) -> Result<Self, TlsFrontError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        // Recorded requests would keep the token in memory.
        let server =
            MockServer::builder().listener(listener).disable_request_recording().start().await;
        let front = TlsFront::start(&config.certificate, *server.address()).await?;
        let log = Arc::new(EventLog::new(clock.clone()));
        let down = faults.contains(&TestbedFault::ConfigDown);
        let closed = down.then(ClosedPort::reserve).transpose().map_err(TlsFrontError::from)?;
        let faults = faults.to_vec();
        let known = Mutex::default();
        let shared = Arc::new(Shared { config, faults, known, log: Arc::clone(&log), clock });
        let provision = Arc::clone(&shared);
        Mock::given(method("POST"))
            .and(path_regex("^/provision/[^/]*$"))
            .respond_with(move |request: &Request| provision.provision(request))
            .mount(&server)
            .await;
        Mock::given(method("GET"))
            .and(path_regex("^/[^/]+$"))
            .respond_with(move |request: &Request| shared.configuration(request))
            .mount(&server)
            .await;
        Ok(Self { server, front, closed, log })
    }

    /// Where it listens without TLS; with the fault `config.down`, where nothing does.
    pub fn address(&self) -> SocketAddr {
        self.closed.as_ref().map_or(*self.server.address(), ClosedPort::address)
    }

    /// Where it listens with TLS; with the fault `config.down`, where nothing does.
    pub fn secure_address(&self) -> SocketAddr {
        self.closed.as_ref().map_or(self.front.address(), ClosedPort::address)
    }

    /// Every call so far.
    pub fn calls(&self) -> Vec<Stamped<ConfigCall>> {
        self.log.all()
    }

    /// A reader of the calls from the first on.
    pub fn follow(&self) -> Follower<ConfigCall> {
        Follower::new(Arc::clone(&self.log))
    }
}

impl Shared {
    fn has(&self, fault: TestbedFault) -> bool {
        self.faults.contains(&fault)
    }

    fn refuse(&self, status: u16, sentence: &str) -> ResponseTemplate {
        self.log.record(ConfigCall::Refused { status });
        ResponseTemplate::new(status).set_body_json(json!({ "error": sentence }))
    }

    /// What is wrong with every answer, if anything is.
    fn broken(&self) -> Option<ResponseTemplate> {
        if self.has(TestbedFault::ConfigHttp500) {
            return Some(self.refuse(500, "internal server error"));
        }
        let page = "<html><body>It works!</body></html>";
        self.has(TestbedFault::ConfigMalformed)
            .then(|| ResponseTemplate::new(200).set_body_raw(page, "text/html"))
    }

    fn provision(&self, request: &Request) -> ResponseTemplate {
        let given = request.headers.get("authorization").and_then(|value| value.to_str().ok());
        let Some(token) = given.and_then(bearer) else {
            return self.refuse(401, "no bearer token");
        };
        if token != self.config.token.expose() {
            return self.refuse(403, "the token is not the admin's");
        }
        if let Some(broken) = self.broken() {
            return broken;
        }
        let device_id = last_segment(request);
        if !is_device_id(device_id) {
            return self.refuse(400, "the device id is not 12 uppercase hexadecimal digits");
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
        self.log.record(ConfigCall::Provisioned { device_id: device_id.to_owned() });
        ResponseTemplate::new(200).set_body_json(json!({
            "device_id": answered,
            "mqtt_user": username,
            "mqtt_password": password,
            "mqtt_host": self.config.provisioned_host,
            "mqtt_port": MQTT_PORT,
            "provision_date": date,
        }))
    }

    fn configuration(&self, request: &Request) -> ResponseTemplate {
        if let Some(broken) = self.broken() {
            return broken;
        }
        let device_id = last_segment(request);
        if !is_device_id(device_id) {
            return self.refuse(404, "no such device");
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.insert(device_id.to_owned()) && !self.has(TestbedFault::ConfigNoUser) {
            (self.config.create_user)(device_id);
        }
        drop(known);
        self.log.record(ConfigCall::Fetched { device_id: device_id.to_owned() });
        ResponseTemplate::new(200).set_body_json(json!({
            "company": "Example",
            "development": "production",
            "mqtt_host": self.config.configured_host,
        }))
    }
}

/// The token of an `Authorization` header; the scheme's name does not distinguish case (RFC 9110).
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then_some(token)
}

fn last_segment(request: &Request) -> &str {
    request.url.path().rsplit('/').next().unwrap_or_default()
}

fn is_device_id(text: &str) -> bool {
    text.len() == DEVICE_ID_DIGITS
        && text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'A'..=b'F'))
}

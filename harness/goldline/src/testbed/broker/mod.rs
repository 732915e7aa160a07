//! The bench's MQTTS broker: a TLS front of our own before rumqttd's router.
//!
//! rumqttd's listener neither reports its port nor stops, accepts TLS inline and refuses without a
//! CONNACK, so only its router is used (`inner`); the front ends TLS (`front`), judges the
//! CONNECT and relays (`session`), and writes every fact to the log (`log`). Must not know
//! profiles or units.
//!
//! In its place there may be a broker that is already there: the bench is then its client (`external`), and
//! passes the unit's bytes on to it (`relay`).

mod connect_packet;
mod connections;
mod external;
mod facts;
mod front;
mod inner;
mod log;
mod quota;
mod relay;
mod session;
mod visitor;

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use rumqttd::protocol::{Packet, Publish};
use tokio::{
    net::{TcpListener, TcpSocket},
    time::Instant,
};
use tokio_util::{
    bytes::Bytes,
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use external::Heard;
pub use external::{ExternalBroker, ExternalError};
pub use facts::{
    Admission, BrokerEvent, CertificateFacts, ConnectFacts, Connection, Ending, Happening, Message,
    RefusedBecause, Subscription, TlsFacts, TlsFailure, TlsFailureCause,
};
pub use inner::RouterGone;

use super::{
    authority::Issued,
    caller::{Borrower, Caller, Callers, Who},
    doors::Doors,
    event_log::{Follower, NotSeen},
    reception::Reception,
    room::{Lent, Rooms},
    server_tls::{self, ServerTlsError},
};
use crate::{
    clock::{Clock, Deadline},
    secret::Secret,
    tls::Expiry,
};

/// The bench's own name towards the router; client ids are in hex there, so no client has it.
const BENCH: &str = "";

/// Why the broker does not start.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// No port can be had.
    #[error("the broker cannot listen on {address}: {source}; free the address")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// The operating system's reason.
        source: io::Error,
    },
    /// Its TLS cannot be set up.
    #[error("the broker does not start: {0}")]
    Tls(#[from] ServerTlsError),
    /// The router does not answer.
    #[error(transparent)]
    Router(#[from] RouterGone),
    /// A broker that is already there cannot be used.
    #[error(transparent)]
    External(#[from] ExternalError),
}

impl BrokerError {
    /// What to do about it, where the message does not say so.
    pub fn action(&self) -> Option<&'static str> {
        match self {
            Self::External(error) => Some(error.action()),
            Self::Listen { .. } | Self::Tls(_) | Self::Router(_) => None,
        }
    }
}

/// A message of the bench did not go out.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The built-in broker is gone.
    #[error(transparent)]
    Router(#[from] RouterGone),
    /// A broker that is already there took it no more.
    #[error("the broker takes no message of the bench: {0}; check that it still runs")]
    External(String),
}

/// One user of the broker.
#[derive(Clone, Debug)]
pub struct Account {
    /// User name.
    pub username: String,
    /// Password.
    pub password: Secret,
    /// The only client id that may use the account, if it is bound to one.
    pub client_id: Option<String>,
}

/// What a unit was given and no other, by which it is told apart where nobody announces it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnitIdentity {
    /// What it calls itself; the common name of its certificate too, where it shows one.
    pub client_id: String,
    /// Its user name, unless others of the site have the same.
    pub username: Option<String>,
}

/// Which client certificates are required.
#[derive(Clone, Debug)]
pub struct ClientAuth {
    /// PEM of the CA that must have issued them.
    pub ca_pem: String,
    /// Whether the certificate's common name must be the client id.
    pub common_name_is_client_id: bool,
}

/// What the broker is like.
#[derive(Clone, Debug)]
pub struct BrokerConfig {
    /// Chain and key that it shows; the names are in the certificate.
    pub server: Issued,
    /// Who may connect from the start; more come with [`Broker::grant`].
    pub accounts: Vec<Account>,
    /// Whether clients may connect without credentials, whatever the accounts are.
    pub allow_anonymous: bool,
    /// Whether clients need a certificate.
    pub client_auth: Option<ClientAuth>,
    /// How long a TLS handshake may take.
    pub handshake_deadline: Duration,
    /// How long after it the CONNECT may take.
    pub connect_deadline: Duration,
    /// Who announced connections to it.
    pub callers: Callers,
    /// Who hears of visitors from a site's network.
    pub reception: Reception,
    /// Whether only those are served who belong to a run that it is lent to.
    pub runs_only: bool,
}

impl BrokerConfig {
    /// A broker for these accounts, without client certificates, with deadlines of ten seconds.
    pub fn new(server: Issued, accounts: Vec<Account>) -> Self {
        let deadline = Duration::from_secs(10);
        Self {
            server,
            accounts,
            allow_anonymous: false,
            client_auth: None,
            handshake_deadline: deadline,
            connect_deadline: deadline,
            callers: Callers::default(),
            reception: Reception::default(),
            runs_only: false,
        }
    }
}

/// Where connections arrive: one for all rooms.
struct Door {
    /// What stations did here that are no run's unit.
    guests: Arc<log::BrokerLog>,
    tls: Arc<rustls::ServerConfig>,
    /// Of what it shows.
    expiry: Option<Expiry>,
    callers: Callers,
    reception: Reception,
    rooms: Arc<Rooms<Room>>,
    handshake_deadline: Duration,
    ended: CancellationToken,
    clients: TaskTracker,
    doors: Doors,
}

/// A broker of its own behind the door: its users, its topics, its log.
#[derive(Debug)]
struct Room {
    accounts: RwLock<Vec<Account>>,
    /// By what its unit is known among visitors.
    identity: Option<UnitIdentity>,
    allow_anonymous: bool,
    common_name_is_client_id: bool,
    connect_deadline: Duration,
    tenant: inner::Tenant,
    quota: quota::Quota,
    log: Arc<log::BrokerLog>,
    open: OpenConnections,
}

/// What ends each connection that is open, by its number.
#[derive(Clone, Debug)]
struct OpenConnections {
    enders: Arc<Mutex<HashMap<usize, CancellationToken>>>,
    /// Ends them all.
    all: CancellationToken,
}

impl OpenConnections {
    fn until(all: CancellationToken) -> Self {
        Self { enders: Arc::default(), all }
    }

    /// What ends the connection of this number, for as long as it is held.
    fn add(&self, number: usize) -> Ender {
        let token = self.all.child_token();
        self.enders().insert(number, token.clone());
        Ender { number, token, of: self.clone() }
    }

    fn end(&self, number: usize) {
        if let Some(ender) = self.enders().get(&number) {
            ender.cancel();
        }
    }

    fn enders(&self) -> std::sync::MutexGuard<'_, HashMap<usize, CancellationToken>> {
        self.enders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells a connection that the bench ends it.
struct Ender {
    number: usize,
    token: CancellationToken,
    of: OpenConnections,
}

impl Ender {
    async fn cancelled(&self) {
        self.token.cancelled().await;
    }
}

impl Drop for Ender {
    fn drop(&mut self) {
        self.of.enders().remove(&self.number);
    }
}

/// A running broker, a room in one, or the way to one that is already there. All its connections end when
/// it is dropped, and its listener if it is its own.
pub struct Broker {
    address: SocketAddr,
    log: Arc<log::BrokerLog>,
    open: OpenConnections,
    kind: Kind,
    ended: CancellationToken,
    tasks: TaskTracker,
    /// What ends the listener with the last who has a room behind it, or the port that is held but not
    /// listened on, for the fault `broker.down`.
    held: Arc<Held>,
    began: Instant,
}

enum Kind {
    BuiltIn { door: Arc<Door>, room: Lent<Room>, bench: Mutex<inner::Session> },
    External(external::Observer),
}

/// What a broker keeps for as long as anybody uses it.
struct Held {
    _listener: DropGuard,
    _reserved: Option<TcpSocket>,
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Broker {
    /// Listens on a free port of 127.0.0.1 and serves until dropped. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`BrokerError`] names what is wrong with the certificates or the machine.
    pub async fn start(config: BrokerConfig, clock: Clock) -> Result<Self, BrokerError> {
        let socket = bind()?;
        let (broker, door) = Self::prepare(config, clock, address_of(&socket)?, None)?;
        let listener = listen(socket, broker.address)?;
        broker.tasks.spawn(front::accept(listener, door));
        Ok(broker)
    }

    /// The fault `broker.down`: an address where every connection is refused, reserved while this lives.
    ///
    /// # Errors
    /// As [`Broker::start`].
    pub async fn start_down(config: BrokerConfig, clock: Clock) -> Result<Self, BrokerError> {
        let socket = bind()?;
        Ok(Self::prepare(config, clock, address_of(&socket)?, Some(socket))?.0)
    }

    /// Goes to a broker that is already there, and listens to `topics`; over a site's network the unit of that run goes
    /// there by itself. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`BrokerError::External`] says why the bench cannot use it.
    pub async fn use_external(
        broker: &ExternalBroker,
        topics: &[String],
        callers: Callers,
        (clock, over_site): (Clock, Option<Borrower>),
    ) -> Result<Self, BrokerError> {
        let log = Arc::new(log::BrokerLog::new(clock));
        let (ended, tasks) = (CancellationToken::new(), TaskTracker::new());
        let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let heard = over_site.map_or(Heard::ThroughTheBench, |run| {
            Heard::OverTheSite(Who { peer: nowhere, caller: Caller::Unit(run) })
        });
        let log_of_unit = (Arc::clone(&log), heard);
        let joined = external::Observer::join(broker, topics, log_of_unit, ended.clone()).await?;
        let open = OpenConnections::until(ended.clone());
        let socket = bind()?;
        let address = address_of(&socket)?;
        let listener = listen(socket, address)?;
        let relay = relay::Relay {
            upstream: broker.endpoint.clone(),
            log: Arc::clone(&log),
            callers,
            open: open.clone(),
        };
        tasks.spawn(relay.accept(listener, ended.clone(), tasks.clone()));
        let kind = Kind::External(joined);
        let held = Arc::new(Held { _listener: ended.clone().drop_guard(), _reserved: None });
        Ok(Self { address, log, open, kind, ended, tasks, held, began: Instant::now() })
    }

    fn prepare(
        config: BrokerConfig,
        clock: Clock,
        address: SocketAddr,
        reserved: Option<TcpSocket>,
    ) -> Result<(Self, Arc<Door>), BrokerError> {
        let tls = match &config.client_auth {
            None => server_tls::for_anyone(&config.server)?,
            Some(auth) => server_tls::for_clients_of(&auth.ca_pem, &config.server)?,
        };
        let (ended, tasks) = (CancellationToken::new(), TaskTracker::new());
        let listener = ended;
        let ended = listener.child_token();
        let room = Arc::new(Room::new(&config, clock.clone(), ended.clone()));
        // They hear nobody but themselves there.
        let guests = Room { allow_anonymous: true, ..Room::new(&config, clock, ended.clone()) };
        let guests = Arc::new(guests);
        let log_of_guests = Arc::clone(&guests.log);
        let bench = Mutex::new(room.tenant.open(BENCH, true)?);
        let door = Arc::new(Door {
            guests: log_of_guests,
            tls: Arc::new(tls),
            expiry: Expiry::first_in(&config.server.signed.chain),
            callers: config.callers,
            reception: config.reception,
            rooms: match config.runs_only {
                true => Rooms::of_runs_and_guests(guests),
                false => Rooms::with_anyone(Arc::clone(&room)),
            },
            handshake_deadline: config.handshake_deadline,
            ended: listener.clone(),
            clients: tasks.clone(),
            doors: Doors::new(front::MOST_CLIENTS, front::MOST_CLIENTS_OF_ADDRESS),
        });
        let (log, open) = (Arc::clone(&room.log), room.open.clone());
        let kind = Kind::BuiltIn { door: Arc::clone(&door), room: Lent::own(room), bench };
        let held = Arc::new(Held { _listener: listener.drop_guard(), _reserved: reserved });
        let began = Instant::now();
        Ok((Self { address, log, open, kind, ended, tasks, held, began }, door))
    }

    /// Gives a run a broker of its own behind the same door: its accounts, its topics and its log are no
    /// other run's, and its connections end with it. Of a broker that is already there, there is no other.
    ///
    /// # Errors
    /// [`RouterGone`].
    pub fn lend(
        &self,
        run: Borrower,
        accounts: Vec<Account>,
        identity: Option<UnitIdentity>,
    ) -> Result<Self, BrokerError> {
        let Kind::BuiltIn { door, room, .. } = &self.kind else {
            unreachable!("each run goes to a broker that is already there by itself")
        };
        let ended = door.ended.child_token();
        let lent = Room {
            accounts: RwLock::new(accounts),
            identity,
            allow_anonymous: room.allow_anonymous,
            common_name_is_client_id: room.common_name_is_client_id,
            connect_deadline: room.connect_deadline,
            tenant: inner::Tenant::new(),
            quota: quota::Quota::default(),
            log: Arc::new(self.log.another()),
            open: OpenConnections::until(ended.clone()),
        };
        let bench = Mutex::new(lent.tenant.open(BENCH, true)?);
        let (log, open) = (Arc::clone(&lent.log), lent.open.clone());
        let room = door.rooms.lend(run, lent);
        let kind = Kind::BuiltIn { door: Arc::clone(door), room, bench };
        let (address, tasks, held) = (self.address, self.tasks.clone(), Arc::clone(&self.held));
        Ok(Self { address, log, open, kind, ended, tasks, held, began: Instant::now() })
    }

    /// From where stations that are no run's unit have called themselves so since this began.
    pub fn guests_called(&self, client_id: &str) -> Vec<IpAddr> {
        let Kind::BuiltIn { door, .. } = &self.kind else { return Vec::new() };
        let called = |connection: &Connection| {
            let connect = connection.connect.as_ref();
            connection.opened >= self.began
                && connect.is_some_and(|connect| connect.client_id == client_id)
        };
        let connections = door.guests.connections().into_iter().filter(called);
        let mut found: Vec<IpAddr> = connections.map(|connection| connection.peer.ip()).collect();
        found.dedup();
        found
    }

    /// What came over a site's network since then and ended before it said who it was.
    pub fn nameless_since(&self, then: Instant) -> Vec<Connection> {
        let Kind::BuiltIn { door, .. } = &self.kind else { return Vec::new() };
        door.guests.connections_where(|connection| {
            connection.opened >= then
                && connection.caller == Caller::Visitor
                && connection.connect.is_none()
        })
    }

    /// Whether another run's unit comes to it as well, and has not been accepted.
    pub fn waits_for_others(&self) -> bool {
        let Kind::BuiltIn { door, .. } = &self.kind else { return false };
        let waits = |room: &Room| {
            let accepted = || room.log.connections().iter().any(Connection::is_accepted);
            room.identity.is_some() && !Arc::ptr_eq(&room.log, &self.log) && !accepted()
        };
        !door.rooms.that(waits).is_empty()
    }

    /// Where units are led to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether the bench is only a client of it, and sees of a unit what it publishes.
    pub fn is_external(&self) -> bool {
        matches!(self.kind, Kind::External(_))
    }

    /// When the first certificate ends that a unit needs to trust it, as far as it is known.
    pub fn certificate_expiry(&self) -> Option<Expiry> {
        match &self.kind {
            Kind::BuiltIn { door, .. } => door.expiry.clone(),
            Kind::External(observer) => observer.certificate_expiry(),
        }
    }

    /// Why the bench sees nothing any more of a broker that is already there.
    pub fn lost(&self) -> Option<String> {
        match &self.kind {
            Kind::BuiltIn { .. } => None,
            Kind::External(observer) => observer.lost(),
        }
    }

    /// Lets a user in from now on, since a unit's credentials may be made after the broker started;
    /// an account of the same user name is replaced. The accounts of a broker that is already there are
    /// its administrator's: this does nothing then.
    pub fn grant(&self, account: Account) {
        let Kind::BuiltIn { room, .. } = &self.kind else { return };
        let mut accounts = room.accounts.write().unwrap_or_else(PoisonError::into_inner);
        accounts.retain(|known| known.username != account.username);
        accounts.push(account);
    }

    /// Lets a user in no more; a session that is open stays open. As for [`Broker::grant`].
    pub fn revoke(&self, username: &str) {
        let Kind::BuiltIn { room, .. } = &self.kind else { return };
        let mut accounts = room.accounts.write().unwrap_or_else(PoisonError::into_inner);
        accounts.retain(|known| known.username != username);
    }

    /// Ends the connections of the run's unit; it may connect again at once.
    pub fn drop_unit(&self) {
        for connection in self.unit_connections() {
            self.open.end(connection.number);
        }
    }

    /// Publishes as the bench, not retained; QoS 0, or 1 to a broker that is already there.
    ///
    /// # Errors
    /// [`PublishError`].
    pub fn publish(&self, topic: &str, payload: &[u8]) -> Result<(), PublishError> {
        match &self.kind {
            Kind::BuiltIn { room, bench, .. } => {
                let topic = Bytes::from(room.tenant.enter(topic));
                let publish = Publish::new(topic, Bytes::copy_from_slice(payload), false);
                let mut bench = bench.lock().unwrap_or_else(PoisonError::into_inner);
                Ok(bench.send(Packet::Publish(publish, None))?)
            }
            Kind::External(observer) => {
                observer.publish(topic, payload).map_err(PublishError::External)
            }
        }
    }

    /// How much of what was seen is not in the log any more: connections, messages and subscriptions. With
    /// any, the absence of one is no evidence.
    pub fn dropped(&self) -> u64 {
        self.log.dropped()
    }

    /// All connections that are kept, in the order of arrival.
    pub fn connections(&self) -> Vec<Connection> {
        self.log.connections()
    }

    /// The connections of the run's unit, in the order of arrival. What others do is not the unit's.
    pub fn unit_connections(&self) -> Vec<Connection> {
        let mut connections = self.connections();
        connections.retain(|connection| connection.caller.is_unit());
        connections
    }

    /// A reader of all events from the beginning.
    pub fn follow(&self) -> Follower<BrokerEvent> {
        self.log.follow()
    }

    /// Waits until `answer` finds something in a connection; asked at once and after each event.
    ///
    /// # Errors
    /// [`NotSeen`] when the deadline passes first.
    pub async fn wait_for<T>(
        &self,
        deadline: Deadline,
        answer: impl FnMut(&Connection) -> Option<T>,
    ) -> Result<T, NotSeen> {
        self.log.wait_for(deadline, answer).await
    }

    /// Ends the listener and every connection, and returns when they are gone. For a broker that is lent
    /// to nobody.
    pub async fn stop(self) {
        let tasks = self.tasks.clone();
        drop(self);
        tasks.close();
        tasks.wait().await;
    }
}

impl Room {
    fn new(config: &BrokerConfig, clock: Clock, ended: CancellationToken) -> Self {
        let auth = config.client_auth.as_ref();
        Self {
            accounts: RwLock::new(config.accounts.clone()),
            identity: None,
            allow_anonymous: config.allow_anonymous,
            common_name_is_client_id: auth.is_some_and(|auth| auth.common_name_is_client_id),
            connect_deadline: config.connect_deadline,
            tenant: inner::Tenant::new(),
            quota: quota::Quota::default(),
            log: Arc::new(log::BrokerLog::new(clock)),
            open: OpenConnections::until(ended),
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.ended.cancel();
    }
}

fn bind() -> Result<TcpSocket, BrokerError> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let refuse = |source| BrokerError::Listen { address, source };
    let socket = TcpSocket::new_v4().map_err(refuse)?;
    socket.bind(address).map_err(refuse)?;
    Ok(socket)
}

fn listen(socket: TcpSocket, address: SocketAddr) -> Result<TcpListener, BrokerError> {
    socket.listen(1024).map_err(|source| BrokerError::Listen { address, source })
}

fn address_of(socket: &TcpSocket) -> Result<SocketAddr, BrokerError> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    socket.local_addr().map_err(|source| BrokerError::Listen { address, source })
}

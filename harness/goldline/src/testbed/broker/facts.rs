//! What there is to know of a connection to a broker: the facts that the checks judge.
//!
//! Whose a connection is, the bench knows from who opened it; client id, user name and certificate are
//! claims of the peer. Passwords are never kept. Must not judge.

use std::{fmt, net::SocketAddr};

use time::OffsetDateTime;
use tokio::time::Instant;

use crate::testbed::caller::Caller;

/// One event of one connection.
#[derive(Clone, Debug)]
pub struct BrokerEvent {
    /// Number of the connection, from 0 in the order of arrival.
    pub connection: usize,
    /// Where it comes from.
    pub peer: SocketAddr,
    /// What happened.
    pub what: Happening,
}

/// What can happen on a connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Happening {
    /// The TCP connection was accepted.
    Opened,
    /// A unit's TLS hello was passed on to a broker that is already there; the name that it asks for.
    Greeted(Option<String>),
    /// The TLS handshake is complete.
    Secured(TlsFacts),
    /// The TLS handshake failed.
    NotSecured(TlsFailure),
    /// A CONNECT was read and answered.
    Connect(ConnectFacts),
    /// A SUBSCRIBE was answered.
    Subscribed(Vec<Subscription>),
    /// The client published.
    Published(Message),
    /// The connection is over.
    Closed(Ending),
}

/// What the TLS handshake agreed on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsFacts {
    /// Such as `TLSv1.3`.
    pub version: String,
    /// IANA name, such as `TLS13_AES_256_GCM_SHA384`.
    pub cipher_suite: String,
    /// The name that the client asked for (SNI).
    pub server_name: Option<String>,
    /// What the client showed.
    pub client_certificate: Option<CertificateFacts>,
}

/// What a client certificate says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CertificateFacts {
    /// The whole subject, such as `CN=ESP32-0001`.
    pub subject: String,
    /// The subject's common name.
    pub common_name: Option<String>,
    /// DNS names and IP addresses.
    pub alternative_names: Vec<String>,
    /// Lowercase hex.
    pub serial: String,
    /// Its last moment, UTC.
    pub not_after: OffsetDateTime,
}

/// How a TLS handshake failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsFailure {
    /// The name that the client asked for, if it came that far.
    pub server_name: Option<String>,
    /// Who gave up, and why.
    pub cause: TlsFailureCause,
}

/// Who gave up a TLS handshake, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TlsFailureCause {
    /// The client refused us and said so; the alert's name as rustls spells it, such as `UnknownCA`.
    Alert(String),
    /// We refused the client: no or wrong certificate, no common version, not TLS at all.
    Refused(String),
    /// The client closed without a word; many do when they do not trust the certificate.
    Closed,
    /// The client did not end the handshake in time.
    Timeout,
}

impl TlsFailureCause {
    /// Whether the client said that it does not trust the server's certificate (RFC 8446, 6.2).
    pub fn is_distrust(&self) -> bool {
        let alerts = [
            "UnknownCA",
            "BadCertificate",
            "CertificateUnknown",
            "CertificateExpired",
            "CertificateRevoked",
            "UnsupportedCertificate",
        ];
        matches!(self, Self::Alert(alert) if alerts.contains(&alert.as_str()))
    }
}

/// What a CONNECT said and how it was answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConnectFacts {
    /// What the client calls itself.
    pub client_id: String,
    /// User name, if one was given.
    pub username: Option<String>,
    /// Keep alive in seconds.
    pub keep_alive_s: u16,
    /// Whether an earlier session is forgotten.
    pub clean_session: bool,
    /// What the broker decided.
    pub admission: Admission,
}

/// What the broker decided on a CONNECT.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Admission {
    /// CONNACK 0.
    Accepted,
    /// CONNACK with [`RefusedBecause::return_code`].
    Refused(RefusedBecause),
}

/// Why the broker refused a CONNECT.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RefusedBecause {
    /// Neither user name nor password were given.
    NoCredentials,
    /// No account has this user name.
    UnknownUser,
    /// The account has another password.
    WrongPassword,
    /// The account belongs to another client id.
    WrongClientId {
        /// The account's client id.
        expected: String,
    },
    /// The client id is not the certificate's common name.
    NotCertificateName {
        /// The certificate's common name.
        common_name: Option<String>,
    },
    /// An empty client id with a lasting session.
    NoClientId,
    /// It came over a site's network, and no run's unit was given what it shows.
    NoUnit,
}

impl RefusedBecause {
    /// The return code of MQTT 3.1.1, table 3.1.
    pub fn return_code(&self) -> u8 {
        match self {
            Self::NoClientId => 2,
            Self::UnknownUser | Self::WrongPassword => 4,
            Self::NoCredentials
            | Self::WrongClientId { .. }
            | Self::NotCertificateName { .. }
            | Self::NoUnit => 5,
        }
    }
}

/// One filter of a SUBSCRIBE and its answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Subscription {
    /// Topic filter.
    pub filter: String,
    /// Granted quality of service, or none for a refusal.
    pub granted_qos: Option<u8>,
}

/// One PUBLISH of a client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// Topic name.
    pub topic: String,
    /// As it came.
    pub payload: Vec<u8>,
    /// Whether the broker keeps it for later subscribers.
    pub retain: bool,
}

/// How a connection ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ending {
    /// The client sent DISCONNECT.
    Disconnected,
    /// The client went away without a word.
    Dropped,
    /// Nothing came for one and a half times the keep alive.
    KeepAliveExpired,
    /// No CONNECT came in time.
    NoConnect,
    /// The client broke the protocol or speaks another version of it; the sentence says which.
    ProtocolError(String),
    /// The broker refused TLS or CONNECT.
    Refused,
    /// A broker that is already there broke off, or did not answer.
    ClosedByBroker,
    /// Another connection took the same client id, or the broker ended the session.
    TakenOver,
    /// The broker had too many connections that were not admitted, or ended itself.
    PutOut,
}

impl fmt::Display for TlsFailureCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alert(alert) => f.write_str(alert),
            Self::Refused(reason) => write!(f, "the broker refused the client: {reason}"),
            Self::Closed => f.write_str("the client closed the connection without an alert"),
            Self::Timeout => f.write_str("the client did not end the handshake in time"),
        }
    }
}

impl fmt::Display for RefusedBecause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCredentials => f.write_str("neither user name nor password were given"),
            Self::UnknownUser => f.write_str("the user name is unknown"),
            Self::WrongPassword => f.write_str("the password is wrong"),
            Self::WrongClientId { expected } => {
                write!(f, "the account belongs to the client id {expected}")
            }
            Self::NotCertificateName { common_name } => write!(
                f,
                "the client id is not the certificate's common name {}",
                common_name.as_deref().unwrap_or("(none)")
            ),
            Self::NoClientId => f.write_str("an empty client id asks for a lasting session"),
            Self::NoUnit => f.write_str("no unit of a run was given what it shows"),
        }
    }
}

/// All that is known of one connection.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Number of the connection, from 0 in the order of arrival.
    pub number: usize,
    /// Where it comes from.
    pub peer: SocketAddr,
    /// Who opened it.
    pub caller: Caller,
    /// When it was accepted, time of day.
    pub opened_at: OffsetDateTime,
    /// When it was accepted, to measure with.
    pub opened: Instant,
    /// The name in the TLS hello, where only that is seen.
    pub greeted: Option<String>,
    /// When the TLS handshake ended well.
    pub secured: Option<Instant>,
    /// When the CONNECT was answered.
    pub answered: Option<Instant>,
    /// What TLS agreed on.
    pub tls: Option<TlsFacts>,
    /// Why TLS failed.
    pub tls_failure: Option<TlsFailure>,
    /// What the CONNECT said.
    pub connect: Option<ConnectFacts>,
    /// All filters so far.
    pub subscriptions: Vec<Subscription>,
    /// All messages so far, with the moment of each.
    pub published: Vec<(Instant, Message)>,
    /// How it ended; none while it lasts.
    pub ending: Option<Ending>,
    /// How many of its messages and subscriptions were not kept; with any, the absence of one is no evidence.
    pub dropped: u64,
}

impl Connection {
    /// Whether the broker accepted the client. Where its answer is not seen, a message that came through
    /// shows it.
    pub fn is_accepted(&self) -> bool {
        let admitted = |connect: &ConnectFacts| connect.admission == Admission::Accepted;
        self.connect.as_ref().map_or(!self.published.is_empty(), admitted)
    }
}

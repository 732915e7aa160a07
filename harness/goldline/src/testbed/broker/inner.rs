//! rumqttd's router, one for the whole process, shared by brokers that must not see each other.
//!
//! rumqttd cannot be stopped, and its own listener would be a plain way round TLS for every other
//! user of the machine. So its router runs without any listener, and the front hands packets to it
//! in memory. Each broker is a [`Tenant`]: its client ids and topics carry a prefix that no client
//! can leave or name. Must not know TLS, accounts or what is recorded.

use std::{
    pin::pin,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Waker},
};

use rumqttd::{
    Notification, Router, RouterConfig,
    local::{LinkBuilder, LinkError, LinkRx, LinkTx},
    protocol::{Disconnect, DisconnectReasonCode, Packet},
};
use tokio_util::bytes::Bytes;

use crate::hex::hex;

const MAX_CONNECTIONS: usize = 4096;
/// Of each filter the router keeps two of them.
const SEGMENT_BYTES: usize = 256 * 1024;

/// The router is gone; only a bug in it does that.
#[derive(Debug, thiserror::Error)]
#[error("the in-process broker does not answer: {reason}; report it with the record")]
pub struct RouterGone {
    reason: String,
}

/// Keeps the sentence only: the error carries the undelivered event, with all that is in it.
impl From<LinkError> for RouterGone {
    fn from(error: LinkError) -> Self {
        Self { reason: error.to_string() }
    }
}

type Opened = (LinkTx, LinkRx, Notification);
/// The router's channel has a type that rumqttd does not name in public, so a closure holds it.
type Open = Box<dyn Fn(&str, bool) -> Result<Opened, RouterGone> + Send + Sync>;

fn router() -> &'static Open {
    static ROUTER: OnceLock<Open> = OnceLock::new();
    ROUTER.get_or_init(|| {
        let config = RouterConfig {
            max_connections: MAX_CONNECTIONS,
            max_outgoing_packet_count: 200,
            max_segment_size: SEGMENT_BYTES,
            max_segment_count: 2,
            // rumqttd disconnects a client that publishes to a topic without subscribers; this
            // filter matches every topic.
            initialized_filters: Some(vec!["#".to_owned()]),
            ..RouterConfig::default()
        };
        let channel = Router::new(0, config).spawn();
        Box::new(move |client_id, clean_session| {
            let link = LinkBuilder::new(client_id, channel.clone());
            Ok(link.clean_session(clean_session).build()?)
        })
    })
}

/// One broker's part of the router.
#[derive(Debug)]
pub(super) struct Tenant {
    prefix: String,
}

impl Tenant {
    /// A part of its own, never given twice in a process.
    pub(super) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self { prefix: format!("t{}/", NEXT.fetch_add(1, Ordering::Relaxed)) }
    }

    /// Opens a session; blocks until the router's thread has answered.
    ///
    /// # Errors
    /// [`RouterGone`].
    pub(super) fn open(&self, client_id: &str, clean_session: bool) -> Result<Session, RouterGone> {
        // In hex, since the router refuses some characters that MQTT allows in a client id.
        let digits = hex(client_id.as_bytes());
        let tenant = self.prefix.trim_end_matches('/');
        let (tx, rx, answer) = router()(&format!("{tenant}.{digits}"), clean_session)?;
        let session_present = match Option::<Packet>::from(answer) {
            Some(Packet::ConnAck(acknowledged, _)) => acknowledged.session_present,
            _ => false,
        };
        Ok(Session { tx, rx, session_present })
    }

    /// A client's topic or filter as the router knows it.
    pub(super) fn enter(&self, topic: &str) -> String {
        format!("{}{topic}", self.prefix)
    }

    /// A topic of the router as the tenant's client knows it; none when it is another tenant's.
    pub(super) fn leave(&self, topic: &Bytes) -> Option<Bytes> {
        topic.starts_with(self.prefix.as_bytes()).then(|| topic.slice(self.prefix.len()..))
    }
}

/// One client's session with the router; leaves the router when dropped.
pub(super) struct Session {
    tx: LinkTx,
    rx: LinkRx,
    /// Whether the router remembers an earlier session of this client id.
    pub(super) session_present: bool,
}

impl Session {
    /// Hands a packet to the router.
    pub(super) fn send(&mut self, packet: Packet) -> Result<(), RouterGone> {
        // The function is async in name only: it never waits, so one poll completes it.
        let sent = pin!(self.tx.send(packet)).poll(&mut Context::from_waker(Waker::noop()));
        match sent {
            std::task::Poll::Ready(Err(error)) => Err(error.into()),
            std::task::Poll::Ready(Ok(_)) | std::task::Poll::Pending => Ok(()),
        }
    }

    /// The next packet for the client; cancel safe.
    pub(super) async fn receive(&mut self) -> Result<Packet, RouterGone> {
        loop {
            match self.rx.next().await? {
                // The router paused this client until it has caught up, which it has now.
                Some(Notification::Unschedule) => self.rx.ready()?,
                Some(notification) => {
                    if let Some(packet) = Option::<Packet>::from(notification) {
                        return Ok(packet);
                    }
                }
                None => {}
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let reason_code = DisconnectReasonCode::NormalDisconnection;
        // Fails only when the router is gone, and then there is no session to end.
        let _ended = self.send(Packet::Disconnect(Disconnect { reason_code }, None));
    }
}

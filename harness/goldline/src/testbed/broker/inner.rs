//! rumqttd's router, one for the whole process, shared by brokers that must not see each other.
//!
//! rumqttd cannot be stopped, and its own listener would be a plain way round TLS for every other
//! user of the machine. So its router runs without any listener, and the front hands packets to it
//! in memory. Each broker is a [`Tenant`]: its client ids and topics carry a prefix that no client
//! can leave or name. Must not know TLS, accounts or what is recorded.

use std::{
    collections::BTreeSet,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Waker},
};

use rumqttd::{
    Notification, Router, RouterConfig,
    local::{LinkBuilder, LinkError, LinkRx, LinkTx},
    protocol::{Disconnect, DisconnectReasonCode, Packet, Publish},
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

/// One broker's part of the router, which nobody else has meanwhile. The router forgets no topic that was ever
/// subscribed to, so a part that is left goes to the next broker, emptied.
#[derive(Clone, Debug)]
pub(super) struct Tenant(Arc<Part>);

#[derive(Debug)]
struct Part {
    prefix: String,
    left: Mutex<Left>,
}

/// What the router would keep of a tenant.
#[derive(Debug, Default)]
struct Left {
    retained: BTreeSet<Bytes>,
    /// As the router knows them.
    sessions: BTreeSet<String>,
}

/// Parts that nobody has.
static FREE: Mutex<Vec<String>> = Mutex::new(Vec::new());

impl Part {
    fn take() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let free = FREE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let new = || format!("t{}/", NEXT.fetch_add(1, Ordering::Relaxed));
        Self { prefix: free.unwrap_or_else(new), left: Mutex::default() }
    }

    fn client_id(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix.trim_end_matches('/'))
    }

    /// Lets the router forget what it would keep.
    fn empty(&self) -> Result<(), RouterGone> {
        let left = std::mem::take(&mut *self.left.lock().unwrap_or_else(PoisonError::into_inner));
        for session in left.sessions {
            let (mut tx, _, _) = router()(&session, true)?;
            send(&mut tx, disconnect())?;
        }
        if left.retained.is_empty() {
            return Ok(());
        }
        // No client's id: those are digits.
        let (mut tx, _, _) = router()(&self.client_id("emptied"), true)?;
        for topic in left.retained {
            send(&mut tx, Packet::Publish(Publish::new(topic, Bytes::new(), true), None))?;
        }
        send(&mut tx, disconnect())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // What cannot be emptied is never given again.
        if self.empty().is_ok() {
            let prefix = std::mem::take(&mut self.prefix);
            FREE.lock().unwrap_or_else(PoisonError::into_inner).push(prefix);
        }
    }
}

impl Tenant {
    /// A part of its own.
    pub(super) fn new() -> Self {
        Self(Arc::new(Part::take()))
    }

    /// Opens a session; blocks until the router's thread has answered.
    ///
    /// # Errors
    /// [`RouterGone`].
    pub(super) fn open(&self, client_id: &str, clean_session: bool) -> Result<Session, RouterGone> {
        // In hex, since the router refuses some characters that MQTT allows in a client id.
        let client_id = self.0.client_id(&hex(client_id.as_bytes()));
        if !clean_session {
            self.left().sessions.insert(client_id.clone());
        }
        let (tx, rx, answer) = router()(&client_id, clean_session)?;
        let session_present = match Option::<Packet>::from(answer) {
            Some(Packet::ConnAck(acknowledged, _)) => acknowledged.session_present,
            _ => false,
        };
        Ok(Session { tx, rx, session_present, tenant: self.clone() })
    }

    /// A client's topic or filter as the router knows it.
    pub(super) fn enter(&self, topic: &str) -> String {
        format!("{}{topic}", self.0.prefix)
    }

    /// A topic of the router as the tenant's client knows it; none when it is another tenant's.
    pub(super) fn leave(&self, topic: &Bytes) -> Option<Bytes> {
        let prefix = self.0.prefix.as_bytes();
        topic.starts_with(prefix).then(|| topic.slice(prefix.len()..))
    }

    fn left(&self) -> MutexGuard<'_, Left> {
        self.0.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn send(tx: &mut LinkTx, packet: Packet) -> Result<(), RouterGone> {
    // The function is async in name only: it never waits, so one poll completes it.
    let sent = pin!(tx.send(packet)).poll(&mut Context::from_waker(Waker::noop()));
    match sent {
        std::task::Poll::Ready(Err(error)) => Err(error.into()),
        std::task::Poll::Ready(Ok(_)) | std::task::Poll::Pending => Ok(()),
    }
}

fn disconnect() -> Packet {
    let reason_code = DisconnectReasonCode::NormalDisconnection;
    Packet::Disconnect(Disconnect { reason_code }, None)
}

/// One client's session with the router; leaves the router when dropped.
pub(super) struct Session {
    tx: LinkTx,
    rx: LinkRx,
    /// Whether the router remembers an earlier session of this client id.
    pub(super) session_present: bool,
    /// As long as it lasts, its part is nobody else's.
    tenant: Tenant,
}

impl Session {
    /// Hands a packet to the router.
    pub(super) fn send(&mut self, packet: Packet) -> Result<(), RouterGone> {
        if let Packet::Publish(publish, _) = &packet
            && publish.retain
        {
            self.tenant.left().retained.insert(publish.topic.clone());
        }
        send(&mut self.tx, packet)
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
        // Fails only when the router is gone, and then there is no session to end.
        let _ended = self.send(disconnect());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rumqttd::protocol::{Filter, QoS, RetainForwardRule, Subscribe};

    use super::*;

    fn subscribe(session: &mut Session, filter: String) {
        let filter = Filter {
            path: filter,
            qos: QoS::AtMostOnce,
            nolocal: false,
            preserve_retain: false,
            retain_forward_rule: RetainForwardRule::OnEverySubscribe,
        };
        let subscribe = Subscribe { pkid: 1, filters: vec![filter] };
        session.send(Packet::Subscribe(subscribe, None)).expect("the router is there");
    }

    fn publish(session: &mut Session, topic: String, retain: bool) {
        let publish = Publish::new(topic, "on".to_owned(), retain);
        session.send(Packet::Publish(publish, None)).expect("the router is there");
    }

    /// The topics that come to a session until one that ends with `last`.
    async fn heard(session: &mut Session, last: &str) -> Vec<String> {
        let mut topics = Vec::new();
        loop {
            let packet = tokio::time::timeout(Duration::from_secs(60), session.receive());
            if let Packet::Publish(publish, _) = packet.await.expect("in time").expect("a packet") {
                topics.push(String::from_utf8_lossy(&publish.topic).into_owned());
            }
            if topics.last().is_some_and(|topic| topic.ends_with(last)) {
                return topics;
            }
        }
    }

    /// Of a part that was left: what its tenant retained, and who subscribed for good.
    #[tokio::test]
    async fn a_part_that_is_given_again_holds_nothing_of_the_tenant_before() {
        let first = Tenant::new();
        let prefix = first.0.prefix.clone();
        let mut unit = first.open("unit", false).expect("the router is there");
        subscribe(&mut unit, first.enter("#"));
        publish(&mut unit, first.enter("status"), true);
        assert_eq!(heard(&mut unit, "status").await, [first.enter("status")]);
        drop(unit);
        // The same tenant finds both again.
        let mut unit = first.open("unit", false).expect("the router is there");
        assert!(unit.session_present);
        subscribe(&mut unit, first.enter("status"));
        heard(&mut unit, "status").await;
        drop(first);
        // Its unit is still there.
        let other = Tenant::new();
        assert_ne!(other.0.prefix, prefix);
        drop(unit);

        let next = loop {
            // Tests beside this one take and leave parts too.
            let next = Tenant::new();
            if next.0.prefix == prefix {
                break next;
            }
            std::mem::forget(next);
        };
        let mut unit = next.open("unit", false).expect("the router is there");
        assert!(!unit.session_present);
        subscribe(&mut unit, next.enter("#"));
        publish(&mut unit, next.enter("end"), false);
        assert_eq!(heard(&mut unit, "end").await, [next.enter("end")]);
    }
}

//! One client after the TLS handshake: its CONNECT is judged, then packets go both ways.
//!
//! Everything that a check may ask for is written to the log here. Must not know sockets or TLS:
//! it is given a stream and what the certificate said.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::{Arc, PoisonError},
    time::Duration,
};

use rumqttd::protocol::{
    LastWill, Packet, PingReq, Publish, SubAck, SubscribeReasonCode, UnsubAck,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, timeout, timeout_at},
};
use tokio_util::bytes::Bytes;

use super::{
    Room,
    connect_packet::{
        ConnectPacket, PacketReader, ReadError, acknowledge, close_gently, write_packet,
    },
    facts::{
        Admission, CertificateFacts, ConnectFacts, Ending, Happening, Message, RefusedBecause,
        Subscription,
    },
    inner::{RouterGone, Session},
    quota::{TooMuch, Unreleased},
};

use crate::testbed::{
    caller::{Visit, Who},
    doors::Place,
};

/// How many bytes of a client the router may be behind; it takes what it is handed without a limit.
const MOST_BEHIND: usize = 256 * 1024;
/// A client at the door.
#[derive(Clone)]
pub(super) struct Arrived {
    pub(super) number: usize,
    pub(super) who: Who,
    /// Of one that came over a site's network.
    pub(super) visit: Option<Visit>,
    pub(super) place: Arc<Place>,
}

/// A client that does not take what it is sent must not hold a session for ever.
const WRITE_DEADLINE: Duration = Duration::from_secs(30);

/// Serves one client to its end, which is returned for the log.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    arrived: &Arrived,
    certificate: Option<&CertificateFacts>,
    room: &Arc<Room>,
) -> Ending {
    let mut packets = PacketReader::new();
    match read_connect(&mut stream, &mut packets, room).await {
        Ok(connect) => serve_client(stream, packets, connect, arrived, certificate, room).await,
        Err(ending) => ending,
    }
}

/// Reads the first packet of a client, and tells one of another version of MQTT so.
pub(super) async fn read_connect(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    packets: &mut PacketReader,
    room: &Room,
) -> Result<ConnectPacket, Ending> {
    match timeout(room.connect_deadline, packets.connect(stream)).await {
        Err(_) => Err(Ending::NoConnect),
        Ok(Err(error)) => {
            if let Some(code) = version_refusal(&error) {
                refuse(stream, code).await;
            }
            Err(ending_of(error))
        }
        Ok(Ok(connect)) => Ok(connect),
    }
}

/// Serves a client whose CONNECT was read.
pub(super) async fn serve_client<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    packets: PacketReader,
    connect: ConnectPacket,
    arrived: &Arrived,
    certificate: Option<&CertificateFacts>,
    room: &Arc<Room>,
) -> Ending {
    let Arrived { number, who, place, .. } = arrived;
    let (number, peer) = (*number, who.peer.ip());
    let admission = admit(&connect, certificate, room);
    let facts = ConnectFacts {
        client_id: connect.client_id.clone(),
        username: connect.username.clone(),
        keep_alive_s: connect.keep_alive_s,
        clean_session: connect.clean_session,
        admission: admission.clone(),
    };
    if let Admission::Refused(because) = admission {
        room.log.record(number, Happening::Connect(facts));
        refuse(&mut stream, because.return_code()).await;
        return Ending::Refused;
    }

    let session = match open_session(&connect, arrived, room).await {
        Ok(session) => session,
        Err(error) => return Ending::ProtocolError(error.to_string()),
    };
    if let Err(error) = acknowledge(&mut stream, session.session_present, 0).await {
        return ending_of(error.into());
    }
    room.log.record(number, Happening::Connect(facts));
    place.keep();

    let mut relay = Relay {
        stream,
        packets,
        session,
        number,
        peer,
        room,
        pending: HashMap::new(),
        unreleased: Unreleased::default(),
        handed: 0,
        pings: VecDeque::new(),
    };
    let ending = relay.run(connect.keep_alive_s).await;
    if ending != Ending::Disconnected
        && let Some(will) = connect.will
    {
        relay.publish_will(will);
    }
    ending
}

/// Judges a CONNECT by the accounts and by the client's certificate.
fn admit(
    connect: &ConnectPacket,
    certificate: Option<&CertificateFacts>,
    room: &Room,
) -> Admission {
    objection(connect, certificate, room).map_or(Admission::Accepted, Admission::Refused)
}

fn objection(
    connect: &ConnectPacket,
    certificate: Option<&CertificateFacts>,
    room: &Room,
) -> Option<RefusedBecause> {
    if connect.client_id.is_empty() && !connect.clean_session {
        return Some(RefusedBecause::NoClientId);
    }
    if !room.allow_anonymous
        && let Some(because) = account_objection(connect, room)
    {
        return Some(because);
    }
    let common_name = certificate.and_then(|facts| facts.common_name.clone());
    if room.common_name_is_client_id && common_name.as_ref() != Some(&connect.client_id) {
        return Some(RefusedBecause::NotCertificateName { common_name });
    }
    None
}

fn account_objection(connect: &ConnectPacket, room: &Room) -> Option<RefusedBecause> {
    let Some(username) = &connect.username else { return Some(RefusedBecause::NoCredentials) };
    let accounts = room.accounts.read().unwrap_or_else(PoisonError::into_inner);
    let Some(account) = accounts.iter().find(|account| account.username == *username) else {
        return Some(RefusedBecause::UnknownUser);
    };
    if connect.password.as_ref() != Some(&account.password) {
        return Some(RefusedBecause::WrongPassword);
    }
    match &account.client_id {
        Some(expected) if *expected != connect.client_id => {
            Some(RefusedBecause::WrongClientId { expected: expected.clone() })
        }
        _ => None,
    }
}

pub(super) async fn refuse(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), code: u8) {
    // A client that is gone already needs no answer.
    let _told = timeout(WRITE_DEADLINE, acknowledge(stream, false, code)).await;
    close_gently(stream).await;
}

/// The CONNACK for a client of another MQTT version: 5 has a code of its own (MQTT 5, 3.2.2.2), the
/// older ones know that of MQTT 3.1.1.
fn version_refusal(error: &ReadError) -> Option<u8> {
    match error {
        ReadError::ProtocolLevel(Some(5)) => Some(0x84),
        ReadError::ProtocolLevel(_) => Some(1),
        _ => None,
    }
}

async fn open_session(
    connect: &ConnectPacket,
    arrived: &Arrived,
    room: &Arc<Room>,
) -> Result<Session, RouterGone> {
    // An empty id asks the broker for one (MQTT 3.1.1, 3.1.3.1).
    let client_id = if connect.client_id.is_empty() {
        format!("anonymous-{}", arrived.number)
    } else {
        connect.client_id.clone()
    };
    let clean = connect.clean_session || !room.quota.lasts(arrived.who.peer.ip(), &client_id);
    let room = Arc::clone(room);
    tokio::task::spawn_blocking(move || room.tenant.open(&client_id, clean))
        .await
        .expect("opening a session neither panics nor is cancelled")
}

fn too_much(asked: TooMuch) -> Ending {
    Ending::ProtocolError(asked.to_string())
}

fn ending_of(error: ReadError) -> Ending {
    match error {
        ReadError::Closed | ReadError::Broken(_) => Ending::Dropped,
        error => Ending::ProtocolError(error.to_string()),
    }
}

/// An accepted client.
struct Relay<'a, S> {
    stream: S,
    packets: PacketReader,
    session: Session,
    number: usize,
    peer: IpAddr,
    room: &'a Room,
    unreleased: Unreleased,
    /// Bytes that the router was handed since it was last asked whether it has caught up.
    handed: usize,
    /// Who waits for the router's answers to pings, in order.
    pings: VecDeque<Pinger>,
    /// Filters that wait for their SUBACK, by packet identifier.
    pending: HashMap<u16, Vec<String>>,
}

/// The router answers a ping when it has taken all that it was handed before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pinger {
    Client,
    Bench,
}

/// Whether the session goes on.
type Step = Result<(), Ending>;

impl<S: AsyncRead + AsyncWrite + Unpin> Relay<'_, S> {
    async fn run(&mut self, keep_alive_s: u16) -> Ending {
        // MQTT 3.1.1, 3.1.2.10: one and a half times the keep alive; zero switches it off.
        let patience = (keep_alive_s > 0).then(|| Duration::from_secs(keep_alive_s.into()) * 3 / 2);
        let mut heard = Instant::now();
        loop {
            let router_is_behind = self.pings.contains(&Pinger::Bench);
            let step = tokio::select! {
                read = read_before(
                    patience.map(|patience| heard + patience),
                    &mut self.packets,
                    &mut self.stream,
                ), if !router_is_behind => {
                    heard = Instant::now();
                    match read {
                        Ok(packet) => match self.take_in(packet) {
                            Ok(Some(answer)) => self.write(answer).await,
                            Ok(None) => Ok(()),
                            Err(ending) => Err(ending),
                        },
                        Err(ending) => Err(ending),
                    }
                }
                received = self.session.receive() => match received {
                    Ok(packet) => self.give_out(packet).await,
                    Err(_) => Err(Ending::TakenOver),
                },
            };
            if let Err(ending) = step {
                return ending;
            }
        }
    }

    /// Hands a client's packet to the router; gives the answer if it is ours to give.
    fn take_in(&mut self, packet: Packet) -> Result<Option<Packet>, Ending> {
        let mut answer = None;
        let packet = match packet {
            Packet::Publish(publish, _) => self.enter_publish(publish)?,
            Packet::Subscribe(mut subscribe, properties) => {
                let filters: Vec<String> =
                    subscribe.filters.iter().map(|filter| filter.path.clone()).collect();
                for filter in &filters {
                    require_plain(filter)?;
                    self.room.quota.subscribe(self.peer, filter).map_err(too_much)?;
                }
                for filter in &mut subscribe.filters {
                    filter.path = self.room.tenant.enter(&filter.path);
                }
                self.pending.insert(subscribe.pkid, filters);
                Packet::Subscribe(subscribe, properties)
            }
            Packet::Unsubscribe(mut unsubscribe, properties) => {
                // rumqttd answers once per filter, and not at all for one it does not know; MQTT
                // 3.1.1, 3.10.4, wants one answer in any case.
                let acknowledged = UnsubAck { pkid: unsubscribe.pkid, reasons: Vec::new() };
                answer = Some(Packet::UnsubAck(acknowledged, None));
                for filter in &mut unsubscribe.filters {
                    *filter = self.room.tenant.enter(filter);
                }
                Packet::Unsubscribe(unsubscribe, properties)
            }
            packet @ Packet::PubRel(..) => {
                self.unreleased.released();
                packet
            }
            packet @ Packet::PingReq(_) => {
                self.pings.push_back(Pinger::Client);
                packet
            }
            packet @ (Packet::PubAck(..) | Packet::PubRec(..) | Packet::PubComp(..)) => packet,
            Packet::Disconnect(..) => return Err(Ending::Disconnected),
            _ => return Err(Ending::ProtocolError("a packet that only a broker sends".to_owned())),
        };
        self.session.send(packet).map_err(|_| Ending::TakenOver)?;
        if self.handed > MOST_BEHIND {
            self.handed = 0;
            self.pings.push_back(Pinger::Bench);
            self.session.send(Packet::PingReq(PingReq)).map_err(|_| Ending::TakenOver)?;
        }
        Ok(answer)
    }

    fn enter_publish(&mut self, mut publish: Publish) -> Result<Packet, Ending> {
        let topic = topic_name(&publish.topic)?.to_owned();
        let quota = &self.room.quota;
        quota.publish(self.peer, &topic).map_err(too_much)?;
        publish.topic = Bytes::from(self.room.tenant.enter(&topic));
        let message = Message { topic, payload: publish.payload.to_vec(), retain: publish.retain };
        self.handed += message.payload.len();
        // As it came, a single byte would keep all alive that was read with it.
        publish.payload = Bytes::copy_from_slice(&publish.payload);
        publish.retain &= quota.retains(self.peer, &message.topic, message.payload.len());
        self.room.log.record(self.number, Happening::Published(message));
        Ok(Packet::Publish(publish, None))
    }

    async fn give_out(&mut self, packet: Packet) -> Step {
        let packet = match packet {
            Packet::Publish(mut publish, _) => {
                let Some(topic) = self.room.tenant.leave(&publish.topic) else { return Ok(()) };
                publish.topic = topic;
                Packet::Publish(publish, None)
            }
            // The client has its answer already.
            Packet::UnsubAck(..) => return Ok(()),
            Packet::PingResp(_) if self.pings.pop_front() == Some(Pinger::Bench) => return Ok(()),
            // The router holds the message until its release.
            packet @ Packet::PubRec(..) => {
                self.unreleased.received().map_err(too_much)?;
                packet
            }
            packet => packet,
        };
        let subscribed = match &packet {
            Packet::SubAck(answer, _) => self.subscribed(answer),
            _ => None,
        };
        self.write(packet).await?;
        if let Some(subscriptions) = subscribed {
            self.room.log.record(self.number, Happening::Subscribed(subscriptions));
        }
        Ok(())
    }

    async fn write(&mut self, packet: Packet) -> Step {
        match timeout(WRITE_DEADLINE, write_packet(&mut self.stream, packet)).await {
            Ok(written) => written.map_err(ending_of),
            Err(_) => Err(Ending::Dropped),
        }
    }

    fn subscribed(&mut self, answer: &SubAck) -> Option<Vec<Subscription>> {
        let filters = self.pending.remove(&answer.pkid)?;
        let granted = answer.return_codes.iter().map(|code| match code {
            SubscribeReasonCode::QoS0 => Some(0),
            SubscribeReasonCode::QoS1 => Some(1),
            SubscribeReasonCode::QoS2 => Some(2),
            SubscribeReasonCode::Success(qos) => Some(*qos as u8),
            _ => None,
        });
        let answered = filters.into_iter().zip(granted);
        Some(answered.map(|(filter, granted_qos)| Subscription { filter, granted_qos }).collect())
    }

    /// The router sends no wills for links in memory, so the session does it itself, as QoS 0.
    fn publish_will(&mut self, will: LastWill) {
        let Ok(topic) = topic_name(&will.topic) else { return };
        let (quota, bytes) = (&self.room.quota, will.message.len());
        if quota.publish(self.peer, topic).is_err() {
            return;
        }
        let retain = will.retain && quota.retains(self.peer, topic, bytes);
        let topic = Bytes::from(self.room.tenant.enter(topic));
        // Fails only when the router is gone, and then nobody waits for the will.
        let _sent =
            self.session.send(Packet::Publish(Publish::new(topic, will.message, retain), None));
    }
}

async fn read_before(
    limit: Option<Instant>,
    packets: &mut PacketReader,
    stream: &mut (impl AsyncRead + Unpin),
) -> Result<Packet, Ending> {
    let read = packets.next(stream);
    match limit {
        None => read.await.map_err(ending_of),
        Some(limit) => match timeout_at(limit, read).await {
            Ok(read) => read.map_err(ending_of),
            Err(_) => Err(Ending::KeepAliveExpired),
        },
    }
}

/// MQTT 3.1.1, 4.7: a topic name has characters and no wildcards, and `$` belongs to the broker.
fn topic_name(topic: &[u8]) -> Result<&str, Ending> {
    let name = std::str::from_utf8(topic)
        .map_err(|_| Ending::ProtocolError("a topic name that is not UTF-8".to_owned()))?;
    if name.contains(['+', '#']) {
        return Err(Ending::ProtocolError(format!("the topic name {name} has a wildcard")));
    }
    require_plain(name)?;
    Ok(name)
}

/// Neither `$SYS` nor shared subscriptions exist here; a client that needs them should learn it.
fn require_plain(topic: &str) -> Result<(), Ending> {
    if topic.is_empty() || topic.starts_with('$') {
        return Err(Ending::ProtocolError(format!("the topic \"{topic}\" is not for clients")));
    }
    Ok(())
}

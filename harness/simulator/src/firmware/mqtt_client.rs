//! The firmware's MQTT client: rumqttc's packets and bookkeeping on a connection that the world opens.
//!
//! rumqttc's own event loop resolves names and connects by itself, and led elsewhere only through a proxy:
//! a port at which every process of the machine could be the unit. So the loop is here, and no port is.
//! Must not know what is said.

use std::collections::VecDeque;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use rumqttc::{
    ConnAck, Connect, ConnectReturnCode, Event, MqttState, Packet, PingReq, Publish, QoS, Request,
    Subscribe, mqttbytes,
};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout};
use tokio_rustls::TlsConnector;

use super::route::{self, NoRoute};
use crate::world::World;

/// From the name to the broker's answer.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How much waits for the broker, and how much for its acknowledgement.
const MOST_WAITING: u16 = 16;
/// The size of the buffer that a message must fit.
const LARGEST_PACKET: usize = 10 * 1024;

/// Where the broker is, and how the unit gets there.
pub(super) struct Way {
    pub(super) world: Arc<dyn World>,
    pub(super) from: Ipv4Addr,
    pub(super) host: String,
    pub(super) port: u16,
    /// Without it the connection is plain.
    pub(super) tls: Option<Arc<ClientConfig>>,
}

/// Why there is no connection, or none any more.
#[derive(Debug, thiserror::Error)]
pub(super) enum MqttError {
    #[error("the broker is not reached: {0:?}")]
    NoRoute(NoRoute),
    #[error("TLS handshake failed")]
    Tls(#[source] io::Error),
    #[error("the broker refused: {0:?}")]
    Refused(ConnectReturnCode),
    #[error("the connection stood, and then ended")]
    Lost,
}

/// A client that connects when it is asked for the next packet and has no connection.
pub(super) struct MqttClient {
    way: Way,
    connect: Connect,
    /// What waits to be sent.
    waiting: VecDeque<Request>,
    link: Option<Link>,
}

impl MqttClient {
    /// Connects to nobody yet.
    pub(super) fn new(way: Way, connect: Connect) -> Self {
        Self { way, connect, waiting: VecDeque::new(), link: None }
    }

    /// Sends a message with QoS 1 when there is a connection; false when too much waits already.
    pub(super) fn publish(&mut self, topic: &str, payload: &str) -> bool {
        self.request(Request::Publish(Publish::new(topic, QoS::AtLeastOnce, payload)))
    }

    /// Subscribes with QoS 1; false when too much waits already.
    pub(super) fn subscribe(&mut self, topic: &str) -> bool {
        self.request(Request::Subscribe(Subscribe::new(topic, QoS::AtLeastOnce)))
    }

    fn request(&mut self, request: Request) -> bool {
        let room = self.waiting.len() < usize::from(MOST_WAITING);
        if room {
            self.waiting.push_back(request);
        }
        room
    }

    /// The broker's next packet, of a new connection its CONNACK first. Cancel safe.
    pub(super) async fn next(&mut self) -> Result<Packet, MqttError> {
        let Some(link) = &mut self.link else {
            let opened = timeout(CONNECT_LIMIT, Link::open(&self.way, &self.connect)).await;
            let (link, acknowledged) = opened.unwrap_or(Err(MqttError::Lost))?;
            self.link = Some(link);
            return Ok(Packet::ConnAck(acknowledged));
        };
        let next = link.next(&mut self.waiting).await;
        next.map_err(|Over| {
            // The session was clean: nothing of it is taken up again.
            self.link = None;
            self.waiting.clear();
            MqttError::Lost
        })
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A connection ended, whoever ended it.
#[derive(Debug)]
struct Over;

impl From<io::Error> for Over {
    fn from(_: io::Error) -> Self {
        Self
    }
}

impl From<mqttbytes::Error> for Over {
    fn from(_: mqttbytes::Error) -> Self {
        Self
    }
}

impl From<rumqttc::StateError> for Over {
    fn from(_: rumqttc::StateError) -> Self {
        Self
    }
}

/// A connection that stands.
struct Link {
    stream: Box<dyn Stream>,
    state: MqttState,
    received: BytesMut,
    /// Kept over a wait that is given up, so that no packet goes out in part.
    unsent: BytesMut,
    ping: Interval,
}

impl Link {
    async fn open(way: &Way, connect: &Connect) -> Result<(Self, ConnAck), MqttError> {
        let opened = route::open(way.world.clone(), way.from, way.host.clone(), way.port).await;
        let stream = opened.map_err(MqttError::NoRoute)?;
        let stream: Box<dyn Stream> = match &way.tls {
            None => Box::new(stream),
            Some(config) => {
                let name = ServerName::try_from(way.host.clone());
                let name = name.map_err(|error| MqttError::Tls(io::Error::other(error)))?;
                let secured = TlsConnector::from(config.clone()).connect(name, stream).await;
                Box::new(secured.map_err(MqttError::Tls)?)
            }
        };
        let every = Duration::from_secs(connect.keep_alive.into());
        let mut ping = interval_at(Instant::now() + every, every);
        // After a long download one ping is due, not all that were missed.
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut link = Self {
            stream,
            state: MqttState::new(MOST_WAITING, false),
            received: BytesMut::new(),
            unsent: BytesMut::new(),
            ping,
        };
        let acknowledged = link.greet(connect).await.map_err(|Over| MqttError::Lost)?;
        match acknowledged.code {
            ConnectReturnCode::Success => {
                // What came together with the answer waits for no more to come.
                link.take_in().map_err(|Over| MqttError::Lost)?;
                Ok((link, acknowledged))
            }
            code => Err(MqttError::Refused(code)),
        }
    }

    async fn greet(&mut self, connect: &Connect) -> Result<ConnAck, Over> {
        connect.write(&mut self.unsent)?;
        self.send().await?;
        loop {
            match Packet::read(&mut self.received, LARGEST_PACKET) {
                Ok(Packet::ConnAck(acknowledged)) => return Ok(acknowledged),
                Ok(_) => return Err(Over),
                Err(mqttbytes::Error::InsufficientBytes(_)) => self.receive().await?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn next(&mut self, waiting: &mut VecDeque<Request>) -> Result<Packet, Over> {
        loop {
            while let Some(event) = self.state.events.pop_front() {
                if let Event::Incoming(packet) = event {
                    return Ok(packet);
                }
            }
            while self.state.inflight() < MOST_WAITING
                && let Some(request) = waiting.pop_front()
            {
                self.hand_over(request)?;
            }
            self.send().await?;
            tokio::select! {
                received = self.stream.read_buf(&mut self.received) => {
                    if received? == 0 {
                        return Err(Over);
                    }
                    self.take_in()?;
                }
                _ = self.ping.tick() => self.hand_over(Request::PingReq(PingReq))?,
            }
        }
    }

    fn hand_over(&mut self, request: Request) -> Result<(), Over> {
        if let Some(packet) = self.state.handle_outgoing_packet(request)? {
            packet.write(&mut self.unsent, usize::MAX)?;
        }
        Ok(())
    }

    /// Hears every packet that is whole, and answers what wants an answer.
    fn take_in(&mut self) -> Result<(), Over> {
        loop {
            match Packet::read(&mut self.received, LARGEST_PACKET) {
                Ok(packet) => {
                    if let Some(answer) = self.state.handle_incoming_packet(packet)? {
                        answer.write(&mut self.unsent, usize::MAX)?;
                    }
                }
                Err(mqttbytes::Error::InsufficientBytes(_)) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn receive(&mut self) -> Result<(), Over> {
        match self.stream.read_buf(&mut self.received).await? {
            0 => Err(Over),
            _ => Ok(()),
        }
    }

    async fn send(&mut self) -> Result<(), Over> {
        while !self.unsent.is_empty() {
            self.stream.write_buf(&mut self.unsent).await?;
        }
        Ok(self.stream.flush().await?)
    }
}

//! The bench's MQTT: one packet at a time over TLS, and no more of the protocol than a probe needs.
//!
//! Must not know access points, and judges nobody.

use std::{io, time::Duration};

use rumqttc::mqttbytes::{
    Error as CodecError, QoS,
    v4::{Connect, ConnectReturnCode, Packet, Publish, Subscribe, SubscribeReasonCode},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout},
};
use tokio_rustls::client::TlsStream;
use tokio_util::bytes::BytesMut;

use super::ProbeError;
use crate::{secret::Secret, tls::HandshakeFailure};

const MAX_PACKET_BYTES: usize = 64 * 1024;
/// Longer than any probe: the broker ends no connection for want of a ping.
const KEEP_ALIVE_S: u16 = 120;

/// What a broker keeps for a client id beyond a connection (MQTT 3.1.1, 3.1.2.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Session {
    /// Nothing: the id is the probe's alone.
    #[default]
    Clean,
    /// What was there before, messages for the unit among it.
    Kept,
}

/// An accepted connection.
pub(super) struct Talk {
    stream: TlsStream<TcpStream>,
    unread: BytesMut,
}

impl Talk {
    pub(super) async fn connect(
        stream: TlsStream<TcpStream>,
        client_id: &str,
        credentials: Option<(&str, &Secret)>,
        session: Session,
    ) -> Result<Self, ProbeError> {
        let mut talk = Self { stream, unread: BytesMut::new() };
        let mut packet = Connect::new(client_id);
        packet.keep_alive = KEEP_ALIVE_S;
        packet.clean_session = session == Session::Clean;
        if let Some((username, password)) = credentials {
            packet.set_login(username, password.expose());
        }
        talk.write(Packet::Connect(packet)).await?;
        let Packet::ConnAck(answer) = talk.read().await? else {
            return Err(ProbeError::Broken("the first packet is not a CONNACK".to_owned()));
        };
        match answer.code {
            ConnectReturnCode::Success => Ok(talk),
            ConnectReturnCode::BadUserNamePassword => Err(ProbeError::BadCredentials),
            ConnectReturnCode::NotAuthorized => Err(ProbeError::NotAuthorized),
            other => Err(ProbeError::Refused { code: other as u8 }),
        }
    }

    pub(super) async fn subscribe(&mut self, topic: &str) -> Result<(), ProbeError> {
        let mut packet = Subscribe::new(topic, QoS::AtMostOnce);
        packet.pkid = 1;
        self.write(Packet::Subscribe(packet)).await?;
        loop {
            if let Packet::SubAck(answer) = self.read().await? {
                let granted = matches!(answer.return_codes[..], [SubscribeReasonCode::Success(_)]);
                return granted
                    .then_some(())
                    .ok_or_else(|| ProbeError::NotGranted { topic: topic.to_owned() });
            }
        }
    }

    /// Waits for that very text on a topic.
    pub(super) async fn hear(&mut self, topic: &str, text: &str) -> Result<(), ProbeError> {
        loop {
            if let Packet::Publish(heard) = self.read().await?
                && heard.topic == topic
                && heard.payload == text.as_bytes()
            {
                return Ok(());
            }
        }
    }

    /// Says nothing for so long. When the broker ended the connection before, after which time.
    pub(super) async fn outlast(&mut self, hold: Duration) -> Option<Duration> {
        let began = Instant::now();
        let ended = async {
            while self.read().await.is_ok() {}
            began.elapsed()
        };
        timeout(hold, ended).await.ok()
    }

    pub(super) async fn say(&mut self, topic: &str, text: &str) -> Result<(), ProbeError> {
        self.write(Packet::Publish(Publish::new(topic, QoS::AtMostOnce, text))).await
    }

    pub(super) async fn leave(mut self) -> Result<(), ProbeError> {
        self.write(Packet::Disconnect).await
    }

    async fn write(&mut self, packet: Packet) -> Result<(), ProbeError> {
        let mut bytes = BytesMut::new();
        packet.write(&mut bytes, MAX_PACKET_BYTES).map_err(broken)?;
        self.stream.write_all(&bytes).await.map_err(broken)?;
        self.stream.flush().await.map_err(broken)
    }

    async fn read(&mut self) -> Result<Packet, ProbeError> {
        loop {
            match Packet::read(&mut self.unread, MAX_PACKET_BYTES) {
                Ok(packet) => return Ok(packet),
                Err(CodecError::InsufficientBytes(_)) => {}
                Err(error) => return Err(broken(error)),
            }
            match self.stream.read_buf(&mut self.unread).await {
                Ok(0) => return Err(ProbeError::Broken("it closed the connection".to_owned())),
                Ok(_) => {}
                // With TLS 1.3 a refused client certificate shows only when the client reads.
                Err(error) => return Err(refused_after_handshake(&error)),
            }
        }
    }
}

fn refused_after_handshake(error: &io::Error) -> ProbeError {
    match HandshakeFailure::of(error) {
        Some(failure @ HandshakeFailure::Alert(_)) => ProbeError::TlsFailed(failure.to_string()),
        _ => broken(error),
    }
}

fn broken(error: impl ToString) -> ProbeError {
    ProbeError::Broken(error.to_string())
}

//! Reads MQTT packets off a stream, the CONNECT first, and writes the answer to it.
//!
//! Must not know accounts or the router. MQTT 3.1.1 only; other versions are answered in their own
//! words. Passwords become a [`Secret`] here and go no further in the clear.

use std::{io, time::Duration};

use rumqttd::protocol::{Error as CodecError, LastWill, Packet, Protocol, v4::V4};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};
use tokio_util::bytes::BytesMut;

use crate::secret::Secret;

/// Larger packets than this are refused; commands and answers of units are far smaller.
const MAX_PACKET_BYTES: usize = 256 * 1024;
/// The same of a CONNECT, which anyone may send and which stays in the log: client id, user name, password
/// and will of a unit take a few hundred bytes.
const MAX_CONNECT_BYTES: usize = 4 * 1024;
/// How long a refused client may take to read why.
const FAREWELL: Duration = Duration::from_secs(2);

/// What a CONNECT says.
pub(super) struct ConnectPacket {
    pub(super) client_id: String,
    pub(super) clean_session: bool,
    pub(super) keep_alive_s: u16,
    pub(super) username: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) will: Option<LastWill>,
}

/// Why no packet could be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error("the client closed the connection")]
    Closed,
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
    #[error("the client speaks MQTT protocol level {}, and this broker speaks 4", .0.map_or("3 or older".to_owned(), |level| level.to_string()))]
    ProtocolLevel(Option<u8>),
    #[error("the first packet is not a CONNECT")]
    NotConnect,
    #[error("malformed packet: {0}")]
    Malformed(CodecError),
}

/// Packets of one client. Reading is cancel safe: what has arrived stays in the buffer.
pub(super) struct PacketReader {
    buffer: BytesMut,
}

impl PacketReader {
    pub(super) fn new() -> Self {
        Self { buffer: BytesMut::with_capacity(4096) }
    }

    pub(super) async fn next(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
    ) -> Result<Packet, ReadError> {
        self.packet(stream, MAX_PACKET_BYTES).await
    }

    async fn packet(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
        most: usize,
    ) -> Result<Packet, ReadError> {
        loop {
            match V4.read_mut(&mut self.buffer, most) {
                Ok(packet) => return Ok(packet),
                Err(CodecError::InsufficientBytes(_)) => {}
                Err(CodecError::InvalidProtocolLevel(level)) => {
                    return Err(ReadError::ProtocolLevel(Some(level)));
                }
                Err(CodecError::InvalidProtocol) => return Err(ReadError::ProtocolLevel(None)),
                Err(error) => return Err(ReadError::Malformed(error)),
            }
            if stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(ReadError::Closed);
            }
        }
    }

    pub(super) async fn connect(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
    ) -> Result<ConnectPacket, ReadError> {
        let packet = self.packet(stream, MAX_CONNECT_BYTES).await?;
        let Packet::Connect(connect, _, will, _, login) = packet else {
            return Err(ReadError::NotConnect);
        };
        let given = |text: String| (!text.is_empty()).then_some(text);
        let (username, password) = login.map_or((None, None), |login| {
            (given(login.username), given(login.password).map(Secret::new))
        });
        Ok(ConnectPacket {
            client_id: connect.client_id,
            clean_session: connect.clean_session,
            keep_alive_s: connect.keep_alive,
            username,
            password,
            will,
        })
    }
}

/// Answers a CONNECT. A code of 0x80 and above is MQTT 5's, whose CONNACK also carries properties.
pub(super) async fn acknowledge(
    stream: &mut (impl AsyncWrite + Unpin),
    session_present: bool,
    code: u8,
) -> io::Result<()> {
    let flags = u8::from(session_present);
    if code < 0x80 {
        stream.write_all(&[0x20, 2, flags, code]).await?;
    } else {
        stream.write_all(&[0x20, 3, flags, code, 0]).await?;
    }
    stream.flush().await
}

/// Writes a packet of the router to the client.
pub(super) async fn write_packet(
    stream: &mut (impl AsyncWrite + Unpin),
    packet: Packet,
) -> Result<(), ReadError> {
    let mut bytes = BytesMut::new();
    V4.write(packet, &mut bytes).map_err(ReadError::Malformed)?;
    stream.write_all(&bytes).await?;
    stream.flush().await?;
    Ok(())
}

/// Closes a refused client's connection once it has read the refusal: closing with bytes of the
/// client still unread would reset the connection, and the client would never learn the reason.
pub(super) async fn close_gently(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    let farewell = async {
        stream.shutdown().await?;
        tokio::io::copy(stream, &mut tokio::io::sink()).await
    };
    // Whatever fails here, the connection is over.
    let _over = timeout(FAREWELL, farewell).await;
}

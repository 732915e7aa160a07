//! A time server that units ask by SNTP (RFC 4330), on a UDP port of loopback.
//!
//! It answers with the testbed's clock. Must not know units.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use time::{Duration, OffsetDateTime};
use tokio::{net::UdpSocket, task::AbortHandle};

use super::{
    event_log::{EventLog, Follower, Stamped},
    fault::TestbedFault,
};
use crate::clock::Clock;

/// Length of a message without authentication.
const MESSAGE: usize = 48;
/// From 1900, where NTP counts from, to 1970, in seconds.
const TO_UNIX: i64 = 2_208_988_800;
/// The modes of a message, its lowest three bits.
const CLIENT: u8 = 3;
const SERVER: u8 = 4;
/// The protocol's versions so far.
const VERSIONS: std::ops::RangeInclusive<u8> = 1..=4;
/// A reference clock of our own.
const STRATUM: u8 = 1;
/// How far a wrong server is off.
const WRONG_BY: Duration = Duration::days(365);
const TRANSMIT: std::ops::Range<usize> = 40..48;

/// One question.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimeAsked {
    /// The station that asked.
    pub peer: Ipv4Addr,
    /// What it was answered; none for a fault, and for what is no question.
    pub answered: Option<OffsetDateTime>,
}

/// A running time server; ends when dropped.
#[derive(Debug)]
pub struct TimeServer {
    address: SocketAddr,
    log: Arc<EventLog<TimeAsked>>,
    task: AbortHandle,
}

impl TimeServer {
    /// Listens on a free UDP port of 127.0.0.1. Needs a tokio runtime.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(clock: Clock, faults: &[TestbedFault]) -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = socket.local_addr()?;
        let log = Arc::new(EventLog::new(clock.clone()));
        let silent = faults.contains(&TestbedFault::TimeServerSilent);
        let wrong = faults.contains(&TestbedFault::TimeServerWrong);
        let task = tokio::spawn({
            let log = Arc::clone(&log);
            async move {
                let mut buffer = [0; 512];
                while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
                    let SocketAddr::V4(from) = peer else { continue };
                    let now = clock.now() - if wrong { WRONG_BY } else { Duration::ZERO };
                    let reply = answer(&buffer[..length], now).filter(|_| !silent);
                    let mut answered = None;
                    if let Some(reply) = reply
                        && socket.send_to(&reply, peer).await.is_ok()
                    {
                        answered = Some(now);
                    }
                    log.record(TimeAsked { peer: *from.ip(), answered });
                }
            }
        });
        Ok(Self { address, log, task: task.abort_handle() })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every question so far.
    pub fn asked(&self) -> Vec<Stamped<TimeAsked>> {
        self.log.all()
    }

    /// A reader of the questions from the first on.
    pub fn follow(&self) -> Follower<TimeAsked> {
        Follower::new(Arc::clone(&self.log))
    }
}

impl Drop for TimeServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The answer to a client's message; `None` when it is none.
fn answer(question: &[u8], now: OffsetDateTime) -> Option<[u8; MESSAGE]> {
    if question.len() < MESSAGE {
        return None;
    }
    let (version, mode) = (question[0] >> 3 & 0b111, question[0] & 0b111);
    if mode != CLIENT || !VERSIONS.contains(&version) {
        return None;
    }
    let stamp = timestamp(now);
    let mut reply = [0; MESSAGE];
    // A client may refuse an answer of another version than its own.
    reply[0] = version << 3 | SERVER;
    reply[1] = STRATUM;
    reply[2] = question[2];
    reply[12..16].copy_from_slice(b"GOLD");
    reply[16..24].copy_from_slice(&stamp);
    // The client's own mark comes back, so that it knows the answer for its own.
    reply[24..32].copy_from_slice(&question[TRANSMIT]);
    reply[32..40].copy_from_slice(&stamp);
    reply[TRANSMIT].copy_from_slice(&stamp);
    Some(reply)
}

/// Seconds since 1900 and their fraction, 32 bits each.
fn timestamp(at: OffsetDateTime) -> [u8; 8] {
    let seconds = u32::try_from((at.unix_timestamp() + TO_UNIX) & 0xFFFF_FFFF).unwrap_or(0);
    let fraction = (u64::from(at.nanosecond()) << 32) / 1_000_000_000;
    let mut stamp = [0; 8];
    stamp[..4].copy_from_slice(&seconds.to_be_bytes());
    stamp[4..].copy_from_slice(&u32::try_from(fraction).unwrap_or(u32::MAX).to_be_bytes());
    stamp
}

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
    caller::{Borrower, Caller, Callers},
    event_log::{EventLog, Follower, Stamped},
    fault::TestbedFault,
    room::{Lent, Rooms},
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
    /// The address that asked.
    pub peer: Ipv4Addr,
    /// Who asked.
    pub caller: Caller,
    /// What it was answered; none for a fault, and for what is no question.
    pub answered: Option<OffsetDateTime>,
}

/// The time server as one run has it, or whoever asks; ends when dropped.
#[derive(Debug)]
pub struct TimeServer {
    entrance: Arc<TimeEntrance>,
    room: Lent<Room>,
}

/// Where the server listens, once for all runs; ends when it and what it lent are dropped.
#[derive(Debug)]
pub struct TimeEntrance {
    address: SocketAddr,
    rooms: Arc<Rooms<Room>>,
    clock: Clock,
    task: AbortHandle,
}

#[derive(Debug)]
struct Room {
    log: Arc<EventLog<TimeAsked>>,
}

impl TimeEntrance {
    /// Listens on a free UDP port of 127.0.0.1. Needs a tokio runtime.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn open(
        clock: Clock,
        faults: &[TestbedFault],
        callers: &Callers,
    ) -> io::Result<Arc<Self>> {
        let guests = Room { log: Arc::new(EventLog::new(clock.clone())) };
        let rooms = Rooms::of_runs_and_guests(Arc::new(guests));
        Self::open_with(clock, faults, callers, rooms).await
    }

    async fn open_with(
        clock: Clock,
        faults: &[TestbedFault],
        callers: &Callers,
        rooms: Arc<Rooms<Room>>,
    ) -> io::Result<Arc<Self>> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = socket.local_addr()?;
        let silent = faults.contains(&TestbedFault::TimeServerSilent);
        let wrong = faults.contains(&TestbedFault::TimeServerWrong);
        let task = tokio::spawn({
            let (rooms, callers, clock) = (Arc::clone(&rooms), callers.clone(), clock.clone());
            async move {
                let mut buffer = [0; 512];
                while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
                    let SocketAddr::V4(from) = peer else { continue };
                    let caller = callers.asks(peer, address);
                    let Some(room) = rooms.enter(caller) else { continue };
                    let now = clock.now() - if wrong { WRONG_BY } else { Duration::ZERO };
                    let reply = answer(&buffer[..length], now).filter(|_| !silent);
                    let answered = reply.map(|_| now);
                    // Before the answer: who has it may ask at once whether it was seen.
                    let asked = TimeAsked { peer: *from.ip(), caller, answered };
                    room.log.append(asked, Some(peer.ip()), 0);
                    if let Some(reply) = reply {
                        // On loopback an answer is lost only with its asker.
                        let _sent = socket.send_to(&reply, peer).await;
                    }
                }
            }
        });
        let task = task.abort_handle();
        Ok(Arc::new(Self { address, rooms, clock, task }))
    }

    /// The server for one run.
    pub fn lend(self: &Arc<Self>, run: Borrower) -> TimeServer {
        let log = Arc::new(EventLog::new(self.clock.clone()));
        let room = self.rooms.lend(run, Room { log });
        TimeServer { entrance: Arc::clone(self), room }
    }
}

impl Drop for TimeEntrance {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl TimeServer {
    /// Listens on a free UDP port of 127.0.0.1, for whoever asks. Needs a tokio runtime.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(clock: Clock, faults: &[TestbedFault]) -> io::Result<Self> {
        let room = Arc::new(Room { log: Arc::new(EventLog::new(clock.clone())) });
        let rooms = Rooms::with_anyone(Arc::clone(&room));
        let entrance = TimeEntrance::open_with(clock, faults, &Callers::default(), rooms).await?;
        Ok(Self { entrance, room: Lent::own(room) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.entrance.address
    }

    /// The questions of those who came over a site's network, and say not who they are.
    pub fn asked_by_visitors(&self) -> Vec<Stamped<TimeAsked>> {
        let visitors = self.entrance.rooms.enter(Caller::Visitor);
        visitors.map(|room| room.log.all()).unwrap_or_default()
    }

    /// Every question so far.
    pub fn asked(&self) -> Vec<Stamped<TimeAsked>> {
        self.room.log.all()
    }

    /// How many questions are not in the log any more; see [`EventLog::dropped`].
    pub fn dropped(&self) -> u64 {
        self.room.log.dropped()
    }

    /// A reader of the questions from the first on.
    pub fn follow(&self) -> Follower<TimeAsked> {
        Follower::new(Arc::clone(&self.room.log))
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

//! The firmware's idea of the time of day, and how it asks a server for it (SNTP, RFC 4330).
//!
//! A chip wakes up in 1970. What a server says counts from the moment of its answer.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;
use tokio::task::spawn_blocking;

use crate::world::World;

const MESSAGE: usize = 48;
/// Version 4, mode 3: client.
const CLIENT: u8 = 0x23;
const SERVER_MODE: u8 = 4;
/// From 1900, where NTP counts from, to 1970.
const TO_UNIX: u64 = 2_208_988_800;
const LIMIT: Duration = Duration::from_secs(2);
/// A mark that only the answer to this question repeats.
const MARK: std::ops::Range<usize> = 40..48;
const ORIGINATE: std::ops::Range<usize> = 24..32;

/// What the clock shows.
#[derive(Debug, Clone, Copy)]
pub(super) enum Clock {
    /// The host's own: firmware that this model gives no time server.
    Host,
    /// A minute past the epoch: nobody set it.
    Unset,
    /// As a server said it.
    Set { unix: Duration, at: Instant },
}

impl Clock {
    /// Since the epoch.
    pub(super) fn now(self) -> Duration {
        match self {
            Self::Host => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            Self::Unset => Duration::from_secs(60),
            Self::Set { unix, at } => unix + at.elapsed(),
        }
    }
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(self.now()))
    }
}

/// Why there is no time.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoTime {
    #[error("couldn't get hostname")]
    Unresolved,
    #[error("no answer: {0}")]
    Silent(#[from] io::Error),
    #[error("an answer that is none")]
    Malformed,
}

/// Asks once.
pub(super) async fn ask(
    world: Arc<dyn World>,
    from: Ipv4Addr,
    server: String,
    port: u16,
) -> Result<Clock, NoTime> {
    let question = question();
    let asked = spawn_blocking(move || {
        let address = match server.parse() {
            Ok(literal) => literal,
            Err(_) => world.resolve(from, &server).ok_or(NoTime::Unresolved)?,
        };
        let to = SocketAddr::new(address, port);
        Ok::<_, NoTime>((world.exchange(from, to, &question, LIMIT)?, question))
    });
    let (answer, question) = asked.await.map_err(|_| NoTime::Malformed)??;
    read(&answer, &question).ok_or(NoTime::Malformed)
}

fn question() -> [u8; MESSAGE] {
    let mut message = [0; MESSAGE];
    message[0] = CLIENT;
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    message[MARK].copy_from_slice(&(nanos as u64).to_be_bytes());
    message
}

fn read(answer: &[u8], question: &[u8; MESSAGE]) -> Option<Clock> {
    let sound = answer.len() >= MESSAGE
        && answer[0] & 0b111 == SERVER_MODE
        && (1..16).contains(&answer[1])
        && answer[ORIGINATE] == question[MARK];
    if !sound {
        return None;
    }
    let seconds = u32::from_be_bytes(answer[40..44].try_into().ok()?);
    let unix = u64::from(seconds).checked_sub(TO_UNIX)?;
    Some(Clock::Set { unix: Duration::from_secs(unix), at: Instant::now() })
}

/// `Sat Nov  9 20:05:30 2024`, as `asctime` writes it.
pub(super) fn asctime(since_epoch: Duration) -> String {
    let seconds = since_epoch.as_secs();
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let weekday = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][(days % 7) as usize];
    let months =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{weekday} {} {day:2} {hour:02}:{minute:02}:{second:02} {year}", months[month])
}

/// Year, month from 0, and day of the month, of a day since the epoch.
fn civil(mut days: u64) -> (u64, usize, u64) {
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    loop {
        let length = if leap(year) { 366 } else { 365 };
        if days < length {
            break;
        }
        days -= length;
        year += 1;
    }
    let february = if leap(year) { 29 } else { 28 };
    let mut month = 0;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_as_the_document_shows_it() {
        assert_eq!(asctime(Duration::from_secs(1_731_182_730)), "Sat Nov  9 20:05:30 2024");
        assert_eq!(asctime(Duration::ZERO), "Thu Jan  1 00:00:00 1970");
        assert_eq!(asctime(Duration::from_secs(951_782_399)), "Mon Feb 28 23:59:59 2000");
        assert_eq!(asctime(Duration::from_secs(951_782_400)), "Tue Feb 29 00:00:00 2000");
    }

    #[test]
    fn an_answer_to_another_question_is_none() {
        let asked = question();
        let mut answer = [0; MESSAGE];
        (answer[0], answer[1]) = (0x24, 1);
        answer[40..44].copy_from_slice(&3_940_000_000_u32.to_be_bytes());
        assert!(read(&answer, &asked).is_none());
        answer[ORIGINATE].copy_from_slice(&asked[MARK]);
        let clock = read(&answer, &asked).expect("an answer");
        assert_eq!(clock.now().as_secs(), 3_940_000_000 - TO_UNIX);
    }
}

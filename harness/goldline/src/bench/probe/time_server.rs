//! Asks for the time by SNTP (RFC 4330) as the unit does, and compares it with the bench's own clock.

use std::ops::Range;

use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::{BenchStation, PlannedNetwork, ProbeError, within};
use crate::clock::{Clock, Deadline};

const SERVICE: &str = "the time server";
/// Both clocks are the bench's; what they may be apart is what an answer takes.
const TOLERANCE: Duration = Duration::minutes(1);
/// Of a message without authentication.
const MESSAGE: usize = 48;
/// Version 4, mode 3.
const CLIENT: u8 = 0x23;
/// The mode of an answer, in the lowest three bits.
const SERVER: u8 = 4;
/// A server that has no time itself says so in the highest two bits, or with one of these strata.
const UNSYNCHRONIZED: u8 = 3;
const STRATA: std::ops::RangeInclusive<u8> = 1..=15;
const ORIGINATE: Range<usize> = 24..32;
const TRANSMIT: Range<usize> = 40..48;
/// From 1900, where NTP counts from, to 1970, in seconds.
const TO_UNIX: i64 = 2_208_988_800;
/// Seconds of an era; the second begins in 2036, when the count starts again (RFC 4330, section 3).
const ERA: i64 = 1 << 32;

/// The unit's question for the time.
#[derive(Clone)]
pub struct TimeProbe<'a> {
    /// The server's name in the plan.
    pub host: &'a str,
    /// Its UDP port.
    pub port: u16,
    /// What time it is.
    pub clock: Clock,
}

/// Asks for the time; the answer must be one to this question, and right.
///
/// # Errors
/// The [`ProbeError`] of the first step that fails.
pub async fn ask_the_time(
    station: &BenchStation,
    network: PlannedNetwork<'_>,
    probe: &TimeProbe<'_>,
    deadline: Deadline,
) -> Result<(), ProbeError> {
    within(deadline, async {
        let joined = station.join(network)?;
        let mark: [u8; 8] = Uuid::new_v4().as_bytes()[..8].try_into().expect("16 bytes hold 8");
        let mut question = vec![0; MESSAGE];
        question[0] = CLIENT;
        question[TRANSMIT].copy_from_slice(&mark);
        let answer = joined.ask(probe.host, probe.port, question, deadline.left()).await?;
        judge(&answer, mark, probe.clock.now())
    })
    .await
}

fn judge(answer: &[u8], mark: [u8; 8], now: OffsetDateTime) -> Result<(), ProbeError> {
    let wrong = |found: &str, expected: String| {
        Err(ProbeError::WrongAnswer { service: SERVICE, found: found.to_owned(), expected })
    };
    if answer.len() < MESSAGE || answer[0] & 0b111 != SERVER || answer[ORIGINATE] != mark {
        return wrong("does not answer the question", "an answer of RFC 4330".to_owned());
    }
    if answer[0] >> 6 == UNSYNCHRONIZED || !STRATA.contains(&answer[1]) {
        return wrong("says that it does not know the time", "the time".to_owned());
    }
    let told = moment(&answer[TRANSMIT]);
    match (told - now.unix_timestamp()).abs() <= TOLERANCE.whole_seconds() {
        true => Ok(()),
        false => wrong(
            &format!("is {} s off", told - now.unix_timestamp()),
            format!("at most {} s", TOLERANCE.whole_seconds()),
        ),
    }
}

/// Seconds since 1970 of a timestamp's first four bytes.
fn moment(stamp: &[u8]) -> i64 {
    let seconds = u32::from_be_bytes(stamp[..4].try_into().expect("a timestamp has eight bytes"));
    let era = if seconds >> 31 == 1 { 0 } else { ERA };
    i64::from(seconds) + era - TO_UNIX
}

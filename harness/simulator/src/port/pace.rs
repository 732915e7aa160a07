//! Time on the wire: a byte takes ten bit times.

use std::time::Duration;

use tokio::time::Instant;

const BITS_PER_BYTE: f64 = 10.0;
/// Timers wake late by about this much; what they lose is caught up.
const TIMER_SLACK: Duration = Duration::from_millis(3);
/// How much of a transfer is handed on at once.
const GRAIN: Duration = Duration::from_millis(2);

/// One direction of a UART.
#[derive(Debug)]
pub(super) struct Pace {
    byte_time: Duration,
    /// When everything that was passed has gone over the wire.
    pub(super) idle_at: Instant,
}

impl Pace {
    pub(super) fn new(baud: u32) -> Self {
        let mut pace = Self { byte_time: Duration::ZERO, idle_at: Instant::now() };
        pace.set_baud(baud);
        pace
    }

    pub(super) fn set_baud(&mut self, baud: u32) {
        self.byte_time = Duration::from_secs_f64(BITS_PER_BYTE / f64::from(baud.max(1)));
    }

    /// Counts bytes that begin to pass now, or behind those before them.
    pub(super) fn pass(&mut self, bytes: usize) {
        if bytes == 0 {
            return;
        }
        let earliest = Instant::now().checked_sub(TIMER_SLACK);
        let start = earliest.map_or(self.idle_at, |earliest| self.idle_at.max(earliest));
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.idle_at = start + self.byte_time.saturating_mul(bytes);
    }

    pub(super) fn is_idle(&self) -> bool {
        Instant::now() >= self.idle_at
    }

    /// Bytes that may leave at once.
    pub(super) fn grain(&self) -> usize {
        let bytes = GRAIN.as_secs_f64() / self.byte_time.as_secs_f64();
        (bytes as usize).max(1)
    }
}

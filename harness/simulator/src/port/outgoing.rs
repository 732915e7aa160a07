//! What the unit sends, on its way to the client: through the UART at its rate, and then over
//! whatever lies behind it.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::pace::Pace;

/// Bytes that a UART takes before who sends must wait. They are lost when the chip is reset.
const FIFO: usize = 128;
/// Bytes that wait for a client which does not read.
const LONGEST_QUEUE: usize = 1 << 20;

/// Bytes that were sent together.
#[derive(Debug)]
struct Piece {
    bytes: VecDeque<u8>,
    /// How much later they arrive than they left.
    late: Duration,
}

/// One direction, from the chip to its client. Bytes never overtake each other.
#[derive(Debug)]
pub(super) struct Outgoing {
    uart: VecDeque<Piece>,
    /// Without it, bytes take no time.
    pace: Option<Pace>,
    /// Bytes that have left the chip, and when they arrive.
    flight: VecDeque<(Instant, VecDeque<u8>)>,
    /// How many those are: a talkative unit has thousands of pieces on the way.
    in_flight: usize,
    /// Whether a reset leaves what was not sent, and whoever sends never waits: no UART is like that,
    /// but what stands between a chip and its client may be.
    keeps_queue: bool,
}

impl Outgoing {
    pub(super) fn new(pace: Option<Pace>, keeps_queue: bool) -> Self {
        Self { uart: VecDeque::new(), pace, flight: VecDeque::new(), in_flight: 0, keeps_queue }
    }

    pub(super) fn set_baud(&mut self, baud: u32) {
        if let Some(pace) = &mut self.pace {
            pace.set_baud(baud);
        }
    }

    /// Takes bytes from the chip; what no client would ever read is lost.
    pub(super) fn push(&mut self, bytes: &[u8], late: Duration) {
        let room = LONGEST_QUEUE.saturating_sub(self.in_uart() + self.in_flight);
        let bytes = bytes[..bytes.len().min(room)].iter().copied().collect();
        self.uart.push_back(Piece { bytes, late });
        self.advance();
    }

    /// Whether the chip can send more without waiting.
    pub(super) fn has_room(&self) -> bool {
        self.pace.is_none() || self.keeps_queue || self.in_uart() < FIFO
    }

    /// Whether all has left the chip.
    pub(super) fn has_left(&self) -> bool {
        self.pace.is_none() || self.keeps_queue || self.uart.is_empty()
    }

    /// Whether all has reached the client.
    pub(super) fn is_drained(&self) -> bool {
        self.uart.is_empty() && self.flight.is_empty()
    }

    /// The chip was reset: its UART is empty, what has left it is not called back.
    pub(super) fn reset(&mut self) {
        if self.pace.is_some() && !self.keeps_queue {
            self.uart.clear();
        }
    }

    pub(super) fn clear(&mut self) {
        self.uart.clear();
        self.flight.clear();
        self.in_flight = 0;
    }

    /// Lets what has had its time leave the UART.
    pub(super) fn advance(&mut self) {
        while let Some(piece) = self.uart.front_mut() {
            let most = match &self.pace {
                Some(pace) if !pace.is_idle() => return,
                Some(pace) => pace.grain(),
                None => piece.bytes.len(),
            };
            let grain: VecDeque<u8> = piece.bytes.drain(..piece.bytes.len().min(most)).collect();
            let left_at = match &mut self.pace {
                Some(pace) => {
                    pace.pass(grain.len());
                    pace.idle_at
                }
                None => Instant::now(),
            };
            let earliest = self.flight.back().map_or(left_at, |(due, _)| *due);
            self.in_flight += grain.len();
            self.flight.push_back((earliest.max(left_at + piece.late), grain));
            if piece.bytes.is_empty() {
                self.uart.pop_front();
            }
        }
    }

    /// Bytes that reach the client now.
    pub(super) fn arriving(&self) -> Option<&[u8]> {
        let (due, bytes) = self.flight.front()?;
        (*due <= Instant::now()).then_some(bytes.as_slices().0)
    }

    /// The client's terminal took so many of [`Outgoing::arriving`].
    pub(super) fn arrived(&mut self, count: usize) {
        if let Some((_, bytes)) = self.flight.front_mut() {
            bytes.drain(..count);
            self.in_flight -= count;
            if bytes.is_empty() {
                self.flight.pop_front();
            }
        }
    }

    /// When something changes by itself.
    pub(super) fn next_event(&self) -> Option<Instant> {
        let now = Instant::now();
        // What is due waits for the client's terminal, and not for time.
        let arrives = self.flight.front().map(|(due, _)| *due).filter(|due| *due > now);
        let leaves = self.pace.as_ref().filter(|_| !self.uart.is_empty()).map(|pace| pace.idle_at);
        arrives.into_iter().chain(leaves).min()
    }

    fn in_uart(&self) -> usize {
        self.uart.iter().map(|piece| piece.bytes.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROM_BAUD: u32 = 115_200;

    fn paced(keeps_queue: bool) -> Outgoing {
        Outgoing::new(Some(Pace::new(ROM_BAUD)), keeps_queue)
    }

    #[test]
    fn a_reset_empties_the_uart_of_a_paced_chip() {
        for (keeps_queue, is_empty) in [(false, true), (true, false)] {
            let mut outgoing = paced(keeps_queue);
            outgoing.push(&[0; 4096], Duration::ZERO);
            assert_eq!(outgoing.has_room(), keeps_queue);
            outgoing.reset();
            assert_eq!(outgoing.uart.is_empty(), is_empty);
            assert!(outgoing.has_room());
        }
    }

    /// Without a pace bytes take no time: nothing waits in the chip.
    #[test]
    fn an_unpaced_chip_has_always_room_and_loses_nothing() {
        let mut outgoing = Outgoing::new(None, false);
        outgoing.push(&[7; 4096], Duration::ZERO);
        outgoing.reset();
        assert!(outgoing.has_room() && outgoing.has_left());
        assert_eq!(outgoing.arriving(), Some(&[7; 4096][..]));
        outgoing.push(&[7; 2 << 20], Duration::ZERO);
        assert_eq!(outgoing.in_flight, LONGEST_QUEUE, "what no client would ever read is lost");
        outgoing.arrived(4096);
        assert_eq!(outgoing.in_flight, LONGEST_QUEUE - 4096);
        outgoing.clear();
        assert_eq!(outgoing.in_flight, 0);
    }

    #[test]
    fn what_is_late_holds_back_what_follows_it() {
        let mut outgoing = Outgoing::new(None, false);
        outgoing.push(b"late", Duration::from_secs(60));
        outgoing.push(b"soon", Duration::ZERO);
        assert_eq!(outgoing.arriving(), None);
        assert_eq!(outgoing.flight[0].0, outgoing.flight[1].0);
    }
}

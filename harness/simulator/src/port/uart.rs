//! The unit's end of its serial port.

use std::future::pending;
use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use tokio::io::unix::AsyncFd;
use tokio::io::{Interest, Ready};
use tokio::time::Instant;

use super::outgoing::Outgoing;
use super::pace::Pace;
use super::pty::Pty;
use super::wire::Wire;

/// A pseudo-terminal that is served.
#[derive(Debug)]
pub(crate) struct Port {
    line: Option<Line>,
    outgoing: Outgoing,
    /// Bytes that are still on the wire, or were put back.
    incoming: Vec<u8>,
    wire: Wire,
    /// Whether no client opened the terminal since it returned: what is sent meanwhile is lost.
    is_unheard: bool,
}

#[derive(Debug)]
struct Line {
    master: AsyncFd<OwnedFd>,
    _slave: OwnedFd,
    opens: Option<OwnedFd>,
}

impl Line {
    fn over(pty: Pty) -> io::Result<Self> {
        #[expect(
            deprecated,
            reason = "its successor is unsafe for types that may swap their descriptor, which an OwnedFd cannot"
        )]
        let master = AsyncFd::new(pty.master)?;
        Ok(Self { master, _slave: pty.slave, opens: pty.opens })
    }

    /// Waits until one of the directions that are asked for is ready, and moves bytes.
    async fn exchange(
        &self,
        reading: Option<&mut [u8]>,
        writing: Option<&[u8]>,
    ) -> Result<Moved, Errno> {
        let interest = match (&reading, &writing) {
            (Some(_), Some(_)) => Interest::READABLE | Interest::WRITABLE,
            (Some(_), None) => Interest::READABLE,
            (None, Some(_)) => Interest::WRITABLE,
            (None, None) => return pending().await,
        };
        let guard = self.master.ready(interest).await;
        let mut guard = guard.map_err(|_| Errno::IO)?;
        let mut moved = Moved::default();
        if let Some(bytes) = writing
            && guard.ready().is_writable()
        {
            match rustix::io::write(self.master.get_ref(), bytes) {
                Ok(count) => moved.written = count,
                Err(Errno::AGAIN) => guard.clear_ready_matching(Ready::WRITABLE),
                Err(error) => return Err(error),
            }
        }
        if let Some(buffer) = reading
            && guard.ready().is_readable()
        {
            match rustix::io::read(self.master.get_ref(), buffer) {
                Ok(0) => return Err(Errno::IO),
                Ok(count) => moved.read = count,
                Err(Errno::AGAIN) => guard.clear_ready_matching(Ready::READABLE),
                Err(error) => return Err(error),
            }
        }
        Ok(moved)
    }
}

/// Bytes that went each way.
#[derive(Debug, Default)]
struct Moved {
    read: usize,
    written: usize,
}

impl Port {
    /// Serves the terminal; must be called inside a runtime. `keeps_queue`: see [`Outgoing`].
    pub(crate) fn serve(pty: Pty, wire: Wire, keeps_queue: bool) -> io::Result<Self> {
        let outgoing = Outgoing::new(wire.pace(), keeps_queue);
        let line = Some(Line::over(pty)?);
        Ok(Self { line, outgoing, incoming: Vec::new(), wire, is_unheard: false })
    }

    /// Serves another terminal instead: clients of the one before see a hang-up, and nothing of what is sent
    /// before one of them opens this one.
    pub(crate) fn replace(&mut self, pty: Pty) -> io::Result<()> {
        self.hang_up();
        self.is_unheard = true;
        self.line = Some(Line::over(pty)?);
        Ok(())
    }

    /// The UART's rate changed.
    pub(crate) fn set_baud(&mut self, baud: u32) {
        self.wire.set_baud(baud);
        self.outgoing.set_baud(baud);
    }

    /// Queues a text that the unit prints; it leaves while [`Port::receive`] waits.
    pub(crate) fn print(&mut self, text: &[u8]) {
        let text = self.wire.disturb_text(text);
        self.send(&text);
    }

    /// Queues an answer of the loader.
    pub(crate) fn answer(&mut self, answer: &[u8]) {
        let answer = self.wire.disturb_answer(answer);
        self.send(&answer);
    }

    fn send(&mut self, bytes: &[u8]) {
        if self.wire.silent || self.line.is_none() || bytes.is_empty() {
            return;
        }
        self.is_unheard &= !self.was_opened();
        if self.is_unheard {
            return;
        }
        let late = self.wire.lateness();
        let bytes = self.wire.disturb_outgoing(bytes);
        self.outgoing.push(&bytes, late);
    }

    /// Whether a program can print more without waiting for the UART.
    pub(crate) fn has_room(&self) -> bool {
        self.line.is_none() || self.outgoing.has_room()
    }

    /// Whether all that was sent has left the chip: who resets himself waits for that.
    pub(crate) fn has_left(&self) -> bool {
        self.line.is_none() || self.outgoing.has_left()
    }

    /// Whether all that was sent has reached the client.
    pub(crate) fn is_drained(&self) -> bool {
        self.outgoing.is_drained()
    }

    /// The chip was reset from outside, in the middle of whatever it sent.
    pub(crate) fn reset_uart(&mut self) {
        self.outgoing.reset();
    }

    /// Lets the next [`Port::receive`] give these bytes once more.
    pub(crate) fn put_back(&mut self, bytes: &[u8]) {
        self.incoming.splice(0..0, bytes.iter().copied());
    }

    /// Whether a client opened the terminal since this was last asked.
    pub(crate) fn was_opened(&self) -> bool {
        let mut events = [0; 1024];
        let Some(opens) = self.line.as_ref().and_then(|line| line.opens.as_ref()) else {
            return false;
        };
        let mut opened = false;
        while rustix::io::read(opens, &mut events).is_ok_and(|count| count > 0) {
            opened = true;
        }
        opened
    }

    /// Ends the terminal: clients see a hang-up, as when the cable is pulled.
    pub(crate) fn hang_up(&mut self) {
        self.line = None;
        self.outgoing.clear();
        self.incoming.clear();
    }

    /// Waits for bytes from the client, and sends what is queued. Gives at least one byte.
    ///
    /// Dropping the future loses nothing.
    pub(crate) async fn receive(&mut self, buffer: &mut [u8]) -> usize {
        loop {
            if let Some(count) = self.step(buffer).await {
                return count;
            }
        }
    }

    /// Waits until bytes came from the client, or something that was sent went on its way.
    ///
    /// Dropping the future loses nothing.
    pub(crate) async fn step(&mut self, buffer: &mut [u8]) -> Option<usize> {
        self.outgoing.advance();
        if let Some(count) = self.arrived(buffer) {
            return Some(count);
        }
        let wake_at = self.next_event();
        let reading = self.incoming.is_empty().then_some(&mut *buffer);
        let Some(line) = &self.line else {
            return pending().await;
        };
        let moved = tokio::select! {
            moved = line.exchange(reading, self.outgoing.arriving()) => moved,
            () = sleep_until(wake_at) => return None,
        };
        match moved {
            Ok(moved) => self.account(&moved, buffer),
            Err(Errno::INTR) => {}
            Err(_) => self.hang_up(),
        }
        self.arrived(buffer)
    }

    fn account(&mut self, moved: &Moved, buffer: &[u8]) {
        if moved.written > 0 {
            self.outgoing.arrived(moved.written);
        }
        if let Some(incoming) = &mut self.wire.incoming {
            incoming.pass(moved.read);
        }
        let bytes = self.wire.disturb_incoming(&buffer[..moved.read]);
        self.incoming.extend(bytes);
    }

    /// Hands over what has come over the wire by now.
    fn arrived(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let passed = self.wire.incoming.as_ref().is_none_or(Pace::is_idle);
        if self.incoming.is_empty() || !passed {
            return None;
        }
        let count = self.incoming.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.incoming[..count]);
        self.incoming.drain(..count);
        Some(count)
    }

    /// When bytes that are on the wire have passed.
    fn next_event(&self) -> Option<Instant> {
        let incoming = self.wire.incoming.as_ref().filter(|_| !self.incoming.is_empty());
        let incoming = incoming.map(|pace| pace.idle_at);
        incoming.into_iter().chain(self.outgoing.next_event()).min()
    }
}

async fn sleep_until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => pending().await,
    }
}

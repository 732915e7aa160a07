//! One TCP connection of the unit's: from the stack's socket to the firmware's.

use std::io;
use std::task::{Context, Poll};

use rustix::net::Shutdown;
use smoltcp::iface::SocketHandle;
use smoltcp::socket::tcp;
use tokio::net::UnixStream;

/// A connection that stands.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) handle: SocketHandle,
    firmware: UnixStream,
    /// The firmware sends no more.
    is_closed: bool,
    /// The peer sends no more, and the firmware knows.
    is_peer_closed: bool,
    /// The firmware closed its end while there was more for it.
    is_gone: bool,
}

impl Relay {
    /// Makes the firmware's end, which is returned.
    pub(super) fn open(handle: SocketHandle) -> io::Result<(Self, std::os::unix::net::UnixStream)> {
        let (firmware, ours) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let ours = UnixStream::from_std(ours)?;
        let relay = Self {
            handle,
            firmware: ours,
            is_closed: false,
            is_peer_closed: false,
            is_gone: false,
        };
        Ok((relay, firmware))
    }

    /// Moves what can be moved; whether anything was.
    pub(super) fn pump(&mut self, socket: &mut tcp::Socket<'_>) -> bool {
        let sent = self.pass_on(socket);
        let received = self.hand_over(socket);
        sent || received
    }

    fn pass_on(&mut self, socket: &mut tcp::Socket<'_>) -> bool {
        let mut moved = false;
        while !self.is_closed && socket.can_send() {
            let firmware = &self.firmware;
            let read = socket.send(|room| match firmware.try_read(room) {
                Ok(count) => (count, Ok(count)),
                Err(error) => (0, Err(error)),
            });
            match read {
                Ok(Ok(0)) => {
                    self.is_closed = true;
                    socket.close();
                }
                Ok(Ok(_)) => {}
                Ok(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => return moved,
                _ => self.reset(socket),
            }
            moved = true;
        }
        moved
    }

    fn hand_over(&mut self, socket: &mut tcp::Socket<'_>) -> bool {
        let mut moved = false;
        while !self.is_gone && socket.can_recv() {
            let firmware = &self.firmware;
            let written = socket.recv(|bytes| match firmware.try_write(bytes) {
                Ok(count) => (count, Ok(())),
                Err(error) => (0, Err(error)),
            });
            match written {
                Ok(Ok(())) => {}
                Ok(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => return moved,
                // The firmware closed its end, as a socket that is closed answers with a reset.
                _ => self.reset(socket),
            }
            moved = true;
        }
        if !socket.may_recv() && !self.is_peer_closed {
            self.is_peer_closed = true;
            // A firmware that left already needs not be told.
            let _ = rustix::net::shutdown(&self.firmware, Shutdown::Write);
            moved = true;
        }
        moved
    }

    fn reset(&mut self, socket: &mut tcp::Socket<'_>) {
        (self.is_closed, self.is_gone) = (true, true);
        socket.abort();
    }

    /// Whether nothing can come or go any more.
    pub(super) fn is_over(&self, socket: &tcp::Socket<'_>) -> bool {
        let ended = matches!(socket.state(), tcp::State::Closed | tcp::State::TimeWait);
        self.is_gone || (ended && !socket.can_recv())
    }

    /// Ready when [`Relay::pump`] has something to do that no frame tells of.
    pub(super) fn poll_ready(&self, socket: &tcp::Socket<'_>, cx: &mut Context<'_>) -> Poll<()> {
        let reads = !self.is_closed && socket.can_send();
        if reads && self.firmware.poll_read_ready(cx).is_ready() {
            return Poll::Ready(());
        }
        match socket.can_recv() && self.firmware.poll_write_ready(cx).is_ready() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}

//! One connection of a stack as a stream of bytes, which notes how it ends.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use smoltcp::socket::tcp::{RecvError, State};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::stack::{SocketId, Stack};
use crate::testbed::network::Closer;

/// The unit's end of a connection. Reads and writes wait until its handshake has ended.
pub(super) struct UnitStream {
    stack: Arc<Stack>,
    id: SocketId,
    pub(super) so_far: SoFar,
}

/// What went over it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct SoFar {
    /// Bytes from the unit.
    pub(super) sent: u64,
    /// Bytes to the unit.
    pub(super) received: u64,
    /// Who closed first.
    pub(super) closed_by: Option<Closer>,
    /// Whether the unit broke it off.
    pub(super) reset: bool,
}

/// What a look at a socket says.
enum Look<T> {
    Wait,
    Done(T),
    End,
    Reset,
}

impl UnitStream {
    pub(super) fn new(stack: Arc<Stack>, id: SocketId) -> Self {
        Self { stack, id, so_far: SoFar::default() }
    }

    /// Breaks it off: the unit gets a reset.
    pub(super) fn abort(&self) {
        self.stack.with(self.id, smoltcp::socket::tcp::Socket::abort);
    }

    fn reset<T>(&mut self) -> Poll<io::Result<T>> {
        self.so_far.reset = true;
        self.so_far.closed_by.get_or_insert(Closer::Station);
        Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
    }
}

impl AsyncRead for UnitStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let look = {
            let mut turning = this.stack.lock();
            turning.socket(this.id).map_or(Look::Reset, |socket| match socket.state() {
                // Reset before its handshake ended.
                State::Listen => Look::Reset,
                State::SynReceived => {
                    socket.register_recv_waker(context.waker());
                    Look::Wait
                }
                _ => match socket.recv_slice(buffer.initialize_unfilled()) {
                    Ok(0) => {
                        socket.register_recv_waker(context.waker());
                        Look::Wait
                    }
                    Ok(length) => Look::Done(length),
                    Err(RecvError::Finished) => Look::End,
                    Err(RecvError::InvalidState) => Look::Reset,
                },
            })
        };
        match look {
            Look::Wait => Poll::Pending,
            Look::Done(length) => {
                buffer.advance(length);
                this.so_far.sent += length as u64;
                // The window is open again.
                this.stack.changed.notify_one();
                Poll::Ready(Ok(()))
            }
            Look::End => {
                this.so_far.closed_by.get_or_insert(Closer::Station);
                Poll::Ready(Ok(()))
            }
            Look::Reset => this.reset(),
        }
    }
}

impl AsyncWrite for UnitStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let look = {
            let mut turning = this.stack.lock();
            turning.socket(this.id).map_or(Look::Reset, |socket| match socket.state() {
                State::SynReceived => {
                    socket.register_send_waker(context.waker());
                    Look::Wait
                }
                _ => match socket.send_slice(bytes) {
                    Ok(0) => {
                        socket.register_send_waker(context.waker());
                        Look::Wait
                    }
                    Ok(length) => Look::Done(length),
                    Err(_) => Look::Reset,
                },
            })
        };
        match look {
            Look::Wait => Poll::Pending,
            Look::Done(length) => {
                this.so_far.received += length as u64;
                this.stack.changed.notify_one();
                Poll::Ready(Ok(length))
            }
            Look::End | Look::Reset => this.reset(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What the socket holds is sent whatever becomes of this.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.so_far.closed_by.get_or_insert(Closer::Service);
        self.stack.with(self.id, smoltcp::socket::tcp::Socket::close);
        Poll::Ready(Ok(()))
    }
}

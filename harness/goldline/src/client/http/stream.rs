//! A stream that remembers how the other side began, to tell TLS from HTTP after a failure.

use std::{
    io,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A record's type and version: 3 bytes.
const REMEMBERED: usize = 3;

/// The stream.
pub(super) struct FirstBytes<S> {
    inner: S,
    first: Arc<OnceLock<Vec<u8>>>,
}

/// What it remembers, readable while the stream is with hyper.
pub(super) struct Remembered(Arc<OnceLock<Vec<u8>>>);

impl<S> FirstBytes<S> {
    pub(super) fn new(inner: S) -> (Self, Remembered) {
        let first = Arc::new(OnceLock::new());
        (Self { inner, first: Arc::clone(&first) }, Remembered(first))
    }
}

impl Remembered {
    /// The start of the first read; empty when nothing came.
    pub(super) fn get(&self) -> &[u8] {
        self.0.get().map_or(&[], Vec::as_slice)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for FirstBytes<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        let read = &buffer.filled()[before..];
        if !read.is_empty() {
            self.first.get_or_init(|| read[..read.len().min(REMEMBERED)].to_vec());
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for FirstBytes<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

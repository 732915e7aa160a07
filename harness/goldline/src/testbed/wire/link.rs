//! Ethernet frames in and out of a unit, whatever carries them.
//!
//! On a stream each frame follows its length as four bytes, big-endian: QEMU's own framing. A TAP gives and
//! takes one frame at a time. Must not look into a frame.

use std::{io, os::fd::OwnedFd, sync::Arc};

use tokio::{
    io::{
        AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, ReadHalf, WriteHalf,
        unix::AsyncFd,
    },
    sync::mpsc,
    task::JoinHandle,
};
use tokio_util::task::AbortOnDropHandle;

/// What one frame of Ethernet holds, without its checksum: 1500 bytes, a header, and the tag of a VLAN.
pub const LONGEST_FRAME: usize = 1518;
/// Frames that wait each way. What a unit does not read waits no further, and is sent again by whoever sent it.
pub(in crate::testbed) const WAITING: usize = 64;

/// The link of one unit. Ends when this is dropped.
#[derive(Debug)]
pub struct FrameLink {
    pub(super) incoming: mpsc::Receiver<Vec<u8>>,
    pub(super) outgoing: mpsc::Sender<Vec<u8>>,
    reader: JoinHandle<LinkEnd>,
    _tasks: Vec<AbortOnDropHandle<()>>,
}

/// Why a link ended.
#[derive(Debug, thiserror::Error)]
pub enum LinkEnd {
    /// The other side closed it.
    #[error("the other side closed it")]
    Closed,
    /// What follows cannot be told apart any more.
    #[error(
        "a frame of {length} bytes was announced, and one has 1 to {LONGEST_FRAME}: the other side does not send each frame behind its length as four bytes, big-endian"
    )]
    Length {
        /// What was announced.
        length: u32,
    },
    /// It broke.
    #[error("{0}")]
    Broken(#[from] io::Error),
    /// The bench ended it.
    #[error("the bench ended it")]
    Bench,
}

impl FrameLink {
    /// Over a stream: a socket pair, a Unix or TCP connection. Needs a tokio runtime.
    pub fn framed(stream: impl AsyncRead + AsyncWrite + Send + 'static) -> Self {
        let (read, write) = tokio::io::split(stream);
        Self::of(|frames| receive(read, frames), |frames| send(write, frames))
    }

    /// Over a TAP, or a packet socket of `SOCK_RAW`. Needs a tokio runtime.
    ///
    /// # Errors
    /// The operating system's own.
    pub fn tap(device: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&device, true)?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe for types that may swap their descriptor, which an OwnedFd cannot"
        )]
        let device = Arc::new(AsyncFd::new(device)?);
        let other = Arc::clone(&device);
        Ok(Self::of(|frames| receive_tap(device, frames), |frames| send_tap(other, frames)))
    }

    fn of<R, W>(
        read: impl FnOnce(mpsc::Sender<Vec<u8>>) -> R,
        write: impl FnOnce(mpsc::Receiver<Vec<u8>>) -> W,
    ) -> Self
    where
        R: Future<Output = LinkEnd> + Send + 'static,
        W: Future<Output = ()> + Send + 'static,
    {
        let (received, incoming) = mpsc::channel(WAITING);
        let (outgoing, to_send) = mpsc::channel(WAITING);
        let reading = read(received);
        let (end, reader) = tokio::sync::oneshot::channel();
        let reading = tokio::spawn(async move {
            let _unasked = end.send(reading.await);
        });
        let reader = tokio::spawn(async move { reader.await.unwrap_or(LinkEnd::Bench) });
        let tasks = [reading, tokio::spawn(write(to_send))];
        let _tasks = tasks.map(AbortOnDropHandle::new).into();
        Self { incoming, outgoing, reader, _tasks }
    }

    /// One of several over the same medium, whose frames somebody tells apart: what comes in for it, and where all of
    /// them send. Needs a tokio runtime.
    pub(in crate::testbed) fn through(
        incoming: mpsc::Receiver<Vec<u8>>,
        outgoing: mpsc::Sender<Vec<u8>>,
    ) -> Self {
        let reader = tokio::spawn(async { LinkEnd::Bench });
        Self { incoming, outgoing, reader, _tasks: Vec::new() }
    }

    /// Why it ended, after its last frame.
    pub(super) async fn end(&mut self) -> LinkEnd {
        (&mut self.reader).await.unwrap_or(LinkEnd::Bench)
    }
}

async fn receive<S: AsyncRead>(stream: ReadHalf<S>, frames: mpsc::Sender<Vec<u8>>) -> LinkEnd {
    let mut stream = BufReader::with_capacity(1 << 16, stream);
    loop {
        let length = match stream.read_u32().await {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return LinkEnd::Closed,
            Err(error) => return error.into(),
        };
        // Judged before anything is set aside for it.
        let fits = usize::try_from(length).ok().filter(|size| (1..=LONGEST_FRAME).contains(size));
        let Some(size) = fits else { return LinkEnd::Length { length } };
        let mut frame = vec![0; size];
        match stream.read_exact(&mut frame).await {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return LinkEnd::Closed,
            Err(error) => return error.into(),
        }
        if frames.send(frame).await.is_err() {
            return LinkEnd::Bench;
        }
    }
}

async fn send<S: AsyncWrite>(mut stream: WriteHalf<S>, mut frames: mpsc::Receiver<Vec<u8>>) {
    let mut bytes = Vec::new();
    while let Some(frame) = frames.recv().await {
        push(&mut bytes, &frame);
        while bytes.len() < 1 << 15
            && let Ok(frame) = frames.try_recv()
        {
            push(&mut bytes, &frame);
        }
        // The reader says why.
        if stream.write_all(&bytes).await.is_err() {
            return;
        }
        bytes.clear();
    }
    let _gone = stream.shutdown().await;
}

fn push(bytes: &mut Vec<u8>, frame: &[u8]) {
    let length = u32::try_from(frame.len()).expect("a frame is short");
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(frame);
}

async fn receive_tap(device: Arc<AsyncFd<OwnedFd>>, frames: mpsc::Sender<Vec<u8>>) -> LinkEnd {
    // Longer frames are cut off, and no such one is looked at.
    let mut buffer = [0; LONGEST_FRAME + 1];
    loop {
        let mut ready = match device.readable().await {
            Ok(ready) => ready,
            Err(error) => return error.into(),
        };
        let read = ready.try_io(|device| Ok(rustix::io::read(device, &mut buffer)?));
        match read {
            Err(_would_block) => {}
            Ok(Err(error)) => return error.into(),
            Ok(Ok(0)) => return LinkEnd::Closed,
            Ok(Ok(length)) if length > LONGEST_FRAME => {}
            Ok(Ok(length)) => {
                if frames.send(buffer[..length].to_vec()).await.is_err() {
                    return LinkEnd::Bench;
                }
            }
        }
    }
}

async fn send_tap(device: Arc<AsyncFd<OwnedFd>>, mut frames: mpsc::Receiver<Vec<u8>>) {
    while let Some(frame) = frames.recv().await {
        loop {
            let Ok(mut ready) = device.writable().await else { return };
            match ready.try_io(|device| Ok(rustix::io::write(device, &frame)?)) {
                Err(_would_block) => {}
                // A frame that is lost is sent again by whoever sent it.
                Ok(_) => break,
            }
        }
    }
}

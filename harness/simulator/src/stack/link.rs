//! Ethernet frames over a TCP connection to the bench: a length of four bytes, big-endian, and the frame, as
//! QEMU's `-nic socket` sends them.
//!
//! The unit connects, and keeps trying for as long as it lives.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

/// Addresses and type.
const SHORTEST_FRAME: usize = 14;
/// With an MTU of 1500 bytes and a VLAN tag.
const LONGEST_FRAME: usize = 1518;
/// Frames that wait for the connection to take them.
const QUEUE: usize = 64;
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What happens on the link.
#[derive(Debug)]
pub(super) enum Event {
    /// It stands; frames go out here.
    Up(mpsc::Sender<Vec<u8>>),
    /// A frame came.
    Frame(Vec<u8>),
    /// It is lost.
    Down,
}

/// Keeps the link up until nobody listens to its events.
pub(super) async fn keep(bench: SocketAddr, events: mpsc::Sender<Event>) {
    let mut pause = FIRST_PAUSE;
    while !events.is_closed() {
        if let Ok(Ok(stream)) = timeout(CONNECT_LIMIT, TcpStream::connect(bench)).await {
            if let Err(error) = carry(stream, &events).await {
                tracing::info!(%error, %bench, "link lost");
            } else {
                // One that takes connections only to close them is not asked in a hurry.
                pause = FIRST_PAUSE;
            }
            if events.send(Event::Down).await.is_err() {
                return;
            }
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Moves frames both ways until either side ends; fine when at least one came.
async fn carry(stream: TcpStream, events: &mpsc::Sender<Event>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (from_bench, to_bench) = stream.into_split();
    let (frames, outgoing) = mpsc::channel(QUEUE);
    if events.send(Event::Up(frames)).await.is_err() {
        return Ok(());
    }
    tokio::select! {
        ended = receive(from_bench, events) => ended,
        ended = send(to_bench, outgoing) => ended,
    }
}

async fn receive(stream: OwnedReadHalf, events: &mpsc::Sender<Event>) -> io::Result<()> {
    let mut stream = BufReader::with_capacity(0x1_0000, stream);
    let mut came = false;
    loop {
        let frame = match read_frame(&mut stream).await {
            Err(_) if came => return Ok(()),
            frame => frame?,
        };
        came = true;
        if events.send(Event::Frame(frame)).await.is_err() {
            // What the unit still says is the other half's; it ends when all is said.
            std::future::pending::<()>().await;
        }
    }
}

async fn read_frame(stream: &mut (impl AsyncReadExt + Unpin)) -> io::Result<Vec<u8>> {
    let length = stream.read_u32().await?;
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if !(SHORTEST_FRAME..=LONGEST_FRAME).contains(&length) {
        let text = format!(
            "a frame of {length} bytes: expected {SHORTEST_FRAME} to {LONGEST_FRAME}; whoever listens there speaks another protocol"
        );
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    let mut frame = vec![0; length];
    stream.read_exact(&mut frame).await?;
    Ok(frame)
}

async fn send(mut stream: OwnedWriteHalf, mut frames: mpsc::Receiver<Vec<u8>>) -> io::Result<()> {
    let (mut waiting, mut bytes) = (Vec::new(), Vec::new());
    while frames.recv_many(&mut waiting, QUEUE).await > 0 {
        bytes.clear();
        for frame in waiting.drain(..) {
            bytes.extend(u32::try_from(frame.len()).unwrap_or_default().to_be_bytes());
            bytes.extend(frame);
        }
        stream.write_all(&bytes).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_length_that_no_frame_has_ends_the_link_before_anything_is_kept() {
        for length in [0_u32, 13, 1519, u32::MAX] {
            let bytes = [&length.to_be_bytes()[..], &[0; 64]].concat();
            let refused = read_frame(&mut bytes.as_slice()).await.expect_err("no frame");
            assert_eq!(refused.kind(), io::ErrorKind::InvalidData, "{length}");
        }
        let frame = [&60_u32.to_be_bytes()[..], &[7; 60]].concat();
        assert_eq!(read_frame(&mut frame.as_slice()).await.expect("a frame"), [7; 60]);
    }

    #[tokio::test]
    async fn half_a_frame_is_none() {
        let bytes = [&60_u32.to_be_bytes()[..], &[7; 59]].concat();
        let ended = read_frame(&mut bytes.as_slice()).await.expect_err("half a frame");
        assert_eq!(ended.kind(), io::ErrorKind::UnexpectedEof);
    }
}

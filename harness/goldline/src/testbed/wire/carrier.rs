//! One connection of a unit, carried to the service that it is for.
//!
//! The unit's SYN is answered when the service has taken the connection, and reset when nothing listens there:
//! a unit never believes in a connection that there is not.

use std::{
    net::{SocketAddr, TcpStream},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::copy_bidirectional_with_sizes,
    sync::{Semaphore, oneshot},
    task::spawn_blocking,
    time::Instant,
};

use super::{
    Loss,
    frame::Ends,
    stack::{SocketId, Stack},
    stream::{SoFar, UnitStream},
};
use crate::testbed::network::{Closer, Network, NetworkEvent, Party, Segment};

/// What is read at once each way.
const PIECE: usize = 16 << 10;
/// Connections that the services still believe in.
const MOST_KEPT: usize = 256;

/// A connection that waits for its service.
pub(super) struct Connection {
    pub(super) ends: Ends,
    pub(super) id: SocketId,
    pub(super) stack: Arc<Stack>,
    pub(super) segment: Arc<Segment>,
    /// How many of a unit ask their services at once.
    pub(super) turn: Arc<Semaphore>,
    pub(super) kept: Kept,
}

/// The services' ends of what a unit that went silent had open. Cheap to clone: all clones are one.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept(Arc<Mutex<Vec<tokio::net::TcpStream>>>);

impl Kept {
    fn keep(&self, service: tokio::net::TcpStream) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST_KEPT {
            kept.remove(0);
        }
        kept.push(service);
    }
}

impl Connection {
    /// Until it ends, or is cut.
    pub(super) async fn carry(self, mut cut: oneshot::Receiver<Loss>) {
        let opened = tokio::select! {
            opened = self.open() => opened,
            _lost = &mut cut => None,
        };
        let Some(mut service) = opened else {
            self.stack.with(self.id, smoltcp::socket::tcp::Socket::abort);
            return;
        };
        let began = Instant::now();
        self.stack.with(self.id, |socket| socket.pause_synack(false));
        let mut unit = UnitStream::new(Arc::clone(&self.stack), self.id);
        let (closer, reset) = tokio::select! {
            // Looked at first: whoever cuts it takes its socket away with it.
            biased;
            loss = &mut cut => {
                match loss.unwrap_or_default() {
                    Loss::Reset => drop(service.set_zero_linger()),
                    Loss::Silence => self.kept.keep(service),
                }
                (Closer::Bench, true)
            }
            ended = copy_bidirectional_with_sizes(&mut unit, &mut service, PIECE, PIECE) => {
                let SoFar { closed_by, reset, .. } = unit.so_far;
                match ended {
                    Ok(_) => (closed_by.unwrap_or(Closer::Service), false),
                    // Usual behind MQTT's DISCONNECT, which a unit does not wait for the end of.
                    Err(_) if reset => {
                        // It hears of a reset what it would hear of one on the wire.
                        let _deaf = service.set_zero_linger();
                        (Closer::Station, true)
                    }
                    Err(_) => {
                        unit.abort();
                        (Closer::Service, true)
                    }
                }
            }
        };
        let SoFar { sent, received, .. } = unit.so_far;
        self.segment.record(NetworkEvent::Closed {
            from: *self.ends.unit.ip(),
            to: self.ends.to.into(),
            sent,
            received,
            by: closer,
            reset,
            lasted: began.elapsed(),
        });
    }

    async fn open(&self) -> Option<tokio::net::TcpStream> {
        let _turn = self.turn.acquire().await.ok()?;
        let (segment, from, to) = (Arc::clone(&self.segment), *self.ends.unit.ip(), self.ends.to);
        let opened =
            spawn_blocking(move || segment.connect(from, SocketAddr::V4(to), Party::Unit)).await;
        let service: TcpStream = opened.ok()?.ok()?;
        // Only a matter of speed.
        let _nodelay = service.set_nodelay(true);
        service.set_nonblocking(true).ok()?;
        tokio::net::TcpStream::from_std(service).ok()
    }
}

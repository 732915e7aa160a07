//! The way of a unit to a broker that is already there: its bytes are passed on, and never read but for
//! the name that its TLS hello asks for.
//!
//! TLS is the unit's and the broker's own, from end to end. What is seen here: that a unit came, which name
//! it asked for, and who broke off.

use std::{sync::Arc, time::Duration};

use rustls::server::Acceptor;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt, copy},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    OpenConnections,
    facts::{Ending, Happening},
    front::{ACCEPT_PAUSE, MOST_CLIENTS, MOST_CLIENTS_OF_ADDRESS},
    log::{BrokerLog, Closing},
};
use crate::{
    profile::Endpoint,
    testbed::{
        caller::{Callers, Who},
        doors::{Doors, Place},
    },
};

/// A hello is far smaller; what is larger is passed on without being understood.
const LARGEST_HELLO: usize = 16 * 1024;
/// How long the hello may take; a unit sends it at once.
const HELLO_LIMIT: Duration = Duration::from_secs(10);

/// What every connection needs.
#[derive(Clone)]
pub(super) struct Relay {
    pub(super) upstream: Endpoint,
    pub(super) log: Arc<BrokerLog>,
    pub(super) callers: Callers,
    pub(super) open: OpenConnections,
}

impl Relay {
    /// Accepts until cancelled; the listener closes with it.
    pub(super) async fn accept(
        self,
        listener: TcpListener,
        ended: CancellationToken,
        clients: TaskTracker,
    ) {
        let doors = Doors::new(MOST_CLIENTS, MOST_CLIENTS_OF_ADDRESS);
        loop {
            let accepted = tokio::select! {
                () = ended.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let Ok(own) = stream.local_addr() else { continue };
                    let who = Who { peer, caller: self.callers.claim(peer, own) };
                    // The way is the bench's and its unit's: it leads no stranger to somebody's broker.
                    if who.caller.borrower().is_none() {
                        continue;
                    }
                    if !doors.make_room(peer.ip()) {
                        tracing::warn!(%peer, "the way to the broker is full");
                        continue;
                    }
                    let number = self.log.open(who);
                    doors.admit(&who, |place| {
                        let relayed = self.clone().until_ended(stream, number, place);
                        clients.spawn(relayed).abort_handle()
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the way to the broker cannot take a connection");
                    doors.put_out(None);
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn until_ended(self, unit: TcpStream, number: usize, place: Place) {
        let mut closing = Closing::of(Arc::clone(&self.log), number);
        let ender = self.open.add(number);
        closing.ending = tokio::select! {
            ending = self.pass(unit, number, &place) => ending,
            () = ender.cancelled() => Ending::TakenOver,
        };
    }

    async fn pass(&self, mut unit: TcpStream, number: usize, place: &Place) -> Ending {
        // Before the broker is asked: who says nothing must not hold one of its connections.
        let Ok((hello, name)) = timeout(HELLO_LIMIT, read_hello(&mut unit)).await else {
            return Ending::NoConnect;
        };
        if hello.is_empty() {
            return Ending::Dropped;
        }
        place.keep();
        let upstream = (self.upstream.at().canonical(), self.upstream.port());
        let Ok(mut broker) = TcpStream::connect(upstream).await else {
            return Ending::ClosedByBroker;
        };
        // Only a matter of speed.
        let _nodelay = (unit.set_nodelay(true), broker.set_nodelay(true));
        self.log.record(number, Happening::Greeted(name));
        if broker.write_all(&hello).await.is_err() {
            return Ending::ClosedByBroker;
        }
        let (mut from_unit, mut to_unit) = unit.split();
        let (mut from_broker, mut to_broker) = broker.split();
        tokio::select! {
            // What the broker said last still reaches the unit.
            _ = copy(&mut from_broker, &mut to_unit) => Ending::ClosedByBroker,
            _ = copy(&mut from_unit, &mut to_broker) => Ending::Dropped,
        }
    }
}

/// Reads up to the end of the TLS hello, and the server name in it.
async fn read_hello(unit: &mut (impl AsyncRead + Unpin)) -> (Vec<u8>, Option<String>) {
    let mut acceptor = Acceptor::default();
    let mut hello = Vec::new();
    let mut chunk = [0; 4096];
    while hello.len() < LARGEST_HELLO {
        let read = match unit.read(&mut chunk).await {
            Ok(0) | Err(_) => break,
            Ok(read) => read,
        };
        hello.extend_from_slice(&chunk[..read]);
        let mut rest = &chunk[..read];
        while !rest.is_empty() && acceptor.read_tls(&mut rest).is_ok_and(|taken| taken > 0) {}
        match acceptor.accept() {
            Ok(Some(accepted)) => {
                let name = accepted.client_hello().server_name().map(str::to_owned);
                return (hello, name);
            }
            Ok(None) => {}
            Err(_) => break,
        }
    }
    (hello, None)
}

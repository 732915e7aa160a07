//! Where callers of an HTTP service come in, with TLS and without: one entrance for all runs, and behind it
//! the room of the run that a caller belongs to.
//!
//! Must not know what is served.

use std::{net::SocketAddr, sync::Arc};

use hyper::StatusCode;

use super::{
    authority::Issued,
    caller::{Borrower, Caller, Callers},
    closed_port::ClosedPort,
    http_server::{Answer, Call, Gate, Handler, HttpServer, HttpServerError, Limits},
    room::{Lent, Rooms},
};

/// What answers in a room.
pub(super) trait Answers: Send + Sync + 'static {
    /// Answers a request; must not block.
    fn answer(&self, call: &Call) -> Answer;
}

/// The entrance of a service; ends when dropped.
#[derive(Debug)]
pub(super) struct Entrance<R> {
    plain: Option<HttpServer>,
    secure: HttpServer,
    /// In place of its own addresses, for a service that is down.
    closed: Option<ClosedPort>,
    rooms: Arc<Rooms<R>>,
}

/// Which ports a service has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sides {
    /// One with TLS and one without.
    Both,
    /// One with TLS.
    Secure,
}

impl<R: Answers> Entrance<R> {
    /// Listens on free ports of 127.0.0.1. Needs a tokio runtime.
    pub(super) async fn open(
        certificate: &Issued,
        sides: Sides,
        down: bool,
        callers: &Callers,
        rooms: Arc<Rooms<R>>,
    ) -> Result<Arc<Self>, HttpServerError> {
        let handler: Handler = {
            let rooms = Arc::clone(&rooms);
            Arc::new(move |call: &Call| match rooms.enter(call.who.caller) {
                Some(room) => room.answer(call),
                None => Answer::status(StatusCode::FORBIDDEN),
            })
        };
        let gate = {
            let rooms = Arc::clone(&rooms);
            // A guest hears that nothing is here for it, behind a certificate that it can look at.
            Gate::new(callers.clone(), move |caller| {
                caller == Caller::Guest || rooms.enter(caller).is_some()
            })
        };
        let limits = Limits::default();
        let plain = match sides {
            Sides::Both => {
                Some(HttpServer::plain(limits, gate.clone(), Arc::clone(&handler)).await?)
            }
            Sides::Secure => None,
        };
        let secure = HttpServer::secure(certificate, limits, gate, handler).await?;
        let closed = down.then(ClosedPort::reserve).transpose()?;
        Ok(Arc::new(Self { plain, secure, closed, rooms }))
    }

    /// Gives a run a room of its own.
    pub(super) fn lend(&self, run: Borrower, room: R) -> Lent<R> {
        self.rooms.lend(run, room)
    }
}

impl<R> Entrance<R> {
    /// Where it listens without TLS, if it does; for a service that is down, where nothing does.
    pub(super) fn address(&self) -> SocketAddr {
        let own = self.plain.as_ref().map_or(self.secure.address(), HttpServer::address);
        self.closed.as_ref().map_or(own, ClosedPort::address)
    }

    /// Where it listens with TLS; for a service that is down, where nothing does.
    pub(super) fn secure_address(&self) -> SocketAddr {
        self.closed.as_ref().map_or(self.secure.address(), ClosedPort::address)
    }
}

//! Where callers of an HTTP service come in, with TLS and without: one entrance for all runs, and behind it
//! the room of the run that a caller belongs to.
//!
//! Must not know what is served.

use std::{net::SocketAddr, sync::Arc};

use hyper::StatusCode;

use super::{
    authority::Issued,
    caller::{Borrower, Caller, Callers, Visit, Who},
    closed_port::ClosedPort,
    http_server::{Answer, Call, Gate, Handler, HttpServer, HttpServerError, Limits},
    reception::Reception,
    room::{Lent, Rooms},
};

/// What answers in a room.
pub(super) trait Answers: Send + Sync + 'static {
    /// Answers a request; must not block.
    fn answer(&self, call: &Call) -> Answer;

    /// Whether a request of a visitor says what only this run's unit was given.
    fn is_of_its_unit(&self, _: &Call) -> bool {
        false
    }
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
        (callers, reception): (&Callers, &Reception),
        rooms: Arc<Rooms<R>>,
    ) -> Result<Arc<Self>, HttpServerError> {
        let handler: Handler = {
            let (rooms, reception) = (Arc::clone(&rooms), reception.clone());
            Arc::new(move |call: &Call| match (call.visit, rooms.enter(call.who.caller)) {
                (None, Some(room)) => room.answer(call),
                (None, None) => Answer::status(StatusCode::FORBIDDEN),
                (Some(visit), _) => receive(call, visit, &rooms, &reception),
            })
        };
        let gate = {
            let rooms = Arc::clone(&rooms);
            // A guest hears that nothing is here for it, behind a certificate that it can look at; a visitor has still
            // to say who it is.
            Gate::new(callers.clone(), move |caller| {
                matches!(caller, Caller::Guest | Caller::Visitor) || rooms.enter(caller).is_some()
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

/// Answers a visitor in the room of the run whose unit it is, if there is one and no other.
fn receive<R: Answers>(
    call: &Call,
    visit: Visit,
    rooms: &Rooms<R>,
    reception: &Reception,
) -> Answer {
    let mut found = rooms.that(|room| room.is_of_its_unit(call)).into_iter();
    match (found.next(), found.next()) {
        (Some((run, room)), None) => {
            reception.came(run, visit);
            let who = Who { caller: Caller::Unit(run), ..call.who };
            let (head, body) = (call.head.clone(), call.body.clone());
            room.answer(&Call { who, visit: Some(visit), head, body })
        }
        _ => {
            reception.turned_away(visit, "its request says nothing that only one unit was given");
            Answer::status(StatusCode::FORBIDDEN)
        }
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

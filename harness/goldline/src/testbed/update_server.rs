//! Firmware images for over-the-air updates, by HTTPS on loopback.
//!
//! Each image has a path that nobody guesses. Must not know who is told of it.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, PoisonError, RwLock},
};

use hyper::{Method, StatusCode, body::Bytes};
use uuid::Uuid;

use super::{
    authority::Issued,
    caller::{Borrower, Callers},
    entrance::{Answers, Entrance, Sides},
    event_log::{EventLog, Follower, Heard, Stamped},
    fault::TestbedFault,
    http_server::{Answer, Call, HttpServerError},
    reception::Reception,
    room::{Lent, Rooms},
};
use crate::clock::Clock;

/// An image was asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Download {
    /// Its path.
    pub path: String,
}

/// Where the server listens, once for all runs; ends when it and what it lent are dropped.
#[derive(Clone)]
pub struct UpdateEntrance {
    entrance: Arc<Entrance<Room>>,
    damages: bool,
    clock: Clock,
}

/// The server as one run has it, or whoever calls; ends when dropped.
pub struct UpdateServer {
    entrance: Arc<Entrance<Room>>,
    room: Lent<Room>,
}

/// What one run offers.
struct Room {
    damages: bool,
    /// By their paths.
    images: RwLock<BTreeMap<String, Bytes>>,
    log: Arc<EventLog<Heard<Download>>>,
}

impl std::fmt::Debug for UpdateServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UpdateServer").field("address", &self.address()).finish_non_exhaustive()
    }
}

impl UpdateEntrance {
    /// Listens on a free port of 127.0.0.1. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`HttpServerError`].
    pub async fn open(
        certificate: &Issued,
        faults: &[TestbedFault],
        announced: (&Callers, &Reception),
        clock: Clock,
    ) -> Result<Self, HttpServerError> {
        let down = faults.contains(&TestbedFault::UpdateServerDown);
        let damages = faults.contains(&TestbedFault::UpdateServerDamaged);
        let rooms = Rooms::of_runs();
        let entrance = Entrance::open(certificate, Sides::Secure, down, announced, rooms).await?;
        Ok(Self { entrance, damages, clock })
    }

    /// The server for one run.
    pub fn lend(&self, run: Borrower) -> UpdateServer {
        let room = self.entrance.lend(run, Room::new(self.damages, self.clock.clone()));
        UpdateServer { entrance: Arc::clone(&self.entrance), room }
    }
}

impl UpdateServer {
    /// Listens on a free port of 127.0.0.1, for whoever calls. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`HttpServerError`].
    pub async fn start(
        certificate: &Issued,
        faults: &[TestbedFault],
        clock: Clock,
    ) -> Result<Self, HttpServerError> {
        let down = faults.contains(&TestbedFault::UpdateServerDown);
        let damages = faults.contains(&TestbedFault::UpdateServerDamaged);
        let room = Arc::new(Room::new(damages, clock));
        let (rooms, callers) = (Rooms::with_anyone(Arc::clone(&room)), Callers::default());
        let entrance = Entrance::open(
            certificate,
            Sides::Secure,
            down,
            (&callers, &Reception::default()),
            rooms,
        )
        .await?;
        Ok(Self { entrance, room: Lent::own(room) })
    }

    /// Where it listens, with TLS; with the fault `update_server.down`, where nothing does.
    pub fn address(&self) -> SocketAddr {
        self.entrance.secure_address()
    }

    /// Offers an image from now on; its path.
    pub fn publish(&self, mut image: Vec<u8>) -> String {
        if self.room.damages
            && let Some(last) = image.last_mut()
        {
            *last ^= 1;
        }
        let place = format!("/{}.bin", Uuid::new_v4().simple());
        let mut images = self.room.images.write().unwrap_or_else(PoisonError::into_inner);
        images.insert(place.clone(), image.into());
        place
    }

    /// How many downloads are not in the log any more; see [`EventLog::dropped`].
    pub fn dropped(&self) -> u64 {
        self.room.log.dropped()
    }

    /// Every download so far.
    pub fn downloads(&self) -> Vec<Stamped<Heard<Download>>> {
        self.room.log.all()
    }

    /// A reader of the downloads from the first on.
    pub fn follow(&self) -> Follower<Heard<Download>> {
        Follower::new(Arc::clone(&self.room.log))
    }
}

impl Room {
    fn new(damages: bool, clock: Clock) -> Self {
        Self { damages, images: RwLock::default(), log: Arc::new(EventLog::new(clock)) }
    }
}

impl Answers for Room {
    fn answer(&self, call: &Call) -> Answer {
        let images = self.images.read().unwrap_or_else(PoisonError::into_inner);
        let asked = images.get(call.path()).filter(|_| call.head.method == Method::GET);
        let Some(image) = asked else { return Answer::status(StatusCode::NOT_FOUND) };
        let path = call.path().to_owned();
        let bytes = path.len();
        self.log.hear(call.who, Download { path }, bytes);
        Answer::content(StatusCode::OK, "application/octet-stream", image.clone())
    }

    /// Nobody but the unit that was told it knows the path of an image.
    fn is_of_its_unit(&self, call: &Call) -> bool {
        let images = self.images.read().unwrap_or_else(PoisonError::into_inner);
        images.contains_key(call.path())
    }
}

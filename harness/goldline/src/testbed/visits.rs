//! The bench in a unit's own network, by a radio of this machine: a program of the jig's joins it, and what is said
//! there goes out over the interface that it joined with, and no other.
//!
//! Several units have the same name for their networks, so that each is joined by its access point's own address. One
//! visit at a time: an interface is in one network. Must not know what a unit serves there.

use std::{
    fmt, io,
    net::{SocketAddr, SocketAddrV4},
    os::unix::net::UnixListener,
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::{TcpSocket, TcpStream},
    sync::{Mutex, OwnedMutexGuard},
};

use super::nic::{NoNic, be_alone};
use crate::{
    identity::Mac,
    process::{Program, ProgramError, Unusable},
    profile::Visiting,
    secret::Secret,
};

/// The bench cannot visit units.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum NoVisits {
    #[error("[portal] has no program: {0}")]
    Program(#[from] Unusable),
    #[error("[portal] interface: there is no interface \"{interface}\"")]
    NoInterface { interface: String },
    #[error(transparent)]
    InUse(#[from] NoNic),
}

impl NoVisits {
    /// What to do about it.
    pub fn action(&self) -> Option<String> {
        match self {
            Self::Program(_) => Some("correct it in [portal] of the station file".to_owned()),
            Self::NoInterface { .. } => Some(
                "name the interface that the program of `join` joins with; ip link lists those of this machine"
                    .to_owned(),
            ),
            Self::InUse(error) => error.action(),
        }
    }
}

/// Who goes into units' networks.
#[derive(Debug)]
pub struct Visitor {
    how: Visiting,
    turn: Arc<Mutex<()>>,
    /// No second bench has the interface as long as this is bound.
    _alone: UnixListener,
}

/// A stay in a unit's network. It is left when this is dropped.
pub struct Visit {
    interface: String,
    leave: Option<Program>,
    within: Duration,
    turn: Option<OwnedMutexGuard<()>>,
}

impl fmt::Debug for Visit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visit").field("interface", &self.interface).finish_non_exhaustive()
    }
}

impl Visitor {
    /// Has the interface for this bench.
    ///
    /// # Errors
    /// [`NoVisits`] when a program or the interface is missing, or another bench has it.
    pub fn new(how: &Visiting) -> Result<Self, NoVisits> {
        how.programs().try_for_each(Program::refuse_unusable)?;
        let interface = &how.interface;
        if !pnet_datalink::interfaces().iter().any(|found| found.name == *interface) {
            return Err(NoVisits::NoInterface { interface: interface.clone() });
        }
        let alone = be_alone(interface)?;
        Ok(Self { how: how.clone(), turn: Arc::default(), _alone: alone })
    }

    /// Waits until nobody else is on a visit. What is waited for then is no measurement of a unit.
    pub async fn turn(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.turn).lock_owned().await
    }

    /// Joins the network of that name whose access point has that address.
    ///
    /// # Errors
    /// [`ProgramError`], with the program's last words.
    pub async fn join(
        &self,
        turn: OwnedMutexGuard<()>,
        (ssid, bssid): (&str, Mac),
        passphrase: &Secret,
        given_up: impl Fn() -> bool + Send + 'static,
    ) -> Result<Visit, ProgramError> {
        let Visiting { join, leave, interface, within } = self.how.clone();
        // Left also where it was joined by half.
        let visit = Visit { interface, leave, within, turn: Some(turn) };
        let mut program = join;
        program.arguments.extend([ssid.to_owned(), bssid.to_string()]);
        let told = Secret::new(format!("{}\n", passphrase.expose()));
        let named = program.to_string();
        let ran = tokio::task::spawn_blocking(move || {
            program.run(told.expose().as_bytes(), within, given_up)
        });
        let ran = ran.await.unwrap_or_else(|panic| {
            Err(ProgramError::NotRun { program: named, error: io::Error::other(panic) })
        });
        match ran {
            Ok(_) => Ok(visit),
            Err(error) => {
                visit.leave().await;
                Err(error)
            }
        }
    }
}

impl Visit {
    /// Leaves it. What fails is only told: the next visit joins anew.
    pub async fn leave(mut self) {
        let Some(leaving) = self.leaving() else { return };
        // It breaks down nowhere.
        let _left = tokio::task::spawn_blocking(leaving).await;
    }

    /// What leaves it, once; nobody else goes anywhere before that has ended. Blocks.
    fn leaving(&mut self) -> Option<impl FnOnce() + Send + use<>> {
        let (leave, turn, within) = (self.leave.take()?, self.turn.take(), self.within);
        Some(move || {
            if let Err(error) = leave.run(&[], within, || false) {
                tracing::warn!("a unit's own network was not left: {error}");
            }
            drop(turn);
        })
    }

    /// Connects to where the unit serves, over the interface that joined.
    ///
    /// # Errors
    /// The operating system's.
    pub async fn connect(&self, to: SocketAddrV4) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind_device(Some(self.interface.as_bytes()))?;
        match tokio::time::timeout(self.within, socket.connect(SocketAddr::V4(to))).await {
            Ok(connected) => connected,
            Err(_elapsed) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        // Only where a wait was broken off.
        if let Some(leaving) = self.leaving() {
            std::thread::spawn(leaving);
        }
    }
}

//! The access point behind an interface of the bench, as hostapd tells of it at its control socket: the witness from the
//! other end of a unit's radio.
//!
//! ```text
//! hostapd ── /run/hostapd/wlan1 ┬ events: who was admitted, left, or showed a wrong passphrase
//!                               └ questions: what a station is now, and how strong it is heard
//! ```
//!
//! - `socket`: the datagrams;
//! - `words`: what is said in them.
//!
//! Only asks, and changes nothing: no command that sets anything is sent. Must not judge. That hostapd is gone, hangs or
//! serves nobody is its own fault, and no station's.

mod socket;
mod words;

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    net::UnixDatagram,
    sync::{Notify, watch},
    task::AbortHandle,
    time::{Instant, sleep, timeout},
};

pub use words::Standing;

use super::event_log::{EventLog, Follower, Stamped};
use crate::{clock::Clock, identity::Mac};
use socket::{ANSWERS_WITHIN, Door, LONGEST, Line};
use words::{Bss, Word};

/// How long nothing may be said before hostapd is asked whether it is there.
const QUIET: Duration = Duration::from_secs(1);
/// How often one that is gone is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What hostapd saw of a station.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sight {
    /// It may send and receive: it knew the passphrase.
    Admitted,
    /// It is gone.
    Left,
    /// In the four-way handshake it showed that it has another passphrase.
    WrongPassphrase,
    /// It was refused by 802.1X.
    WrongCredentials,
}

/// One sight of a station.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seen {
    /// Which station.
    pub station: Mac,
    /// What of it.
    pub sight: Sight,
}

/// hostapd is no witness.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum NoHostapd {
    #[error("nobody is there")]
    Absent,
    #[error("this user must not speak with it")]
    NotAllowed,
    #[error("it did not answer within {} s", .within.as_secs())]
    Silent { within: Duration },
    #[error("who answers there is no hostapd")]
    Stranger,
    #[error("it serves nobody yet: its state is {state}, expected ENABLED")]
    NotEnabled { state: String },
    #[error("it serves {}, expected {interface}", listed(.found))]
    OtherInterface { found: Vec<String>, interface: String },
    #[error("it serves the network {found}, and units are to join {planned}")]
    OtherNetwork { found: String, planned: String },
    #[error("it cannot be opened: {0}")]
    Open(io::Error),
    #[error("it does not tell what it sees: it answered {0}")]
    NoEvents(String),
}

/// Which hostapd is no witness, and why.
#[derive(Debug, thiserror::Error)]
#[error("hostapd at {}: {why}", .path.display())]
pub struct HostapdError {
    path: PathBuf,
    /// Why not.
    pub why: NoHostapd,
}

impl HostapdError {
    /// What to do about it.
    pub fn action(&self) -> Option<String> {
        let action = match &self.why {
            NoHostapd::Absent => {
                "start hostapd with ctrl_interface=/run/hostapd in its file, or correct hostapd in [network] of the station file: it is that folder and the interface's name"
            }
            NoHostapd::NotAllowed => {
                "name a group of yours in hostapd's file, such as ctrl_interface_group=plugdev, and start it again"
            }
            NoHostapd::Silent { .. } => "look at hostapd's own log, and start it again",
            NoHostapd::Stranger => {
                "name hostapd's socket and not wpa_supplicant's: hostapd = \"/run/hostapd/INTERFACE\""
            }
            NoHostapd::NotEnabled { .. } => {
                "wait until it serves, or look at its log: a channel that is looked for first, or a radio that is blocked (rfkill list)"
            }
            NoHostapd::OtherInterface { .. } => {
                "name the socket of the interface that the units are on, in [network] of the station file"
            }
            NoHostapd::OtherNetwork { .. } => {
                "give hostapd that name (ssid= in its file), or the units that of hostapd"
            }
            NoHostapd::NoEvents(_) => "start it again",
            NoHostapd::Open(_) => return None,
        };
        Some(action.to_owned())
    }
}

/// An hostapd that tells what it sees. It is listened to until this is dropped.
pub struct Hostapd {
    shared: Arc<Shared>,
    listening: AbortHandle,
}

struct Shared {
    door: Door,
    bss: Bss,
    log: Arc<EventLog<Seen>>,
    health: Mutex<Health>,
    /// Somebody wants to know at once whether the line is alive.
    doubted: Notify,
    /// Counts what was heard on it.
    heard: watch::Sender<u64>,
}

#[derive(Default)]
struct Health {
    /// Why it is no witness now.
    ails: Option<String>,
    /// When it was none last.
    ailed: Option<(Instant, String)>,
}

impl fmt::Debug for Hostapd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hostapd").field("socket", &self.shared.door.path()).finish_non_exhaustive()
    }
}

impl Hostapd {
    /// Speaks with the hostapd at that socket, which must serve stations on that interface. Blocks for a moment, and needs
    /// a tokio runtime.
    ///
    /// # Errors
    /// [`HostapdError`] says why it is no witness, and what to do.
    pub fn at(socket: &Path, interface: &str, clock: Clock) -> Result<Self, HostapdError> {
        let path = || socket.to_owned();
        let failed = |why| HostapdError { path: path(), why };
        let door = Door::at(socket).map_err(|error| failed(NoHostapd::Open(error)))?;
        let bss = serving(&door, interface).map_err(failed)?;
        let line = attach(&door).map_err(failed)?;
        let log = Arc::new(EventLog::new(clock));
        let shared = Arc::new(Shared {
            door,
            bss,
            log,
            health: Mutex::default(),
            doubted: Notify::new(),
            heard: watch::Sender::new(0),
        });
        let listening = tokio::spawn(listen(Arc::clone(&shared), line)).abort_handle();
        Ok(Self { shared, listening })
    }

    /// As sentences call it.
    pub fn name(&self) -> String {
        self.shared.name()
    }

    /// Refuses an access point of another network than units are to join.
    ///
    /// # Errors
    /// [`HostapdError`] with both names.
    pub fn refuse_other_network(&self, ssid: &str) -> Result<(), HostapdError> {
        let (found, planned) = (self.shared.bss.ssid.clone(), words::shown_ssid(ssid));
        match found == planned {
            true => Ok(()),
            false => Err(self.shared.failed(NoHostapd::OtherNetwork { found, planned })),
        }
    }

    /// All that it saw, in order.
    pub fn sights(&self) -> Vec<Stamped<Seen>> {
        self.shared.log.all()
    }

    /// A reader of what it sees, from the beginning.
    pub fn follow(&self) -> Follower<Seen> {
        Follower::new(Arc::clone(&self.shared.log))
    }

    /// What a station is to it now; none where it does not know it.
    ///
    /// # Errors
    /// [`HostapdError`] when it does not answer.
    pub async fn standing(&self, station: Mac) -> Result<Option<Standing>, HostapdError> {
        let answer = self.ask(move |shared| shared.door.ask(&format!("STA {station}"))).await?;
        Ok(words::standing(&answer))
    }

    /// Whether it still serves what it served, and tells what it sees: one that was started anew does not.
    ///
    /// # Errors
    /// [`HostapdError`] when it does not, or does not answer.
    pub async fn still_serves(&self) -> Result<(), HostapdError> {
        self.ask(Shared::refuse_changed).await?;
        let mut heard = self.shared.heard.subscribe();
        self.shared.doubted.notify_one();
        match timeout(ANSWERS_WITHIN, heard.changed()).await {
            Ok(_) => Ok(()),
            Err(_silence) => Err(self.shared.failed(NoHostapd::Silent { within: ANSWERS_WITHIN })),
        }
    }

    /// Why it is no witness now, or was none since then.
    pub(super) fn fault_since(&self, then: std::time::Instant) -> Option<String> {
        let health = self.shared.health();
        let before = health.ailed.as_ref().filter(|(at, _)| at.into_std() >= then);
        before.map(|(_, why)| why).or(health.ails.as_ref()).cloned()
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Shared) -> Result<T, NoHostapd> + Send + 'static,
    ) -> Result<T, HostapdError> {
        let shared = Arc::clone(&self.shared);
        let asked = tokio::task::spawn_blocking(move || question(&shared)).await;
        let answer = asked.unwrap_or_else(|error| Err(NoHostapd::Open(io::Error::other(error))));
        answer.map_err(|why| {
            let error = self.shared.failed(why);
            self.shared.ails_for_a_moment(error.to_string());
            error
        })
    }
}

impl Drop for Hostapd {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Shared {
    fn name(&self) -> String {
        format!("hostapd on {}", self.bss.interface)
    }

    fn failed(&self, why: NoHostapd) -> HostapdError {
        HostapdError { path: self.door.path().to_owned(), why }
    }

    fn refuse_changed(&self) -> Result<(), NoHostapd> {
        let now = serving(&self.door, &self.bss.interface)?;
        let planned = || self.bss.ssid.clone();
        match now == self.bss {
            true => Ok(()),
            false => Err(NoHostapd::OtherNetwork { found: now.ssid, planned: planned() }),
        }
    }

    fn hear(&self, word: Word) {
        match word {
            Word::Of(station, sight) => self.log.record(Seen { station, sight }),
            Word::Ends(why) => self.ails(format!("{}: {why}", self.name())),
            Word::Serves => self.health().ails = None,
        }
    }

    fn ails(&self, why: String) {
        self.health().ails = Some(why.clone());
        self.ails_for_a_moment(why);
    }

    fn ails_for_a_moment(&self, why: String) {
        self.health().ailed = Some((Instant::now(), why));
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The access point of an interface.
fn serving(door: &Door, interface: &str) -> Result<Bss, NoHostapd> {
    if door.ask("PING")?.trim_end() != "PONG" {
        return Err(NoHostapd::Stranger);
    }
    words::status(&door.ask("STATUS")?, interface)
}

/// A line on which hostapd tells what it sees.
fn attach(door: &Door) -> Result<Line, NoHostapd> {
    let line = door.open()?;
    match line.ask("ATTACH")?.trim_end() {
        "OK" => Ok(line),
        answer => Err(NoHostapd::NoEvents(answer.to_owned())),
    }
}

/// Hears what hostapd says for good: where it is gone, until it is there again.
async fn listen(shared: Arc<Shared>, first: Line) {
    let mut line = Some(first);
    loop {
        let why = match line.take() {
            Some(line) => hear(&shared, &line).await,
            None => {
                sleep(LOOK_EVERY).await;
                let again = Arc::clone(&shared);
                let found = tokio::task::spawn_blocking(move || {
                    again.refuse_changed()?;
                    attach(&again.door)
                });
                match found.await {
                    Ok(Ok(found)) => {
                        shared.health().ails = None;
                        line = Some(found);
                        continue;
                    }
                    Ok(Err(why)) => why,
                    Err(_ending) => return,
                }
            }
        };
        shared.ails(shared.failed(why).to_string());
    }
}

/// Hears what is said on a line, until there is nobody at its other end.
async fn hear(shared: &Shared, line: &Line) -> NoHostapd {
    let socket = || -> io::Result<UnixDatagram> {
        let socket = line.socket.try_clone()?;
        socket.set_nonblocking(true)?;
        UnixDatagram::from_std(socket)
    };
    let socket = match socket() {
        Ok(socket) => socket,
        Err(error) => return NoHostapd::Open(error),
    };
    let mut buffer = [0; LONGEST];
    let mut is_asked = false;
    loop {
        let patience = if is_asked { ANSWERS_WITHIN } else { QUIET };
        tokio::select! {
            received = socket.recv(&mut buffer) => {
                let Ok(length) = received else { return NoHostapd::Absent };
                is_asked = false;
                let said = String::from_utf8_lossy(&buffer[..length]);
                words::event(&said).into_iter().for_each(|word| shared.hear(word));
                shared.heard.send_modify(|count| *count += 1);
                continue;
            }
            () = shared.doubted.notified() => {}
            () = sleep(patience) => {
                if is_asked {
                    return NoHostapd::Silent { within: ANSWERS_WITHIN };
                }
            }
        }
        match timeout(ANSWERS_WITHIN, socket.send(b"PING")).await {
            Ok(Ok(_)) => is_asked = true,
            Ok(Err(_)) => return NoHostapd::Absent,
            Err(_full) => return NoHostapd::Silent { within: ANSWERS_WITHIN },
        }
    }
}

fn listed(interfaces: &[String]) -> String {
    match interfaces {
        [] => "no interface".to_owned(),
        interfaces => interfaces.join(", "),
    }
}

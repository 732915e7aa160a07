//! Whose a frame is, by the hardware address that sent it.
//!
//! Frames between stations are not the bench's, nor those that this machine's kernel sends. Must not look further into
//! a frame than its header.

use std::{
    collections::HashMap,
    io,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{io::unix::AsyncFd, sync::mpsc, task::AbortHandle};

use crate::{
    clock::Clock,
    identity::Mac,
    testbed::{
        caller::{Borrower, Callers},
        network::{Medium, Segment},
        wire::{
            Wire,
            frame::{BROADCAST, OWN_MAC, ends_of},
            link::{self, FrameLink, LONGEST_FRAME},
        },
    },
};

/// Frames of all stations that wait for the interface.
pub(super) const WAITING: usize = 256;
/// Guests at the same time: a site's laptops, or the units of a tray that are switched on.
const MOST_GUESTS: usize = 128;
/// A guest of whom nothing was heard for so long does not come back as the same: it has renewed its lease twice.
const GONE_AFTER: Duration = Duration::from_secs(600);
/// One that was silent for so long gives way to another.
const GIVES_WAY_AFTER: Duration = Duration::from_secs(30);

/// Two runs have a unit of the same address.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "another unit of this bench has the address {mac} as well: what comes from there is nobody's evidence"
)]
pub struct SecondUnit {
    mac: Mac,
}

#[derive(Debug)]
pub(super) struct Switch {
    medium: Medium,
    callers: Callers,
    clock: Clock,
    outgoing: mpsc::Sender<Vec<u8>>,
    /// The interface's own address, which the kernel sends from.
    kernels: [u8; 6],
    stations: Mutex<Stations>,
}

#[derive(Debug, Default)]
struct Stations {
    units: HashMap<Mac, Unit>,
    guests: HashMap<Mac, Guest>,
}

#[derive(Debug)]
struct Unit {
    run: Borrower,
    /// Whether the address is the unit's own, and does not only follow from it.
    is_its_own: bool,
    frames: mpsc::Sender<Vec<u8>>,
}

#[derive(Debug)]
struct Guest {
    frames: mpsc::Sender<Vec<u8>>,
    heard: Instant,
    _wire: Wire,
}

impl Switch {
    pub(super) fn new(
        medium: Medium,
        callers: Callers,
        clock: Clock,
        outgoing: mpsc::Sender<Vec<u8>>,
        kernels: [u8; 6],
    ) -> Self {
        Self { medium, callers, clock, outgoing, kernels, stations: Mutex::default() }
    }

    /// Gives a frame to whoever serves the station that sent it; needs the runtime.
    fn take(&self, frame: Vec<u8>) {
        let Some((from, to)) = ends_of(&frame) else { return };
        let is_for_bench = to == OWN_MAC || to == BROADCAST;
        let is_no_station = from[0] & 1 != 0 || from == self.kernels || from == OWN_MAC;
        if !is_for_bench || is_no_station {
            return;
        }
        let (station, now) = (Mac(from), Instant::now());
        if to == OWN_MAC {
            self.medium.hears(station, now);
        }
        let mut stations = self.stations();
        let frames = match stations.units.get(&station) {
            Some(unit) => Some(&unit.frames),
            None => stations.guest(station, now, |frames| self.receive(frames)),
        };
        if let Some(frames) = frames {
            // Who sends faster than it is served loses its own.
            let _full = frames.try_send(frame);
        }
    }

    /// Begins to serve a station that is no unit's.
    fn receive(&self, frames: mpsc::Receiver<Vec<u8>>) -> Wire {
        let wire = Wire::new();
        let (callers, clock) = (self.callers.clone(), self.clock.clone());
        wire.surround(Arc::new(Segment::of_guest(callers, &self.medium, clock)));
        wire.attach(FrameLink::through(frames, self.outgoing.clone()));
        wire
    }

    pub(super) fn bind(&self, run: Borrower, macs: &[Mac], wire: &Wire) -> Result<(), SecondUnit> {
        let mut stations = self.stations();
        let own = |unit: &&Unit| unit.is_its_own && unit.run != run;
        if let Some(&mac) = macs.first()
            && stations.units.get(&mac).filter(own).is_some()
        {
            return Err(SecondUnit { mac });
        }
        let (frames, incoming) = mpsc::channel(link::WAITING);
        for (index, &mac) in macs.iter().enumerate() {
            let is_its_own = index == 0;
            if !is_its_own && stations.units.contains_key(&mac) {
                continue;
            }
            // What it had open as a guest ends, and its address stays.
            stations.guests.remove(&mac);
            let frames = frames.clone();
            stations.units.insert(mac, Unit { run, is_its_own, frames });
        }
        drop(stations);
        wire.attach_through(incoming, self.outgoing.clone());
        Ok(())
    }

    pub(super) fn unbind(&self, run: Borrower) {
        self.stations().units.retain(|_, unit| unit.run != run);
    }

    /// Serves nobody any more.
    pub(super) fn end(&self) {
        *self.stations() = Stations::default();
    }

    fn stations(&self) -> MutexGuard<'_, Stations> {
        self.stations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stations {
    /// Where the frames of a station go that is no unit's; none when there are too many.
    fn guest(
        &mut self,
        mac: Mac,
        now: Instant,
        receive: impl FnOnce(mpsc::Receiver<Vec<u8>>) -> Wire,
    ) -> Option<&mpsc::Sender<Vec<u8>>> {
        if !self.guests.contains_key(&mac) {
            self.guests.retain(|_, guest| now.duration_since(guest.heard) < GONE_AFTER);
            if self.guests.len() >= MOST_GUESTS {
                let longest = self.guests.iter().min_by_key(|(_, guest)| guest.heard);
                let (&silent, guest) = longest?;
                if now.duration_since(guest.heard) < GIVES_WAY_AFTER {
                    return None;
                }
                self.guests.remove(&silent);
            }
            let (frames, incoming) = mpsc::channel(link::WAITING);
            let guest = Guest { frames, heard: now, _wire: receive(incoming) };
            self.guests.insert(mac, guest);
        }
        let guest = self.guests.get_mut(&mac)?;
        guest.heard = now;
        Some(&guest.frames)
    }
}

/// Carries frames between the interface and the switch, until both tasks are aborted.
pub(super) fn carry(
    socket: OwnedFd,
    name: &str,
    switch: Arc<Switch>,
    to_send: mpsc::Receiver<Vec<u8>>,
) -> io::Result<[AbortHandle; 2]> {
    #[expect(
        deprecated,
        reason = "its successor is unsafe for types that may swap their descriptor, which an OwnedFd cannot"
    )]
    let socket = Arc::new(AsyncFd::new(socket)?);
    let (medium, name) = (switch.medium.clone(), name.to_owned());
    let reading = tokio::spawn(receive(Arc::clone(&socket), switch, name.clone()));
    let writing = tokio::spawn(send(socket, to_send, medium, name));
    Ok([reading.abort_handle(), writing.abort_handle()])
}

async fn receive(socket: Arc<AsyncFd<OwnedFd>>, switch: Arc<Switch>, name: String) {
    // Longer frames are cut off, and no such one is looked at.
    let mut buffer = [0; LONGEST_FRAME + 1];
    loop {
        let Ok(mut ready) = socket.readable().await else { return };
        let read = ready.try_io(|socket| Ok(rustix::io::read(socket, &mut buffer)?));
        match read {
            Err(_would_block) => {}
            // It went down; when it comes up, frames come again.
            Ok(Err(error)) => switch.medium.fails(failed(&name, &error)),
            Ok(Ok(length)) if length > LONGEST_FRAME => {}
            Ok(Ok(length)) => switch.take(buffer[..length].to_vec()),
        }
    }
}

async fn send(
    socket: Arc<AsyncFd<OwnedFd>>,
    mut frames: mpsc::Receiver<Vec<u8>>,
    medium: Medium,
    name: String,
) {
    while let Some(frame) = frames.recv().await {
        loop {
            let Ok(mut ready) = socket.writable().await else { return };
            match ready.try_io(|socket| Ok(rustix::io::write(socket, &frame)?)) {
                Err(_would_block) => {}
                Ok(Ok(_)) => break,
                // A frame that is lost is sent again by whoever sent it.
                Ok(Err(error)) => {
                    if is_of_interface(&error) {
                        medium.fails(failed(&name, &error));
                    }
                    break;
                }
            }
        }
    }
}

fn is_of_interface(error: &io::Error) -> bool {
    let gone = [rustix::io::Errno::NETDOWN, rustix::io::Errno::NXIO, rustix::io::Errno::NODEV];
    gone.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

fn failed(name: &str, error: &io::Error) -> String {
    match is_of_interface(error) {
        true => format!("the interface {name} went down"),
        false => format!("the interface {name} failed: {error}"),
    }
}

//! The life of the unit's stack: what the firmware asks, what the link brings, and the time.

use std::future::{pending, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::device::Device;
use super::link::{self, Event};
use super::station::{Reply, Station};
use crate::world::{Link, Refusal};

/// Frames that wait for the stack.
const QUEUE: usize = 256;
/// How long the link may take what was said at the end.
const FLUSH_LIMIT: Duration = Duration::from_millis(300);

/// What the firmware asks of its stack.
pub(super) enum Command {
    /// The link, and an address.
    Associate { mac: [u8; 6], reply: Reply<Result<Link, Refusal>> },
    /// The address of a name.
    Resolve { name: String, reply: Reply<Option<IpAddr>> },
    /// A connection.
    Connect { to: SocketAddr, reply: Reply<io::Result<UnixStream>> },
    /// A datagram and its answer.
    Exchange {
        to: SocketAddr,
        datagram: Vec<u8>,
        limit: Duration,
        reply: Reply<io::Result<Vec<u8>>>,
    },
    /// An end.
    Leave,
}

/// The unit's stack and its way to the bench.
pub(super) struct Node {
    commands: mpsc::UnboundedReceiver<Command>,
    events: mpsc::Receiver<Event>,
    keeper: JoinHandle<()>,
    device: Device,
    station: Option<Station>,
    patience: Duration,
    is_ending: bool,
}

impl Node {
    /// Begins to reach for the bench. Needs a tokio runtime.
    pub(super) fn new(
        bench: SocketAddr,
        commands: mpsc::UnboundedReceiver<Command>,
        patience: Duration,
    ) -> Self {
        let (sender, events) = mpsc::channel(QUEUE);
        Self {
            commands,
            events,
            keeper: tokio::spawn(link::keep(bench, sender)),
            device: Device::default(),
            station: None,
            patience,
            is_ending: false,
        }
    }

    /// Runs until nobody can ask any more, and then says farewell.
    pub(super) async fn run(mut self) {
        while !(self.is_ending && self.station.is_none()) {
            self.device.is_blocked = false;
            let delay = self.station.as_mut().and_then(|station| station.turn(&mut self.device));
            if self.station.as_ref().is_some_and(|station| station.has_left(&self.device)) {
                self.station = None;
                continue;
            }
            self.step(delay).await;
        }
        // The link ends when it has taken everything.
        self.device.link = None;
        self.events.close();
        // Whoever does not read it is not waited for.
        let _ = timeout(FLUSH_LIMIT, &mut self.keeper).await;
        self.keeper.abort();
    }

    async fn step(&mut self, delay: Option<Duration>) {
        let leaving = self.station.as_ref().is_some_and(Station::is_leaving);
        let (device, station) = (&self.device, &self.station);
        let room = async {
            match &device.link {
                Some(link) if device.is_blocked => drop(link.reserve().await),
                _ => pending().await,
            }
        };
        let firmware = poll_fn(|cx| match station {
            Some(station) => station.poll_firmware(cx),
            None => std::task::Poll::Pending,
        });
        let later = async {
            match delay {
                Some(delay) => sleep(delay).await,
                None => pending().await,
            }
        };
        tokio::select! {
            command = self.commands.recv(), if !leaving && !self.is_ending => self.obey(command),
            Some(event) = self.events.recv() => self.hear(event),
            () = room => {}
            () = firmware => {}
            () = later => {}
        }
    }

    fn obey(&mut self, command: Option<Command>) {
        let Some(command) = command else {
            self.is_ending = true;
            return self.leave();
        };
        match (command, &mut self.station) {
            (Command::Associate { mac, reply }, station) => {
                *station = Some(Station::new(mac, &mut self.device, reply, self.patience));
            }
            (Command::Leave, _) => self.leave(),
            (Command::Resolve { name, reply }, Some(station)) => station.resolve(&name, reply),
            (Command::Connect { to, reply }, Some(station)) => station.connect(to, reply),
            (Command::Exchange { to, datagram, limit, reply }, Some(station)) => {
                station.exchange(to, &datagram, limit, reply);
            }
            // Who asked hears that nobody answers any more.
            (
                Command::Resolve { .. } | Command::Connect { .. } | Command::Exchange { .. },
                None,
            ) => {}
        }
    }

    fn leave(&mut self) {
        if let Some(station) = &mut self.station {
            station.leave();
        }
    }

    fn hear(&mut self, event: Event) {
        let mut event = Some(event);
        while let Some(heard) = event {
            match heard {
                Event::Frame(frame) if self.station.is_some() => {
                    self.device.incoming.push_back(frame);
                }
                Event::Frame(_) => {}
                Event::Up(link) => {
                    self.device.link = Some(link);
                    self.station.iter_mut().for_each(Station::link_up);
                }
                Event::Down => {
                    self.device.link = None;
                    self.device.incoming.clear();
                    self.station.iter_mut().for_each(Station::lose);
                }
            }
            // What the stack does not take at once waits in the link.
            let room = self.device.incoming.len() < QUEUE;
            event = if room { self.events.try_recv().ok() } else { None };
        }
    }
}

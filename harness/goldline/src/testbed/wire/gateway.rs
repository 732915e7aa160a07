//! One unit's link, served: its frames are looked at, answered here or given to the stack, and each
//! connection that it begins is carried to its service.
//!
//! Nothing is answered but ARP, DHCP, DNS, connections and datagrams to what the run planned, and a ping of
//! the gateway. All that a unit can fill is bounded, and its own.

use std::{
    collections::{HashMap, HashSet},
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{Semaphore, mpsc::error::TrySendError, oneshot, watch},
    task::{AbortHandle, spawn_blocking},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::{
    Loss,
    carrier::{Connection, Kept},
    dhcp::{self, Answer, Message, Said},
    frame::{self, Ends, Seen},
    link::{FrameLink, LinkEnd},
    pace::Pace,
    stack::{SocketId, Stack, Turning},
};
use crate::{
    identity::Mac,
    testbed::{
        dns,
        network::{Network, NetworkEvent, Party, Segment},
    },
};

/// Connections of one unit. An ESP32 has 16 unless its firmware says otherwise.
const MOST_CONNECTIONS: usize = 256;
/// Connections and datagrams that wait for their service at once.
const MOST_ASKING: usize = 16;
/// Frames that are taken before the stack is turned and others have their turn.
const AT_ONCE: usize = 64;
/// Remembered hardware addresses.
const MOST_NEIGHBOURS: usize = 64;
/// Told destinations of what nobody answers.
const MOST_IGNORED: usize = 64;
/// Told DHCP messages; a unit that renews every second of a soak does not displace what it did before.
const MOST_DHCP: usize = 1000;
/// How long a service is given for its answer to a datagram.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// What one packet of a datagram holds.
const LONGEST_ANSWER: usize = 1472;

pub(super) struct Gateway {
    link: FrameLink,
    network: watch::Receiver<Option<Arc<Segment>>>,
    served: Option<Served>,
    kept: Kept,
}

/// A link within the network of a run.
struct Served {
    segment: Arc<Segment>,
    stack: Arc<Stack>,
    gateway: (Ipv4Addr, Ipv4Addr),
    connections: HashMap<Ends, Open>,
    /// How many there were.
    begun: u64,
    /// Who is joined, by its address.
    stations: HashMap<Ipv4Addr, [u8; 6]>,
    /// What was offered or given to whom: nobody else answers ARP for these.
    reserved: HashMap<[u8; 6], Ipv4Addr>,
    /// Who said that it has which address.
    neighbours: HashMap<Ipv4Addr, [u8; 6]>,
    ignored: HashSet<(u8, SocketAddr)>,
    heard_of_addresses: usize,
    pace: Pace,
    turn: Arc<Semaphore>,
    asking: Arc<Semaphore>,
    kept: Kept,
}

struct Open {
    id: SocketId,
    /// The number of its first byte: another one is another connection.
    number: i32,
    /// Its place among those of the unit.
    begun: u64,
    cut: Option<oneshot::Sender<Loss>>,
    task: AbortHandle,
}

/// What a gateway is woken by.
enum Woken {
    Frame(Vec<u8>),
    Turn,
    NoMoreFrames,
    Stopped,
}

impl Gateway {
    pub(super) fn new(
        link: FrameLink,
        network: watch::Receiver<Option<Arc<Segment>>>,
        kept: Kept,
    ) -> Self {
        Self { link, network, served: None, kept }
    }

    /// Until the link ends, or is ended with what becomes of its connections.
    pub(super) async fn run(mut self, stop: CancellationToken, loss: impl Fn() -> Loss) {
        let end = loop {
            self.look_for_network();
            let (wait, has_frames) = match &mut self.served {
                Some(served) => served.turn(&self.link),
                None => (None, false),
            };
            match self.wake(&stop, wait, has_frames).await {
                Woken::Frame(frame) => self.take_several(frame),
                Woken::Turn => {}
                Woken::NoMoreFrames => break self.link.end().await,
                Woken::Stopped => break LinkEnd::Bench,
            }
        };
        if let Some(served) = self.served.take() {
            served.end(&end, loss());
        }
    }

    /// Waits until there is something to do.
    async fn wake(
        &mut self,
        stop: &CancellationToken,
        wait: Option<Duration>,
        has_frames: bool,
    ) -> Woken {
        let stack = self.served.as_ref().map(|served| &served.stack);
        tokio::select! {
            () = stop.cancelled() => Woken::Stopped,
            frame = self.link.incoming.recv() => frame.map_or(Woken::NoMoreFrames, Woken::Frame),
            permit = self.link.outgoing.reserve(), if has_frames => match permit {
                Ok(permit) => {
                    if let Some(frame) = stack.and_then(|stack| stack.lock().take()) {
                        permit.send(frame);
                    }
                    Woken::Turn
                }
                Err(_) => Woken::NoMoreFrames,
            },
            () = changed(stack) => Woken::Turn,
            () = sleep(wait.unwrap_or_default()), if wait.is_some() => Woken::Turn,
            changed = self.network.changed(), if stack.is_none() => match changed {
                Ok(()) => Woken::Turn,
                Err(_) => Woken::Stopped,
            },
        }
    }

    fn look_for_network(&mut self) {
        if self.served.is_some() {
            return;
        }
        let segment = self.network.borrow_and_update().clone();
        if let Some(segment) = segment {
            segment.record(NetworkEvent::LinkUp);
            self.served = Some(Served::new(segment, self.kept.clone()));
        }
    }

    fn take_several(&mut self, first: Vec<u8>) {
        // It may have come before the frame did.
        self.look_for_network();
        let mut next = Some(first);
        let mut left = AT_ONCE;
        while let Some(frame) = next {
            // What comes before there is a network finds nobody.
            if let Some(served) = &mut self.served {
                served.take(frame);
            }
            left -= 1;
            next = if left > 0 { self.link.incoming.try_recv().ok() } else { None };
        }
    }
}

async fn changed(stack: Option<&Arc<Stack>>) {
    match stack {
        Some(stack) => stack.changed.notified().await,
        None => std::future::pending().await,
    }
}

impl Served {
    fn new(segment: Arc<Segment>, kept: Kept) -> Self {
        let gateway = segment.gateway();
        Self {
            stack: Arc::new(Stack::new(gateway.0)),
            segment,
            gateway,
            connections: HashMap::new(),
            begun: 0,
            stations: HashMap::new(),
            reserved: HashMap::new(),
            neighbours: HashMap::new(),
            ignored: HashSet::new(),
            heard_of_addresses: 0,
            pace: Pace::new(),
            turn: Arc::new(Semaphore::new(MOST_ASKING)),
            asking: Arc::new(Semaphore::new(MOST_ASKING)),
            kept,
        }
    }

    /// Turns the stack, and gives the link what it takes; says when to turn again, and whether frames wait.
    fn turn(&mut self, link: &FrameLink) -> (Option<Duration>, bool) {
        let mut turning = self.stack.lock();
        let wait = turning.turn();
        self.connections.retain(|_, open| {
            let over = open.task.is_finished() && turning.is_over(open.id);
            if over {
                turning.remove(open.id);
            }
            !over
        });
        while let Some(frame) = turning.take() {
            match link.outgoing.try_send(frame) {
                Ok(()) => {}
                Err(TrySendError::Full(frame) | TrySendError::Closed(frame)) => {
                    turning.put_back(frame);
                    break;
                }
            }
        }
        let has_frames = turning.has_frames();
        // A stack whose frames the link does not take would ask to be turned at once, again and again.
        (wait.filter(|_| !has_frames), has_frames)
    }

    fn take(&mut self, mut frame: Vec<u8>) {
        frame::take_as_own(&mut frame);
        let (mac, seen) = frame::look(&frame);
        // Each of these may leave a line in the run's log, which wakes who reads it.
        let asks =
            matches!(seen, Seen::Dhcp(_) | Seen::Udp { .. } | Seen::Syn { .. } | Seen::Ping { .. });
        if asks && !self.pace.takes() {
            return;
        }
        match seen {
            Seen::Arp { request, mac, sender, target } => {
                if self.neighbours.len() < MOST_NEIGHBOURS {
                    self.neighbours.insert(sender, mac);
                }
                if !request || self.answers_for(sender, target) {
                    self.stack.lock().receive(frame);
                }
            }
            Seen::Dhcp(payload) => {
                if let Some(said) = dhcp::read(payload) {
                    self.hear_of_address(&said);
                }
            }
            Seen::Udp { ends, payload } => {
                if let Some(mac) = self.station(*ends.unit.ip(), mac) {
                    self.take_datagram(mac, ends, payload);
                }
            }
            Seen::Syn { ends, number } => {
                if self.station(*ends.unit.ip(), mac).is_some() {
                    self.begin(ends, number, frame);
                }
            }
            Seen::Segment(ends) => {
                // One of an address that nobody has here any more begins nothing.
                if self.stations.contains_key(ends.unit.ip()) {
                    self.stack.lock().receive(frame);
                }
            }
            Seen::Ping { from, to } if to == self.gateway.0 => {
                if let Some(mac) = self.station(from, mac)
                    && let Some(pong) = frame::pong(mac, &frame)
                {
                    self.stack.lock().send(pong);
                }
            }
            Seen::Ping { from, to } => self.ignore(from, to, 1),
            Seen::Other { from, to, protocol } => self.ignore(from, to, protocol),
            Seen::Nothing => {}
        }
    }

    /// Whether the bench has that address, as far as the link goes: every one but the unit's own. A unit that
    /// asks for the address it is about to take would hear that somebody has it.
    fn answers_for(&self, sender: Ipv4Addr, target: Ipv4Addr) -> bool {
        let units = sender == target
            || self.stations.contains_key(&target)
            || self.reserved.values().any(|reserved| *reserved == target);
        !units
            && !self.is_of_others(target)
            && (!sender.is_unspecified() || target == self.gateway.0)
    }

    /// Whether somebody else may have that address, and answers for it: on an interface that others are on as well
    /// all in its network; of a station that is no unit's, whatever it has brought with it too.
    fn is_of_others(&self, target: Ipv4Addr) -> bool {
        let (gateway, mask) = self.gateway;
        let network = |address: Ipv4Addr| address.to_bits() & mask.to_bits();
        let may_be = self.segment.is_nobodys() || network(target) == network(gateway);
        self.segment.is_shared() && may_be && target != gateway
    }

    /// The hardware address of the station that has an address. One that was given none has brought its own,
    /// and joins with the first thing that it wants.
    fn station(&mut self, address: Ipv4Addr, frame_says: [u8; 6]) -> Option<[u8; 6]> {
        if let Some(mac) = self.stations.get(&address) {
            return Some(*mac);
        }
        // An emulated access point writes its own over the unit's in a frame, and not in what the unit says.
        let mac = *self.neighbours.get(&address).unwrap_or(&frame_says);
        let nobodys = address.is_unspecified()
            || address.is_loopback()
            || address.is_multicast()
            || address.is_broadcast()
            || address == self.gateway.0;
        // One MAC that takes address after address is no station either.
        let wanders = self.stations.values().filter(|known| **known == mac).count() > 1;
        if nobodys || wanders || !self.may_try(mac) {
            return None;
        }
        self.segment.plug_in(mac, Some(address)).ok()?;
        self.stations.insert(address, mac);
        Some(mac)
    }

    /// Whether a station that is refused would be worth a line.
    fn may_try(&mut self, mac: [u8; 6]) -> bool {
        if self.reserved.contains_key(&mac) {
            return true;
        }
        let reserved = self.segment.reserve(mac);
        match reserved {
            Ok(address) => {
                self.reserved.insert(mac, address);
                true
            }
            Err(_) => {
                self.ignore(Ipv4Addr::UNSPECIFIED, self.gateway.0, 17);
                false
            }
        }
    }

    fn hear_of_address(&mut self, said: &Said) {
        let Said { message, mac, .. } = *said;
        let elsewhere = said.server.is_some_and(|server| server != self.gateway.0);
        if elsewhere || !self.may_try(mac) {
            return;
        }
        let Some(&reserved) = self.reserved.get(&mac) else { return };
        let answer = match message {
            // It starts anew, and knows nothing of what it had open.
            Message::Discover => {
                self.leave(mac);
                Some(Answer::Offer(reserved))
            }
            Message::Request if said.wanted == Some(reserved) => {
                let remembers = said.server.is_none() && !said.has_it;
                if remembers {
                    self.leave(mac);
                }
                let joined = self.stations.contains_key(&reserved)
                    || self.segment.plug_in(mac, None).is_ok();
                joined.then(|| {
                    self.stations.insert(reserved, mac);
                    Answer::Acknowledge(reserved)
                })
            }
            Message::Request => Some(Answer::Refuse),
            Message::Release | Message::Decline => {
                self.leave(mac);
                None
            }
            Message::Inform => said.wanted.map(Answer::AcknowledgeOwn),
        };
        self.heard_of_addresses += 1;
        if self.heard_of_addresses <= MOST_DHCP {
            let address = match answer {
                Some(Answer::Offer(address) | Answer::Acknowledge(address)) => Some(address),
                _ => None,
            };
            self.segment.record(NetworkEvent::Dhcp {
                mac: Mac(mac),
                message: message.name(),
                host_name: said.host_name.clone(),
                class: said.class.clone(),
                address,
            });
        }
        if let Some(answer) = answer {
            let message = dhcp::answer(said, answer, self.gateway, self.segment.lease());
            // Behind an emulated access point the unit's hardware address is another than it says; where others
            // listen, it is not theirs to hear.
            let to = (self.segment.is_shared() && !said.broadcast).then_some(mac);
            self.stack.lock().send(frame::dhcp(self.gateway.0, to, &message));
        }
    }

    /// A station goes, and what it had open with it.
    fn leave(&mut self, mac: [u8; 6]) {
        self.segment.leave(mac);
        let stations = &mut self.stations;
        let gone: Vec<Ipv4Addr> = stations
            .iter()
            .filter(|(_, known)| **known == mac)
            .map(|(address, _)| *address)
            .collect();
        stations.retain(|_, known| *known != mac);
        let mut turning = self.stack.lock();
        self.connections.retain(|ends, open| {
            let stays = !gone.contains(ends.unit.ip());
            if !stays {
                open.end(&mut turning, Loss::Reset);
            }
            stays
        });
    }

    fn take_datagram(&mut self, mac: [u8; 6], ends: Ends, payload: &[u8]) {
        let (from, to) = (*ends.unit.ip(), SocketAddr::V4(ends.to));
        if ends.to.ip() == &self.gateway.0 && ends.to.port() == 53 {
            return self.resolve(mac, ends, payload);
        }
        if !self.segment.hears(to) {
            if self.ignored.len() < MOST_IGNORED && self.ignored.insert((17, to)) {
                // It is told there as a datagram that got no answer.
                let _unheard =
                    self.segment.exchange(from, to, Party::Unit, payload, Duration::ZERO);
            }
            return;
        }
        let Ok(asking) = Arc::clone(&self.asking).try_acquire_owned() else { return };
        let (segment, stack) = (Arc::clone(&self.segment), Arc::clone(&self.stack));
        let payload = payload.to_vec();
        spawn_blocking(move || {
            let answer = segment.exchange(from, to, Party::Unit, &payload, ANSWER_WITHIN);
            drop(asking);
            if let Ok(answer) = answer
                && answer.len() <= LONGEST_ANSWER
            {
                stack.lock().send(frame::datagram(mac, ends, &answer));
                stack.changed.notify_one();
            }
        });
    }

    fn resolve(&self, mac: [u8; 6], ends: Ends, payload: &[u8]) {
        if let Some(answer) = dns::answer_of(&self.segment, *ends.unit.ip(), payload) {
            self.stack.lock().send(frame::datagram(mac, ends, &answer));
        }
    }

    fn begin(&mut self, ends: Ends, number: i32, syn: Vec<u8>) {
        let stack = Arc::clone(&self.stack);
        let mut turning = stack.lock();
        if let Some(open) = self.connections.get(&ends) {
            // Sent again, since its answer is held back or was lost: the stack sends that again itself.
            if open.number == number && !turning.is_over(open.id) {
                return;
            }
            // The unit started anew and took the same port.
            if let Some(mut open) = self.connections.remove(&ends) {
                open.end(&mut turning, Loss::Reset);
            }
        }
        if self.connections.len() >= MOST_CONNECTIONS && !self.make_room(&mut turning) {
            return;
        }
        let Some(id) = turning.begin(ends, syn) else { return };
        let (cut, is_cut) = oneshot::channel();
        let connection = Connection {
            ends,
            id,
            stack: Arc::clone(&stack),
            segment: Arc::clone(&self.segment),
            turn: Arc::clone(&self.turn),
            kept: self.kept.clone(),
        };
        let task = tokio::spawn(connection.carry(is_cut)).abort_handle();
        self.begun += 1;
        let open = Open { id, number, begun: self.begun, cut: Some(cut), task };
        self.connections.insert(ends, open);
    }

    /// Ends the oldest connection that nobody would miss: one that is over but for the unit's last word, else
    /// one whose handshake the unit has not ended.
    fn make_room(&mut self, turning: &mut Turning) -> bool {
        let ranked = self.connections.iter().filter_map(|(ends, open)| {
            let rank = match open.task.is_finished() {
                true => 0,
                false if turning.is_half_open(open.id) => 1,
                false => return None,
            };
            Some(((rank, open.begun), *ends))
        });
        let Some((_, ends)) = ranked.min_by_key(|(rank, _)| *rank) else { return false };
        if let Some(mut open) = self.connections.remove(&ends) {
            open.end(turning, Loss::Reset);
        }
        true
    }

    fn ignore(&mut self, from: Ipv4Addr, to: Ipv4Addr, protocol: u8) {
        let port = SocketAddr::new(to.into(), 0);
        if self.ignored.len() < MOST_IGNORED && self.ignored.insert((protocol, port)) {
            self.segment.record(NetworkEvent::Ignored { from, to, protocol });
        }
    }

    fn end(mut self, end: &LinkEnd, loss: Loss) {
        let mut turning = self.stack.lock();
        for open in self.connections.values_mut() {
            open.end(&mut turning, loss);
        }
        drop(turning);
        let stations: HashSet<[u8; 6]> = self.stations.drain().map(|(_, mac)| mac).collect();
        for mac in stations {
            self.segment.leave(mac);
        }
        self.segment.record(NetworkEvent::LinkDown { why: end.to_string() });
    }
}

impl Open {
    fn end(&mut self, turning: &mut Turning, loss: Loss) {
        if let Some(cut) = self.cut.take() {
            let _ended = cut.send(loss);
        }
        turning.remove(self.id);
    }
}

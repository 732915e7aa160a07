//! The network in user space, against stacks that are not the bench's: smoltcp as a unit has it, and Linux.

mod abusers;
mod figures;
mod kernel;
mod leases;
mod peer;

use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, Shutdown, SocketAddrV4, TcpListener, TcpStream, UdpSocket},
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use goldline::{
    clock::Clock,
    identity::Mac,
    testbed::{
        caller::{Borrower, Caller, Callers},
        event_log::Stamped,
        network::{Addresses, Closer, Network, NetworkEvent, Segment},
        wire::{Loss, Wire},
    },
};
use rstest::rstest;
use smoltcp::socket::tcp;

use super::{
    access_point::UNIT,
    bench::{PATIENCE, host},
};
use peer::Peer;

const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const NAME: &str = "broker.example.test";
const PORT: u16 = 8883;

/// What the networks of all units share.
#[derive(Default)]
struct Shared {
    callers: Callers,
    addresses: Addresses,
}

/// The bench's side of one unit's link.
struct Side {
    wire: Wire,
    segment: Arc<Segment>,
    callers: Callers,
    run: Borrower,
}

impl Shared {
    fn side(&self) -> Side {
        let run = Borrower::new();
        let (callers, addresses) = (self.callers.clone(), self.addresses.clone());
        let segment = Segment::on_wire(run, callers.clone(), addresses, Clock::system());
        let (wire, segment) = (Wire::new(), Arc::new(segment));
        wire.surround(Arc::clone(&segment));
        Side { wire, segment, callers, run }
    }
}

impl Side {
    fn plug(&self) -> Peer {
        Peer::on(self.wire.plug().expect("a pair of sockets"), UNIT)
    }

    /// A service under the known name, each of whose connections is handled so.
    fn serve(&self, handle: impl Fn(TcpStream) + Clone + Send + 'static) -> SocketAddrV4 {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let real = listener.local_addr().expect("it is bound");
        let led = self.segment.redirect(&host(NAME), PORT, real).expect("there is room");
        let (callers, run) = (self.callers.clone(), self.run);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.expect("a connection");
                // Reset before it was taken.
                let Ok(peer) = stream.peer_addr() else { continue };
                assert_eq!(callers.claim(peer, real), Caller::Unit(run));
                let handle = handle.clone();
                thread::spawn(move || handle(stream));
            }
        });
        let IpAddr::V4(led) = led else { panic!("{led} is no IPv4 address") };
        SocketAddrV4::new(led, PORT)
    }

    fn events(&self) -> Vec<NetworkEvent> {
        self.segment.events().into_iter().map(|Stamped { event, .. }| event).collect()
    }

    /// The first event that is so, as soon as it is there.
    fn seen<T>(&self, what: &str, find: impl Fn(&NetworkEvent) -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            if let Some(found) = self.events().iter().find_map(&find) {
                return found;
            }
            assert!(began.elapsed() < PATIENCE, "{what}: {:#?}", self.events());
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn closed(&self) -> (u64, u64, Closer, bool) {
        self.seen("a connection that ended", |event| match event {
            NetworkEvent::Closed { sent, received, by, reset, .. } => {
                Some((*sent, *received, *by, *reset))
            }
            _ => None,
        })
    }
}

/// Says back what it hears.
fn echo(mut stream: TcpStream) {
    let mut bytes = [0; 16 << 10];
    while let Ok(length) = stream.read(&mut bytes)
        && length > 0
        && stream.write_all(&bytes[..length]).is_ok()
    {}
}

/// Bytes that are not the same anywhere.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    };
    std::iter::repeat_with(&mut next).take(length).collect()
}

/// An emulated access point writes its own address into both ends of each frame, and the unit is the same.
#[rstest]
#[case::cable(false)]
#[case::behind_an_access_point(true)]
#[tokio::test(flavor = "multi_thread")]
async fn a_unit_gets_an_address_names_and_its_service(#[case] behind_access_point: bool) {
    let side = Shared::default().side();
    let to = side.serve(echo);
    let end = side.wire.plug().expect("a pair of sockets");
    let mut unit = match behind_access_point {
        true => Peer::behind_access_point(end, UNIT),
        false => Peer::on(end, UNIT),
    };
    let lease = unit.join();
    let own = Ipv4Addr::new(10, 77, 0, 2);
    assert_eq!(
        lease,
        peer::Lease { address: own, mask: 16, router: Some(GATEWAY), dns: vec![GATEWAY] }
    );
    assert_eq!(unit.resolve(NAME, GATEWAY), Some(*to.ip()));
    assert_eq!(unit.resolve("elsewhere.example.test", GATEWAY), None);
    let socket = unit.connect(to);
    unit.echo(socket, b"hello");
    assert_eq!(unit.converse(socket, b"bye"), b"bye");
    assert_eq!(side.closed(), (8, 8, Closer::Station, false));

    let mac = Mac(UNIT);
    assert!(side.segment.is_unit(mac, Mac([9; 6])), "the link says whose station it is");
    let mut events = side.events();
    events.retain(|event| !matches!(event, NetworkEvent::Closed { .. }));
    let dhcp = |message| NetworkEvent::Dhcp {
        mac,
        message,
        host_name: None,
        class: None,
        address: Some(own),
    };
    let resolved =
        |name: &str, answer| NetworkEvent::Resolved { from: own, name: name.to_owned(), answer };
    let expected = [
        NetworkEvent::LinkUp,
        dhcp("DISCOVER"),
        NetworkEvent::Join { mac, ssid: String::new(), outcome: Ok(own) },
        dhcp("REQUEST"),
        resolved(NAME, Some(IpAddr::V4(*to.ip()))),
        resolved("elsewhere.example.test", None),
        NetworkEvent::Connection { from: own, to: to.into(), connected: true },
    ];
    assert_eq!(events, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_listens_there_and_the_unit_is_never_told_otherwise() {
    let side = Shared::default().side();
    let to = side.serve(echo);
    let mut unit = side.plug();
    let own = unit.join().address;
    let planned = SocketAddrV4::new(*to.ip(), 1883);
    for to in [planned, SocketAddrV4::new(GATEWAY, 80), SocketAddrV4::new([8, 8, 8, 8].into(), 53)]
    {
        let began = Instant::now();
        let socket = unit.begin(to);
        assert!(!unit.is_connected(socket), "{to}");
        assert!(began.elapsed() < Duration::from_secs(5), "{to}: it hears at once");
        let refused = NetworkEvent::Connection { from: own, to: to.into(), connected: false };
        assert!(side.events().contains(&refused), "{to}");
    }
    let socket = unit.connect(to);
    unit.echo(socket, b"and this one does");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_ended_is_refused_as_on_any_network() {
    let side = Shared::default().side();
    let real = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("it is bound")
    };
    let IpAddr::V4(led) = side.segment.redirect(&host(NAME), PORT, real).expect("room") else {
        panic!("IPv4")
    };
    let mut unit = side.plug();
    unit.join();
    let socket = unit.begin(SocketAddrV4::new(led, PORT));
    assert!(!unit.is_connected(socket));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_of_a_profile_is_reached_as_a_name_is() {
    let side = Shared::default().side();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let real = listener.local_addr().expect("it is bound");
    side.segment.redirect(&host("203.0.113.9"), 443, real).expect("there is room");
    thread::spawn(move || echo(listener.accept().expect("a connection").0));
    let mut unit = side.plug();
    unit.join();
    let socket = unit.connect(SocketAddrV4::new([203, 0, 113, 9].into(), 443));
    unit.echo(socket, b"by its address");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_datagram_is_answered_where_one_is_planned() {
    let side = Shared::default().side();
    let server = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let real = server.local_addr().expect("it is bound");
    let IpAddr::V4(led) = side.segment.redirect_datagrams(&host(NAME), 123, real).expect("room")
    else {
        panic!("IPv4")
    };
    thread::spawn(move || {
        let mut bytes = [0; 1500];
        let (length, peer) = server.recv_from(&mut bytes).expect("a question");
        assert_eq!(peer.ip(), Ipv4Addr::new(127, 77, 0, 2));
        server.send_to(&[&bytes[..length], b"?"].concat(), peer).expect("it goes");
    });
    let mut unit = side.plug();
    let own = unit.join().address;
    let to = SocketAddrV4::new(led, 123);
    assert_eq!(unit.ask(to, b"what time is it"), b"what time is it?");
    let told = NetworkEvent::Datagram { from: own, to: to.into(), answered: true };
    assert!(side.events().contains(&told), "{:#?}", side.events());
}

/// More than the buffers hold, both ways at once, and neither side waits for the other to finish.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_large_goes_both_ways_and_arrives_as_it_was_sent() {
    let side = Shared::default().side();
    let to = side.serve(echo);
    let mut unit = side.plug();
    unit.join();
    let socket = unit.connect(to);
    let sent = noise(4 << 20);
    assert!(unit.converse(socket, &sent) == sent, "4 MB came back as they went");
    assert_eq!(side.closed(), (4 << 20, 4 << 20, Closer::Station, false));
}

/// What a service does not read waits with the unit, not in the bench.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_does_not_read_slows_the_unit_down() {
    let side = Shared::default().side();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let may_go_on = Arc::new(std::sync::Mutex::new(may_go_on));
    let to = side.serve(move |stream| {
        let _told = may_go_on.lock().expect("whole").recv();
        echo(stream);
    });
    let mut unit = side.plug();
    unit.join();
    let socket = unit.connect(to);
    let sent = noise(12 << 20);
    let mut taken = 0;
    let (mut before, mut quiet_since) = (0, Instant::now());
    while quiet_since.elapsed() < Duration::from_secs(1) {
        unit.turn(Duration::from_millis(2));
        taken += unit.socket(socket).send_slice(&sent[taken..]).expect("it is open");
        if taken > before {
            (before, quiet_since) = (taken, Instant::now());
        }
        assert!(taken < sent.len(), "somebody keeps all of it");
    }
    go_on.send(()).expect("it waits");
    assert!(unit.converse(socket, &sent[taken..]) == sent, "and then all of it arrives");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_closed_its_way_still_hears_the_answer() {
    let side = Shared::default().side();
    let to = side.serve(|mut stream| {
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).expect("until it closes");
        heard.reverse();
        stream.write_all(&heard).expect("it still listens");
    });
    let mut unit = side.plug();
    unit.join();
    let socket = unit.connect(to);
    let said = noise(100_000);
    let reversed: Vec<u8> = said.iter().rev().copied().collect();
    assert!(unit.converse(socket, &said) == reversed);
    assert_eq!(side.closed(), (100_000, 100_000, Closer::Station, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_closed_still_hears_the_unit() {
    let side = Shared::default().side();
    let (heard, was_heard) = mpsc::channel();
    let to = side.serve(move |mut stream| {
        stream.write_all(b"enough").expect("it listens");
        stream.shutdown(Shutdown::Write).expect("it closes");
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("until it closes");
        heard.send(bytes).expect("somebody waits");
    });
    let mut unit = side.plug();
    unit.join();
    let socket = unit.connect(to);
    let mut said = Vec::new();
    unit.until("its end", |sockets| {
        let mut piece = [0; 64];
        match sockets.get_mut::<tcp::Socket<'_>>(socket).recv_slice(&mut piece) {
            Ok(length) => said.extend_from_slice(&piece[..length]),
            Err(error) => {
                assert_eq!(error, tcp::RecvError::Finished);
                return Some(());
            }
        }
        None
    });
    assert_eq!(said, b"enough");
    assert!(unit.converse(socket, &noise(50_000)).is_empty());
    assert_eq!(was_heard.recv_timeout(PATIENCE).expect("it heard").len(), 50_000);
    assert_eq!(side.closed(), (50_000, 6, Closer::Service, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_breaks_off_the_other_side_hears_of_it() {
    let side = Shared::default().side();
    let (ended, has_ended) = mpsc::channel();
    let to = side.serve(move |mut stream| {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("a byte");
        if byte == *b"s" {
            // Not read to its end: the system resets it.
            stream.read_exact(&mut byte).expect("another");
            return;
        }
        let end = stream.read(&mut byte).map_err(|error| error.kind());
        ended.send(end).expect("somebody waits");
    });
    let mut unit = side.plug();
    unit.join();
    let socket = unit.connect(to);
    unit.socket(socket).send_slice(b"u").expect("it is open");
    unit.work_for(Duration::from_millis(50));
    unit.socket(socket).abort();
    unit.work_for(Duration::from_millis(50));
    let heard = has_ended.recv_timeout(PATIENCE).expect("it ended");
    assert_eq!(heard, Err(std::io::ErrorKind::ConnectionReset));
    assert_eq!(side.closed(), (1, 0, Closer::Station, true));

    let socket = unit.connect(to);
    unit.socket(socket).send_slice(b"s and more than it reads").expect("it is open");
    unit.until("a reset", |sockets| {
        let state = sockets.get::<tcp::Socket<'_>>(socket).state();
        (state == tcp::State::Closed).then_some(())
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn many_connections_in_turn_and_at_once() {
    let side = Shared::default().side();
    let to = side.serve(echo);
    let mut unit = side.plug();
    unit.join();
    for number in 0..500_u32 {
        let socket = unit.connect(to);
        let said = number.to_be_bytes();
        assert_eq!(unit.converse(socket, &said), said);
        unit.sockets.remove(socket);
    }
    let sockets: Vec<_> = (0..200).map(|_| unit.begin(to)).collect();
    for socket in &sockets {
        assert!(unit.is_connected(*socket));
    }
    for socket in sockets {
        unit.echo(socket, b"all of us");
    }
}

/// A unit with an address of its own joins with the first thing that it wants.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_of_its_own_is_served_too() {
    let side = Shared::default().side();
    let to = side.serve(echo);
    let mut unit = side.plug();
    let own = Ipv4Addr::new(192, 168, 4, 20);
    unit.have(own, 24, Ipv4Addr::new(192, 168, 4, 1));
    assert_eq!(unit.resolve(NAME, GATEWAY), Some(*to.ip()));
    let socket = unit.connect(to);
    unit.echo(socket, b"hello");
    let joined = NetworkEvent::Join { mac: Mac(UNIT), ssid: String::new(), outcome: Ok(own) };
    assert!(side.events().contains(&joined), "{:#?}", side.events());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_starts_anew_is_told_apart_from_one_that_goes_on() {
    let side = Shared::default().side();
    let (ended, has_ended) = mpsc::channel();
    let to = side.serve(move |mut stream| {
        stream.write_all(b"!").expect("it listens");
        let end = stream.read(&mut [0]).map_err(|error| error.kind());
        let _nobody_waits = ended.send(end);
    });
    let mut unit = side.plug();
    let first = unit.join();
    unit.connect_and_hear(to);
    assert_eq!(unit.join(), first, "it has the same address again");
    let heard = has_ended.recv_timeout(PATIENCE).expect("its old connection ended");
    assert_eq!(heard, Err(std::io::ErrorKind::ConnectionReset));
    let story: Vec<NetworkEvent> = side
        .events()
        .into_iter()
        .filter(|event| matches!(event, NetworkEvent::Join { .. } | NetworkEvent::Left { .. }))
        .collect();
    let mac = Mac(UNIT);
    let join = NetworkEvent::Join { mac, ssid: String::new(), outcome: Ok(first.address) };
    assert_eq!(story, [join.clone(), NetworkEvent::Left { mac }, join]);
}

#[rstest]
#[case::reset(Loss::Reset)]
#[case::silence(Loss::Silence)]
#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_is_cut_and_a_new_one(#[case] loss: Loss) {
    let side = Shared::default().side();
    side.wire.on_loss(loss);
    let (ended, has_ended) = mpsc::channel();
    let to = side.serve(move |mut stream| {
        stream.write_all(b"!").expect("it listens");
        let end = stream.read(&mut [0]).map_err(|error| error.kind());
        let _nobody_waits = ended.send(end);
    });
    let mut unit = side.plug();
    let lease = unit.join();
    unit.connect_and_hear(to);
    drop(unit);
    // The reader's handle is in a thread of its own; the new link ends the old one in any case.
    let mut unit = side.plug();
    assert_eq!(unit.join(), lease);
    let heard = has_ended.recv_timeout(Duration::from_millis(500));
    match loss {
        Loss::Reset => {
            assert_eq!(heard.expect("it ended"), Err(std::io::ErrorKind::ConnectionReset));
        }
        Loss::Silence => drop(heard.expect_err("nothing is heard of it")),
    }
    assert_eq!(side.closed(), (0, 1, Closer::Bench, true));
    let why = side.seen("the end of the link", |event| match event {
        NetworkEvent::LinkDown { why } => Some(why.clone()),
        _ => None,
    });
    assert_eq!(why, "the bench ended it");
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_before_there_is_a_network_are_lost_and_later_ones_are_not() {
    let wire = Wire::new();
    let mut unit = Peer::on(wire.plug().expect("a pair of sockets"), UNIT);
    let shared = Shared::default();
    let (callers, addresses) = (shared.callers.clone(), shared.addresses.clone());
    let segment = Segment::on_wire(Borrower::new(), callers, addresses, Clock::system());
    let segment = Arc::new(segment);
    let early = thread::spawn(move || {
        let handle = unit.sockets.add(smoltcp::socket::dhcpv4::Socket::new());
        unit.work_for(Duration::from_millis(200));
        unit.sockets.remove(handle);
        unit
    });
    let mut unit = early.join().expect("it went on");
    wire.surround(Arc::clone(&segment));
    unit.join();
    let discovers = segment
        .events()
        .into_iter()
        .filter(|stamped| matches!(stamped.event, NetworkEvent::Dhcp { message: "DISCOVER", .. }));
    assert_eq!(discovers.count(), 1, "the one before was lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_unit_at_a_time_over_tcp() {
    let side = Shared::default().side();
    let at = side.wire.listen("127.0.0.1:0".parse().expect("an address")).expect("it listens");
    let first = TcpStream::connect(at).expect("it takes one");
    side.seen("the link", |event| (*event == NetworkEvent::LinkUp).then_some(()));
    let mut second = TcpStream::connect(at).expect("the system takes it");
    second.set_read_timeout(Some(PATIENCE)).expect("a limit");
    assert_eq!(second.read(&mut [0]).expect("it is closed"), 0, "the place is taken");
    drop(first);
    let why = side.seen("the end", |event| match event {
        NetworkEvent::LinkDown { why } => Some(why.clone()),
        _ => None,
    });
    assert_eq!(why, "the other side closed it");
    let began = Instant::now();
    loop {
        let mut third = TcpStream::connect(at).expect("the system takes it");
        third.set_read_timeout(Some(Duration::from_millis(200))).expect("a limit");
        // Closed at once, or taken and silent.
        if third.read(&mut [0]).is_err() {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "a new one is taken");
    }
}

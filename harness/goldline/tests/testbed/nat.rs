//! The network of a guest behind an emulator's NAT, with this process as the emulator: what it opens is the
//! guest's.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use goldline::{
    clock::Clock,
    identity::Mac,
    secret::Secret,
    testbed::{
        access_point::AccessPointConfig,
        caller::{Borrower, Callers},
        fault::TestbedFault,
        nat::Nat,
        network::{Addresses, Network, NetworkEvent, NoRedirect, Segment, Signal},
    },
};

use super::{access_point::UNIT, bench::host};

/// Only a service that hangs meets it.
const PATIENCE: Duration = Duration::from_secs(60);
const GUEST: Ipv4Addr = Ipv4Addr::new(192, 168, 4, 2);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 168, 4, 1);
const NAME: &str = "broker.example.test";

fn nat(faults: &[TestbedFault]) -> Nat {
    let (callers, addresses) = (Callers::default(), Addresses::default());
    let segment = Segment::behind_nat(Borrower::new(), callers, addresses, Clock::system());
    let signal = Signal { bssid: [2, 0, 0, 0, 0, 1], channel: 6, rssi_dbm: -45 };
    let passphrase = Secret::new("the-lab-is-ours");
    let config = AccessPointConfig { ssid: "Lab".to_owned(), passphrase, hidden: false, signal };
    Nat::around(Arc::new(segment), config, faults)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().expect("a runtime")
}

/// A service of the bench, and a port that a plan may name.
fn service() -> (TcpListener, SocketAddr, u16) {
    let service = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = service.local_addr().expect("it is bound");
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = free.local_addr().expect("it is bound").port();
    (service, address, port)
}

/// A guest asks for names at port 53 of this machine's loopback.
fn may_answer_names() -> bool {
    let may = UdpSocket::bind(("127.78.255.253", 53)).is_ok();
    if !may {
        eprintln!("skipped: this user must not listen at port 53");
    }
    may
}

fn asked(nat: &Nat, name: &str) -> Vec<u8> {
    let mut question = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        question.push(u8::try_from(label.len()).expect("it is short"));
        question.extend_from_slice(label.as_bytes());
    }
    question.extend_from_slice(&[0, 0, 1, 0, 1]);
    let socket = UdpSocket::bind(("0.0.0.0", 0)).expect("a port");
    socket.set_read_timeout(Some(PATIENCE)).expect("a limit");
    socket.send_to(&question, (nat.access_point().names, 53)).expect("it is sent");
    let mut answer = [0; 512];
    let (length, _) = socket.recv_from(&mut answer).expect("it is answered");
    answer[..length].to_vec()
}

#[test]
fn what_the_emulator_opens_is_the_guests_and_its_first_wish_is_its_join() {
    if !may_answer_names() {
        return;
    }
    let runtime = runtime();
    let _entered = runtime.enter();
    let nat = nat(&[]);
    assert_eq!(nat.access_point().ssid, "Lab");
    let (service, address, port) = service();
    let led = nat.redirect(&host(NAME), port, address).expect("nobody has the port");
    assert_eq!(led, GATEWAY);
    nat.attach(std::process::id(), Mac(UNIT));
    let answer = asked(&nat, NAME);
    assert!(answer.ends_with(&GATEWAY.octets()), "{answer:?}");
    assert_eq!(asked(&nat, "elsewhere.example.test")[3] & 0xF, 3, "it does not exist");
    let joined = NetworkEvent::Join { mac: Mac(UNIT), ssid: String::new(), outcome: Ok(GUEST) };
    let joins = |nat: &Nat| nat.events().iter().filter(|one| one.event == joined).count();
    assert_eq!(joins(&nat), 1);
    assert!(nat.is_unit(Mac(UNIT), Mac([2; 6])), "whatever MAC the unit has");

    let mut guest = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    let (mut accepted, peer) = service.accept().expect("it is led there");
    assert!(nat.callers().claim(peer, address).is_unit(), "and announced");
    guest.write_all(b"there").expect("it is taken");
    let mut there = [0; 5];
    accepted.read_exact(&mut there).expect("it comes");
    drop(accepted);
    assert_eq!(guest.read(&mut there).expect("it hears of the end"), 0);
    let to = SocketAddr::from((GATEWAY, port));
    let seen = NetworkEvent::Connection { from: GUEST, to, connected: true };
    assert!(nat.events().iter().any(|one| one.event == seen));

    assert_eq!(nat.sees_joins(), Some(Ok(())));
    // A new process is a new life.
    nat.attach(std::process::id(), Mac(UNIT));
    assert!(nat.events().iter().any(|one| one.event == NetworkEvent::Left { mac: Mac(UNIT) }));
    asked(&nat, NAME);
    assert_eq!(joins(&nat), 2);
}

#[test]
fn somebody_elses_connection_is_reset_and_unseen() {
    if !may_answer_names() {
        return;
    }
    let runtime = runtime();
    let _entered = runtime.enter();
    let nat = nat(&[]);
    let (_service, address, port) = service();
    nat.redirect(&host(NAME), port, address).expect("nobody has the port");
    // Another process is the emulator.
    let mut emulator =
        Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().expect("sleep");
    nat.attach(emulator.id(), Mac(UNIT));
    let mut stranger = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    stranger.set_read_timeout(Some(PATIENCE)).expect("a limit");
    let heard = stranger.read(&mut [0; 1]);
    emulator.kill().expect("it runs");
    emulator.wait().expect("it ends");
    assert!(heard.is_err(), "{heard:?}");
    let blind = nat.sees_joins().expect("the bench cannot join").expect_err("it is gone");
    assert!(blind.contains("nobody tells which sockets"), "{blind}");
    assert_eq!(nat.events().len(), 0, "{:?}", nat.events());
}

#[test]
fn what_cannot_be_led_is_refused_with_its_reason() {
    if !may_answer_names() {
        return;
    }
    let runtime = runtime();
    let _entered = runtime.enter();
    let nat = nat(&[]);
    let (_service, address, port) = service();
    nat.redirect(&host(NAME), port, address).expect("nobody has the port");
    nat.redirect(&host("other.example.test"), port, address).expect("the same service");
    let other = SocketAddr::from(([127, 0, 0, 1], 1));
    let twice = nat.redirect(&host("third.example.test"), port, other).expect_err("another one");
    assert!(matches!(twice, NoRedirect::PortInUse { .. }), "{twice}");
    let beyond = nat.redirect(&host("203.0.113.7"), port, address).expect_err("not here");
    assert!(matches!(beyond, NoRedirect::OutOfReach { .. }), "{beyond}");
    let (_held, held, _) = service();
    let taken = nat.redirect(&host(NAME), held.port(), address).expect_err("somebody has it");
    assert!(matches!(taken, NoRedirect::Listen { .. }) && taken.action().is_some(), "{taken}");
    nat.redirect(&GATEWAY.to_string().parse().expect("a host"), port, address).expect("it leads");
}

#[test]
fn faults_of_an_access_point_are_the_emulators_too() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let plain = nat(&[]);
    let other = nat(&[TestbedFault::AccessPointPassword]);
    assert_ne!(plain.access_point().passphrase, other.access_point().passphrase);
    let absent = nat(&[TestbedFault::AccessPointAbsent]);
    assert_ne!(absent.access_point().ssid, "Lab");
    assert!(plain.proves().radio && !plain.proves().own_networks);
    assert_eq!(plain.sees_joins(), Some(Ok(())), "nobody is there to be seen");
}

//! Datagrams of stations: where they lead, from where they come, and what silence looks like.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    thread,
    time::Duration,
};

use goldline::testbed::{
    access_point::AccessPoint,
    network::{Network, NetworkEvent, Party},
};

use super::{
    access_point::{UNIT, access_point, station},
    bench::{PATIENCE, host},
};

const NAME: &str = "time.example.test";
const PORT: u16 = 123;

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    socket.set_read_timeout(Some(PATIENCE)).expect("a time limit");
    socket
}

fn joined(access_point: &AccessPoint) -> Ipv4Addr {
    access_point.join(&station(UNIT)).expect("it joins").address
}

fn redirected(access_point: &AccessPoint, service: &UdpSocket) -> SocketAddr {
    let address = service.local_addr().expect("it is bound");
    let address =
        access_point.redirect_datagrams(&host(NAME), PORT, address).expect("there is room");
    SocketAddr::new(address, PORT)
}

fn last(access_point: &AccessPoint) -> NetworkEvent {
    access_point.events().last().expect("an event").event.clone()
}

#[test]
fn a_datagram_comes_from_the_stations_own_address_and_its_answer_goes_back() {
    let (access_point, service) = (access_point(&[]), socket());
    let to = redirected(&access_point, &service);
    let unit = joined(&access_point);
    assert_eq!(access_point.resolve(unit, NAME), Some(to.ip()));
    let answering = thread::spawn(move || {
        let mut question = [0; 64];
        let (length, peer) = service.recv_from(&mut question).expect("a question");
        service.send_to(b"right back", peer).expect("it is sent");
        (question[..length].to_vec(), peer)
    });
    let answer = access_point.exchange(unit, to, Party::Unit, b"what time is it", PATIENCE);
    assert_eq!(answer.expect("an answer"), b"right back");
    let (question, peer) = answering.join().expect("the service ends");
    assert_eq!((&question[..], peer.ip()), (&b"what time is it"[..], unit.into()));
    assert_eq!(last(&access_point), NetworkEvent::Datagram { from: unit, to, answered: true });
}

#[test]
fn only_the_asked_service_can_answer() {
    let (access_point, service, stranger) = (access_point(&[]), socket(), socket());
    let to = redirected(&access_point, &service);
    let unit = joined(&access_point);
    let answering = thread::spawn(move || {
        let (_, peer) = service.recv_from(&mut [0; 64]).expect("a question");
        stranger.send_to(b"forged", peer).expect("it is sent");
        service.send_to(b"true", peer).expect("it is sent");
    });
    let answer = access_point.exchange(unit, to, Party::Unit, b"?", PATIENCE).expect("an answer");
    assert_eq!(answer, b"true");
    answering.join().expect("the service ends");
}

#[test]
fn a_datagram_that_nobody_answers_times_out() {
    let (access_point, service) = (access_point(&[]), socket());
    let to = redirected(&access_point, &service);
    let unit = joined(&access_point);
    let limit = Duration::from_millis(20);
    let silent =
        access_point.exchange(unit, to, Party::Unit, b"?", limit).expect_err("nobody answers");
    assert_eq!(silent.kind(), io::ErrorKind::TimedOut);
    assert_eq!(last(&access_point), NetworkEvent::Datagram { from: unit, to, answered: false });
    let mut heard = [0; 8];
    assert_eq!(service.recv(&mut heard).expect("it arrived"), 1);

    let other_port = SocketAddr::new(to.ip(), 124);
    let past_dns = service.local_addr().expect("it is bound");
    for nowhere in [other_port, past_dns] {
        let lost =
            access_point.exchange(unit, nowhere, Party::Unit, b"?", PATIENCE).expect_err("no way");
        assert_eq!(lost.kind(), io::ErrorKind::TimedOut);
    }
    service.set_nonblocking(true).expect("it can");
    assert_eq!(service.recv(&mut heard).expect_err("none more").kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn a_time_limit_of_nothing_still_ends() {
    let (access_point, service) = (access_point(&[]), socket());
    let to = redirected(&access_point, &service);
    let unit = joined(&access_point);
    let silent = access_point
        .exchange(unit, to, Party::Unit, b"?", Duration::ZERO)
        .expect_err("nobody answers");
    assert_eq!(silent.kind(), io::ErrorKind::TimedOut);
}

#[test]
fn a_service_that_has_ended_looks_silent() {
    let (access_point, service) = (access_point(&[]), socket());
    let to = redirected(&access_point, &service);
    let unit = joined(&access_point);
    drop(service);
    let gone =
        access_point.exchange(unit, to, Party::Unit, b"?", PATIENCE).expect_err("nobody is there");
    assert_eq!(gone.kind(), io::ErrorKind::TimedOut);
}

#[test]
fn who_has_not_joined_sends_nothing() {
    let (access_point, service) = (access_point(&[]), socket());
    let to = redirected(&access_point, &service);
    let stranger = Ipv4Addr::new(127, 77, 0, 2);
    let refusal =
        access_point.exchange(stranger, to, Party::Unit, b"?", PATIENCE).expect_err("not joined");
    assert_eq!(refusal.kind(), io::ErrorKind::NetworkUnreachable);
    let unit = joined(&access_point);
    access_point.leave(UNIT);
    let refusal =
        access_point.exchange(unit, to, Party::Unit, b"?", PATIENCE).expect_err("it has left");
    assert_eq!(refusal.kind(), io::ErrorKind::NetworkUnreachable);
    service.set_nonblocking(true).expect("it can");
    let nothing = service.recv(&mut [0; 8]).expect_err("nothing arrives");
    assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn datagrams_and_connections_of_one_name_lead_to_their_own_services() {
    let (access_point, service) = (access_point(&[]), socket());
    let to = redirected(&access_point, &service);
    let unit = joined(&access_point);
    let refusal =
        access_point.connect(unit, to, Party::Unit).expect_err("only datagrams lead there");
    assert_eq!(refusal.kind(), io::ErrorKind::ConnectionRefused);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let led = access_point.redirect(&host(NAME), PORT, address).expect("a name is left");
    assert_eq!(led, to.ip());
    access_point.connect(unit, to, Party::Unit).expect("it leads there");
}

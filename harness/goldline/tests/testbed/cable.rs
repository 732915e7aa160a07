//! A network without a radio, through the same seam as the access point.

use std::{
    net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener},
    sync::Arc,
};

use goldline::{
    bench::probe::{BenchStation, PlannedNetwork, join_network},
    clock::Clock,
    identity::Mac,
    secret::Secret,
    testbed::{
        caller::{Borrower, Callers},
        network::{Addresses, Network, NetworkEvent, NetworkKind, Party, Segment, Station, reason},
    },
};

use super::{access_point::UNIT, bench::host};

fn cable() -> Segment {
    let (callers, addresses) = (Callers::default(), Addresses::default());
    Segment::of_run(Borrower::new(), callers, addresses, Clock::system())
}

#[test]
fn whoever_is_plugged_in_is_joined_and_the_networks_name_is_not_kept() {
    let cable = cable();
    for (ssid, passphrase) in [("Lab", "right"), ("Other", "wrong"), ("", "")] {
        let station = Station { mac: UNIT, ssid: ssid.as_bytes(), passphrase, asks_by_name: true };
        let link = cable.join(&station).expect("it is plugged in");
        assert_eq!(link.signal, None);
        let seen = cable.events().last().expect("it was seen").event.clone();
        let outcome = Ok(link.address);
        assert_eq!(seen, NetworkEvent::Join { mac: Mac(UNIT), ssid: String::new(), outcome });
    }
}

#[test]
fn names_and_connections_are_as_on_the_air() {
    let cable = cable();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let real = listener.local_addr().expect("it is bound");
    let broker = cable.redirect(&host("broker.example.test"), 8883, real).expect("there is room");
    let unit = cable
        .join(&Station { mac: UNIT, ssid: b"", passphrase: "", asks_by_name: true })
        .expect("it joins");
    assert_eq!(cable.resolve(unit.address, "broker.example.test"), Some(broker));
    let to = SocketAddr::new(broker, 8883);
    let stream = cable.connect(unit.address, to, Party::Unit).expect("it leads there");
    let (_, peer) = listener.accept().expect("a connection arrives");
    assert_eq!(peer.ip(), unit.address);
    let ends = (stream.local_addr().expect("it is bound"), real);
    let bench = cable.connect(unit.address, to, Party::Bench).expect("it leads there");
    let bench_ends = (bench.local_addr().expect("it is bound"), real);
    let claimed = [ends, bench_ends].map(|(own, service)| cable.callers().claim(own, service));
    assert!(claimed[0].is_unit() && !claimed[1].is_unit(), "{claimed:?}");
}

#[test]
fn it_proves_no_radio_and_units_have_no_networks_of_their_own() {
    let cable = cable();
    assert!(!cable.proves().radio && !cable.proves().own_networks);
    let portal = SocketAddrV4::new(Ipv4Addr::new(192, 168, 4, 1), 80);
    cable.open_network(UNIT, b"Setup", Secret::new("setup-1234"), portal).expect_err("none");
    let refused = cable.join_network(Mac(UNIT), "Setup", "setup-1234").expect_err("none");
    assert_eq!(refused.reason, reason::NO_AP_FOUND);
}

#[test]
fn the_bench_joins_it_as_it_joins_the_air() {
    let passphrase = Secret::new("whatever");
    let network = PlannedNetwork { ssid: "Lab", passphrase: &passphrase };
    let station = BenchStation::near(Arc::new(cable()));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(join_network(&station, network)).expect("it joins");
}

#[test]
fn networks_are_known_by_their_names() {
    for network in NetworkKind::ALL {
        assert_eq!(network.to_string().parse(), Ok(network));
    }
    let unknown = "tap".parse::<NetworkKind>().expect_err("there is none");
    assert_eq!(
        unknown.to_string(),
        "unknown network \"tap\": expected air, cable, nat, nic:NAME, site or wire:HOST:PORT"
    );
}

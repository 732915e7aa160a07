//! Networks that units open themselves: whose is whose, who gets in, and when they end.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddrV4},
    os::unix::net::UnixStream,
};

use goldline::{
    identity::Mac,
    secret::Secret,
    testbed::{
        access_point::AccessPoint,
        network::{Network, NetworkEvent, Refusal, Visitors, reason},
    },
};
use rstest::rstest;

use super::{
    access_point::{UNIT, access_point, station},
    bench::PATIENCE,
};

const OTHER: [u8; 6] = [0xA4, 0xCF, 0x12, 0, 0, 2];
const SETUP: &str = "Gateway-Setup";
const PASSPHRASE: &str = "setup-passphrase";
const SERVICE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 168, 4, 1), 80);

fn opened(access_point: &AccessPoint, mac: [u8; 6]) -> Visitors {
    let passphrase = Secret::new(PASSPHRASE);
    access_point.open_network(mac, SETUP.as_bytes(), passphrase, SERVICE).expect("it opens")
}

/// Whether what one end sends comes out of the other.
fn connected(visitors: &mut Visitors, mut bench: UnixStream) -> bool {
    let Ok(mut unit) = visitors.try_recv() else { return false };
    bench.write_all(b"x").expect("the unit is there");
    unit.set_read_timeout(Some(PATIENCE)).expect("a time limit");
    let mut read = [0];
    unit.read_exact(&mut read).expect("a byte");
    read == *b"x"
}

#[test]
fn units_with_the_same_network_name_are_told_apart_by_their_mac() {
    let access_point = access_point(&[]);
    let mut units = [UNIT, OTHER].map(|mac| (mac, opened(&access_point, mac)));
    for index in 0..units.len() {
        let (mac, own) = &mut units[index];
        let inside = access_point.join_network(Mac(*mac), SETUP, PASSPHRASE).expect("it joins");
        assert!(connected(own, inside.connect(SERVICE).expect("the unit serves")));
        for (_, visitors) in &mut units {
            visitors.try_recv().expect_err("nobody else comes");
        }
    }
}

#[rstest]
#[case::another_name(UNIT, "Gateway", PASSPHRASE, reason::NO_AP_FOUND)]
#[case::name_in_another_case(UNIT, "gateway-setup", PASSPHRASE, reason::NO_AP_FOUND)]
#[case::another_unit(OTHER, SETUP, PASSPHRASE, reason::NO_AP_FOUND)]
#[case::wrong_passphrase(UNIT, SETUP, "setup-passphrase ", reason::FOUR_WAY_HANDSHAKE_TIMEOUT)]
#[case::no_passphrase(UNIT, SETUP, "", reason::FOUR_WAY_HANDSHAKE_TIMEOUT)]
fn who_does_not_fit_a_units_network_is_refused(
    #[case] mac: [u8; 6],
    #[case] ssid: &str,
    #[case] passphrase: &str,
    #[case] reason: u16,
) {
    let access_point = access_point(&[]);
    let _visitors = opened(&access_point, UNIT);
    let refusal = access_point.join_network(Mac(mac), ssid, passphrase).expect_err("refused");
    assert_eq!(refusal, Refusal { reason });
}

#[rstest]
#[case::another_port(SocketAddrV4::new(*SERVICE.ip(), 81))]
#[case::another_address(SocketAddrV4::new(Ipv4Addr::new(192, 168, 4, 2), 80))]
fn nothing_but_the_units_service_is_in_its_network(#[case] to: SocketAddrV4) {
    let access_point = access_point(&[]);
    let mut visitors = opened(&access_point, UNIT);
    let inside = access_point.join_network(Mac(UNIT), SETUP, PASSPHRASE).expect("it joins");
    let refusal = inside.connect(to).expect_err("nobody is there");
    assert_eq!(refusal.kind(), io::ErrorKind::HostUnreachable);
    visitors.try_recv().expect_err("nobody");
}

#[test]
fn a_units_network_ends_when_the_unit_leaves_and_only_then() {
    let access_point = access_point(&[]);
    let _visitors = [UNIT, OTHER].map(|mac| opened(&access_point, mac));
    access_point.join(&station(OTHER)).expect("a unit can be in two networks");
    access_point.leave(OTHER);
    access_point.join_network(Mac(UNIT), SETUP, PASSPHRASE).expect("it is another unit's");
    let gone = access_point.join_network(Mac(OTHER), SETUP, PASSPHRASE).expect_err("it has left");
    assert_eq!(gone, Refusal { reason: reason::NO_AP_FOUND });

    let (unit, other) = (Mac(UNIT), Mac(OTHER));
    let events = access_point.events().into_iter().map(|stamped| stamped.event);
    let events: Vec<_> =
        events.filter(|event| !matches!(event, NetworkEvent::Join { .. })).collect();
    let ssid = || SETUP.to_owned();
    assert_eq!(
        events,
        [
            NetworkEvent::NetworkOpened { mac: unit, ssid: ssid() },
            NetworkEvent::NetworkOpened { mac: other, ssid: ssid() },
            NetworkEvent::Left { mac: other },
            NetworkEvent::NetworkClosed { mac: other },
        ]
    );
}

#[test]
fn who_was_in_a_network_that_ended_is_not_in_the_next_one() {
    let access_point = access_point(&[]);
    let first = opened(&access_point, UNIT);
    let inside = access_point.join_network(Mac(UNIT), SETUP, PASSPHRASE).expect("it joins");
    access_point.leave(UNIT);
    drop(first);
    let mut second = opened(&access_point, UNIT);
    let refusal = inside.connect(SERVICE).expect_err("that network is gone");
    assert_eq!(refusal.kind(), io::ErrorKind::ConnectionRefused);
    let inside = access_point.join_network(Mac(UNIT), SETUP, PASSPHRASE).expect("it joins again");
    assert!(connected(&mut second, inside.connect(SERVICE).expect("the unit serves")));
}

#[test]
fn a_units_network_needs_no_access_point_and_shows_no_passphrase() {
    let faults = [goldline::testbed::fault::TestbedFault::AccessPointAbsent];
    let access_point = access_point(&faults);
    let _visitors = opened(&access_point, UNIT);
    let inside = access_point.join_network(Mac(UNIT), SETUP, PASSPHRASE).expect("it joins");
    let shown = format!("{access_point:?} {inside:?} {:?}", access_point.events());
    assert!(!shown.contains(PASSPHRASE), "{shown}");
}

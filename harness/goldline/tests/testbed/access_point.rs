//! Who joins, what DNS answers, and where connections lead.

use std::{
    collections::HashSet,
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
};

use goldline::{
    clock::Clock,
    identity::Mac,
    secret::Secret,
    testbed::{
        access_point::{AccessPoint, AccessPointConfig},
        fault::TestbedFault,
        network::{Network, NetworkEvent, Party, Refusal, Signal, Station, reason},
    },
};
use rstest::rstest;

use super::bench::host;

pub const SSID: &str = "bench";
pub const PASSPHRASE: &str = "bench-passphrase";
pub const UNIT: [u8; 6] = [0xA4, 0xCF, 0x12, 0, 0, 1];

pub fn network() -> AccessPointConfig {
    AccessPointConfig {
        ssid: SSID.to_owned(),
        passphrase: Secret::new(PASSPHRASE),
        hidden: false,
        signal: Signal { bssid: [2, 0, 0, 0, 0, 1], channel: 6, rssi_dbm: -42 },
    }
}

pub fn access_point(faults: &[TestbedFault]) -> AccessPoint {
    AccessPoint::start(network(), faults, Clock::system())
}

pub fn station(mac: [u8; 6]) -> Station<'static> {
    Station { mac, ssid: SSID.as_bytes(), passphrase: PASSPHRASE, asks_by_name: true }
}

#[test]
fn a_station_gets_an_address_of_its_own_and_keeps_it() {
    let access_point = access_point(&[]);
    let link = access_point.join(&station(UNIT)).expect("it joins");
    assert_eq!(link.address.octets()[..2], [127, 77]);
    assert_eq!(link.signal, Some(network().signal));
    let mut seen = HashSet::from([link.address, link.gateway]);
    for number in 0..600_u16 {
        let [high, low] = number.to_be_bytes();
        let other = access_point.join(&station([2, 0, 0, 0, high, low])).expect("it joins");
        assert!(seen.insert(other.address), "{} is given twice", other.address);
    }
    access_point.leave(UNIT);
    let again = access_point.join(&station(UNIT)).expect("it joins again");
    assert_eq!(again.address, link.address);
}

/// Both sides of each: an open network, and one that hides its name.
#[rstest]
#[case::open_to_open("", "", Ok(()))]
#[case::open_to_locked("", PASSPHRASE, Err(reason::NO_AP_FOUND_IN_AUTHMODE_THRESHOLD))]
#[case::locked_to_open(PASSPHRASE, "", Err(reason::NO_AP_FOUND_W_COMPATIBLE_SECURITY))]
fn an_open_network_takes_those_who_believe_it_open(
    #[case] own: &str,
    #[case] passphrase: &str,
    #[case] expected: Result<(), u16>,
) {
    let config = AccessPointConfig { passphrase: Secret::new(own), ..network() };
    let access_point = AccessPoint::start(config, &[], Clock::system());
    let joined = access_point.join(&Station { passphrase, ..station(UNIT) });
    assert_eq!(joined.map(|_| ()).map_err(|refusal| refusal.reason), expected);
}

#[rstest]
#[case::asked(true, true, Ok(()))]
#[case::listened_to(true, false, Err(reason::NO_AP_FOUND))]
#[case::in_the_open(false, false, Ok(()))]
fn a_hidden_network_answers_those_who_know_its_name(
    #[case] hidden: bool,
    #[case] asks_by_name: bool,
    #[case] expected: Result<(), u16>,
) {
    let config = AccessPointConfig { hidden, ..network() };
    let access_point = AccessPoint::start(config, &[], Clock::system());
    let joined = access_point.join(&Station { asks_by_name, ..station(UNIT) });
    assert_eq!(joined.map(|_| ()).map_err(|refusal| refusal.reason), expected);
}

#[rstest]
#[case::wrong_passphrase(SSID, "wrong", &[], reason::FOUR_WAY_HANDSHAKE_TIMEOUT)]
#[case::another_network("other", PASSPHRASE, &[], reason::NO_AP_FOUND)]
#[case::absent(SSID, PASSPHRASE, &[TestbedFault::AccessPointAbsent], reason::NO_AP_FOUND)]
#[case::changed_passphrase(
    SSID, PASSPHRASE, &[TestbedFault::AccessPointPassword], reason::FOUR_WAY_HANDSHAKE_TIMEOUT
)]
#[case::no_passphrase(SSID, "", &[], reason::NO_AP_FOUND_W_COMPATIBLE_SECURITY)]
fn a_station_that_does_not_fit_is_refused_with_esp_idfs_reason(
    #[case] ssid: &str,
    #[case] passphrase: &str,
    #[case] faults: &[TestbedFault],
    #[case] reason: u16,
) {
    let access_point = access_point(faults);
    let refusal =
        access_point.join(&Station { ssid: ssid.as_bytes(), passphrase, ..station(UNIT) });
    assert_eq!(refusal, Err(Refusal { reason }));
    let logged = access_point.events().first().expect("the attempt is in the log").event.clone();
    let expected = NetworkEvent::Join {
        mac: Mac(UNIT),
        ssid: ssid.to_owned(),
        outcome: Err(Refusal { reason }),
    };
    assert_eq!(logged, expected);
}

#[test]
fn only_redirected_names_exist_and_only_for_who_has_joined() {
    let access_point = access_point(&[]);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let real = listener.local_addr().expect("it is bound");
    let broker =
        access_point.redirect(&host("broker.example.test"), 8883, real).expect("there is room");
    assert!(broker.to_string().starts_with("192.0.2."), "{broker}");
    let stranger = Ipv4Addr::new(127, 77, 0, 2);
    assert_eq!(access_point.resolve(stranger, "broker.example.test"), None);
    let unit = access_point.join(&station(UNIT)).expect("it joins").address;
    assert_eq!(access_point.resolve(unit, "Broker.Example.TEST."), Some(broker));
    assert_eq!(access_point.resolve(unit, "localhost"), None);
    assert_eq!(access_point.resolve(unit, "www.example.test"), None);
}

#[test]
fn a_connection_arrives_from_the_stations_own_address() {
    let access_point = access_point(&[]);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let real = listener.local_addr().expect("it is bound");
    let broker =
        access_point.redirect(&host("broker.example.test"), 8883, real).expect("there is room");
    let unit = access_point.join(&station(UNIT)).expect("it joins").address;
    let to = SocketAddr::new(broker, 8883);
    let _stream = access_point.connect(unit, to, Party::Unit).expect("it leads to the listener");
    let (_, peer) = listener.accept().expect("a connection arrives");
    assert_eq!(peer.ip(), unit);

    let other_port = access_point.connect(unit, SocketAddr::new(broker, 1883), Party::Unit);
    assert_eq!(other_port.expect_err("nothing there").kind(), io::ErrorKind::ConnectionRefused);
    let port = real.port();
    let past_dns =
        access_point.connect(unit, SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port), Party::Unit);
    assert_eq!(past_dns.expect_err("no way").kind(), io::ErrorKind::ConnectionRefused);
    access_point.leave(UNIT);
    let left = access_point.connect(unit, to, Party::Unit).expect_err("it has left");
    assert_eq!(left.kind(), io::ErrorKind::NetworkUnreachable);
}

#[rstest]
#[case::of_ipv4("198.51.100.7", "198.51.100.7:8883")]
#[case::of_ipv6("fd00::1", "[fd00::1]:8883")]
#[case::of_ipv6_in_another_spelling("FD00:0::1", "[fd00::1]:8883")]
#[case::of_ipv4_mapped_into_ipv6("::ffff:198.51.100.7", "198.51.100.7:8883")]
#[case::of_ipv4_called_by_its_mapping("198.51.100.7", "[::ffff:198.51.100.7]:8883")]
fn a_literal_address_can_be_redirected_too(#[case] redirected: &str, #[case] to: &str) {
    let access_point = access_point(&[]);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let real = listener.local_addr().expect("it is bound");
    let to: SocketAddr = to.parse().expect("an address");
    let address = access_point.redirect(&host(redirected), 8883, real).expect("there is room");
    assert_eq!(address, to.ip().to_canonical());
    let unit = access_point.join(&station(UNIT)).expect("it joins").address;
    access_point.connect(unit, to, Party::Unit).expect("it leads there");
    let other = "[fd00::2]:8883".parse().expect("an address");
    access_point.connect(unit, other, Party::Unit).expect_err("nothing is there");
}

#[test]
fn names_beyond_the_last_address_are_refused() {
    let access_point = access_point(&[]);
    let real = "127.0.0.1:9".parse().expect("an address");
    for number in 0..254 {
        access_point
            .redirect(&host(&format!("n{number}.example.test")), 1, real)
            .expect("there is room");
    }
    access_point.redirect(&host("one-more.example.test"), 1, real).expect_err("there is no room");
}

#[test]
fn the_passphrase_is_not_shown() {
    let access_point = access_point(&[]);
    let joined = access_point.join(&station(UNIT)).expect("it joins");
    let shown = format!("{access_point:?} {joined:?} {:?} {:?}", access_point.events(), network());
    assert!(!shown.contains(PASSPHRASE), "{shown}");
}

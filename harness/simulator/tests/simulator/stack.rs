//! The unit's own network stack against one that is not its own.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use std::sync::Arc;

use goldline_simulator::world::{Association, Link, Passphrase, Refusal};
use goldline_simulator::{Config, Fault, Simulator, Stack, World, chip};
use md5::{Digest, Md5};
use rstest::rstest;

use crate::bench::{boot_until, flash};
use crate::broker::Broker;
use crate::images::{SAMPLE, product, settings};
use crate::segment::{self, Plug, Segment, wait_for};

const MAC: [u8; 6] = [0x24, 0x0A, 0xC4, 0x00, 0x01, 0x10];
const HOST: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const DEADLINE: Duration = Duration::from_secs(30);
const ECHO: u16 = 7000;
const MEGABYTE: u16 = 7001;
const MEASURE: u16 = 7002;
const IGNORE: u16 = 7003;

fn associate(stack: &Stack, mac: [u8; 6]) -> Result<Link, Refusal> {
    let passphrase = Passphrase::new("any");
    stack.associate(&Association { mac, ssid: b"any", passphrase, asks_by_name: false })
}

fn open(stack: &Stack, link: &Link, port: u16) -> UnixStream {
    let stream = stack.connect(link.address, SocketAddr::from((HOST, port))).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

fn echo(stream: &mut UnixStream, text: &[u8]) {
    stream.write_all(text).unwrap();
    let mut back = vec![0; text.len()];
    stream.read_exact(&mut back).unwrap();
    assert_eq!(back, text);
}

fn megabyte() -> Vec<u8> {
    (0..1_usize << 20).map(|at| (at * 7 % 251) as u8).collect()
}

/// Joins as often as it takes: the bench may come up after the unit.
fn joined(stack: &Stack, mac: [u8; 6]) -> Link {
    let started = Instant::now();
    loop {
        match associate(stack, mac) {
            Ok(link) => return link,
            Err(refusal) => assert!(started.elapsed() < DEADLINE, "{refusal:?}"),
        }
    }
}

#[test]
fn a_unit_joins_asks_for_names_and_leaves() {
    if !segment::can_be_made() {
        return;
    }
    let mut segment = Segment::with_dhcp();
    let plug = segment.plug();
    let stack = Stack::reach(plug.address).unwrap();
    let link = joined(&stack, MAC);
    assert_eq!(link.gateway, HOST);
    assert_eq!(link.netmask, Ipv4Addr::new(255, 255, 255, 0));
    assert_eq!(link.address.octets()[..3], [10, 77, 0]);
    let log = segment.wait_for_log("DHCPACK(br0)");
    assert!(log.contains("24:0a:c4:00:01:10"), "the unit's own address in:\n{log}");
    assert!(log.contains("client provides name: espressif"), "its name in:\n{log}");

    assert_eq!(stack.resolve(link.address, "broker.example.test"), Some(IpAddr::V4(HOST)));
    assert_eq!(stack.resolve(link.address, "nobody.example.test"), None);
    // The server refuses what it has no authority over.
    assert_eq!(stack.resolve(link.address, "elsewhere.test"), None);
    assert_eq!(stack.resolve(link.address, "..."), None);

    stack.leave(MAC);
    segment.wait_for_log("DHCPRELEASE(br0)");
    let again = associate(&stack, MAC).expect("an address");
    assert_eq!(stack.resolve(again.address, "broker.example.test"), Some(IpAddr::V4(HOST)));
}

#[test]
fn a_megabyte_goes_each_way_and_each_side_may_end_first() {
    if !segment::can_be_made() {
        return;
    }
    let mut segment = Segment::with_dhcp();
    let plug = segment.plug();
    let stack = Stack::reach(plug.address).unwrap();
    let link = joined(&stack, MAC);

    let mut received = Vec::new();
    open(&stack, &link, MEGABYTE).read_to_end(&mut received).unwrap();
    assert!(received == megabyte(), "{} bytes came", received.len());

    let mut stream = open(&stack, &link, MEASURE);
    stream.write_all(&megabyte()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let digest =
        Md5::digest(megabyte()).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(answer, format!("{} {digest}", 1 << 20));

    // Both ways at once, more than all buffers hold.
    let mut stream = open(&stack, &link, ECHO);
    let mut writer = stream.try_clone().unwrap();
    let sender = std::thread::spawn(move || {
        writer.write_all(&megabyte()).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut received = Vec::new();
    stream.read_to_end(&mut received).unwrap();
    sender.join().unwrap();
    assert!(received == megabyte(), "{} bytes came", received.len());
}

#[test]
fn a_port_without_a_server_refuses_and_one_without_a_host_is_given_up() {
    if !segment::can_be_made() {
        return;
    }
    let mut segment = Segment::with_dhcp();
    let plug = segment.plug();
    let stack = Stack::reach(plug.address).unwrap();
    let link = joined(&stack, MAC);
    let refused = stack.connect(link.address, SocketAddr::from((HOST, 9)));
    assert_eq!(refused.map_err(|error| error.kind()).unwrap_err(), ErrorKind::ConnectionRefused);
    let other = stack.connect(link.address, "[::1]:7000".parse().unwrap());
    assert_eq!(other.map_err(|error| error.kind()).unwrap_err(), ErrorKind::NetworkUnreachable);
    let nobody = SocketAddr::from(([10, 77, 0, 200], 7000));
    let lost = stack.connect(link.address, nobody);
    assert_eq!(lost.map_err(|error| error.kind()).unwrap_err(), ErrorKind::TimedOut);
    // That the stack waited for them did not stop it.
    echo(&mut open(&stack, &link, ECHO), b"still there");
}

#[test]
fn datagrams_are_answered_or_time_out() {
    if !segment::can_be_made() {
        return;
    }
    let mut segment = Segment::with_dhcp();
    let plug = segment.plug();
    let stack = Stack::reach(plug.address).unwrap();
    let link = joined(&stack, MAC);
    let ask = |port, limit| {
        stack.exchange(link.address, SocketAddr::from((HOST, port)), b"what time is it", limit)
    };
    assert_eq!(ask(123, DEADLINE).unwrap(), b"ti si emit tahw");
    let silent = ask(124, Duration::from_millis(300)).map_err(|error| error.kind());
    assert_eq!(silent.unwrap_err(), ErrorKind::TimedOut);
}

#[test]
fn many_connections_come_and_go() {
    if !segment::can_be_made() {
        return;
    }
    let mut segment = Segment::with_dhcp();
    let plug = segment.plug();
    let stack = Stack::reach(plug.address).unwrap();
    let link = joined(&stack, MAC);
    for round in 0..300_u32 {
        echo(&mut open(&stack, &link, ECHO), &round.to_be_bytes());
    }
    let mut together: Vec<UnixStream> = (0..100).map(|_| open(&stack, &link, ECHO)).collect();
    together.iter_mut().for_each(|stream| echo(stream, b"together"));
    drop(together);
    echo(&mut open(&stack, &link, ECHO), b"after all");
}

#[test]
fn a_leaving_unit_resets_what_it_had_open() {
    if !segment::can_be_made() {
        return;
    }
    let mut segment = Segment::with_dhcp();
    let plug = segment.plug();
    let stack = Stack::reach(plug.address).unwrap();
    let link = joined(&stack, MAC);
    let mut stream = open(&stack, &link, IGNORE);
    assert!(segment.connections("established").contains(":7003"));
    drop(stack);
    assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0);
    segment.wait_for_log("DHCPRELEASE(br0)");
    // A connection that was closed in order would stand half open here for as long as its server ignores it.
    assert_eq!(segment.connections("connected"), "");
}

#[test]
fn a_cut_link_ends_everything_and_a_restored_one_gives_an_address_again() {
    if !segment::can_be_made() {
        return;
    }
    let mut segment = Segment::with_dhcp();
    let mut plug = segment.plug();
    let stack = Stack::reach(plug.address).unwrap();
    let link = joined(&stack, MAC);
    let mut stream = open(&stack, &link, ECHO);
    echo(&mut stream, b"before");
    plug.cut();
    assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0, "the connection ended");
    let lost = stack.connect(link.address, SocketAddr::from((HOST, ECHO)));
    assert_eq!(lost.map_err(|error| error.kind()).unwrap_err(), ErrorKind::NetworkUnreachable);
    assert_eq!(stack.resolve(link.address, "broker.example.test"), None);
    stack.leave(MAC);
    assert_eq!(associate(&stack, MAC), Err(Refusal::NO_AP_FOUND));
    plug.restore();
    let link = joined(&stack, MAC);
    echo(&mut open(&stack, &link, ECHO), b"after");
}

#[test]
fn without_a_dhcp_server_there_is_no_address_in_time() {
    if !segment::can_be_made() {
        return;
    }
    let mut segment = Segment::new();
    let plug = segment.plug();
    let stack = Stack::with_patience(plug.address, Duration::from_millis(1500)).unwrap();
    assert_eq!(associate(&stack, MAC), Err(Refusal::LEFT));
    let lost = stack.connect(Ipv4Addr::UNSPECIFIED, SocketAddr::from((HOST, ECHO)));
    assert_eq!(lost.map_err(|error| error.kind()).unwrap_err(), ErrorKind::NetworkUnreachable);
    segment.start_dhcp();
    let link = joined(&stack, MAC);
    echo(&mut open(&stack, &link, ECHO), b"late");
}

#[test]
fn two_units_are_two() {
    if !segment::can_be_made() {
        return;
    }
    let mut segment = Segment::with_dhcp();
    let plugs = [segment.plug(), segment.plug()];
    let units: Vec<(Stack, Link)> = (0_u8..)
        .zip(&plugs)
        .map(|(number, plug)| {
            let stack = Stack::reach(plug.address).unwrap();
            let link = joined(&stack, [0x24, 0x0A, 0xC4, 0, 2, number]);
            (stack, link)
        })
        .collect();
    assert_ne!(units[0].1.address, units[1].1.address);
    let mut streams: Vec<UnixStream> =
        units.iter().map(|(stack, link)| open(stack, link, ECHO)).collect();
    streams.iter_mut().for_each(|stream| echo(stream, b"each for itself"));
    let mut units = units.into_iter();
    drop(units.next());
    assert_eq!(streams[0].read(&mut [0]).unwrap_or(0), 0);
    echo(&mut streams[1], b"the other goes on");
}

fn unit(plug: &Plug, faults: &[Fault], authority: &str) -> Simulator {
    let mut config = Config::new(chip::ESP32);
    config.faults = faults.to_vec();
    let world = Arc::new(Stack::reach(plug.address).unwrap());
    let simulator = Simulator::start(config, world).unwrap();
    let mut regions = product(chip::ESP32, espflash::target::Chip::Esp32, authority);
    regions.push(settings(SAMPLE));
    flash(&simulator, &regions);
    simulator
}

/// The firmware's whole way over nothing of this project's: dnsmasq, the kernel, mosquitto with OpenSSL.
#[test]
fn a_firmware_reaches_mosquitto_and_its_reset_is_seen() {
    if !segment::can_be_made() {
        return;
    }
    let issuer = Broker::start("unused.example.test", "", "");
    let leaf = issuer.issue("broker.example.test");
    let mut segment = Segment::with_dhcp();
    let broker = segment.start_mosquitto(&leaf.pem, &leaf.key_pem);
    let plug = segment.plug();
    let simulator = unit(&plug, &[], &issuer.authority);
    let log = boot_until(&simulator, "MQTT_EVENT_SUBSCRIBED");
    assert!(log.contains("sta ip: 10.77.0."), "{log}");
    assert!(log.contains("connected with Workbench"), "{log}");
    let seen = wait_for(&broker, "VAULT-00001");
    assert!(seen.contains("New client connected from 10.77.0."), "{seen}");
    drop(simulator);
    segment.wait_for_log("DHCPRELEASE(br0)");
    wait_for(&broker, "Client VAULT-00001");
}

#[rstest]
#[case::wrong_ca(Fault::FirmwareWrongCa, "-0x2700")]
#[case::deaf(Fault::RadioDeaf, "reason: 201 (NO_AP_FOUND)")]
fn a_fault_shows_on_a_wire_as_anywhere(#[case] fault: Fault, #[case] said: &str) {
    if !segment::can_be_made() {
        return;
    }
    let issuer = Broker::start("unused.example.test", "", "");
    let leaf = issuer.issue("broker.example.test");
    let mut segment = Segment::with_dhcp();
    segment.start_mosquitto(&leaf.pem, &leaf.key_pem);
    let plug = segment.plug();
    let log = boot_until(&unit(&plug, &[fault], &issuer.authority), said);
    assert!(!log.contains("MQTT_EVENT_CONNECTED"), "{log}");
}

#[test]
fn a_firmware_without_an_address_leaves_and_tries_again() {
    if !segment::can_be_made() {
        return;
    }
    let issuer = Broker::start("unused.example.test", "", "");
    let mut segment = Segment::new();
    let plug = segment.plug();
    let log = boot_until(&unit(&plug, &[], &issuer.authority), "reason: 8 (ASSOC_LEAVE)");
    assert!(!log.contains("sta ip"), "{log}");
}

#[test]
fn without_a_bench_no_network_is_found_and_one_that_speaks_otherwise_is_none() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let stack = Stack::with_patience(address, Duration::from_secs(1)).unwrap();
    let babbler = std::thread::spawn(move || {
        // It is let go, and comes again.
        for _ in 0..2 {
            let (mut unit, _) = listener.accept().unwrap();
            unit.set_read_timeout(Some(DEADLINE)).unwrap();
            unit.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").unwrap();
            let mut rest = Vec::new();
            let _ended = unit.read_to_end(&mut rest);
        }
    });
    babbler.join().unwrap();
    assert!(associate(&stack, MAC).is_err());
    let began = Instant::now();
    drop(stack);
    assert!(began.elapsed() < Duration::from_secs(10), "it ended after {:?}", began.elapsed());
}

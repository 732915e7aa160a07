//! Units that abuse their link: another unit on another link is served all the same, and the bench keeps
//! nothing of it past its bounds.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddrV4},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use goldline::{
    identity::Mac,
    testbed::network::{Network, NetworkEvent, Station},
};
use rstest::rstest;
use smoltcp::{
    phy::ChecksumCapabilities,
    wire::{
        ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol,
        EthernetRepr, IpProtocol, Ipv4Packet, Ipv4Repr, TcpControl, TcpPacket, TcpRepr,
        TcpSeqNumber,
    },
};

use super::{
    super::access_point::UNIT,
    GATEWAY, Shared, Side, echo, noise,
    peer::{Frames, Peer},
};

/// Far below what each attack sends.
const MOST_GROWTH_KB: usize = 100 << 10;
/// The address that the first unit of a network has.
const ABUSER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);

#[derive(Clone, Copy, PartialEq, Debug)]
enum Abuse {
    /// SYNs of ever new ports to a service, never followed up.
    HalfOpen,
    /// SYNs to where nothing listens.
    ClosedPorts,
    /// Frames of arbitrary bytes.
    Garbage,
    /// Sound headers with arbitrary bytes behind them.
    CutShort,
    /// DHCP of ever new hardware addresses.
    Starvation,
    /// Packets of ever new source addresses.
    Wandering,
    /// It takes nothing off its link.
    Deaf,
}

fn ethernet(mac: [u8; 6], ethertype: EthernetProtocol, payload: &[u8]) -> Vec<u8> {
    let header = EthernetRepr {
        src_addr: EthernetAddress(mac),
        dst_addr: EthernetAddress::BROADCAST,
        ethertype,
    };
    let mut bytes = vec![0; 14 + payload.len()];
    header.emit(&mut EthernetFrame::new_unchecked(&mut bytes));
    bytes[14..].copy_from_slice(payload);
    bytes
}

pub fn ipv4(from: Ipv4Addr, to: Ipv4Addr, protocol: IpProtocol, payload: &[u8]) -> Vec<u8> {
    let header = Ipv4Repr {
        src_addr: from,
        dst_addr: to,
        next_header: protocol,
        payload_len: payload.len(),
        hop_limit: 64,
    };
    let mut bytes = vec![0; header.buffer_len() + payload.len()];
    let mut packet = Ipv4Packet::new_unchecked(&mut bytes);
    header.emit(&mut packet, &ChecksumCapabilities::default());
    packet.payload_mut().copy_from_slice(payload);
    ethernet(UNIT, EthernetProtocol::Ipv4, &bytes)
}

fn syn(from: SocketAddrV4, to: SocketAddrV4) -> Vec<u8> {
    let segment = TcpRepr {
        src_port: from.port(),
        dst_port: to.port(),
        control: TcpControl::Syn,
        seq_number: TcpSeqNumber(7),
        ack_number: None,
        window_len: 4096,
        window_scale: None,
        max_seg_size: Some(1460),
        sack_permitted: false,
        sack_ranges: [None; 3],
        timestamp: None,
        payload: &[],
    };
    let mut bytes = vec![0; segment.buffer_len()];
    segment.emit(
        &mut TcpPacket::new_unchecked(&mut bytes),
        &(*from.ip()).into(),
        &(*to.ip()).into(),
        &ChecksumCapabilities::default(),
    );
    ipv4(*from.ip(), *to.ip(), IpProtocol::Tcp, &bytes)
}

/// A DHCP message with nothing but its kind.
fn discover(mac: [u8; 6]) -> Vec<u8> {
    let mut message = vec![0; 244];
    message[0] = 1;
    message[1] = 1;
    message[2] = 6;
    message[28..34].copy_from_slice(&mac);
    message[236..240].copy_from_slice(&[0x63, 0x82, 0x53, 0x63]);
    message[240..244].copy_from_slice(&[53, 1, 1, 255]);
    let length = u16::try_from(8 + message.len()).expect("short");
    let mut datagram = [68_u16.to_be_bytes(), 67_u16.to_be_bytes()].concat();
    datagram.extend_from_slice(&length.to_be_bytes());
    datagram.extend_from_slice(&[0, 0]);
    datagram.extend_from_slice(&message);
    ipv4(Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST, IpProtocol::Udp, &datagram)
}

fn arp(mac: [u8; 6], sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    let question = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Request,
        source_hardware_addr: EthernetAddress(mac),
        source_protocol_addr: sender,
        target_hardware_addr: EthernetAddress([0; 6]),
        target_protocol_addr: target,
    };
    let mut bytes = vec![0; question.buffer_len()];
    question.emit(&mut ArpPacket::new_unchecked(&mut bytes));
    ethernet(mac, EthernetProtocol::Arp, &bytes)
}

impl Abuse {
    fn frame(self, number: u32, to: SocketAddrV4) -> Vec<u8> {
        let port = 1024 + u16::try_from(number % 60_000).expect("it fits");
        let [_, a, b, c] = number.to_be_bytes();
        match self {
            Self::HalfOpen | Self::Deaf => syn(SocketAddrV4::new(ABUSER, port), to),
            Self::ClosedPorts => {
                syn(SocketAddrV4::new(ABUSER, port), SocketAddrV4::new(*to.ip(), 1))
            }
            Self::Garbage => noise(1 + number as usize % 1518),
            Self::CutShort => {
                let whole = syn(SocketAddrV4::new(ABUSER, port), to);
                whole[..14 + number as usize % (whole.len() - 14)].to_vec()
            }
            Self::Starvation => discover([2, 0, 0, a, b, c]),
            Self::Wandering => {
                syn(SocketAddrV4::new(Ipv4Addr::new(172, 16 | (a & 15), b, c), port), to)
            }
        }
    }
}

fn resident_kb() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("there is one");
    line.split_whitespace().nth(1).expect("a number").parse().expect("a number")
}

/// Connects and talks, again and again.
fn serve_another(side: &Side, unit: &mut Peer, to: SocketAddrV4, rounds: u32) {
    for round in 0..rounds {
        let socket = unit.connect(to);
        let said = round.to_be_bytes();
        assert_eq!(unit.converse(socket, &said), said);
        unit.sockets.remove(socket);
    }
    let ended = |event: &NetworkEvent| matches!(event, NetworkEvent::Closed { reset: true, .. });
    assert!(!side.events().iter().any(ended), "none of its connections broke");
}

#[rstest]
#[case(Abuse::HalfOpen)]
#[case(Abuse::ClosedPorts)]
#[case(Abuse::Garbage)]
#[case(Abuse::CutShort)]
#[case(Abuse::Starvation)]
#[case(Abuse::Wandering)]
#[case(Abuse::Deaf)]
#[tokio::test(flavor = "multi_thread")]
async fn a_unit_beside_an_abuser_is_served(#[case] abuse: Abuse) {
    let shared = Shared::default();
    let (abused, sound) = (shared.side(), shared.side());
    let (to, own) = (abused.serve(echo), sound.serve(echo));
    let mut abuser = abused.plug();
    assert_eq!(abuser.join().address, ABUSER);
    let mut unit = sound.plug();
    unit.join();
    let before = resident_kb();
    let stop = Arc::new(AtomicBool::new(false));
    let flood = {
        let stop = Arc::clone(&stop);
        thread::spawn(move || {
            let mut sent = 0;
            while !stop.load(Ordering::Relaxed) {
                if abuser.frames.send(&abuse.frame(sent, to)).is_err() {
                    break;
                }
                if abuse != Abuse::Deaf {
                    while abuser.frames.next(Duration::ZERO).is_some() {}
                }
                sent += 1;
            }
            sent
        })
    };
    thread::sleep(Duration::from_millis(300));
    let began = Instant::now();
    serve_another(&sound, &mut unit, own, 30);
    let took = began.elapsed();
    stop.store(true, Ordering::Relaxed);
    let sent = flood.join().expect("it went on");
    assert!(sent > 500, "only {sent} frames were sent");
    assert!(took < Duration::from_secs(20), "{took:?} for thirty connections");
    let grown = resident_kb().saturating_sub(before);
    assert!(grown < MOST_GROWTH_KB, "{grown} KB for {sent} frames");
    if abuse == Abuse::Starvation {
        let another = Station { mac: [2; 6], ssid: b"", passphrase: "", asks_by_name: true };
        let link = sound.segment.join(&another).expect("an address is left");
        let [.., last] = link.address.octets();
        assert!(last < 20, "{} is far down the row of addresses", link.address);
    }
}

/// After a flood the same unit connects as before: half-open connections give way, the oldest first.
#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_half_opened_more_than_there_is_room_for_still_connects() {
    let side = Shared::default().side();
    let to = side.serve(echo);
    let mut unit = side.plug();
    unit.join();
    for number in 0..1000 {
        unit.frames.send(&Abuse::HalfOpen.frame(number, to)).expect("the link is there");
    }
    unit.work_for(Duration::from_millis(300));
    let socket = unit.connect(to);
    unit.echo(socket, b"still here");
}

#[rstest]
#[case::none(0)]
#[case::too_long(1519)]
#[case::endless(u32::MAX)]
#[tokio::test(flavor = "multi_thread")]
async fn a_length_that_no_frame_has_ends_the_link(#[case] length: u32) {
    let side = Shared::default().side();
    let mut frames = Frames::on(side.wire.plug().expect("a pair of sockets"));
    side.seen("the link", |event| (*event == NetworkEvent::LinkUp).then_some(()));
    let before = resident_kb();
    frames.send_raw(&length.to_be_bytes()).expect("it goes");
    assert!(frames.has_ended());
    let why = side.seen("the end", |event| match event {
        NetworkEvent::LinkDown { why } => Some(why.clone()),
        _ => None,
    });
    assert!(why.starts_with(&format!("a frame of {length} bytes was announced")), "{why}");
    assert!(resident_kb().saturating_sub(before) < 50 << 10, "nothing was set aside for it");
    let mut unit = Peer::on(side.wire.plug().expect("a pair of sockets"), UNIT);
    unit.join();
}

/// The bench has every address but the unit's own, so that none who looks whether its address is free hears
/// that it is taken.
#[tokio::test(flavor = "multi_thread")]
async fn a_unit_is_not_told_that_its_own_address_is_taken() {
    let side = Shared::default().side();
    let mut unit = side.plug();
    let own = unit.join().address;
    let mut answered = |sender, target| {
        unit.frames.send(&arp(UNIT, sender, target)).expect("the link is there");
        let until = Instant::now() + Duration::from_millis(150);
        while Instant::now() < until {
            if let Some(frame) = unit.frames.next(Duration::from_millis(20)) {
                let frame = EthernetFrame::new_checked(&frame[..]).expect("a frame");
                if frame.ethertype() == EthernetProtocol::Arp {
                    return true;
                }
            }
        }
        false
    };
    assert!(answered(own, GATEWAY), "the gateway is found");
    assert!(answered(own, Ipv4Addr::new(192, 0, 2, 1)), "and a service on the same net");
    assert!(!answered(own, own), "it announces itself");
    assert!(!answered(Ipv4Addr::UNSPECIFIED, own), "it asks whether its address is free");
    let free = Ipv4Addr::new(169, 254, 7, 7);
    assert!(!answered(Ipv4Addr::UNSPECIFIED, free), "or whether another is");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_answers_is_told_once() {
    let side = Shared::default().side();
    let mut unit = side.plug();
    let own = unit.join().address;
    let elsewhere = Ipv4Addr::new(1, 1, 1, 1);
    let ping = [8, 0, 0xF7, 0xFF, 0, 0, 0, 0];
    let question = [&[0x12, 0x34, 0, 53, 0, 9, 0, 0][..], b"?"].concat();
    for _ in 0..5 {
        unit.frames.send(&ipv4(own, elsewhere, IpProtocol::Icmp, &ping)).expect("it goes");
        unit.frames.send(&ipv4(own, elsewhere, IpProtocol::Udp, &question)).expect("it goes");
        unit.frames.send(&ipv4(own, GATEWAY, IpProtocol::Icmp, &ping)).expect("it goes");
    }
    let mut pongs = 0;
    while let Some(frame) = unit.frames.next(Duration::from_millis(300)) {
        let frame = EthernetFrame::new_checked(&frame[..]).expect("a frame");
        let packet = Ipv4Packet::new_checked(frame.payload()).expect("a packet");
        assert_eq!((packet.src_addr(), packet.next_header()), (GATEWAY, IpProtocol::Icmp));
        assert_eq!(packet.payload(), [0, 0, 0xFF, 0xFF, 0, 0, 0, 0], "the answer to it");
        pongs += 1;
    }
    assert_eq!(pongs, 5, "only the gateway answers");
    let ignored = NetworkEvent::Ignored { from: own, to: elsewhere, protocol: 1 };
    let to = SocketAddrV4::new(elsewhere, 53).into();
    let unanswered = NetworkEvent::Datagram { from: own, to, answered: false };
    for once in [ignored, unanswered] {
        assert_eq!(side.events().iter().filter(|event| **event == once).count(), 1, "{once:?}");
    }
    assert!(side.segment.is_unit(Mac(UNIT), Mac([1; 6])));
}

//! DHCP as clients speak it that are not smoltcp: messages byte by byte.

use std::{net::Ipv4Addr, time::Duration};

use goldline::{identity::Mac, testbed::network::NetworkEvent};
use rstest::rstest;
use smoltcp::wire::{DhcpPacket, EthernetFrame, IpProtocol, Ipv4Packet, UdpPacket};

use super::{super::access_point::UNIT, GATEWAY, Shared, Side, abusers::ipv4, peer::Frames};

const OWN: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
const OTHER: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 50);
const DISCOVER: u8 = 1;
const OFFER: u8 = 2;
const REQUEST: u8 = 3;
const ACK: u8 = 5;
const NAK: u8 = 6;
const RELEASE: u8 = 7;
const INFORM: u8 = 8;

/// A client's message.
#[derive(Clone, Copy)]
struct Says {
    kind: u8,
    /// The address that it has.
    has: Option<Ipv4Addr>,
    /// The address that it asks for.
    wants: Option<Ipv4Addr>,
    /// The server that it chose.
    chose: Option<Ipv4Addr>,
}

const NOTHING_BUT: Says = Says { kind: DISCOVER, has: None, wants: None, chose: None };

impl Says {
    fn frame(self) -> Vec<u8> {
        let mut message = vec![0; 240];
        message[..8].copy_from_slice(&[1, 1, 6, 0, 0xCA, 0xFE, 0xBA, 0xBE]);
        message[12..16].copy_from_slice(&self.has.unwrap_or(Ipv4Addr::UNSPECIFIED).octets());
        message[28..34].copy_from_slice(&UNIT);
        message[236..].copy_from_slice(&[0x63, 0x82, 0x53, 0x63]);
        message.extend_from_slice(&[53, 1, self.kind]);
        // A client identifier of no hardware, of just the length that one of Ethernet has.
        message.extend_from_slice(&[61, 7, 0, 1, 2, 3, 4, 5, 6]);
        message.extend_from_slice(&[12, 9]);
        message.extend_from_slice(b"espressif");
        for (option, address) in [(50, self.wants), (54, self.chose)] {
            if let Some(address) = address {
                message.extend_from_slice(&[option, 4]);
                message.extend_from_slice(&address.octets());
            }
        }
        message.push(255);
        let length = u16::try_from(8 + message.len()).expect("short");
        let mut datagram = [68_u16, 67, length, 0].map(u16::to_be_bytes).concat();
        datagram.extend_from_slice(&message);
        let from = self.has.unwrap_or(Ipv4Addr::UNSPECIFIED);
        ipv4(from, Ipv4Addr::BROADCAST, IpProtocol::Udp, &datagram)
    }
}

/// A link, and what is said on it.
struct Client {
    side: Side,
    frames: Frames,
}

impl Client {
    fn new() -> Self {
        let side = Shared::default().side();
        let frames = Frames::on(side.wire.plug().expect("a pair of sockets"));
        Self { side, frames }
    }

    /// The kind of the answer, and the address in it; none when there is no answer.
    fn say(&mut self, says: Says) -> Option<(u8, Ipv4Addr)> {
        self.frames.send(&says.frame()).expect("the link is there");
        let frame = self.frames.next(Duration::from_millis(500))?;
        let frame = EthernetFrame::new_checked(&frame[..]).expect("a frame");
        let packet = Ipv4Packet::new_checked(frame.payload()).expect("a packet");
        let datagram = UdpPacket::new_checked(packet.payload()).expect("a datagram");
        assert!(datagram.verify_checksum(&GATEWAY.into(), &packet.dst_addr().into()));
        let answer = DhcpPacket::new_checked(datagram.payload()).expect("a message");
        assert_eq!(answer.transaction_id(), 0xCAFE_BABE);
        let kind = answer.options().find(|option| option.kind == 53).expect("a kind").data[0];
        Some((kind, answer.your_ip()))
    }

    fn join(&mut self) {
        assert_eq!(self.say(NOTHING_BUT), Some((OFFER, OWN)));
        let chosen = Says { kind: REQUEST, wants: Some(OWN), chose: Some(GATEWAY), ..NOTHING_BUT };
        assert_eq!(self.say(chosen), Some((ACK, OWN)));
    }

    /// How often it joined, and left.
    fn story(&self) -> (usize, usize) {
        let events = self.side.events();
        let count = |so: fn(&&NetworkEvent) -> bool| events.iter().filter(so).count();
        (
            count(|event| matches!(event, NetworkEvent::Join { outcome: Ok(_), .. })),
            count(|event| matches!(event, NetworkEvent::Left { .. })),
        )
    }
}

#[rstest]
// It goes on.
#[case::renewal(Says { kind: REQUEST, has: Some(OWN), ..NOTHING_BUT }, Some((ACK, OWN)), (1, 0))]
// Its answer was lost.
#[case::again(
    Says { kind: REQUEST, wants: Some(OWN), chose: Some(GATEWAY), ..NOTHING_BUT },
    Some((ACK, OWN)),
    (1, 0)
)]
// It restarted, and remembers.
#[case::remembers(
    Says { kind: REQUEST, wants: Some(OWN), ..NOTHING_BUT },
    Some((ACK, OWN)),
    (2, 1)
)]
// It restarted, and remembers another network.
#[case::remembers_another(
    Says { kind: REQUEST, wants: Some(OTHER), ..NOTHING_BUT },
    Some((NAK, Ipv4Addr::UNSPECIFIED)),
    (1, 0)
)]
// It restarted. Whether it joins is not known yet.
#[case::starts_anew(NOTHING_BUT, Some((OFFER, OWN)), (1, 1))]
#[case::goes(Says { kind: RELEASE, has: Some(OWN), ..NOTHING_BUT }, None, (1, 1))]
#[case::asks_for_the_rest(
    Says { kind: INFORM, has: Some(OWN), ..NOTHING_BUT },
    Some((ACK, Ipv4Addr::UNSPECIFIED)),
    (1, 0)
)]
// It chose a server that is not here.
#[case::chose_another(
    Says { kind: REQUEST, wants: Some(OTHER), chose: Some(OTHER), ..NOTHING_BUT },
    None,
    (1, 0)
)]
#[tokio::test(flavor = "multi_thread")]
async fn what_a_joined_unit_says_of_its_address(
    #[case] says: Says,
    #[case] answer: Option<(u8, Ipv4Addr)>,
    #[case] story: (usize, usize),
) {
    let mut client = Client::new();
    client.join();
    assert_eq!(client.say(says), answer);
    assert_eq!(client.story(), story, "{:#?}", client.side.events());
}

/// An offer is no lease: a unit that stops there has not joined.
#[tokio::test(flavor = "multi_thread")]
async fn an_offer_is_no_join() {
    let mut client = Client::new();
    assert_eq!(client.say(NOTHING_BUT), Some((OFFER, OWN)));
    assert_eq!(client.story(), (0, 0));
    let told = NetworkEvent::Dhcp {
        mac: Mac(UNIT),
        message: "DISCOVER",
        host_name: Some("espressif".to_owned()),
        class: None,
        address: Some(OWN),
    };
    assert_eq!(client.side.events(), [NetworkEvent::LinkUp, told]);
}

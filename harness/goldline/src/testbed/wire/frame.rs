//! What a frame is, as far as the gateway must know, and the frames that it makes itself.
//!
//! Pure: bytes in, a finding or bytes out. Whatever a unit sends, nothing here panics or is taken at more
//! than its word.

use std::net::{Ipv4Addr, SocketAddrV4};

use smoltcp::{
    phy::ChecksumCapabilities,
    wire::{
        ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol,
        EthernetRepr, Icmpv4Message, Icmpv4Packet, IpProtocol, Ipv4Packet, Ipv4Repr, TcpPacket,
        UdpPacket, UdpRepr,
    },
};

/// The bench's own end of every link: a locally administered address.
pub(in crate::testbed) const OWN_MAC: [u8; 6] = [0x02, 0x47, 0x4C, 0x00, 0x00, 0x01];
pub(in crate::testbed) const BROADCAST: [u8; 6] = [0xFF; 6];
/// Ports of DHCP.
const DHCP_SERVER: u16 = 67;
const DHCP_CLIENT: u16 = 68;

/// What a frame is.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Seen<'f> {
    /// A question or an answer for a hardware address.
    Arp { request: bool, mac: [u8; 6], sender: Ipv4Addr, target: Ipv4Addr },
    /// To a DHCP server.
    Dhcp(&'f [u8]),
    /// A datagram.
    Udp { ends: Ends, payload: &'f [u8] },
    /// The first segment of a connection, with the number of its first byte.
    Syn { ends: Ends, number: i32 },
    /// Another segment.
    Segment(Ends),
    /// An echo request.
    Ping { from: Ipv4Addr, to: Ipv4Addr },
    /// Another packet, fragments among them.
    Other { from: Ipv4Addr, to: Ipv4Addr, protocol: u8 },
    /// No packet of IPv4.
    Nothing,
}

/// The two ends of what a unit sends.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Ends {
    pub(super) unit: SocketAddrV4,
    pub(super) to: SocketAddrV4,
}

/// Who sent a frame, and to whom; none when it has no header.
pub(in crate::testbed) fn ends_of(frame: &[u8]) -> Option<([u8; 6], [u8; 6])> {
    let frame = EthernetFrame::new_checked(frame).ok()?;
    Some((frame.src_addr().0, frame.dst_addr().0))
}

/// Looks at a frame; who sent it comes first.
pub(super) fn look(frame: &[u8]) -> ([u8; 6], Seen<'_>) {
    let Ok(frame) = EthernetFrame::new_checked(frame) else { return ([0; 6], Seen::Nothing) };
    let found = match frame.ethertype() {
        EthernetProtocol::Arp => arp(frame.payload()),
        EthernetProtocol::Ipv4 => ipv4(frame.payload()),
        _ => None,
    };
    (frame.src_addr().0, found.unwrap_or(Seen::Nothing))
}

fn arp(payload: &[u8]) -> Option<Seen<'_>> {
    let packet = ArpPacket::new_checked(payload).ok()?;
    let ArpRepr::EthernetIpv4 {
        operation,
        source_hardware_addr,
        source_protocol_addr,
        target_protocol_addr,
        ..
    } = ArpRepr::parse(&packet).ok()?
    else {
        return None;
    };
    Some(Seen::Arp {
        request: operation == ArpOperation::Request,
        mac: source_hardware_addr.0,
        sender: source_protocol_addr,
        target: target_protocol_addr,
    })
}

fn ipv4(payload: &[u8]) -> Option<Seen<'_>> {
    let packet = Ipv4Packet::new_checked(payload).ok()?;
    let (from, to) = (packet.src_addr(), packet.dst_addr());
    let other = Seen::Other { from, to, protocol: packet.next_header().into() };
    if packet.more_frags() || packet.frag_offset() != 0 {
        return Some(other);
    }
    let ends = |unit, service| Ends {
        unit: SocketAddrV4::new(from, unit),
        to: SocketAddrV4::new(to, service),
    };
    Some(match packet.next_header() {
        IpProtocol::Udp => {
            let datagram = UdpPacket::new_checked(packet.payload()).ok()?;
            match datagram.dst_port() {
                DHCP_SERVER => Seen::Dhcp(datagram.payload()),
                port => {
                    Seen::Udp { ends: ends(datagram.src_port(), port), payload: datagram.payload() }
                }
            }
        }
        IpProtocol::Tcp => {
            let segment = TcpPacket::new_checked(packet.payload()).ok()?;
            let ends = ends(segment.src_port(), segment.dst_port());
            match segment.syn() && !segment.ack() && !segment.rst() {
                true => Seen::Syn { ends, number: segment.seq_number().0 },
                false => Seen::Segment(ends),
            }
        }
        IpProtocol::Icmp => {
            let message = Icmpv4Packet::new_checked(packet.payload()).ok()?;
            match message.msg_type() {
                Icmpv4Message::EchoRequest => Seen::Ping { from, to },
                _ => other,
            }
        }
        _ => other,
    })
}

/// Has a frame that is meant for one station meant for the bench. An emulated access point writes its own
/// address there, and the stack would drop that without a word.
pub(super) fn take_as_own(frame: &mut [u8]) {
    if let Ok(mut frame) = EthernetFrame::new_checked(frame)
        && frame.dst_addr().is_unicast()
    {
        frame.set_dst_addr(EthernetAddress(OWN_MAC));
    }
}

/// The answer to an echo request: the same frame the other way round.
pub(super) fn pong(mac: [u8; 6], frame: &[u8]) -> Option<Vec<u8>> {
    let mut answer = frame.to_vec();
    let mut ethernet = EthernetFrame::new_checked(&mut answer[..]).ok()?;
    ethernet.set_dst_addr(EthernetAddress(mac));
    ethernet.set_src_addr(EthernetAddress(OWN_MAC));
    let mut packet = Ipv4Packet::new_checked(ethernet.payload_mut()).ok()?;
    let (from, to) = (packet.src_addr(), packet.dst_addr());
    packet.set_src_addr(to);
    packet.set_dst_addr(from);
    packet.fill_checksum();
    let mut message = Icmpv4Packet::new_checked(packet.payload_mut()).ok()?;
    message.set_msg_type(Icmpv4Message::EchoReply);
    message.fill_checksum();
    Some(answer)
}

/// A datagram to the unit.
pub(super) fn datagram(mac: [u8; 6], ends: Ends, payload: &[u8]) -> Vec<u8> {
    udp_frame(mac, ends.to, ends.unit, payload)
}

/// A DHCP message, to a hardware address or to everybody on the link.
pub(super) fn dhcp(gateway: Ipv4Addr, to: Option<[u8; 6]>, payload: &[u8]) -> Vec<u8> {
    let from = SocketAddrV4::new(gateway, DHCP_SERVER);
    // It has no address yet that it would hear another at.
    let everybody = SocketAddrV4::new(Ipv4Addr::BROADCAST, DHCP_CLIENT);
    udp_frame(to.unwrap_or(BROADCAST), from, everybody, payload)
}

fn udp_frame(mac: [u8; 6], from: SocketAddrV4, to: SocketAddrV4, payload: &[u8]) -> Vec<u8> {
    let udp = UdpRepr { src_port: from.port(), dst_port: to.port() };
    let ip = Ipv4Repr {
        src_addr: *from.ip(),
        dst_addr: *to.ip(),
        next_header: IpProtocol::Udp,
        payload_len: udp.header_len() + payload.len(),
        hop_limit: 64,
    };
    let ethernet = EthernetRepr {
        src_addr: EthernetAddress(OWN_MAC),
        dst_addr: EthernetAddress(mac),
        ethertype: EthernetProtocol::Ipv4,
    };
    let header = EthernetFrame::<&[u8]>::header_len();
    let mut bytes = vec![0; header + ip.buffer_len() + ip.payload_len];
    let checksums = ChecksumCapabilities::default();
    ethernet.emit(&mut EthernetFrame::new_unchecked(&mut bytes));
    let mut packet = Ipv4Packet::new_unchecked(&mut bytes[header..]);
    ip.emit(&mut packet, &checksums);
    udp.emit(
        &mut UdpPacket::new_unchecked(packet.payload_mut()),
        &ip.src_addr.into(),
        &ip.dst_addr.into(),
        payload.len(),
        |space| space.copy_from_slice(payload),
        &checksums,
    );
    bytes
}

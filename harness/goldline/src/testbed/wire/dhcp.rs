//! DHCP of a link: what a station says, and the answer, from bytes to bytes.
//!
//! smoltcp's codec, since its stack is here anyway. Options are read one by one: its own reading of a whole
//! message refuses one whose client identifier is of another kind.

use std::{net::Ipv4Addr, time::Duration};

use smoltcp::wire::{
    DhcpMessageType, DhcpOption, DhcpPacket, DhcpRepr, EthernetAddress, Ipv4Address,
};

const HOST_NAME: u8 = 12;
const REQUESTED: u8 = 50;
const MESSAGE_TYPE: u8 = 53;
const SERVER: u8 = 54;
const CLASS: u8 = 60;

/// What a station says.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Said {
    pub(super) message: Message,
    /// The hardware address that it calls its own.
    pub(super) mac: [u8; 6],
    /// The address that it asks for, or has.
    pub(super) wanted: Option<Ipv4Addr>,
    /// Whether it has that address already.
    pub(super) has_it: bool,
    /// The server that it chose.
    pub(super) server: Option<Ipv4Addr>,
    pub(super) host_name: Option<String>,
    pub(super) class: Option<String>,
    /// Whether it hears nothing yet that is sent to its own address.
    pub(super) broadcast: bool,
    transaction: u32,
}

/// The messages of a client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Message {
    Discover,
    Request,
    Decline,
    Release,
    Inform,
}

impl Message {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Discover => "DISCOVER",
            Self::Request => "REQUEST",
            Self::Decline => "DECLINE",
            Self::Release => "RELEASE",
            Self::Inform => "INFORM",
        }
    }
}

/// What a station is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Answer {
    Offer(Ipv4Addr),
    Acknowledge(Ipv4Addr),
    /// It has an address of its own already, and gets the rest.
    AcknowledgeOwn(Ipv4Addr),
    Refuse,
}

/// Reads a message of a client on Ethernet.
pub(super) fn read(payload: &[u8]) -> Option<Said> {
    let packet = DhcpPacket::new_checked(payload).ok()?;
    // Its codec looks no further than the fixed part, and takes the options for granted behind it.
    let options: Vec<DhcpOption<'_>> = packet.options().collect();
    let option = |kind| options.iter().find(|option| option.kind == kind).map(|option| option.data);
    let address = |kind| option(kind).and_then(|data| <[u8; 4]>::try_from(data).ok());
    let text = |kind| option(kind).map(|data| String::from_utf8_lossy(data).into_owned());
    let &[message] = option(MESSAGE_TYPE)? else { return None };
    let message = match DhcpMessageType::from(message) {
        DhcpMessageType::Discover => Message::Discover,
        DhcpMessageType::Request => Message::Request,
        DhcpMessageType::Decline => Message::Decline,
        DhcpMessageType::Release => Message::Release,
        DhcpMessageType::Inform => Message::Inform,
        _ => return None,
    };
    let own = Some(packet.client_ip()).filter(|address| !address.is_unspecified());
    let requested = address(REQUESTED).map(Ipv4Addr::from);
    Some(Said {
        message,
        mac: packet.client_hardware_address().0,
        wanted: own.or(requested),
        has_it: own.is_some(),
        server: address(SERVER).map(Ipv4Addr::from),
        host_name: text(HOST_NAME),
        class: text(CLASS),
        transaction: packet.transaction_id(),
        broadcast: packet.flags() == smoltcp::wire::DhcpFlags::BROADCAST,
    })
}

/// The answer to it, of a gateway with this mask, which is the DNS server too, and gives addresses for so long.
pub(super) fn answer(
    said: &Said,
    answer: Answer,
    (gateway, mask): (Ipv4Addr, Ipv4Addr),
    lease: Duration,
) -> Vec<u8> {
    let (message_type, given, leased) = match answer {
        Answer::Offer(address) => (DhcpMessageType::Offer, address, true),
        Answer::Acknowledge(address) => (DhcpMessageType::Ack, address, true),
        Answer::AcknowledgeOwn(_) => (DhcpMessageType::Ack, Ipv4Addr::UNSPECIFIED, false),
        Answer::Refuse => (DhcpMessageType::Nak, Ipv4Addr::UNSPECIFIED, false),
    };
    let refused = answer == Answer::Refuse;
    let seconds = u32::try_from(lease.as_secs()).expect("a lease is short");
    let client_ip = match answer {
        Answer::AcknowledgeOwn(own) => own,
        _ if said.has_it && !refused => said.wanted.unwrap_or(Ipv4Addr::UNSPECIFIED),
        _ => Ipv4Addr::UNSPECIFIED,
    };
    let repr = DhcpRepr {
        message_type,
        transaction_id: said.transaction,
        secs: 0,
        client_hardware_address: EthernetAddress(said.mac),
        client_ip,
        your_ip: given,
        server_ip: if refused { Ipv4Address::UNSPECIFIED } else { gateway },
        router: (!refused).then_some(gateway),
        subnet_mask: (!refused).then_some(mask),
        relay_agent_ip: Ipv4Addr::UNSPECIFIED,
        broadcast: said.broadcast,
        requested_ip: None,
        client_identifier: None,
        server_identifier: Some(gateway),
        parameter_request_list: None,
        dns_servers: (!refused).then(|| [gateway].into_iter().collect()),
        max_size: None,
        lease_duration: leased.then_some(seconds),
        renew_duration: None,
        rebind_duration: None,
        additional_options: &[],
    };
    // Some old clients take no message shorter than BOOTP's.
    let mut bytes = vec![0; repr.buffer_len().max(300)];
    repr.emit(&mut DhcpPacket::new_unchecked(&mut bytes[..])).expect("there is room for it");
    bytes
}

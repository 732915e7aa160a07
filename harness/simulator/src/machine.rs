//! A world that is the machine's own network: the unit's TCP/IP stack is the kernel's.
//!
//! There is no radio and no DHCP: whatever network name and passphrase a firmware has, it is joined, with the address
//! that the machine itself has. Its names go to one DNS server that whoever starts it named, and never to the machine's
//! resolver; without one no name resolves.

use std::{
    io::{self, copy},
    net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpStream, UdpSocket},
    os::unix::net::UnixStream,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use smoltcp::wire::{
    DnsFlags, DnsOpcode, DnsPacket, DnsQueryType, DnsQuestion, DnsRecordData, DnsRepr,
};

use crate::world::{Association, Link, OwnNetwork, Refusal, Visitors, World};

/// How long a firmware's stack waits for a connection, and for an answer to a name, before it tries again.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
const NAME_WITHIN: Duration = Duration::from_secs(2);
const NAME_TRIES: usize = 3;
/// What fits one packet of Ethernet.
const LONGEST_DATAGRAM: usize = 1500;
/// TEST-NET-1 of RFC 5737: nothing is sent there, only the way to it is asked for.
const ANYWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9);

/// The machine's network, as one unit uses it.
#[derive(Debug, Default)]
pub struct MachineNetwork {
    name_server: Option<SocketAddr>,
    /// What the unit has open, which its reset cuts.
    open: Mutex<Vec<TcpStream>>,
}

impl MachineNetwork {
    /// With the DNS server that answers the unit's names; without one it has none.
    pub fn new(name_server: Option<SocketAddr>) -> Self {
        Self { name_server, open: Mutex::default() }
    }

    fn open(&self) -> MutexGuard<'_, Vec<TcpStream>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl World for MachineNetwork {
    fn associate(&self, _: &Association<'_>) -> Result<Link, Refusal> {
        let address = own_address(self.name_server.unwrap_or(ANYWHERE));
        Ok(Link {
            address: address.unwrap_or(Ipv4Addr::LOCALHOST),
            netmask: Ipv4Addr::new(255, 255, 255, 0),
            gateway: address.unwrap_or(Ipv4Addr::LOCALHOST),
            bssid: [0; 6],
            channel: 1,
            rssi_dbm: -50,
        })
    }

    fn resolve(&self, _: Ipv4Addr, name: &str) -> Option<IpAddr> {
        let server = self.name_server?;
        (0..NAME_TRIES).find_map(|_| ask_for(name, server).ok()).flatten()
    }

    fn connect(&self, _: Ipv4Addr, to: SocketAddr) -> io::Result<UnixStream> {
        let service = TcpStream::connect_timeout(&to, CONNECT_WITHIN)?;
        // Only a matter of speed.
        let _nodelay = service.set_nodelay(true);
        let (unit, other) = UnixStream::pair()?;
        let mut open = self.open();
        open.retain(|stream| stream.peer_addr().is_ok());
        open.push(service.try_clone()?);
        let (mut from_unit, mut to_service) = (other.try_clone()?, service.try_clone()?);
        thread::Builder::new().name("unit-to-service".to_owned()).spawn(move || {
            // How either end leaves, the other sees.
            let _ended = copy(&mut from_unit, &mut to_service);
            let _told = to_service.shutdown(Shutdown::Write);
        })?;
        let (mut from_service, mut to_unit) = (service, other);
        thread::Builder::new().name("service-to-unit".to_owned()).spawn(move || {
            let _ended = copy(&mut from_service, &mut to_unit);
            let _told = to_unit.shutdown(Shutdown::Write);
        })?;
        Ok(unit)
    }

    fn exchange(
        &self,
        _: Ipv4Addr,
        to: SocketAddr,
        datagram: &[u8],
        limit: Duration,
    ) -> io::Result<Vec<u8>> {
        ask(to, datagram, limit)
    }

    fn open_network(&self, _: &OwnNetwork<'_>) -> io::Result<Visitors> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn leave(&self, _: [u8; 6]) {
        for stream in self.open().drain(..) {
            // It may be over already.
            let _cut = stream.shutdown(Shutdown::Both);
        }
    }
}

/// The address that the machine would send from.
fn own_address(to: SocketAddr) -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect(to).ok()?;
    match socket.local_addr().ok()?.ip() {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}

/// One datagram and its answer.
fn ask(to: SocketAddr, datagram: &[u8], limit: Duration) -> io::Result<Vec<u8>> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect(to)?;
    socket.set_read_timeout(Some(limit.max(Duration::from_millis(1))))?;
    socket.send(datagram)?;
    let mut answer = vec![0; LONGEST_DATAGRAM];
    let length = socket.recv(&mut answer).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::ConnectionRefused => {
            io::ErrorKind::TimedOut.into()
        }
        _ => error,
    })?;
    answer.truncate(length);
    Ok(answer)
}

/// The first address of a name; none when there is none.
fn ask_for(name: &str, server: SocketAddr) -> io::Result<Option<IpAddr>> {
    let name = in_labels(name).ok_or(io::ErrorKind::InvalidInput)?;
    let question = DnsQuestion { name: &name, type_: DnsQueryType::A };
    let flags = DnsFlags::RECURSION_DESIRED;
    // The socket is this question's alone, so that any number will do.
    let query = DnsRepr { transaction_id: 1, opcode: DnsOpcode::Query, flags, question };
    let mut packet = vec![0; query.buffer_len()];
    query.emit(&mut DnsPacket::new_unchecked(&mut packet[..]));
    let answer = ask(server, &packet, NAME_WITHIN)?;
    addresses(&answer).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// What an answer says; none when it is no answer.
fn addresses(answer: &[u8]) -> Option<Option<IpAddr>> {
    let packet = DnsPacket::new_checked(answer).ok()?;
    let mut rest = packet.payload();
    for _ in 0..packet.question_count() {
        rest = DnsQuestion::parse(rest).ok()?.0;
    }
    for _ in 0..packet.answer_record_count() {
        let (after, record) = smoltcp::wire::DnsRecord::parse(rest).ok()?;
        if let DnsRecordData::A(address) = record.data {
            return Some(Some(IpAddr::V4(address)));
        }
        rest = after;
    }
    Some(None)
}

/// A name as DNS has it on the wire; none when it is none.
fn in_labels(name: &str) -> Option<Vec<u8>> {
    let mut labels = Vec::with_capacity(name.len() + 2);
    for label in name.trim_end_matches('.').split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..64).contains(length))?;
        labels.push(length);
        labels.extend(label.as_bytes());
    }
    labels.push(0);
    Some(labels)
}

#[cfg(test)]
mod tests {
    use std::{io::Read, net::TcpListener};

    use super::*;

    #[test]
    fn a_name_is_written_in_labels() {
        let labels = in_labels("a.example.test.").expect("it is one");
        assert_eq!(labels, b"\x01a\x07example\x04test\x00");
        for none in ["", ".", "a..b", &"x".repeat(64)] {
            assert_eq!(in_labels(none), None, "{none}");
        }
    }

    /// A reset of the unit is seen by who it was connected to.
    #[test]
    fn a_unit_that_leaves_is_cut_off() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let network = MachineNetwork::new(None);
        let to = listener.local_addr().expect("its address");
        let _unit = network.connect(Ipv4Addr::LOCALHOST, to).expect("it listens");
        let (mut service, _) = listener.accept().expect("the unit");
        network.leave([0; 6]);
        assert_eq!(service.read(&mut [0]).expect("it is told"), 0);
    }

    #[test]
    fn without_a_server_there_are_no_names() {
        let network = MachineNetwork::new(None);
        assert_eq!(network.resolve(Ipv4Addr::LOCALHOST, "localhost"), None);
    }
}

//! The access point and the user-mode network: what the guest opens, this process opens on the machine, with the
//! gateway's address as 127.0.0.1.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket},
    os::unix::net::UnixStream,
    thread,
    time::Duration,
};

use goldline_simulator::{
    World,
    world::{Association, Link, OwnNetwork, Refusal, Visitors},
};
use hickory_proto::{op::Message, rr::RData};

use crate::{
    arguments::{Arguments, Backend},
    unit::pass,
};

const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 168, 4, 1);
const GUEST: Ipv4Addr = Ipv4Addr::new(192, 168, 4, 2);
const LOOKUP_LIMIT: Duration = Duration::from_secs(5);
const CONNECT_LIMIT: Duration = Duration::from_secs(15);
/// One side has a passphrase and the other has none.
const OPEN_STATION: Refusal = Refusal { reason: 210 };
const OPEN_NETWORK: Refusal = Refusal { reason: 211 };

/// One access point, and what is behind it.
pub struct AccessPointAndNat {
    ssid: String,
    passphrase: String,
    backend: Backend,
}

impl AccessPointAndNat {
    pub fn new(arguments: &Arguments) -> Result<Self, String> {
        let (ssid, passphrase) = (arguments.wifi_ssid.clone(), arguments.wifi_password.clone());
        match passphrase.chars().count() {
            0 | 8..=63 => Ok(Self { ssid, passphrase, backend: arguments.net }),
            _ => Err("--wifi-password: expected 8 to 63 characters, or none".to_owned()),
        }
    }
}

/// Where on the machine a guest's address leads.
fn on_host(to: SocketAddr) -> SocketAddr {
    match to.ip() {
        IpAddr::V4(GATEWAY) => SocketAddr::from((Ipv4Addr::LOCALHOST, to.port())),
        _ => to,
    }
}

impl World for AccessPointAndNat {
    fn associate(&self, station: &Association<'_>) -> Result<Link, Refusal> {
        if station.ssid != self.ssid.as_bytes() {
            return Err(Refusal::NO_AP_FOUND);
        }
        match (self.passphrase.as_str(), station.passphrase.expose()) {
            (own, known) if own == known => {}
            ("", _) => return Err(OPEN_NETWORK),
            (_, "") => return Err(OPEN_STATION),
            _ => return Err(Refusal::FOUR_WAY_HANDSHAKE_TIMEOUT),
        }
        Ok(Link {
            address: GUEST,
            netmask: Ipv4Addr::new(255, 255, 255, 0),
            gateway: GATEWAY,
            bssid: [0x24, 0x0A, 0xC4, 0x00, 0x00, 0xFF],
            channel: 1,
            rssi_dbm: -40,
        })
    }

    fn resolve(&self, _: Ipv4Addr, name: &str) -> Option<IpAddr> {
        let server = self.backend.dns?;
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
        socket.set_read_timeout(Some(LOOKUP_LIMIT)).ok()?;
        socket.send_to(&question(name), (server, 53)).ok()?;
        let mut answer = [0; 512];
        let (length, _) = socket.recv_from(&mut answer).ok()?;
        let message = Message::from_vec(&answer[..length]).ok()?;
        message.answers.iter().find_map(|record| match record.data {
            RData::A(address) => Some(IpAddr::V4(address.0)),
            _ => None,
        })
    }

    fn connect(&self, _: Ipv4Addr, to: SocketAddr) -> io::Result<UnixStream> {
        if self.backend.restrict {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let host = TcpStream::connect_timeout(&on_host(to), CONNECT_LIMIT)?;
        host.set_nodelay(true)?;
        let (guest, ours) = UnixStream::pair()?;
        let (mut from, mut to) = (ours.try_clone()?, host.try_clone()?);
        thread::spawn(move || {
            pass(&mut from, &mut to);
            let _ended = to.shutdown(std::net::Shutdown::Write);
        });
        let (mut from, mut to) = (host, ours);
        thread::spawn(move || {
            pass(&mut from, &mut to);
            let _ended = to.shutdown(std::net::Shutdown::Write);
        });
        Ok(guest)
    }

    fn exchange(
        &self,
        _: Ipv4Addr,
        to: SocketAddr,
        datagram: &[u8],
        limit: Duration,
    ) -> io::Result<Vec<u8>> {
        if self.backend.restrict {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.set_read_timeout(Some(limit.max(Duration::from_millis(1))))?;
        socket.send_to(datagram, on_host(to))?;
        let mut answer = vec![0; 1500];
        let (length, _) = socket.recv_from(&mut answer).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
            _ => error,
        })?;
        answer.truncate(length);
        Ok(answer)
    }

    fn open_network(&self, _: &OwnNetwork<'_>) -> io::Result<Visitors> {
        // The real one joins it as a station; no harness asks for that yet.
        Err(io::ErrorKind::Unsupported.into())
    }

    fn leave(&self, _: [u8; 6]) {}
}

/// A question for the IPv4 address of a name.
fn question(name: &str) -> Vec<u8> {
    let mut question = vec![0x12, 0x34, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        question.push(u8::try_from(label.len()).unwrap_or(0));
        question.extend_from_slice(label.as_bytes());
    }
    question.extend_from_slice(&[0, 0, 1, 0, 1]);
    question
}

//! Whose a socket of this machine is, as the kernel tells it.
//!
//! An address alone proves nothing: every user of the machine can connect from 127.0.0.1.

use std::net::SocketAddr;

/// What kind of socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// One end of a TCP connection, whose other end this is.
    Connection(SocketAddr),
    /// A UDP socket, bound to its address or to any.
    Datagrams,
}

/// Whether a process of the group that this process leads has the socket.
#[cfg(target_os = "linux")]
pub(super) fn holds(leader: u32, kind: Kind, socket: SocketAddr) -> bool {
    let Ok(leader) = i32::try_from(leader) else { return false };
    let inodes = linux::inodes(kind, socket);
    !inodes.is_empty()
        && (linux::has_one_of(leader, &inodes)
            || linux::group_of(leader).any(|process| linux::has_one_of(process, &inodes)))
}

/// Whether the kernel tells what the process has open. It does not of a program with capabilities.
#[cfg(target_os = "linux")]
pub(super) fn is_told(process: u32) -> bool {
    i32::try_from(process).is_ok_and(linux::is_told)
}

/// Nobody's where nobody tells.
#[cfg(not(target_os = "linux"))]
pub(super) fn is_told(_: u32) -> bool {
    false
}

/// Nobody's where nobody tells.
#[cfg(not(target_os = "linux"))]
pub(super) fn holds(_: u32, _: Kind, _: SocketAddr) -> bool {
    false
}

#[cfg(target_os = "linux")]
mod linux {
    use std::net::{IpAddr, SocketAddr};

    use procfs::{
        net::{tcp, tcp6, udp, udp6},
        process::{FDTarget, Process, all_processes},
    };

    use super::Kind;

    /// The numbers of the sockets that have this address, mapped into IPv6 or not.
    pub(super) fn inodes(kind: Kind, socket: SocketAddr) -> Vec<u64> {
        let socket = canonical(socket);
        match kind {
            Kind::Connection(other) => {
                let entries = tcp().into_iter().flatten().chain(tcp6().into_iter().flatten());
                let ends = (socket, canonical(other));
                let are_its = |local, remote| (canonical(local), canonical(remote)) == ends;
                let its = entries.filter(|one| are_its(one.local_address, one.remote_address));
                its.map(|entry| entry.inode).collect()
            }
            Kind::Datagrams => {
                let entries = udp().into_iter().flatten().chain(udp6().into_iter().flatten());
                let is_it = |local: SocketAddr| {
                    let local = canonical(local);
                    local == socket || local.ip().is_unspecified() && local.port() == socket.port()
                };
                let its = entries.filter(|entry| is_it(entry.local_address));
                its.map(|entry| entry.inode).collect()
            }
        }
    }

    fn canonical(address: SocketAddr) -> SocketAddr {
        let ip: IpAddr = address.ip().to_canonical();
        SocketAddr::new(ip, address.port())
    }

    pub(super) fn is_told(process: i32) -> bool {
        let open = Process::new(process).and_then(|process| process.fd());
        open.is_ok_and(|mut open| open.all(|open| open.is_ok()))
    }

    pub(super) fn has_one_of(process: i32, inodes: &[u64]) -> bool {
        let open = Process::new(process).and_then(|process| process.fd());
        open.into_iter()
            .flatten()
            .flatten()
            .any(|open| matches!(open.target, FDTarget::Socket(inode) if inodes.contains(&inode)))
    }

    /// The processes that a group consists of: the program may have been started by a script.
    pub(super) fn group_of(leader: i32) -> impl Iterator<Item = i32> {
        let all = all_processes().into_iter().flatten().flatten();
        let stats = all.filter_map(|process| process.stat().ok());
        stats.filter(move |stat| stat.pgrp == leader).map(|stat| stat.pid)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};

    use super::*;

    /// The first process leads no group with a socket of a test.
    const SOMEBODY_ELSE: u32 = 1;

    #[test]
    fn a_socket_is_its_process_s() {
        let own = std::process::id();
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let address = listener.local_addr().expect("its address");
        let connected = TcpStream::connect(address).expect("it listens");
        let (_accepted, peer) = listener.accept().expect("a connection");
        assert!(is_told(own) && !is_told(u32::MAX));
        assert!(holds(own, Kind::Connection(address), peer));
        assert!(!holds(SOMEBODY_ELSE, Kind::Connection(address), peer), "it is not everybody's");
        assert!(!holds(own, Kind::Connection(peer), peer), "it leads elsewhere");
        drop(connected);
        let anywhere = UdpSocket::bind(("0.0.0.0", 0)).expect("a port");
        let port = anywhere.local_addr().expect("its address").port();
        let seen = SocketAddr::from(([127, 0, 0, 1], port));
        assert!(holds(own, Kind::Datagrams, seen));
        assert!(!holds(SOMEBODY_ELSE, Kind::Datagrams, seen));
        drop(anywhere);
        assert!(!holds(own, Kind::Datagrams, seen), "nobody has it any more");
    }
}

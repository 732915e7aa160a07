//! Who listens at a port already, as far as the kernel tells this user.

use std::net::SocketAddr;

use super::Arrives;

/// The program that listens there, with its process, if it is told.
#[cfg(target_os = "linux")]
pub(super) fn of(arrives: Arrives, at: SocketAddr) -> Option<String> {
    use procfs::{
        net::{TcpState, tcp, tcp6, udp, udp6},
        process::{FDTarget, all_processes},
    };
    let is_it = |local: SocketAddr| {
        local.port() == at.port()
            && (local.ip().is_unspecified()
                || at.ip().is_unspecified()
                || local.ip().to_canonical() == at.ip().to_canonical())
    };
    let inode = match arrives {
        Arrives::Connections => {
            let entries = tcp().into_iter().flatten().chain(tcp6().into_iter().flatten());
            let mut listening = entries.filter(|one| one.state == TcpState::Listen);
            listening.find(|one| is_it(one.local_address))?.inode
        }
        Arrives::Datagrams => {
            let mut bound = udp().into_iter().flatten().chain(udp6().into_iter().flatten());
            bound.find(|one| is_it(one.local_address))?.inode
        }
    };
    all_processes().ok()?.flatten().find_map(|process| {
        let mut open = process.fd().ok()?.flatten();
        open.find(|open| matches!(open.target, FDTarget::Socket(its) if its == inode))?;
        let stat = process.stat().ok()?;
        Some(format!("{} (process {})", stat.comm, stat.pid))
    })
}

/// Nobody tells.
#[cfg(not(target_os = "linux"))]
pub(super) fn of(_: Arrives, _: SocketAddr) -> Option<String> {
    None
}

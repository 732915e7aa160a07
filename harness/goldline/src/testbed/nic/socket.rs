//! All frames of an interface, with no right but CAP_NET_RAW.
//!
//! The interface keeps its own hardware address, and the bench has another there: what stations send to the bench is
//! for nobody in the kernel, which so neither answers nor forwards it.

use std::{
    io,
    os::fd::{AsRawFd, IntoRawFd, OwnedFd},
};

use pnet_datalink::{Channel, Config, NetworkInterface};
use rustix::{
    io::{Errno, fcntl_dupfd_cloexec},
    net::{AddressFamily, SocketFlags, SocketType, socket_with},
};

use super::interface::NoNic;

/// Opens it.
pub(super) fn open(interface: &NetworkInterface) -> Result<OwnedFd, NoNic> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    // Of no protocol: until it is bound it hears nothing, and nothing of other interfaces.
    let opened = socket_with(AddressFamily::PACKET, SocketType::RAW, flags, None);
    let name = || interface.name.clone();
    let socket = opened.map_err(|error| match error {
        Errno::PERM | Errno::ACCESS => NoNic::NotAllowed { name: name() },
        error => NoNic::Open { name: name(), source: error.into() },
    })?;
    bind(&socket, interface).map_err(|source| NoNic::Open { name: name(), source })?;
    Ok(socket)
}

/// Has it hear the interface, whomever its frames are for.
fn bind(socket: &OwnedFd, interface: &NetworkInterface) -> io::Result<()> {
    // It closes what it is given, here once more than it is open.
    let its_own = fcntl_dupfd_cloexec(socket, 0)?.into_raw_fd();
    debug_assert_ne!(its_own, socket.as_raw_fd());
    let config = Config { socket_fd: Some(its_own), promiscuous: true, ..Config::default() };
    match pnet_datalink::channel(interface, config)? {
        Channel::Ethernet(..) => Ok(()),
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

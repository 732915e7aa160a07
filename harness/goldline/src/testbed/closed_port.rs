//! A port at which nothing listens: the address of a service that is down.
//!
//! It is bound and never listened on, so that every connection is refused and nobody else gets it.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
};

use tokio::net::TcpSocket;

/// Refuses every connection while it lives.
#[derive(Debug)]
pub(super) struct ClosedPort {
    address: SocketAddr,
    _socket: TcpSocket,
}

impl ClosedPort {
    /// A port of 127.0.0.1 that the system chooses.
    ///
    /// # Errors
    /// When the system has none left.
    pub(super) fn reserve() -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        Ok(Self { address: socket.local_addr()?, _socket: socket })
    }

    /// The address.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

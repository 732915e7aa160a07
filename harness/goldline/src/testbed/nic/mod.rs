//! An interface of this machine that the bench has for itself: an access point, a switch, a cable. Whoever is on it
//! is served as on a wire, all in user space: the kernel has no address there, and routes nothing.
//!
//! ```text
//! stations ── interface ── packet socket ── switch ┬ a run's unit, by its MAC ── its wire
//!                                                  └ anybody else: a guest     ── a wire of its own
//! ```
//!
//! - `interface`: whether the bench can have it;
//! - `socket`: its frames;
//! - `switch`: whose they are.
//!
//! Each station has a gateway of its own (see [`wire`](super::wire)), and all of these have the same addresses. A unit
//! is its base MAC's, and that of its Ethernet, once it is identified; until then, and after its run, it is a guest as
//! every other station. Guests get addresses, names and the way to what the runs planned, where they are nobody's
//! unit. Must not know what is said on a connection.

mod interface;
mod socket;
mod switch;

use std::{
    io,
    os::{linux::net::SocketAddrExt, unix::net::UnixListener},
    path::Path,
    sync::{Arc, Weak},
};

use tokio::{sync::mpsc, task::AbortHandle};

pub use interface::NoNic;
pub use switch::SecondUnit;

use super::{
    caller::{Borrower, Callers},
    hostapd::Hostapd,
    network::Medium,
    wire::Wire,
};
use crate::{clock::Clock, identity::Mac};
use switch::Switch;

/// An interface that the bench has. Everything on it ends when this is dropped.
#[derive(Debug)]
pub struct Nic {
    name: String,
    medium: Medium,
    switch: Arc<Switch>,
    tasks: [AbortHandle; 2],
    /// No second bench has it as long as this is bound.
    _alone: UnixListener,
}

/// The place of a run's unit on it. Its stations are guests again when this is dropped.
#[derive(Debug)]
pub(super) struct NicPort {
    run: Borrower,
    switch: Weak<Switch>,
}

impl Nic {
    /// Has the interface of that name for the bench from here on, and asks the hostapd at that socket, if one is named,
    /// who comes over it. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`NoNic`] says why it cannot be had, and what to do.
    pub fn open(
        name: &str,
        hostapd: Option<&Path>,
        callers: Callers,
        clock: Clock,
    ) -> Result<Self, NoNic> {
        let interface = interface::find(name)?;
        let socket = socket::open(&interface)?;
        let alone = be_alone(name)?;
        let asked =
            |socket: &Path| Hostapd::at(socket, &interface::served_at(socket, name), clock.clone());
        let access_point = hostapd.map(asked).transpose()?;
        let medium = Medium::new(name, access_point, {
            let name = name.to_owned();
            move || interface::fault_of(&name)
        });
        let (outgoing, to_send) = mpsc::channel(switch::WAITING);
        let kernels = interface.mac.map(|mac| mac.octets());
        let switch = Arc::new(Switch::new(
            medium.clone(),
            callers,
            clock,
            outgoing,
            kernels.unwrap_or_default(),
        ));
        let carried = switch::carry(socket, name, Arc::clone(&switch), to_send);
        let tasks = carried.map_err(|source| NoNic::Open { name: name.to_owned(), source })?;
        Ok(Self { name: name.to_owned(), medium, switch, tasks, _alone: alone })
    }

    /// The interface's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the networks of its runs share.
    pub(super) fn medium(&self) -> &Medium {
        &self.medium
    }

    /// A place for the unit of a run.
    pub(super) fn port(&self, run: Borrower) -> NicPort {
        NicPort { run, switch: Arc::downgrade(&self.switch) }
    }
}

impl Drop for Nic {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        self.switch.end();
    }
}

impl NicPort {
    /// From here on a station of one of these addresses is the run's unit: the first is its own, the others follow
    /// from it and are its own unless another unit's first is the same.
    ///
    /// # Errors
    /// [`SecondUnit`] when another run's unit has the first.
    pub(super) fn bind(&self, macs: &[Mac], wire: &Wire) -> Result<(), SecondUnit> {
        let Some(switch) = self.switch.upgrade() else { return Ok(()) };
        switch.bind(self.run, macs, wire)
    }
}

impl Drop for NicPort {
    fn drop(&mut self) {
        if let Some(switch) = self.switch.upgrade() {
            switch.unbind(self.run);
        }
    }
}

/// A name in the interface's own namespace that only one process has, and no longer than it lives.
pub(super) fn be_alone(name: &str) -> Result<UnixListener, NoNic> {
    let address =
        std::os::unix::net::SocketAddr::from_abstract_name(format!("goldline-nic-{name}"));
    let bound = address.and_then(|address| UnixListener::bind_addr(&address));
    bound.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => NoNic::InUse { name: name.to_owned() },
        _ => NoNic::Open { name: name.to_owned(), source: error },
    })
}

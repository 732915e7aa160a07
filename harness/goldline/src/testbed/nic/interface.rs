//! An interface of this machine, and whether the bench can have it for itself.
//!
//! Looks, and changes nothing.

use std::{
    env, fs, io,
    net::{IpAddr, Ipv4Addr},
    path::Path,
};

use pnet_datalink::NetworkInterface;

use crate::testbed::hostapd::HostapdError;

/// What stations are given addresses of; a machine that has one of these itself cannot be told from them.
const STATIONS: ([u8; 2], &str) = ([10, 77], "10.77.0.0/16");

/// An interface cannot be had.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum NoNic {
    #[error("there is no interface \"{name}\": this machine has {}", known.join(", "))]
    Unknown { name: String, known: Vec<String> },
    #[error("the interface {name} is the loopback, which no unit is on")]
    Loopback { name: String },
    #[error("the interface {name} carries no Ethernet frames")]
    NotEthernet { name: String },
    #[error("the interface {name} is a part of {whole}, which would answer its stations too")]
    Part { name: String, whole: String },
    #[error("the interface {name} is down")]
    Down { name: String },
    #[error(
        "the interface {name} carries this machine's default route: a bench there would cut it off"
    )]
    DefaultRoute { name: String },
    #[error(
        "the interface {name} has the address {address}: this machine would answer beside the bench"
    )]
    Address { name: String, address: IpAddr },
    #[error("the interface {other} has the address {address}, and units on {name} get addresses of {}", STATIONS.1)]
    SameNetwork { name: String, other: String, address: IpAddr },
    #[error("another bench has the interface {name}")]
    InUse { name: String },
    #[error("this user must not read and send frames on the interface {name}")]
    NotAllowed { name: String },
    #[error("the interface {name} cannot be opened: {source}")]
    Open { name: String, source: io::Error },
    #[error(transparent)]
    Hostapd(#[from] HostapdError),
}

impl NoNic {
    /// What to do about it.
    pub fn action(&self) -> Option<String> {
        Some(match self {
            Self::Unknown { .. } => "name one of them: --network nic:NAME".to_owned(),
            Self::Loopback { .. } | Self::NotEthernet { .. } => {
                "name the interface of an access point, a switch or a cable".to_owned()
            }
            Self::Part { whole, .. } => format!("choose --network nic:{whole}"),
            Self::Down { name } => format!("sudo ip link set {name} up"),
            Self::DefaultRoute { .. } => {
                "give the bench an interface of its own: a USB adapter will do".to_owned()
            }
            Self::Address { name, .. } => {
                format!("sudo ip address flush dev {name}, and have nothing configure it again")
            }
            Self::SameNetwork { other, .. } => {
                format!("give {other} an address of another network")
            }
            Self::InUse { .. } => {
                "wait until that command has ended, or name the units of both in one".to_owned()
            }
            Self::NotAllowed { .. } => match env::current_exe() {
                Ok(program) => format!("sudo setcap cap_net_raw+ep {}", program.display()),
                Err(_) => "sudo setcap cap_net_raw+ep PATH_OF_GOLDLINE".to_owned(),
            },
            Self::Hostapd(error) => return error.action(),
            Self::Open { .. } => return None,
        })
    }
}

/// Finds an interface that the bench can have for itself.
pub(super) fn find(name: &str) -> Result<NetworkInterface, NoNic> {
    let all = pnet_datalink::interfaces();
    let own = || name.to_owned();
    let Some(interface) = all.iter().find(|interface| interface.name == name) else {
        let known = all.into_iter().map(|interface| interface.name).collect();
        return Err(NoNic::Unknown { name: own(), known });
    };
    if interface.is_loopback() {
        return Err(NoNic::Loopback { name: own() });
    }
    if interface.mac.is_none() {
        return Err(NoNic::NotEthernet { name: own() });
    }
    if let Some(whole) = whole_of(name) {
        return Err(NoNic::Part { name: own(), whole });
    }
    // Before whether it is up: nobody shall bring up what the bench must not have.
    if has_default_route(name) {
        return Err(NoNic::DefaultRoute { name: own() });
    }
    let mut addresses = interface.ips.iter().map(|network| network.ip());
    if let Some(address) = addresses.find(|address| !is_only_of_link(*address)) {
        return Err(NoNic::Address { name: own(), address });
    }
    if !interface.is_up() {
        return Err(NoNic::Down { name: own() });
    }
    for other in &all {
        let mut addresses = other.ips.iter().map(|network| network.ip());
        if let Some(address) = addresses.find(|address| is_stations(*address)) {
            let other = other.name.clone();
            return Err(NoNic::SameNetwork { name: own(), other, address });
        }
    }
    Ok(interface.clone())
}

/// What is wrong with an interface that was sound.
pub(super) fn fault_of(name: &str) -> Option<String> {
    let interface = pnet_datalink::interfaces().into_iter().find(|found| found.name == name);
    match interface {
        None => Some(format!("the interface {name} is gone")),
        Some(interface) if !interface.is_up() => Some(format!("the interface {name} is down")),
        Some(interface) if !interface.is_running() => {
            Some(format!("the interface {name} has no carrier: nothing is connected to it"))
        }
        Some(_) => None,
    }
}

/// Every interface that is up has such an address of IPv6, which leads nowhere else.
fn is_only_of_link(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

fn is_stations(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(address) if address.octets()[..2] == STATIONS.0)
}

/// The interface that an access point with that socket serves: one that is a part of the bench's bridge has the name of its
/// socket.
pub(super) fn served_at(socket: &Path, name: &str) -> String {
    let own = socket.file_name().map(|own| own.to_string_lossy().into_owned());
    let part = own.filter(|own| whole_of(own).as_deref() == Some(name));
    part.unwrap_or_else(|| name.to_owned())
}

/// The bridge or bond that an interface is a part of.
fn whole_of(name: &str) -> Option<String> {
    let whole = fs::read_link(Path::new("/sys/class/net").join(name).join("master")).ok()?;
    Some(whole.file_name()?.to_string_lossy().into_owned())
}

fn has_default_route(name: &str) -> bool {
    let routes = procfs::net::route().unwrap_or_default();
    routes.iter().any(|route| {
        route.iface == name
            && route.destination == Ipv4Addr::UNSPECIFIED
            && route.mask.is_unspecified()
    })
}

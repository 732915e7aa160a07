//! The network of an order, and where the links of its units come in.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use super::devices::NamedDevice;
use crate::{
    device::DeviceUrl,
    profile::Visiting,
    testbed::network::{NetworkKind, Proofs, UnknownNetwork},
};

/// What lies between the units of an order and the services.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct ChosenNetwork {
    pub(super) kind: NetworkKind,
    /// Where the first unit's link comes in; the next ones have the ports after it.
    first_link: Option<SocketAddr>,
    /// The interface that all units are on.
    interface: Option<String>,
    /// Where the access point behind it tells what it sees.
    hostapd: Option<PathBuf>,
    /// How the bench gets into the networks that its units open.
    visiting: Option<Visiting>,
}

/// A network cannot be had for an order.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum NetworkError {
    #[error(transparent)]
    Unknown(#[from] UnknownNetwork),
    #[error("\"{address}\" is no address to listen at")]
    Address { address: String },
    #[error("nic names no interface")]
    NoInterface,
    #[error("{device} is in this process, and an interface leads to units outside")]
    NotOnInterface { device: String },
    #[error("{device} is in this process, and a site's network leads to units outside")]
    NotOnSite { device: String },
    #[error("units cannot find a port that the system chooses")]
    NoPort,
    #[error("the network {network} has no address: its units are in this process")]
    AddressOfNothing { network: NetworkKind },
    #[error("{units} units listen at {first} and the ports after it, which end at 65535")]
    TooFewPorts { first: SocketAddr, units: usize },
    #[error("{device} is in this process, and a wire leads to a unit in another")]
    InThisProcess { device: String },
    #[error("{device} finds no wire: nobody said where it is")]
    Nowhere { device: String },
    #[error("{device} is in an emulator, which has no way to the network {network}")]
    InAnEmulator { device: String, network: NetworkKind },
    #[error("a unit that a service simulates reaches no network of the bench: not {network}")]
    OutOfReach { network: String },
    #[error(
        "units that a service simulates have another plan than others: one order cannot have both"
    )]
    Mixed,
    #[error("{device} is in an emulator, which has a wire of its own: it needs no address")]
    OwnWire { device: String },
    #[error(
        "{device} is in esp-emu, which has an access point and a NAT of its own, and no way to the network {network}"
    )]
    OwnNat { device: String, network: NetworkKind },
    #[error("{units} units in esp-emu would come from the same address, and want the same ports")]
    OneGuest { units: usize },
    #[error("{device} is not behind the NAT of an emulator")]
    NotBehindNat { device: String },
}

impl NetworkError {
    /// What to do about it, where the message does not say so.
    pub fn action(&self) -> Option<&'static str> {
        match self {
            Self::Unknown(_) => None,
            Self::Address { .. } | Self::NoPort | Self::Nowhere { .. } => {
                Some("name an address and a port, such as --network wire:127.0.0.1:7700")
            }
            Self::NoInterface => {
                Some("name it, such as --network nic:wlan1; ip link lists those of this machine")
            }
            Self::AddressOfNothing { .. } => Some("leave it out, or choose wire:HOST:PORT"),
            Self::TooFewPorts { .. } => Some("choose a lower port, or fewer units"),
            Self::OwnNat { .. } => Some("leave --network out, or name it nat"),
            Self::OneGuest { .. } => Some("test them one after the other"),
            Self::NotBehindNat { .. } => {
                Some("choose --network air, cable, nic:NAME, site or wire:HOST:PORT for it")
            }
            Self::OutOfReach { .. } => Some("leave --network out"),
            Self::Mixed => Some("name the others in a command of their own"),
            Self::InThisProcess { .. } | Self::NotOnInterface { .. } | Self::NotOnSite { .. } => {
                Some("choose --network air or cable for it")
            }
            Self::InAnEmulator { .. } | Self::OwnWire { .. } => {
                Some("leave --network out, or name it wire")
            }
        }
    }
}

impl ChosenNetwork {
    /// The network that a station has for its real units, where none is named and they are all real or stand for it.
    pub(super) fn of_station<'a>(
        named: Option<&'a str>,
        of_station: Option<&'a str>,
        devices: &[NamedDevice],
    ) -> Option<&'a str> {
        let is_outside =
            |url: &DeviceUrl| matches!(url, DeviceUrl::Serial { .. } | DeviceUrl::Remote(_));
        named.or(of_station.filter(|_| devices.iter().all(|(_, url)| is_outside(url))))
    }

    /// The network of these units. Unless one is named, it is that of their kind: a NAT for esp-emu, a wire for
    /// other emulators, else air.
    pub(super) fn of(text: Option<&str>, devices: &[NamedDevice]) -> Result<Self, NetworkError> {
        let elsewhere = devices.iter().filter(|(_, url)| url.is_elsewhere()).count();
        let network = match text {
            Some(network) if elsewhere > 0 => {
                let network = network.to_owned();
                return Err(NetworkError::OutOfReach { network });
            }
            None if elsewhere > 0 && elsewhere < devices.len() => return Err(NetworkError::Mixed),
            None if elsewhere > 0 => Self::named(NetworkKind::None),
            Some(text) => Self::parse(text)?,
            None if devices.iter().any(|(_, url)| matches!(url, DeviceUrl::EspEmu(_))) => {
                Self::named(NetworkKind::Nat)
            }
            None if devices.iter().any(|(_, url)| url.is_emulated()) => {
                Self::named(NetworkKind::Wire)
            }
            None => Self::default(),
        };
        network.refuse_unreached(devices)?;
        Ok(network)
    }

    fn named(kind: NetworkKind) -> Self {
        Self { kind, ..Self::default() }
    }

    /// Takes the name of a network apart.
    fn parse(text: &str) -> Result<Self, NetworkError> {
        let (name, place) = match text.split_once(':') {
            Some((name, place)) => (name, Some(place)),
            None => (text, None),
        };
        let kind: NetworkKind = name.parse()?;
        match (kind, place) {
            (NetworkKind::Nic, None | Some("")) => Err(NetworkError::NoInterface),
            (NetworkKind::Nic, Some(interface)) => {
                Ok(Self { interface: Some(interface.to_owned()), ..Self::named(kind) })
            }
            (NetworkKind::Wire, Some(address)) => Self::wire_at(address),
            (_, None) => Ok(Self::named(kind)),
            (_, Some(_)) => Err(NetworkError::AddressOfNothing { network: kind }),
        }
    }

    fn wire_at(address: &str) -> Result<Self, NetworkError> {
        let no_address = |_| NetworkError::Address { address: address.to_owned() };
        let first: SocketAddr = address.parse().map_err(no_address)?;
        match first.port() {
            0 => Err(NetworkError::NoPort),
            _ => Ok(Self { first_link: Some(first), ..Self::named(NetworkKind::Wire) }),
        }
    }

    /// Refuses units that it does not reach.
    fn refuse_unreached(&self, devices: &[NamedDevice]) -> Result<(), NetworkError> {
        for (device, url) in devices {
            let device = device.clone();
            let wired = self.kind == NetworkKind::Wire;
            match url {
                DeviceUrl::EspEmu(_) if self.kind != NetworkKind::Nat => {
                    return Err(NetworkError::OwnNat { device, network: self.kind });
                }
                DeviceUrl::EspEmu(_) if devices.len() > 1 => {
                    return Err(NetworkError::OneGuest { units: devices.len() });
                }
                DeviceUrl::Qemu(_) if !wired => {
                    return Err(NetworkError::InAnEmulator { device, network: self.kind });
                }
                DeviceUrl::Qemu(_) if self.first_link.is_some() => {
                    return Err(NetworkError::OwnWire { device });
                }
                DeviceUrl::Simulator(_) if self.kind == NetworkKind::Nic => {
                    return Err(NetworkError::NotOnInterface { device });
                }
                DeviceUrl::Simulator(_) if self.kind == NetworkKind::Site => {
                    return Err(NetworkError::NotOnSite { device });
                }
                DeviceUrl::Simulator(_) if wired => {
                    return Err(NetworkError::InThisProcess { device });
                }
                DeviceUrl::Simulator(_) | DeviceUrl::Serial { .. } | DeviceUrl::Remote(_)
                    if self.kind == NetworkKind::Nat =>
                {
                    return Err(NetworkError::NotBehindNat { device });
                }
                DeviceUrl::Serial { .. } | DeviceUrl::Remote(_)
                    if wired && self.first_link.is_none() =>
                {
                    return Err(NetworkError::Nowhere { device });
                }
                _ => {}
            }
        }
        match (self.first_link, devices.len().checked_sub(1)) {
            (Some(first), Some(last)) if self.link_of(last).is_none() => {
                Err(NetworkError::TooFewPorts { first, units: devices.len() })
            }
            _ => Ok(()),
        }
    }

    /// The interface that the units are on, if they are on one.
    pub(super) fn interface(&self) -> Option<&str> {
        self.interface.as_deref()
    }

    /// With the hostapd that the station file names, where there is an interface that it can be behind.
    pub(super) fn with_hostapd(self, socket: Option<&Path>) -> Self {
        let hostapd = socket.filter(|_| self.interface.is_some()).map(Path::to_owned);
        Self { hostapd, ..self }
    }

    /// With the way into units' own networks that the station file names, where units are real.
    pub(super) fn with_visits(self, visiting: Option<&Visiting>) -> Self {
        let is_outside = matches!(self.kind, NetworkKind::Nic | NetworkKind::Site);
        let visiting = visiting.filter(|_| is_outside).cloned();
        Self { visiting, ..self }
    }

    /// How the bench gets into the networks that its units open.
    pub(super) fn visiting(&self) -> Option<&Visiting> {
        self.visiting.as_ref()
    }

    /// Where the access point behind the interface tells what it sees.
    pub(super) fn hostapd(&self) -> Option<&Path> {
        self.hostapd.as_deref()
    }

    /// What of a unit it can prove: a radio over an interface where its access point tells, a network of its own where
    /// the bench has a way into it.
    pub(super) fn proves(&self) -> Proofs {
        let proofs = self.kind.proves();
        Proofs {
            radio: proofs.radio || self.hostapd.is_some(),
            own_networks: proofs.own_networks || self.visiting.is_some(),
        }
    }

    /// Where the link of the unit in this place of the order comes in, if it comes from outside.
    pub(super) fn link_of(&self, index: usize) -> Option<SocketAddr> {
        let first = self.first_link?;
        let port = first.port().checked_add(u16::try_from(index).ok()?)?;
        Some(SocketAddr::new(first.ip(), port))
    }
}

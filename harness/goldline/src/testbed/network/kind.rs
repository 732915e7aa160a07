//! The networks that a bench can have, by their names on a command line and in records.

use std::{fmt, str::FromStr};

use super::Proofs;

/// What lies between the units of a bench and its services.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum NetworkKind {
    /// An access point in this process, for simulated units; each joins with its radio.
    #[default]
    Air,
    /// A cable in this process, for simulated units: what is left to prove where there is no radio, as in most
    /// emulators. Whoever asks is joined, whatever network name and passphrase its firmware has.
    Cable,
    /// Ethernet frames on a socket, for units of other processes with a TCP/IP stack of their own: emulators,
    /// simulated units served elsewhere. Proves what a cable does, and that the stack works.
    Wire,
    /// An interface of this machine that the bench has for itself, for real units: an access point, a switch, a
    /// cable. Proves what a wire does; that a unit came by radio is the access point's to say, where it is asked.
    Nic,
    /// An emulator's own access point, and its own NAT to services on this machine's loopback. The join with the
    /// unit's own password is the emulator's to refuse: the bench sees what comes out of it.
    Nat,
    /// The network of a site, for real units: the machine's own, which is not the bench's. The unit's TCP/IP stack is
    /// proven, and that it reached the services; how it came into the network, its console claims.
    Site,
    /// Nothing: the unit runs where no service of the bench is in its reach. No command line asks for it.
    None,
}

/// A network that there is not.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown network \"{name}\": expected air, cable, nat, nic:NAME, site or wire:HOST:PORT")]
pub struct UnknownNetwork {
    name: String,
}

impl NetworkKind {
    /// Every network that may be asked for.
    pub const ALL: [Self; 6] =
        [Self::Air, Self::Cable, Self::Wire, Self::Nic, Self::Nat, Self::Site];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Air => "air",
            Self::Cable => "cable",
            Self::Wire => "wire",
            Self::Nic => "nic",
            Self::Nat => "nat",
            Self::Site => "site",
            Self::None => "none",
        }
    }

    /// What of a unit it can prove.
    pub fn proves(self) -> Proofs {
        match self {
            Self::Air => Proofs { radio: true, own_networks: true },
            Self::Nat => Proofs { radio: true, own_networks: false },
            Self::Cable | Self::Wire | Self::Nic | Self::Site | Self::None => {
                Proofs { radio: false, own_networks: false }
            }
        }
    }
}

impl fmt::Display for NetworkKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for NetworkKind {
    type Err = UnknownNetwork;

    fn from_str(name: &str) -> Result<Self, UnknownNetwork> {
        let known = Self::ALL.into_iter().find(|network| network.name() == name);
        known.ok_or_else(|| UnknownNetwork { name: name.to_owned() })
    }
}

//! A profile on a network that cannot prove everything: what stands in for what, or that it is refused.
//!
//! Judged before anything is touched. Must not know how a network is made.

use super::Scope;
use crate::{
    profile::{CheckId, CheckSpec, Method, Profile},
    testbed::network::{NetworkKind, Proofs},
};

/// Something of a profile cannot be proven on a network.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are what the messages show")]
pub enum Unprovable {
    #[error("the network {network} has no radio: it cannot prove the check {} of the profile {profile}", .check.name())]
    Check { network: NetworkKind, check: CheckId, profile: String },
    #[error(
        "units of the profile {profile} are configured over a network of their own, which the bench cannot join on the network {network}"
    )]
    OwnNetwork { network: NetworkKind, profile: String },
}

impl Unprovable {
    /// What to do about it.
    pub fn action(&self) -> String {
        match self {
            Self::Check { network: NetworkKind::Nic, check, .. } => match check.without_radio() {
                Some(other) => format!(
                    "name the socket of the hostapd that units come over (hostapd in [network] of the station file), or let {0} stand in for it: without_radio = \"{0}\" in the profile's [[check]]",
                    other.name()
                ),
                None => "take it out of the profile for this line".to_owned(),
            },
            Self::Check { network: NetworkKind::Site, check, .. } => match check.without_radio() {
                Some(other) => format!(
                    "let {0} stand in for it: without_radio = \"{0}\" in the profile's [[check]]",
                    other.name()
                ),
                None => "take it out of the profile for this line".to_owned(),
            },
            Self::OwnNetwork { network: NetworkKind::Nic | NetworkKind::Site, .. } => {
                "name how the bench gets into them, in [portal] of the station file; or describe another way to configure the unit in the profile, such as its console"
                    .to_owned()
            }
            Self::Check { check, .. } => match check.without_radio() {
                Some(other) => format!(
                    "let {} stand in for it, without_radio = \"{}\" in the profile's [[check]], or choose --network {}",
                    other.name(),
                    other.name(),
                    NetworkKind::Air
                ),
                None => format!("choose --network {}", NetworkKind::Air),
            },
            Self::OwnNetwork { .. } => format!("choose --network {}", NetworkKind::Air),
        }
    }
}

/// The profile as it can be proven on a network, of which this is what it proves.
///
/// # Errors
/// [`Unprovable`] when something of it cannot, and nothing stands in.
pub fn on_network(
    profile: Profile,
    scope: Scope,
    network: NetworkKind,
    proofs: Proofs,
) -> Result<Profile, Unprovable> {
    let opens_one = profile.method == Method::Portal && scope.provisions();
    if opens_one && !proofs.own_networks {
        return Err(Unprovable::OwnNetwork { network, profile: profile.name });
    }
    if proofs.radio {
        return Ok(profile);
    }
    let checks = profile.checks.iter().map(|spec| {
        stand_in(spec).ok_or_else(|| Unprovable::Check {
            network,
            check: spec.id,
            profile: profile.name.clone(),
        })
    });
    let checks = checks.collect::<Result<_, _>>()?;
    Ok(Profile { checks, ..profile })
}

/// The check that can be done without a radio, with those limits that are left.
fn stand_in(spec: &CheckSpec) -> Option<CheckSpec> {
    if spec.id.without_radio().is_none() {
        return Some(spec.clone());
    }
    let id = spec.without_radio?;
    let measured = id.measurements();
    let mut limits = spec.limits.clone();
    limits.retain(|name, _| measured.contains(&name.as_str()));
    Some(CheckSpec { limits, ..CheckSpec::of(id) })
}

//! What the bench offers to one unit: the plan's network, its broker address, its account.

use std::sync::Arc;

use super::registration::External;
use crate::{
    clock::Clock,
    plan::{BoundBroker, BoundPlan},
    profile::Profile,
    testbed::{
        TestbedConfig,
        access_point::AccessPointConfig,
        authority::Authority,
        broker::{Account, ClientAuth},
        fault::TestbedFault,
    },
};

/// A channel in the middle of the band, and a signal as strong as in a nest beside the antenna.
const CHANNEL: u8 = 6;
const RSSI_DBM: i8 = -45;
/// Locally administered, so it is no device's.
const BSSID: [u8; 6] = [0x02, 0x67, 0x6f, 0x6c, 0x64, 0x00];

/// What the bench brings to the testbed, whatever the unit.
pub struct Bench {
    /// The CA of the bench.
    pub authority: Arc<Authority>,
    /// What is made wrong with the testbed on purpose.
    pub faults: Vec<TestbedFault>,
    /// The CA that is already there; without it the testbed's answers.
    pub ca: Option<External>,
    /// The provisioning server that is already there; without it the testbed's answers.
    pub config_server: Option<External>,
    /// The time of day.
    pub clock: Clock,
}

impl Bench {
    /// The testbed that this unit needs.
    pub(super) fn testbed_for(&self, plan: &BoundPlan) -> TestbedConfig {
        let mqtt = &plan.profile().mqtt;
        TestbedConfig {
            authority: Arc::clone(&self.authority),
            access_point: AccessPointConfig {
                ssid: plan.wifi.ssid.clone(),
                passphrase: plan.wifi.password.clone(),
                channel: CHANNEL,
                rssi_dbm: RSSI_DBM,
                bssid: BSSID,
            },
            broker_endpoints: vec![plan.endpoint.clone()],
            // Not bound to the client id: a wrong one is admitted and then found by the check.
            accounts: plan.broker().map(account).into_iter().collect(),
            client_auth: mqtt.client_certificate.then(|| ClientAuth {
                ca_pem: self.authority.root_pem().to_owned(),
                common_name_is_client_id: names_itself_by_certificate(plan.profile()),
            }),
            faults: self.faults.clone(),
            clock: self.clock.clone(),
        }
    }
}

/// Whether the certificate is made out to what the unit calls itself at the broker.
fn names_itself_by_certificate(profile: &Profile) -> bool {
    profile.ca.as_ref().is_none_or(|ca| ca.uuid == profile.mqtt.client_id)
}

fn account(broker: &BoundBroker) -> Account {
    Account {
        username: broker.username.clone(),
        password: broker.password.clone(),
        client_id: None,
    }
}

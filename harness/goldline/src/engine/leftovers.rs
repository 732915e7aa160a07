//! Looks for what a factory reset should have taken: every value of the unit, in the raw bytes of its
//! NVS partition, where an erased entry keeps its value until its sector is erased.

use super::{Failure, Run};
use crate::{check::Leftovers, plan::Region, profile::Profile};

/// Shorter texts are found everywhere by accident.
const SHORTEST: usize = 4;

impl Run {
    pub(super) async fn search_leftovers(&mut self) -> Result<(), Failure> {
        self.enter_loader().await?;
        let region = nvs_region(&self.plan.regions(), &self.plan.profile)
            .ok_or(Failure::OutOfOrder { step: "search the NVS partition" })?;
        let bytes =
            self.with_device(move |device| device.read(region.offset, region.capacity)).await?;
        let plan = self.bound()?;
        // A blank partition is blank with every key.
        let bytes =
            plan.plain_nvs(&bytes).map_or_else(|_| bytes.clone(), |plain| plain.into_owned());
        let mut found = Vec::new();
        for entry in &plan.profile().nvs.entries {
            let value = plan.render(&entry.value)?;
            if let Some(at) = position(&bytes, value.expose().as_bytes()) {
                let key = &entry.key;
                let erased = if is_live(&bytes, key) { "" } else { ", in an erased entry" };
                found.push(format!("the value of {key} (at byte {at:#x}{erased})"));
            }
        }
        self.seen.leftovers = Some(Leftovers { searched: bytes.len(), found });
        Ok(())
    }
}

fn nvs_region(regions: &[Region], profile: &Profile) -> Option<Region> {
    regions.iter().find(|region| region.name == profile.nvs.partition).cloned()
}

fn position(bytes: &[u8], value: &[u8]) -> Option<usize> {
    if value.len() < SHORTEST {
        return None;
    }
    bytes.windows(value.len()).position(|window| window == value)
}

/// Whether a device still finds a key of that name.
fn is_live(bytes: &[u8], key: &str) -> bool {
    goldline_nvs::Image::decode(bytes).is_ok_and(|image| {
        image.device_view().entries().iter().any(|entry| entry.key.to_string() == key)
    })
}

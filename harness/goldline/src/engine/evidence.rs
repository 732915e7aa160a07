//! The evidence that is read from the flash, and what is judged of it before the unit may run.

use md5::{Digest, Md5};

use super::{Failure, Next, Run};
use crate::{
    check::{Evidence, RegionDigest, flash_is_sound},
    device::{Device, DeviceError},
    plan::{Moment, Region},
};

impl Run {
    /// Digests regions and reads NVS back. After a boot the loader must be entered again.
    pub(super) async fn collect(
        &mut self,
        moment: Moment,
        digests: &[Region],
        nvs: &Region,
    ) -> Result<(), Failure> {
        if moment == Moment::AfterBoot {
            self.enter_loader().await?;
        }
        let plan = self.bound()?;
        let wanted: Vec<Wanted> = digests
            .iter()
            .filter_map(|region| {
                let image = plan.image(region).ok()?;
                let size = u32::try_from(image.len()).ok()?;
                let md5 = Md5::digest(image).into();
                Some(Wanted { name: region.name.clone(), offset: region.offset, size, md5 })
            })
            .collect();
        let (offset, size) = (nvs.offset, nvs.capacity);
        let evidence = self.with_device(move |device| read_evidence(device, wanted, offset, size));
        let evidence = evidence.await?;
        *self.seen.evidence(moment) = Some(evidence);
        Ok(())
    }

    /// Keeps a unit with bad flash from being booted: everything after would only repeat the reason.
    pub(super) fn gate(&self) -> Result<Next, Failure> {
        Ok(if flash_is_sound(self.bound()?, &self.seen) { Next::GoOn } else { Next::Enough })
    }
}

/// A region whose digest is asked for, and what it should be.
struct Wanted {
    name: String,
    offset: u32,
    size: u32,
    md5: [u8; 16],
}

fn read_evidence(
    device: &mut dyn Device,
    wanted: Vec<Wanted>,
    nvs_offset: u32,
    nvs_size: u32,
) -> Result<Evidence, DeviceError> {
    let mut digests = Vec::with_capacity(wanted.len());
    for Wanted { name, offset, size, md5 } in wanted {
        digests.push(RegionDigest { name, md5: device.digest_expecting(offset, size, md5)? });
    }
    Ok(Evidence { digests, nvs: device.read(nvs_offset, nvs_size)? })
}

//! The security fuses of a unit, locked or not.

use super::{Failure, Run};
use crate::{
    device::{ChipFacts, DeviceError, Fuses, LockedLoader},
    identity::Mac,
    plan::Moment,
};

impl Run {
    /// Who lies there, of a unit whose loader may not say so any more: whoever named it is believed, until what the
    /// unit does on the network says otherwise.
    pub(super) async fn find_locked(&mut self, mac: Mac) -> Result<ChipFacts, Failure> {
        let found = self.with_device(|device| device.find_locked()).await?;
        let profile = &self.plan.profile;
        let named =
            |chip| ChipFacts { chip, revision: None, mac, flash_size: profile.flash.size() };
        match found {
            LockedLoader::Open(facts) if facts.mac != mac => {
                let port = self.device_url.clone();
                Err(DeviceError::Exchanged { port, was: mac, is: facts.mac }.into())
            }
            LockedLoader::Open(facts) => Ok(facts),
            LockedLoader::Secure(fuses) => Ok(named(fuses.chip)),
            LockedLoader::Silent => Ok(named(profile.chip)),
        }
    }

    /// Reads what the security fuses say. After a boot the loader is entered again, as far as there is one.
    pub(super) async fn read_fuses(&mut self, moment: Moment) -> Result<(), Failure> {
        let fuses = match self.plan.locked {
            None => self.with_device(|device| device.read_fuses()).await?,
            Some(_) => self.read_locked_fuses().await?,
        };
        if moment == Moment::AfterBoot && self.plan.locked.is_some() {
            self.rests_again()?;
        }
        let seen = self.seen.fuses.get_or_insert_default();
        match moment {
            Moment::AfterBoot => seen.after = fuses,
            Moment::BeforeBoot | Moment::Final => seen.before = fuses,
        }
        Ok(())
    }

    async fn read_locked_fuses(&mut self) -> Result<Option<Fuses>, Failure> {
        self.keep_console();
        let chip = self.plan.profile.chip;
        self.with_device(move |device| match device.find_locked()? {
            LockedLoader::Open(_) => device.read_fuses(),
            LockedLoader::Secure(fuses) => Ok(Some(fuses)),
            // Nothing is known of any.
            LockedLoader::Silent => Ok(Some(Fuses::new(chip, []))),
        })
        .await
    }
}

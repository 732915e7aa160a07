//! The steps that touch the flash.

use std::time::Duration;

use super::{
    Event, Failure, NoClaim, Run,
    flash_writing::{Cleared, Laid, erase_rest, lay},
    phase::{Activity, Phase, Placed},
};
use crate::{
    check::{LogFacts, stops},
    device::{ChipFacts, Device, DeviceError},
    identity::Mac,
    plan::{BoundPlan, Made, Region, Rest},
    record::{Flashed, Unit},
    testbed::ca::ExpectedRegistration,
};

/// What a unit sent before it was reset may arrive so much later.
const ON_ITS_WAY: Duration = Duration::from_secs(1);

impl Run {
    pub(super) async fn open(&mut self) -> Result<(), Failure> {
        let Phase::Unopened(open, values) = std::mem::replace(&mut self.phase, Phase::Over) else {
            return Err(Failure::OutOfOrder { step: "open the port twice" });
        };
        // Beside the loader's work; a line of the unit's that comes before only waits for it.
        drop(tokio::task::spawn_blocking(LogFacts::prepare));
        let cancel = self.cancel.clone();
        let opened = tokio::task::spawn_blocking(move || open(&|| cancel.is_cancelled()));
        let mut device = match opened.await? {
            Err(_) if self.cancel.is_cancelled() => return Err(Failure::Aborted),
            opened => opened?,
        };
        device.set_hand(self.hand());
        device.line().console().tell(Box::new(self.hearing.clone()));
        device.line().tell_of_moves(self.outages.listener(&self.device_url));
        self.device = Some(device);
        self.phase = Phase::Unknown(values);
        Ok(())
    }

    /// Reads who the unit is, binds the plan to it, and puts it into its testbed.
    pub(super) async fn identify(&mut self) -> Result<(), Failure> {
        let chip = match self.plan.locked {
            None => self.with_device(|device| device.identify()).await?,
            Some(mac) => self.find_locked(mac).await?,
        };
        self.events.send(Event::Identified(Unit {
            mac: Some(chip.mac),
            chip: Some(chip.chip.to_string()),
            flash_size: Some(chip.flash_size),
            ..Unit::default()
        }));
        let profile = &self.plan.profile;
        let fits = chip.chip == profile.chip
            && chip.flash_size == profile.flash.size()
            && chip.mac.is_a_chips();
        // Known before its values are: a unit that this station never saw is in the record all the same.
        self.seen.chip = Some(chip.clone());
        self.ask_standing(chip.mac).await?;
        let plan = match self.bind(&chip) {
            Err(Failure::Values(unknown)) if self.plan.scope.remembers() => {
                return Err(self.blank_or(unknown).await?);
            }
            bound => bound?,
        };
        if let Err(failure) = self.claim_identity(chip.mac, &plan) {
            self.phase = Phase::Known(Box::new(plan));
            return Err(failure);
        }
        // Nothing is written into a chip that is not the product's.
        if !fits {
            self.phase = Phase::Known(Box::new(plan));
            return Err(Failure::WrongChip);
        }
        let testbed = match self.bench.lend(&self.place, &plan).await {
            Ok(testbed) => testbed,
            Err(failure) => {
                self.phase = Phase::Known(Box::new(plan));
                return Err(failure.into());
            }
        };
        let activity = Activity::Rests(None);
        self.phase = Phase::Placed(Box::new(Placed { mac: chip.mac, plan, testbed, activity }));
        self.holds_unit(Duration::ZERO);
        self.expected_at_ca = self.expect_at_ca()?;
        Ok(())
    }

    /// Whoever is given an identity is the only one that has it. What a unit had before, it keeps.
    fn claim_identity(&self, mac: Mac, plan: &BoundPlan) -> Result<(), Failure> {
        if !plan.plan().scope.provisions() {
            return Ok(());
        }
        let claims = plan.shipped().bindings().claims(plan.profile(), Made::ForTheUnit);
        (self.claim)(mac, &claims).map_err(|refusal| match refusal {
            NoClaim::Taken(why) => Failure::IdentityTaken(why),
            NoClaim::Unknown(why) => Failure::Service(stops::station(format_args!("{why}"))),
        })
    }

    /// What became known since the unit was identified is claimed too, before it is used.
    pub(super) fn claim_what_was_learnt(&self) -> Result<(), Failure> {
        self.claim_identity(self.mac()?, self.bound()?)
    }

    /// The bench's CA knows the unit's UUID and the key that belongs to it, for as long as the run lasts.
    fn expect_at_ca(&self) -> Result<Option<ExpectedRegistration>, Failure> {
        let (Some(ca), Some(spec)) = (&self.testbed()?.ca, &self.plan.profile.ca) else {
            return Ok(None);
        };
        let plan = self.bound()?;
        let psk = plan.render(&spec.psk)?.as_secret().clone();
        Ok(Some(ca.expect(plan.render(&spec.uuid)?.expose(), psk)))
    }

    fn bind(&mut self, chip: &ChipFacts) -> Result<BoundPlan, Failure> {
        let Phase::Unknown(values) = std::mem::replace(&mut self.phase, Phase::Over) else {
            return Err(Failure::OutOfOrder { step: "identify the unit twice" });
        };
        let mut bindings = values(chip).map_err(Failure::Values)?;
        bindings.bind_mac(chip.mac)?;
        let plan = self.plan.clone();
        if !plan.finishes() {
            return Ok(BoundPlan::bind(plan, bindings, &self.images)?);
        }
        let root = self.bench.authority().root_pem();
        let tested = bindings.on_bench(&plan.profile, root)?;
        Ok(BoundPlan::bind_both(plan, (tested, bindings), &self.images)?)
    }

    /// Enters the download mode again, after the unit ran.
    pub(super) async fn enter_loader(&mut self) -> Result<(), Failure> {
        self.keep_console();
        self.with_device(|device| device.identify()).await?;
        self.given_to_whoever_runs = false;
        self.rests_again()
    }

    /// It is in its loader, or was reset into where that was.
    pub(super) fn rests_again(&mut self) -> Result<(), Failure> {
        let placed = self.placed_mut()?;
        placed.activity = Activity::Rests(placed.activity.last_boot().cloned());
        self.holds_unit(ON_ITS_WAY);
        Ok(())
    }

    pub(super) async fn write(&mut self, region: &Region) -> Result<(), Failure> {
        let bytes = self.bound()?.written(region)?;
        let (offset, total, events) = (region.offset, bytes.len(), self.events.clone());
        let laid = self.with_device(move |device| {
            lay(device, offset, &bytes, &mut |done| events.send(Event::Progress { done, total }))
        });
        let flashed = laid.await?;
        self.note_flashed(flashed);
        Ok(())
    }

    /// What the unit says of its flash meanwhile stands until something of it is changed again.
    pub(super) async fn erase_rest(&mut self, rest: &Rest) -> Result<(), Failure> {
        let mut stretches = Vec::with_capacity(rest.stretches.len());
        for at in &rest.stretches {
            let image = match rest.written.iter().find(|region| region.offset == at.offset) {
                Some(region) => self.bound()?.written(region)?,
                None => Vec::new(),
            };
            stretches.push(Laid { at: *at, image });
        }
        let erased = self.with_device(move |device| erase_rest(device, &stretches));
        let Cleared { seen, flashed, spoke_otherwise } = erased.await?;
        self.standing_digests = seen;
        self.note_flashed(flashed);
        if spoke_otherwise {
            self.attempts = self.attempts.max(2);
        }
        Ok(())
    }

    pub(super) fn note_flashed(&mut self, Flashed { written, kept, erased }: Flashed) {
        let all = self.flashed.get_or_insert_default();
        all.written += written;
        all.kept += kept;
        all.erased += erased;
    }

    /// Runs a blocking call on the device; a cancelled run hangs up on it.
    pub(super) async fn with_device<T: Send + 'static>(
        &mut self,
        call: impl FnOnce(&mut dyn Device) -> Result<T, DeviceError> + Send + 'static,
    ) -> Result<T, Failure> {
        let mut device = self.device.take().ok_or(Failure::DeviceBusy)?;
        let line = device.line();
        let mut blocking = tokio::task::spawn_blocking(move || {
            let outcome = call(device.as_mut());
            let attempts = device.take_attempts();
            (device, outcome, attempts)
        });
        let cancelled = self.cancel.cancelled();
        let (finished, aborted) = tokio::select! {
            finished = &mut blocking => (finished, false),
            () = cancelled => {
                line.hang_up();
                (blocking.await, true)
            }
        };
        let (device, outcome, attempts) = finished?;
        self.attempts = self.attempts.max(attempts);
        self.device = Some(device);
        if aborted { Err(Failure::Aborted) } else { Ok(outcome?) }
    }
}

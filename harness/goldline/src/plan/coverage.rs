//! What every byte of the flash must be at a moment: planned, erased, or the firmware's own.
//!
//! Must not know the bytes of an image, nor how flash is read. Offsets and sizes are bytes.

use super::{
    Content, Moment, Scope, Stretch,
    regions::{immutable_regions, nvs_region},
};
use crate::profile::{Method, Partition, Profile};

/// A part of the flash with one expectation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Span {
    /// The partition's name, `bootloader`, `partition_table`, or [`UNUSED`]; of several, all names.
    pub name: String,
    /// From the start of the flash.
    pub offset: u32,
    /// Up to the next span.
    pub size: u32,
    /// What must be there.
    pub expects: Expects,
}

/// The name of what belongs to no partition.
pub const UNUSED: &str = "unused";

/// What must be in a span.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expects {
    /// The planned bytes, and erased from their end on.
    Planned(Content),
    /// Erased to the last byte.
    Erased,
    /// The unit's own NVS partition, which is read back whole.
    OwnNvs,
    /// An NVS partition that the plan leaves to the firmware: what lies in it is judged.
    FirmwaresNvs,
    /// The firmware's note of which application starts: what it says is judged.
    OtaData,
    /// The planned application, and behind its end what a longer update left there.
    UpdatedApp,
    /// A slot for updates: erased, or one of the profile's updates.
    UpdateSlot,
    /// Whatever the firmware keeps there.
    Firmwares,
}

/// What every byte of the flash must be.
///
/// Total: its spans lie in order, each begins where the one before it ends, the first at 0 and the last
/// up to the end of the flash.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Coverage(Vec<Span>);

impl Coverage {
    /// The expectations of a profile at a moment of some work.
    pub(super) fn of(profile: &Profile, scope: Scope, moment: Moment) -> Self {
        Self::filled(profile.flash.size(), owned(profile, has_run(profile, scope, moment)))
    }

    /// Fills what lies between spans, which come in order.
    fn filled(flash_size: u32, owned: Vec<Span>) -> Self {
        let mut spans = Vec::with_capacity(2 * owned.len() + 1);
        let mut end = 0;
        for span in owned {
            spans.extend(unused(end, span.offset));
            end = span.offset + span.size;
            spans.push(span);
        }
        spans.extend(unused(end, flash_size));
        Self(spans)
    }

    /// All spans, in the order of the flash.
    pub fn spans(&self) -> &[Span] {
        &self.0
    }

    /// Whose byte that is.
    pub fn owner(&self, offset: u32) -> &str {
        let behind = self.0.partition_point(|span| span.offset <= offset);
        behind.checked_sub(1).map_or(UNUSED, |at| self.0[at].name.as_str())
    }

    /// The spans that are compared by a digest each: erased neighbours together, so that it costs little.
    pub fn digested(&self) -> Vec<Span> {
        let mut digested: Vec<Span> = Vec::new();
        for span in self.0.iter().filter(|span| span.expects.is_digested()) {
            match digested.last_mut() {
                Some(last) if last.goes_on_with(span) => {
                    last.size += span.size;
                    last.name = format!("{}, {}", last.name, span.name);
                }
                _ => digested.push(span.clone()),
            }
        }
        digested
    }

    /// The whole flash in the stretches that a device is asked about, each at once.
    pub(super) fn stretches(&self) -> Vec<Stretch> {
        let read = self.0.iter().filter(|span| !span.expects.is_digested()).cloned();
        let mut spans: Vec<Span> = self.digested().into_iter().chain(read).collect();
        spans.sort_by_key(|span| span.offset);
        spans
            .iter()
            .map(|Span { offset, size, .. }| Stretch { offset: *offset, size: *size })
            .collect()
    }

    /// The spans whose content is judged, besides the unit's own NVS.
    pub fn read(&self) -> impl Iterator<Item = &Span> {
        let read = |span: &&Span| matches!(span.expects, Expects::FirmwaresNvs | Expects::OtaData);
        self.0.iter().filter(read)
    }
}

impl Span {
    fn goes_on_with(&self, next: &Self) -> bool {
        let both_erased = self.expects == Expects::Erased && next.expects == Expects::Erased;
        both_erased && self.offset + self.size == next.offset
    }
}

impl Expects {
    /// Whether the bench knows the bytes, so that a digest tells all.
    fn is_digested(self) -> bool {
        match self {
            Self::Planned(_) | Self::Erased | Self::UpdatedApp | Self::UpdateSlot => true,
            Self::OwnNvs | Self::FirmwaresNvs | Self::OtaData | Self::Firmwares => false,
        }
    }
}

/// Whether a firmware may have run and written what is its own.
fn has_run(profile: &Profile, scope: Scope, moment: Moment) -> bool {
    let by_factory = profile.method == Method::FactoryFirmware;
    moment == Moment::AfterBoot || scope.remembers() || by_factory
}

/// What has an owner: bootloader, partition table and partitions, in the order of the flash.
fn owned(profile: &Profile, has_run: bool) -> Vec<Span> {
    let planned = immutable_regions(profile);
    let own_nvs = nvs_region(profile).name;
    let updated = has_run && profile.ota.is_some();
    let expects_of = |partition: &Partition| match planned
        .iter()
        .find(|region| region.name == partition.name)
    {
        Some(region) if region.content == Content::App && updated => Expects::UpdatedApp,
        Some(region)
            if matches!(region.content, Content::Other(_)) && has_run && !partition.is_app() =>
        {
            left_to_firmware(partition, updated)
        }
        Some(region) => Expects::Planned(region.content),
        None if partition.name == own_nvs => Expects::OwnNvs,
        None if has_run => left_to_firmware(partition, updated),
        None => Expects::Erased,
    };
    let first = profile.flash.partitions().first().map_or(u32::MAX, |first| first.offset);
    let before = planned.iter().filter(|region| region.offset < first).map(|region| Span {
        name: region.name.clone(),
        offset: region.offset,
        size: region.capacity,
        expects: Expects::Planned(region.content),
    });
    let partitions = profile.flash.partitions().iter().map(|partition| Span {
        name: partition.name.clone(),
        offset: partition.offset,
        size: partition.size,
        expects: expects_of(partition),
    });
    before.chain(partitions).collect()
}

/// What a firmware that has run may have put into a partition that the plan writes nothing into.
fn left_to_firmware(partition: &Partition, updated: bool) -> Expects {
    let slot = partition.is_app() && partition.kind.subtype.starts_with("ota_");
    match partition.kind.subtype.as_str() {
        _ if slot && updated => Expects::UpdateSlot,
        _ if partition.is_app() => Expects::Erased,
        "nvs" => Expects::FirmwaresNvs,
        "ota" => Expects::OtaData,
        _ => Expects::Firmwares,
    }
}

fn unused(from: u32, to: u32) -> Option<Span> {
    let size = to.checked_sub(from).filter(|size| *size > 0)?;
    Some(Span { name: UNUSED.to_owned(), offset: from, size, expects: Expects::Erased })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{CheckId, Part, find, list};

    const SCOPES: [Scope; 4] =
        [Scope::Run, Scope::Provision, Scope::Check, Scope::Reprovision(Part::Wifi)];
    const MOMENTS: [Moment; 2] = [Moment::BeforeBoot, Moment::AfterBoot];

    fn expects(profile: &str, scope: Scope, moment: Moment, name: &str) -> Expects {
        let profile = find(profile, None).expect("a shipped profile");
        let coverage = Coverage::of(&profile, scope, moment);
        let span = coverage.spans().iter().find(|span| span.name == name);
        span.unwrap_or_else(|| panic!("no {name} in {coverage:?}")).expects
    }

    #[test]
    fn every_byte_of_every_shipped_product_has_one_expectation() {
        for listed in list(None).expect("the shipped profiles") {
            let profile = listed.load().expect("valid");
            for (scope, moment) in SCOPES.iter().flat_map(|scope| MOMENTS.map(|at| (*scope, at))) {
                let coverage = Coverage::of(&profile, scope, moment);
                let mut end = 0;
                for span in coverage.spans() {
                    assert_eq!(span.offset, end, "{} {scope:?}: {}", profile.name, span.name);
                    assert!(span.size > 0, "{}: {}", profile.name, span.name);
                    end += span.size;
                }
                assert_eq!(end, profile.flash.size(), "{} {scope:?}", profile.name);
                let nvs = coverage.spans().iter().filter(|span| span.expects == Expects::OwnNvs);
                assert_eq!(nvs.count(), 1, "{}", profile.name);
                assert!(profile.checks.iter().any(|check| check.id == CheckId::FlashIntegrity));
            }
        }
    }

    #[test]
    fn nothing_is_the_firmwares_before_any_ran() {
        for listed in list(None).expect("the shipped profiles") {
            let profile = listed.load().expect("valid");
            if profile.method == Method::FactoryFirmware {
                continue;
            }
            for span in Coverage::of(&profile, Scope::Run, Moment::BeforeBoot).spans() {
                let sure =
                    matches!(span.expects, Expects::Planned(_) | Expects::Erased | Expects::OwnNvs);
                assert!(sure, "{}: {span:?}", profile.name);
            }
        }
    }

    #[test]
    fn a_firmware_has_its_data_partitions_and_no_other_slot() {
        let after = |name| expects("espvault", Scope::Check, Moment::BeforeBoot, name);
        assert_eq!(after("nvs"), Expects::FirmwaresNvs);
        assert_eq!(after("phy_init"), Expects::Firmwares);
        assert_eq!(after("otadata"), Expects::OtaData);
        assert_eq!(after("storage"), Expects::Firmwares);
        assert_eq!(after("ota_0"), Expects::Planned(Content::App));
        assert_eq!(after("ota_1"), Expects::Erased);
    }

    #[test]
    fn only_a_product_that_is_updated_may_hold_an_update() {
        let run = |moment, name| expects("ble-gateway", Scope::Run, moment, name);
        assert_eq!(run(Moment::BeforeBoot, "app1"), Expects::Erased);
        assert_eq!(run(Moment::AfterBoot, "app1"), Expects::UpdateSlot);
        assert_eq!(run(Moment::AfterBoot, "app0"), Expects::UpdatedApp);
    }

    #[test]
    fn erased_neighbours_are_digested_together_and_told_apart_by_offset() {
        let profile = find("espvault", None).expect("a shipped profile");
        let coverage = Coverage::of(&profile, Scope::Run, Moment::BeforeBoot);
        let digested = coverage.digested();
        let last = digested.last().expect("there are spans");
        assert_eq!(
            (last.name.as_str(), last.offset, last.size),
            ("ota_1, storage, unused", 0x1a_0000, 0x26_0000)
        );
        assert_eq!(coverage.owner(0x1a_0000), "ota_1");
        assert_eq!(coverage.owner(0x31_ffff), "ota_1");
        assert_eq!(coverage.owner(0x3f_ffff), UNUSED);
        assert_eq!(coverage.owner(0), UNUSED);
    }
}

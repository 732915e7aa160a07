//! Which application is to be started, and which one was: it must be the planned one.
//!
//! Reads ESP-IDF's OTA data as its boot loader does, and the boot loader's own words in the serial log.

use std::sync::LazyLock;

use regex::Regex;

use super::{Finding, Observations};
use crate::{
    plan::BoundPlan,
    profile::{Partition, Profile, SECTOR},
    record::{Code, Measurement},
};

/// One record lies at the beginning of each sector: a sequence number, a label that nothing writes, a
/// state, and a checksum of the sequence number.
const RECORD: usize = 32;
const LABEL: std::ops::Range<usize> = 4..24;
const STATE: usize = 24;
const CHECKSUM: usize = 28;
const ERASED: u32 = u32::MAX;
const INVALID: u32 = 3;
const ABORTED: u32 = 4;

static LOADED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"Loaded app from partition at offset 0x([0-9a-fA-F]+)").expect("tested")
});

/// The sequence number that the boot loader goes by; `None` leaves it to its default.
fn sequence(ota_data: &[u8]) -> Option<u32> {
    ota_data.chunks(SECTOR as usize).filter_map(record).max()
}

/// The sequence number of a record that counts.
fn record(sector: &[u8]) -> Option<u32> {
    let word = |at: usize| Some(u32::from_le_bytes(sector.get(at..at + 4)?.try_into().ok()?));
    let sequence = word(0)?;
    let mut crc = crc32fast::Hasher::new_with_initial(u32::MAX);
    crc.update(&sequence.to_le_bytes());
    let sound = word(CHECKSUM)? == crc.finalize();
    let bootable = ![INVALID, ABORTED].contains(&word(STATE)?);
    (sound && bootable && sequence != 0 && sequence != ERASED).then_some(sequence)
}

/// The first byte that is no part of a record.
fn stray_byte(ota_data: &[u8]) -> Option<usize> {
    let in_sector = |sector: &[u8]| {
        let behind = sector.iter().skip(RECORD).position(|byte| *byte != 0xFF);
        let label = sector.get(LABEL)?;
        let unused = label.iter().all(|byte| *byte == 0xFF) || label.iter().all(|byte| *byte == 0);
        (!unused).then_some(LABEL.start).or(behind.map(|at| RECORD + at))
    };
    let sectors = ota_data.chunks(SECTOR as usize).enumerate();
    sectors.filter_map(|(index, sector)| Some(index * SECTOR as usize + in_sector(sector)?)).next()
}

/// The slot that a sequence number means: the slots take turns.
fn slot_of(profile: &Profile, sequence: u32) -> Option<&Partition> {
    let slots = profile.flash.partitions().iter();
    let slots = slots.filter(|slot| slot.is_app() && slot.kind.subtype.starts_with("ota_")).count();
    let turn = (sequence - 1).checked_rem(u32::try_from(slots).ok()?)?;
    let subtype = format!("ota_{turn}");
    profile.flash.partitions().iter().find(|slot| slot.is("app", &subtype))
}

/// Judges the OTA data: what it says, and that nothing else lies in it.
pub(super) fn judge_ota_data(
    moment: &str,
    partition: &Partition,
    bytes: &[u8],
    plan: &BoundPlan,
    finding: &mut Finding,
) {
    let profile = plan.profile();
    let (name, planned) = (&partition.name, &profile.images.app_partition);
    match sequence(bytes) {
        // All other slots are erased then, which the digests show: the planned one is what is found.
        None => finding.evidence.push(format!("{name} {moment}: names no slot")),
        Some(number) => match slot_of(profile, number) {
            Some(slot) if slot.name == *planned => {
                finding.evidence.push(format!("{name} {moment}: names {planned}, as planned"));
            }
            slot => finding.fail(
                Code::WrongSlot,
                format!(
                    "{name} {moment} has the boot loader start {}, planned is {planned}",
                    slot.map_or("a slot that is not there", |slot| &slot.name)
                ),
            ),
        },
    }
    if let Some(at) = stray_byte(bytes) {
        let place = partition.offset as usize + at;
        finding.fail(
            Code::NotErased,
            format!("byte {place:#x} of {name} {moment} is written and no part of a record"),
        );
    }
}

/// Judges what the boot loader said that it started; a log without such lines says nothing.
pub(super) fn judge_started(plan: &BoundPlan, seen: &Observations, finding: &mut Finding) {
    let profile = plan.profile();
    let Some(planned) = profile.flash.partition(&profile.images.app_partition) else { return };
    let lines = seen.console.lines().iter();
    let started: Vec<u32> = lines
        .filter_map(|line| u32::from_str_radix(&LOADED.captures(&line.text)?[1], 16).ok())
        .collect();
    let Some(last) = started.last() else {
        if seen.booted {
            finding.evidence.push("the log does not say which slot was started".to_owned());
        }
        return;
    };
    let other = started.iter().find(|offset| **offset != planned.offset);
    let shown = name_at(profile, *other.unwrap_or(last));
    if other.is_some() {
        finding.fail(
            Code::WrongSlot,
            format!("the boot loader started {shown}, planned is {}", planned.name),
        );
    }
    finding
        .measure(Code::WrongSlot, [Measurement::word("started_slot", Some(&shown), &planned.name)]);
}

fn name_at(profile: &Profile, offset: u32) -> String {
    let mut partitions = profile.flash.partitions().iter();
    let found = partitions.find(|partition| partition.offset == offset);
    found.map_or_else(|| format!("what lies at {offset:#x}"), |found| found.name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::find;

    const VALID: u32 = 2;

    fn sector(sequence: u32, state: u32) -> Vec<u8> {
        let mut sector = vec![0xFF; SECTOR as usize];
        let mut crc = crc32fast::Hasher::new_with_initial(u32::MAX);
        crc.update(&sequence.to_le_bytes());
        sector[..4].copy_from_slice(&sequence.to_le_bytes());
        sector[STATE..CHECKSUM].copy_from_slice(&state.to_le_bytes());
        sector[CHECKSUM..RECORD].copy_from_slice(&crc.finalize().to_le_bytes());
        sector
    }

    fn blank() -> Vec<u8> {
        vec![0xFF; SECTOR as usize]
    }

    /// As otatool.py of ESP-IDF writes it.
    #[test]
    fn the_checksum_is_espressifs() {
        assert_eq!(sector(1, VALID)[CHECKSUM..RECORD], 0x4743_989A_u32.to_le_bytes());
    }

    #[test]
    fn the_highest_sound_record_counts() {
        let of = |sectors: [Vec<u8>; 2]| sequence(&sectors.concat());
        assert_eq!(of([blank(), blank()]), None);
        assert_eq!(of([sector(1, VALID), blank()]), Some(1));
        assert_eq!(of([sector(1, VALID), sector(2, VALID)]), Some(2));
        assert_eq!(of([sector(3, VALID), sector(2, VALID)]), Some(3));
        assert_eq!(of([sector(1, VALID), sector(2, ABORTED)]), Some(1));
        assert_eq!(of([sector(1, INVALID), blank()]), None);
        let mut broken = sector(2, VALID);
        broken[CHECKSUM] ^= 1;
        assert_eq!(of([sector(1, VALID), broken]), Some(1));
        assert_eq!(of([sector(0, VALID), blank()]), None);
    }

    #[test]
    fn slots_take_turns() {
        let profile = find("espvault", None).expect("a shipped profile");
        let name = |sequence| slot_of(&profile, sequence).expect("a slot").name.as_str();
        assert_eq!([1, 2, 3, 4].map(name), ["ota_0", "ota_1", "ota_0", "ota_1"]);
    }

    #[test]
    fn only_records_lie_in_it() {
        let mut both = [sector(1, VALID), blank()].concat();
        assert_eq!(stray_byte(&both), None);
        assert_eq!(stray_byte(&[blank(), blank()].concat()), None);
        both[SECTOR as usize + RECORD] = 0;
        assert_eq!(stray_byte(&both), Some(SECTOR as usize + RECORD));
        both[LABEL.start] = b'x';
        assert_eq!(stray_byte(&both), Some(LABEL.start));
    }
}

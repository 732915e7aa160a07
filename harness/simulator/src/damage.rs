//! Defects of flash contents, which appear after a client wrote and verified them.
//!
//! A client verifies while it still writes (between BEGIN and END), so the damage waits for the
//! first look at the flash after END: a digest, a read or a boot. Flash that is written again
//! is damaged again.

use std::ops::Range;

use crate::fault::chance::Chance;
use crate::fault::{Fault, Faults};
use crate::flash::mapped::MappedFlash;
use crate::flash::{Nor, SECTOR_SIZE};
use crate::layout::partitions::{Partition, PartitionTable};
use crate::tampering::Tampering;

/// The defects of one flash chip.
#[derive(Debug, Default)]
pub(crate) struct Damage {
    pending: Vec<Injury>,
    seed: u64,
    writing: bool,
    /// Decides what the weak sector shows; without one, nothing does.
    weakness: Option<Chance>,
    tampering: Option<(Tampering, Option<Left>)>,
}

/// Where something was done, and the sector's erase count at that time.
type Done = (u32, u32);

/// Where something was changed, and how what is watched was left.
type Left = (u32, Vec<u8>);

#[derive(Debug)]
struct Injury {
    fault: Fault,
    done: Option<Done>,
}

/// Bits to invert at an offset.
struct Wound {
    offset: u32,
    mask: u8,
}

impl Damage {
    pub(crate) fn new(faults: &Faults, seed: u64) -> Self {
        let kinds = [Fault::FlashAppBit, Fault::FlashNvsBit, Fault::FlashNvsKeyMissing];
        let pending = kinds.into_iter().filter(|fault| faults.has(*fault));
        Self {
            pending: pending.map(|fault| Injury { fault, done: None }).collect(),
            seed,
            writing: false,
            weakness: faults.has(Fault::FlashWeakSector).then(|| Chance::new(seed)),
            tampering: None,
        }
    }

    pub(crate) fn with_tampering(mut self, tampering: Option<Tampering>) -> Self {
        self.tampering = tampering.map(|tampering| (tampering, None));
        self
    }

    pub(crate) fn writing_began(&mut self) {
        self.writing = true;
    }

    pub(crate) fn writing_ended(&mut self) {
        self.writing = false;
    }

    pub(crate) fn apply(&mut self, flash: &mut Nor) {
        if let Some(chance) = &mut self.weakness {
            weaken(chance, flash);
        }
        if self.writing {
            return;
        }
        for injury in &mut self.pending {
            let still_there = |(at, count)| flash.erase_count(at) == count;
            if injury.done.is_some_and(still_there) {
                continue;
            }
            let wounds = wounds(injury.fault, self.seed, flash).unwrap_or_default();
            for wound in &wounds {
                flash
                    .disturb(wound.offset, wound.mask)
                    .expect("wounds are found inside partitions that were just read");
            }
            if let Some(first) = wounds.first() {
                injury.done = Some((first.offset, flash.erase_count(first.offset)));
            }
        }
        self.tamper(flash);
    }

    fn tamper(&mut self, flash: &mut Nor) {
        let Some((tampering, done)) = &mut self.tampering else { return };
        let watched = |at: u32| {
            let sector = at / SECTOR_SIZE * SECTOR_SIZE;
            tampering.watched().unwrap_or(sector..sector + SECTOR_SIZE)
        };
        if done.as_ref().is_some_and(|(at, left)| held(flash, watched(*at)) == *left) {
            return;
        }
        *done = flash
            .change(|cells| tampering.change(cells))
            .map(|at| (at, held(flash, watched(at)).to_vec()));
    }
}

fn held(flash: &Nor, range: Range<u32>) -> &[u8] {
    flash.read(range.start, range.end - range.start).expect("what is watched is on the chip")
}

fn wounds(fault: Fault, seed: u64, flash: &Nor) -> Option<Vec<Wound>> {
    let table = PartitionTable::read(&MappedFlash::new(flash, None)).ok()?;
    match fault {
        Fault::FlashAppBit => app_bit(seed, &table, flash),
        Fault::FlashNvsBit => nvs_bit(seed, table.nvs_of_product()?, flash),
        Fault::FlashNvsKeyMissing => nvs_key(seed, table.nvs_of_product()?, flash),
        _ => None,
    }
}

/// Inverts a bit in the first sector of the application, another each time.
fn weaken(chance: &mut Chance, flash: &mut Nor) {
    let Ok(table) = PartitionTable::read(&MappedFlash::new(flash, None)) else {
        return;
    };
    if let Some(app) = table.apps().next() {
        let at = app.offset + chance.below(SECTOR_SIZE.into()) as u32;
        flash.disturb(at, chance.bit()).expect("a table that was read lies inside the flash");
    }
}

/// A bit among the bytes of the application that are not blank.
fn app_bit(seed: u64, table: &PartitionTable, flash: &Nor) -> Option<Vec<Wound>> {
    let app = table.apps().find(|app| {
        let first = flash.read(app.offset, 1);
        first.is_ok_and(|bytes| bytes[0] == crate::layout::image::MAGIC)
    })?;
    let bytes = flash.read(app.offset, app.size).ok()?;
    let used = bytes.iter().rposition(|byte| *byte != 0xFF)? as u64 + 1;
    // The header stays whole: a unit that does not even start would hide the digest's finding.
    let header = 0x20.min(used - 1);
    let at = header + seed % (used - header);
    Some(vec![Wound { offset: app.offset + at as u32, mask: 1 << (seed % 8) }])
}

/// A bit in the last entry of an item, which for a string is its payload.
fn nvs_bit(seed: u64, nvs: &Partition, flash: &Nor) -> Option<Vec<Wound>> {
    let items = items(nvs, flash)?;
    let item = items.get((seed % items.len().max(1) as u64) as usize)?;
    let last = item.offset + (item.span - 1) * ENTRY;
    Some(vec![Wound { offset: last + if item.span == 1 { 24 } else { 0 }, mask: 1 << (seed % 7) }])
}

/// The state bits of all entries of one item: from written (10) to erased (00).
fn nvs_key(seed: u64, nvs: &Partition, flash: &Nor) -> Option<Vec<Wound>> {
    let items = items(nvs, flash)?;
    let item = items.get((seed % items.len().max(1) as u64) as usize)?;
    let page = item.offset / SECTOR_SIZE * SECTOR_SIZE;
    let first = (item.offset - page - FIRST_ENTRY) / ENTRY;
    let wound =
        |index: u32| Wound { offset: page + BITMAP + index / 4, mask: 0b10 << (index % 4 * 2) };
    Some((first..first + item.span).map(wound).collect())
}

const BITMAP: u32 = 32;
const FIRST_ENTRY: u32 = 64;
const ENTRY: u32 = 32;
const ENTRIES: u32 = 126;
const NAMESPACE_OF_NAMESPACES: u8 = 0;
const BLOB_PARTS: [u8; 2] = [0x42, 0x48];
/// Namespaces of ESP-IDF's own drivers: what is damaged there they write anew, and no product misses it.
const DRIVERS: [&[u8]; 4] = [b"phy", b"nvs.net80211", b"misc", b"dhcp_state"];

struct Item {
    offset: u32,
    span: u32,
}

/// The items of an NVS partition that are a product's keys with a value of their own.
fn items(nvs: &Partition, flash: &Nor) -> Option<Vec<Item>> {
    let mut items = Vec::new();
    let mut drivers = Vec::new();
    for page_at in (nvs.offset..nvs.end()).step_by(SECTOR_SIZE as usize) {
        let page = flash.read(page_at, SECTOR_SIZE).ok()?;
        let mut index = 0;
        while index < ENTRIES {
            let state = page[(BITMAP + index / 4) as usize] >> (index % 4 * 2) & 0b11;
            let at = FIRST_ENTRY + index * ENTRY;
            let entry = &page[at as usize..][..ENTRY as usize];
            let (namespace, kind, span) = (entry[0], entry[1], u32::from(entry[2]));
            let written = state == 0b10 && (1..=ENTRIES - index).contains(&span);
            if written && namespace == NAMESPACE_OF_NAMESPACES {
                let name = entry[8..24].split(|byte| *byte == 0).next().unwrap_or_default();
                // Its name comes before what it holds; an entry's value is its number.
                drivers.extend(DRIVERS.contains(&name).then_some(entry[24]));
            } else if written && !BLOB_PARTS.contains(&kind) && !drivers.contains(&namespace) {
                items.push(Item { offset: page_at + at, span });
            }
            index += if written { span } else { 1 };
        }
    }
    Some(items)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// A tampering that makes an 8 of a 7 at the begin of the chip, and how often it was called.
    fn eight() -> (Tampering, Arc<AtomicUsize>) {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let tampering = Tampering::new(move |cells| {
            counted.fetch_add(1, Ordering::Relaxed);
            (cells[0] == 7).then(|| {
                cells[0] = 8;
                0
            })
        });
        (tampering, calls)
    }

    fn write(flash: &mut Nor, offset: u32, byte: u8) {
        flash.erase_sector(offset).expect("inside");
        flash.program(offset, &[byte]).expect("inside");
    }

    #[test]
    fn what_is_tampered_with_is_what_a_client_wrote() {
        let (tampering, _) = eight();
        let (mut flash, mut damage) = (Nor::in_memory(0x4000), Damage::default());
        damage = damage.with_tampering(Some(tampering));
        damage.apply(&mut flash);
        damage.writing_began();
        write(&mut flash, 0, 7);
        damage.apply(&mut flash);
        assert_eq!(flash.cells()[0], 7, "its client verifies it still");
        damage.writing_ended();
        damage.apply(&mut flash);
        assert_eq!(flash.cells()[0], 8);
    }

    #[test]
    fn it_is_done_again_when_its_sector_or_what_it_watches_is_another() {
        for (watched, again) in [(None, 2), (Some(0..0x2000), 3)] {
            let (tampering, calls) = eight();
            let tampering = match watched {
                Some(watched) => tampering.watching(watched),
                None => tampering,
            };
            let (mut flash, mut damage) = (Nor::in_memory(0x4000), Damage::default());
            damage = damage.with_tampering(Some(tampering));
            write(&mut flash, 0, 7);
            damage.apply(&mut flash);
            damage.apply(&mut flash);
            write(&mut flash, 0x2000, 7);
            damage.apply(&mut flash);
            assert_eq!(calls.load(Ordering::Relaxed), 1, "nothing is otherwise than it left it");
            write(&mut flash, 0, 7);
            damage.apply(&mut flash);
            assert_eq!(flash.cells()[0], 8);
            write(&mut flash, 0x1000, 7);
            damage.apply(&mut flash);
            assert_eq!(calls.load(Ordering::Relaxed), again);
        }
    }
}

//! Another application than the planned one that lies in the other slot, and the note that has it started.
//!
//! Source: ESP-IDF's `esp_ota_select_entry_t`: a sequence number, a label, a state, and a checksum of the number.

use std::ops::Range;

use crate::profile::{Partition, Profile, SECTOR};

const CHECKSUM: Range<usize> = 28..32;

/// The slot of an update that the planned application is not in; `None` of a product without one.
pub(super) fn other_slot(profile: &Profile) -> Option<&Partition> {
    let mut slots = profile.flash.partitions().iter().filter(|slot| is_slot(slot));
    slots.find(|slot| slot.name != profile.images.app_partition)
}

/// Where the boot loader reads which slot to start.
pub(super) fn note(profile: &Profile) -> Option<&Partition> {
    profile.flash.partitions().iter().find(|partition| partition.is("data", "ota"))
}

/// Has a slot started: a record in the first sector of the note.
pub(super) fn point_at(slot: &Partition, note: &mut [u8]) {
    let turn: u32 = slot.kind.subtype.trim_start_matches("ota_").parse().unwrap_or_default();
    let sequence = (turn + 1).to_le_bytes();
    let mut crc = crc32fast::Hasher::new_with_initial(u32::MAX);
    crc.update(&sequence);
    note[..SECTOR as usize].fill(0xFF);
    note[..sequence.len()].copy_from_slice(&sequence);
    note[CHECKSUM].copy_from_slice(&crc.finalize().to_le_bytes());
}

fn is_slot(partition: &Partition) -> bool {
    partition.is_app() && partition.kind.subtype.starts_with("ota_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::find;

    #[test]
    fn the_note_names_the_other_slot() {
        let profile = find("espvault", None).expect("it ships");
        let other = other_slot(&profile).expect("it has two");
        assert_eq!(
            (other.name.as_str(), note(&profile).map(|it| it.size)),
            ("ota_1", Some(0x2000))
        );
        let mut note = vec![0xFF; 0x2000];
        point_at(other, &mut note);
        // As ESP-IDF itself writes it: the checksum of 2.
        assert_eq!(note[..4], [2, 0, 0, 0]);
        assert_eq!(note[CHECKSUM], [0x74, 0x37, 0xF6, 0x55]);
        assert!(note[32..].iter().all(|byte| *byte == 0xFF));
    }
}

//! Where a unit's firmware crashed: its log's addresses, by the ELF that its application was made of.
//!
//! Asks no unit. Must not judge.

use crate::{
    check::{Observations, UnitLog},
    image::Symbols,
    profile::Profile,
    record::Panic,
};

/// The first crash that was seen; `None` of a unit that runs no machine code, or did not crash.
pub(super) fn seen(seen: &Observations, profile: &Profile, symbols: &Symbols) -> Option<Panic> {
    if !symbols.are_of_machine_code() {
        return None;
    }
    let earlier = UnitLog::of(seen.earlier_console.clone());
    let logs = [&earlier, &seen.console];
    let crash = logs.into_iter().find_map(|log| log.facts().crash.as_ref())?;
    let (frames, note) = symbols.frames(&crash.frames, crash.elf_digest.as_deref());
    let mut partitions = profile.flash.partitions().iter();
    let place = partitions.find(|partition| partition.is("data", "coredump"));
    let core_dump = place.filter(|_| crash.dumped).map(|place| {
        format!("the partition {} ({:#x}, {} bytes)", place.name, place.offset, place.size)
    });
    Some(Panic { cause: crash.cause.clone(), frames, note, core_dump })
}

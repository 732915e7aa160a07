//! Flash that does not hold what was written: every region that is planned or must be erased, damaged in one way.
//!
//! What a firmware may write as it likes is left alone: nobody could tell. Must not know how a mutant is run, nor what
//! an entry of NVS is.

mod applications;
mod damage;
mod place;
mod slots;
mod table;

use std::{ops::Range, sync::Arc};

use goldline_simulator::Tampering;

use super::{
    catalogue::{Catalogue, Family},
    good_unit::GoodUnit,
    mutant::{Change, Kind, Must, Mutant},
};
use crate::{
    plan::{Content, Expects, Moment, Plan, Scope, Span},
    profile::{Method, NvsEntry, Profile, SECTOR},
};
use damage::Damage;
use place::Place;

const SECTOR_BYTES: usize = SECTOR as usize;
/// What somebody may have left in a flash.
const LEFTOVER: &[u8] = b"left over from an earlier life of this unit";
/// Of a word: code that lies so far off is not even aligned.
const WORD: usize = 4;
/// What is said of an NVS partition that is none, plain or encrypted.
const NO_NVS: [&str; 2] = ["no page looks like NVS", "not an NVS image"];
/// What is said of an encrypted one of which no entry lies where it was encrypted.
const NOT_DECRYPTED: &str = "nothing readable comes out";
/// Of a page of NVS, its header: without it, it is no page.
const PAGE_HEADER: usize = 32;

/// Adds every way to damage the flash of a product of which this is a good unit.
pub(super) fn add(catalogue: &mut Catalogue, profile: &Arc<Profile>, good: &GoodUnit) {
    let plan = Plan::new(Arc::clone(profile), Scope::Run);
    let coverage = plan.coverage(Moment::BeforeBoot);
    let planned: Vec<(Content, Place)> =
        coverage.spans().iter().filter_map(|span| planned(&plan, span, good)).collect();
    for (content, place) in &planned {
        damaged(catalogue, *content, place, good);
        catalogue.count(mislaid(*content, place));
        catalogue.count(of_another_build(*content, place));
    }
    catalogue.count(swapped(&planned));
    catalogue.count(stale_slots(profile, &planned));
    for span in coverage.spans().iter().filter(|span| must_be_erased(&plan, span)) {
        left_behind(catalogue, span);
    }
}

/// A region of which the plan knows the bytes, where it lies in a good unit.
fn planned(plan: &Plan, span: &Span, good: &GoodUnit) -> Option<(Content, Place)> {
    let content = match span.expects {
        Expects::Planned(content) => content,
        Expects::OwnNvs if plan.profile.method.flashes_nvs() => Content::Nvs,
        _ => return None,
    };
    let is_common = !matches!(content, Content::Nvs | Content::NvsKeys);
    let place = Place::of(&span.name, range(span), &good.cells, is_common)?;
    let name = |entry: &NvsEntry| format!("{}/{}", entry.namespace, entry.key);
    let entries = match content {
        Content::Nvs => plan.profile.nvs.entries.iter().map(name).collect(),
        // A firmware of the factory runs before anybody compares the flash.
        Content::Bootloader | Content::App if plan.profile.method == Method::FactoryFirmware => {
            ["boot.image_refused", "invalid header"].map(str::to_owned).to_vec()
        }
        _ => Vec::new(),
    };
    Some((content, Place { entries, ..place }))
}

/// Whether nothing may lie in a span before the unit ran.
fn must_be_erased(plan: &Plan, span: &Span) -> bool {
    match span.expects {
        Expects::Erased => true,
        Expects::OwnNvs => !plan.flashes_values(),
        _ => false,
    }
}

fn range(span: &Span) -> Range<usize> {
    let begin = span.offset as usize;
    begin..begin + span.size as usize
}

/// What somebody reads who got such a unit.
fn means(content: Content) -> &'static str {
    match content {
        Content::Nvs | Content::NvsKeys => "the unit does not have the values that it was made for",
        Content::PartitionTable => "the unit looks for its data where they are not",
        _ => "the unit does not start, or runs code that nobody reviewed",
    }
}

/// Texts that name a place in a region: NVS is read entry by entry, all else is told by the region's name.
fn naming(content: Content, place: &Place, at: usize) -> Vec<String> {
    let (page, within) = (at / SECTOR_BYTES, at % SECTOR_BYTES);
    match content {
        Content::Nvs => {
            let no_page = NO_NVS.iter().filter(|_| within < PAGE_HEADER).map(|it| (*it).to_owned());
            [format!("page {page} "), format!("byte {at:#x}")].into_iter().chain(no_page).collect()
        }
        _ => vec![format!("{} differs", place.name), format!("byte {:#x}", place.offset + at)],
    }
}

/// The same of damage that is larger than an entry of NVS: what stood there is missing, or is no NVS at all.
fn naming_whole(content: Content, place: &Place, at: usize) -> Vec<String> {
    let is_nvs = content == Content::Nvs;
    let whole = NO_NVS.into_iter().chain([NOT_DECRYPTED]).filter(|_| is_nvs).map(str::to_owned);
    naming(content, place, at).into_iter().chain(place.entries.clone()).chain(whole).collect()
}

fn mutant(
    content: Content,
    id: String,
    what: String,
    naming: Vec<String>,
    how: Tampering,
) -> Mutant {
    let check = match content {
        Content::Nvs => "nvs_readback, which compares the image byte for byte",
        _ => "flash_integrity",
    };
    Mutant {
        kind: Kind::Region,
        id: format!("{}.{id}", Kind::Region),
        what,
        means: means(content).to_owned(),
        remedy: check.to_owned(),
        must: Must::Fail { naming },
        change: Change::Flash(how),
    }
}

fn with_damage(content: Content, place: &Place, id: String, damage: Damage) -> Mutant {
    let naming = match damage {
        Damage::Bit { .. } | Damage::Byte { .. } => naming(content, place, damage.first()),
        _ => naming_whole(content, place, damage.first()),
    };
    let how = place.tampering(move |bytes| damage.on(bytes));
    mutant(content, id, damage.of(&place.name, place.offset), naming, how)
}

/// Damage anywhere in what was written.
fn damaged(catalogue: &mut Catalogue, content: Content, place: &Place, good: &GoodUnit) {
    let of = place.clone();
    catalogue.draw(
        Kind::Region,
        Family::new(move |seed| {
            let mut random = fastrand::Rng::with_seed(seed);
            let (at, mask) = (random.usize(..of.good.len()), 1 << random.u8(..8));
            let id = format!("{}.bit@{seed:x}", of.name);
            with_damage(content, &of, id, Damage::Bit { at, mask })
        }),
    );
    let of = place.clone();
    catalogue.draw(
        Kind::Region,
        Family::new(move |seed| {
            let mut random = fastrand::Rng::with_seed(seed);
            let (at, by) = (random.usize(..of.good.len()), random.u8(1..));
            let id = format!("{}.byte@{seed:x}", of.name);
            with_damage(content, &of, id, Damage::Byte { at, by })
        }),
    );
    let sectors = place.sectors();
    catalogue.count(sectors.iter().map(|at| {
        let id = format!("{}.erased.{at:x}", place.name);
        with_damage(content, place, id, Damage::Erased { at: *at })
    }));
    let (of, cells) = (place.clone(), Arc::clone(&good.cells));
    catalogue.draw(
        Kind::Region,
        Family::new(move |seed| elsewhere(content, &of, &cells, &sectors, seed)),
    );
}

/// A sector that holds what belongs into another.
fn elsewhere(
    content: Content,
    place: &Place,
    cells: &Arc<[u8]>,
    sectors: &[usize],
    seed: u64,
) -> Mutant {
    let mut random = fastrand::Rng::with_seed(seed);
    let at = *random.choice(sectors).expect("what holds something has a sector that does");
    let own = &cells[place.offset + at..][..SECTOR_BYTES];
    let others: Vec<usize> = (0..cells.len())
        .step_by(SECTOR_BYTES)
        .filter(|other| {
            let other = &cells[*other..][..SECTOR_BYTES];
            other != own && other.iter().any(|byte| *byte != 0xFF)
        })
        .collect();
    let from = *random.choice(&others).expect("a flash holds more than one sector");
    let first = differ(own, &cells[from..][..SECTOR_BYTES]);
    let cells = Arc::clone(cells);
    let how = place.tampering(move |bytes| {
        bytes[at..][..SECTOR_BYTES].copy_from_slice(&cells[from..][..SECTOR_BYTES]);
    });
    let what = format!(
        "the sector of {} at {:#x} holds what lies at {from:#x}",
        place.name,
        place.offset + at
    );
    let id = format!("{}.elsewhere@{seed:x}", place.name);
    mutant(content, id, what, naming_whole(content, place, at + first), how)
}

/// Where two stretches differ first; their end, when they do not.
fn differ(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).position(|(one, other)| one != other).unwrap_or(one.len())
}

/// All of it at another place, or not all of it.
fn mislaid(content: Content, place: &Place) -> Vec<Mutant> {
    let half = place.good.len() / 2;
    // Up to a byte that is not erased, so that something is lost.
    let cut = place.good[half..].iter().position(|byte| *byte != 0xFF).map_or(0, |at| half + at);
    [
        ("shifted_by_a_sector", Damage::Shifted { by: SECTOR_BYTES }),
        ("shifted_by_a_word", Damage::Shifted { by: WORD }),
        ("cut_short", Damage::CutShort { at: cut }),
    ]
    .into_iter()
    .map(|(name, damage)| (format!("{}.{name}", place.name), damage))
    .filter(|(_, damage)| {
        let mut bytes = place.good.to_vec();
        bytes.resize(place.size, 0xFF);
        let before = bytes.clone();
        damage.on(&mut bytes);
        bytes != before
    })
    .map(|(id, damage)| with_damage(content, place, id, damage))
    .collect()
}

/// What is whole and no damage at all: it is another's.
fn of_another_build(content: Content, place: &Place) -> Vec<Mutant> {
    let whole = |name: &str, what: &str, image: Option<Vec<u8>>| {
        let image = image?;
        let how = place.tampering(move |bytes| {
            bytes.fill(0xFF);
            bytes[..image.len()].copy_from_slice(&image);
        });
        let (id, what) = (format!("{}.{name}", place.name), format!("{} {what}", place.name));
        Some(mutant(content, id, what, naming(content, place, 0), how))
    };
    match content {
        Content::Bootloader | Content::App => {
            let version = applications::of_another_version(&place.good);
            let chip = applications::for_another_chip(&place.good);
            let version = whole("other_version", "holds the image of another version", version);
            let chip = whole("other_chip", "holds an image for another chip", chip);
            version.into_iter().chain(chip).collect()
        }
        Content::PartitionTable => {
            let names = table::names(&place.good);
            let of = |wrong: table::Wrong| {
                let (what, id) = wrong.words(&names);
                let how = place.tampering(move |bytes| wrong.make(bytes));
                let (id, what) =
                    (format!("{}.{id}", place.name), format!("the partition table {what}"));
                mutant(content, id, what, naming(content, place, 0), how)
            };
            table::Wrong::all(names.len()).map(of).collect()
        }
        _ => Vec::new(),
    }
}

/// Two regions that hold each other's content, as far as it fits.
fn swapped(planned: &[(Content, Place)]) -> Vec<Mutant> {
    let mut mutants = Vec::new();
    for (index, (content, one)) in planned.iter().enumerate() {
        for (other_content, other) in &planned[index + 1..] {
            let (first, second) = (one.clone(), other.clone());
            let how = other.with(other.offset, move |cells| {
                let length = first.size.min(second.size);
                for at in 0..length {
                    cells.swap(first.offset + at, second.offset + at);
                }
            });
            let naming = [(content, one), (other_content, other)]
                .into_iter()
                .flat_map(|(content, place)| naming_whole(*content, place, 0))
                .collect();
            let id = format!("{}.swapped.{}", one.name, other.name);
            let what = format!("{} and {} hold each other's content", one.name, other.name);
            mutants.push(mutant(*content, id, what, naming, how));
        }
    }
    mutants
}

/// An application that is none of the plan's in the other slot, and started from there.
fn stale_slots(profile: &Profile, planned: &[(Content, Place)]) -> Vec<Mutant> {
    let app = planned.iter().find(|(content, _)| *content == Content::App).map(|(_, app)| app);
    let (Some(app), Some(slot)) = (app, slots::other_slot(profile)) else { return Vec::new() };
    let image = applications::of_another_version(&app.good).unwrap_or_else(|| app.good.to_vec());
    if image.len() > slot.size as usize {
        return Vec::new();
    }
    let image: Arc<[u8]> = image.into();
    let lay = |slot: usize, image: &Arc<[u8]>| {
        let image = Arc::clone(image);
        move |cells: &mut [u8]| cells[slot..][..image.len()].copy_from_slice(&image)
    };
    let at = slot.offset as usize;
    let change = lay(at, &image);
    let naming = vec![format!("byte {at:#x}"), format!("{} ", slot.name)];
    let stale = mutant(
        Content::App,
        format!("{}.stale", slot.name),
        format!("{} holds the image of an earlier version", slot.name),
        naming.clone(),
        app.with(at, change),
    );
    let started = slots::note(profile).map(|note| {
        let (note_at, note_size, slot) = (note.offset as usize, note.size as usize, slot.clone());
        let change = lay(at, &image);
        let naming = [format!("byte {note_at:#x}"), "flash.wrong_slot".to_owned()];
        let naming = naming.into_iter().chain(naming_of(&stale)).collect();
        let name = slot.name.clone();
        let how = app.with(at.max(note_at), move |cells| {
            change(cells);
            slots::point_at(&slot, &mut cells[note_at..][..note_size]);
        });
        mutant(
            Content::App,
            format!("{name}.started"),
            format!("{name} holds the image of an earlier version, and is the one that is started"),
            naming,
            how,
        )
    });
    [stale].into_iter().chain(started).collect()
}

fn naming_of(mutant: &Mutant) -> Vec<String> {
    match &mutant.must {
        Must::Fail { naming } => naming.clone(),
        Must::NotBlame => Vec::new(),
    }
}

/// Something in what must be erased: a text at its begin, a bit anywhere.
fn left_behind(catalogue: &mut Catalogue, span: &Span) {
    let of = |id: String, what: String, at: usize, bytes: Vec<u8>| Mutant {
        means: "what somebody left in the unit stays in it, and nobody knows what it is".to_owned(),
        ..mutant(
            Content::App,
            id,
            what,
            vec![format!("byte {at:#x}")],
            Tampering::new(move |cells| {
                cells[at..][..bytes.len()].copy_from_slice(&bytes);
                u32::try_from(at).ok()
            }),
        )
    };
    let (name, begin) = (&span.name, span.offset as usize);
    // The places without an owner have one name.
    let id = format!("{name}.{begin:x}");
    let what = format!("a text is left at {begin:#x}, where {name} is erased");
    // A blank NVS partition is told by the place in it.
    let is_nvs = span.expects == Expects::OwnNvs;
    let relative = move |at: usize| if is_nvs { at - begin } else { at };
    let named = move |mutant: Mutant, at: usize| Mutant {
        must: Must::Fail { naming: vec![format!("byte {:#x}", relative(at))] },
        ..mutant
    };
    catalogue.count([named(of(format!("{id}.leftover"), what, begin, LEFTOVER.to_vec()), begin)]);
    let (name, size) = (name.clone(), span.size as usize);
    catalogue.draw(
        Kind::Region,
        Family::new(move |seed| {
            let mut random = fastrand::Rng::with_seed(seed);
            let (at, bit) = (begin + random.usize(..size), random.u8(..8));
            let what = format!("a bit at {at:#x} is written, where {name} is erased");
            named(of(format!("{id}.bit@{seed:x}"), what, at, vec![!(1 << bit)]), at)
        }),
    );
}

//! Flash of good units, damaged at random: `check` finds what lies outside of the firmware's own partitions.

use std::{fs, sync::Mutex};

use super::sweep::{Draw, Figures, each, least, record_of, said};
use crate::end_to_end::program::Station;

/// Each with the bytes that its firmware may write as it likes: offset and size of phy_init and storage.
const PRODUCTS: [(&str, &[(usize, usize)]); 3] = [
    ("espvault", &[(0xf000, 0x1000), (0x0032_0000, 0xd_0000)]),
    ("zeroconf", &[]),
    ("safesignal", &[]),
];
const DAMAGES: usize = 2100;
const SECTOR: usize = 4096;

/// One way to damage a flash.
#[derive(Clone, Copy, Debug)]
enum Damage {
    Bit,
    Byte,
    ErasedSector,
    SectorOfElsewhere,
    Text,
}

const WAYS: [Damage; 5] =
    [Damage::Bit, Damage::Byte, Damage::ErasedSector, Damage::SectorOfElsewhere, Damage::Text];

impl Damage {
    fn apply(self, flash: &mut [u8], at: usize, draw: &mut Draw) {
        let sector = at / SECTOR * SECTOR..at / SECTOR * SECTOR + SECTOR;
        match self {
            Self::Bit => flash[at] ^= 1 << draw.below(8),
            Self::Byte => flash[at] = flash[at].wrapping_add(1 + draw.below(255) as u8),
            Self::ErasedSector => flash[sector].fill(0xff),
            Self::SectorOfElsewhere => {
                let from = draw.below(flash.len() / SECTOR) * SECTOR;
                flash.copy_within(from..from + SECTOR, sector.start);
            }
            Self::Text => {
                let end = flash.len().min(at + 16);
                flash[at..end].copy_from_slice(&b"AnotherOnesWords"[..end - at]);
            }
        }
    }
}

/// A station with a good unit, and the unit's flash.
struct Bench {
    product: &'static str,
    station: Station,
    flash: Vec<u8>,
    free: Vec<(usize, usize)>,
}

fn bench((product, free): (&'static str, &[(usize, usize)])) -> Bench {
    let station = Station::new();
    let device = "simulator:?flash-file=unit.flash";
    let ended = station.unit(["run", product, "--json", "--device", device]);
    assert_eq!(ended.code(), 0, "{ended:?}");
    let flash = fs::read(station.path("unit.flash")).expect("its flash");
    Bench { product, station, flash, free: free.to_vec() }
}

/// Where the firmware may write what it likes the damage may pass, and nowhere else: the NVS partitions hold
/// what the plan wrote and the drivers' own, which they mend or write anew, so that either verdict may be right.
fn may_pass(bench: &Bench, at: usize, nvs: &[(usize, usize)]) -> bool {
    let within = |(offset, size): &(usize, usize)| (*offset..offset + size).contains(&at);
    bench.free.iter().any(within) || nvs.iter().any(within)
}

/// Offsets and sizes of the data partitions in a partition table that is good.
fn data_partitions(flash: &[u8], table: usize) -> Vec<(usize, usize)> {
    let entries = flash[table..table + SECTOR].chunks(32);
    let word = |entry: &[u8], at: usize| {
        u32::from_le_bytes(entry[at..at + 4].try_into().expect("four bytes")) as usize
    };
    let data = entries.take_while(|entry| entry[..2] == [0xaa, 0x50]).filter(|entry| entry[2] == 1);
    data.map(|entry| (word(entry, 4), word(entry, 8))).collect()
}

#[test]
#[ignore = "nightly: random damages"]
fn damage_outside_of_the_firmwares_own_is_found() {
    // A station checks one unit at a time.
    let benches: Vec<Mutex<Bench>> =
        PRODUCTS.iter().chain(&PRODUCTS).map(|it| Mutex::new(bench(*it))).collect();
    let mut draw = Draw(10);
    let jobs: Vec<_> = (0..DAMAGES)
        .map(|number| (number % benches.len(), WAYS[draw.below(WAYS.len())], draw.below(1 << 40)))
        .collect();
    let figures: Figures = each(&jobs, |(place, way, seed), figures| {
        let bench = benches[*place].lock().expect("one at a time");
        let mut draw = Draw(*seed as u64);
        // Much of a flash is erased, and what is erased there changes nothing.
        let (flash, changed) = loop {
            let mut flash = bench.flash.clone();
            let at = draw.below(flash.len());
            way.apply(&mut flash, at, &mut draw);
            if flash != bench.flash {
                let differs = |(now, then): (&u8, &u8)| now != then;
                let changed = flash.iter().zip(&bench.flash).position(differs);
                break (flash, changed.expect("they differ"));
            }
        };
        bench.station.write("damaged.flash", &flash);
        let device = "simulator:?flash-file=damaged.flash";
        let ended = bench.station.unit(["check", bench.product, "--json", "--device", device]);
        let record = record_of(&ended).unwrap_or_else(|| panic!("refused: {ended:?}"));
        let (verdict, code) = said(&record);
        let mut figures = figures.lock().expect("it counts only");
        figures.count("checks");
        figures.count(&verdict);
        let data = data_partitions(&bench.flash, 0x8000);
        let what = format!("{} {way:?} at {changed:#x} ({seed}): {verdict} {code}", bench.product);
        match verdict.as_str() {
            "PASS" if !may_pass(&bench, changed, &data) => figures.blame("escape", what),
            "ERROR" => figures.blame("blame", what),
            _ => {}
        }
    });
    assert!(figures.of("checks") >= least(2000), "{}", figures.of("checks"));
    figures.settle("the damages");
}

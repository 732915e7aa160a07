//! Damaged images, dumps and CSVs, many of them: nothing may panic, hang or grow.
//!
//! `GOLDLINE_MUTATIONS` sets how many images there are; the default is what
//! every test run does, and five times as many in the full tier.

use goldline_nvs::csv::{self, Mode, NoFiles, parse};
use goldline_nvs::edit::Editor;
use goldline_nvs::leftover::leftover_secrets;
use goldline_nvs::record::Record;
use goldline_nvs::usage::Usage;
use goldline_nvs::{
    Document, Image, Key, SecretRule, Value, Version, diff, generate, identify, repair, salvage,
    secret, snapshot, would_be_lost,
};

use rstest::rstest;

use crate::dump_any::check;
use crate::flash::{encrypted_product, product};
use crate::random::Random;
use crate::support::{read, repository};
use crate::table;

const IMAGES: u64 = 200_000;
const CSVS: u64 = 20_000;
const DUMPS: u64 = 4_000;
const RECORDS: u64 = 50_000;

fn count(default: u64) -> u64 {
    let tier = std::env::var("GOLDLINE_TIER").unwrap_or_default();
    let default = if tier == "full" { 5 * default } else { default };
    let set = std::env::var("GOLDLINE_MUTATIONS").ok();
    set.map_or(default, |count| count.parse().expect("GOLDLINE_MUTATIONS is a number"))
}

/// Small images, so that there can be many: one to three pages.
fn seeds() -> Vec<Vec<u8>> {
    let mut document = Document::new();
    document.insert("wifi", "password", Value::str("secret")).unwrap();
    document.insert("wifi", "cert", Value::Blob(vec![7; 200])).unwrap();
    document.insert("id", "serial", Value::U32(1)).unwrap();
    let mut images = vec![
        generate(&document, 0x1000, Version::V2).unwrap(),
        generate(&document, 0x3000, Version::V1).unwrap(),
    ];
    let mut editor = Editor::open(&generate(&document, 0x3000, Version::V2).unwrap()).unwrap();
    for round in 0..60 {
        editor.set("wifi", "cert", &Value::Blob(vec![round; 100])).unwrap();
    }
    images.push(editor.finish());
    images.extend(table::DAMAGED.iter().map(damaged));
    images
}

/// A damaged image of the project's own, cut to two pages.
fn damaged(damaged: &table::Damaged) -> Vec<u8> {
    let base = format!("golden/nvs-vectors/{}.snap.bin", damaged.base);
    let mut image = read(repository().join(base));
    image.resize(0x6000, 0xFF);
    (damaged.change)(&mut image);
    image.truncate(0x2000);
    image
}

/// Damaged images of others, in the same way, where they are.
fn seeds_of_others() -> Option<Vec<Vec<u8>>> {
    let folder = std::fs::read_dir(repository().join("../shared/vectors/nvs/damaged")).ok()?;
    let paths = folder.map(|file| file.unwrap().path());
    let images = paths.filter(|path| path.extension().is_some_and(|extension| extension == "bin"));
    let cut = |path| {
        let mut image = read(path);
        image.truncate(0x2000);
        image
    };
    Some(images.map(cut).collect())
}

fn mutate(image: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..1 + random.below(6) {
        if image.len() < 64 {
            return;
        }
        // Most of the structure is at the start of a page.
        let page = random.below(image.len().div_ceil(4096)) * 4096;
        let at = match random.below(3) {
            0 => page + random.below(64),
            1 => page + random.below(512),
            _ => random.below(image.len()),
        };
        let at = at.min(image.len() - 1);
        match random.below(8) {
            0..=2 => image[at] ^= 1 << random.below(8),
            3 => image[at] = random.next() as u8,
            4 => image[at] = [0, 0xFF, 0x7F, 0x80][random.below(4)],
            5 => {
                let (from, to) = (random.below(image.len() / 32), at / 32);
                let end = (to * 32 + 32).min(image.len());
                let length = end - to * 32;
                image.copy_within(from * 32..from * 32 + length, to * 32);
            }
            6 => mend_crc(image, at / 32 * 32),
            _ if random.below(40) == 0 => image.truncate(at),
            _ => {}
        }
    }
}

/// Gives an entry a valid CRC, so that a wrong field gets past the first check.
fn mend_crc(image: &mut [u8], at: usize) {
    let Some(entry) = image.get_mut(at..at + 32) else {
        return;
    };
    let crc = crc32(&[&entry[..4], &entry[8..]]);
    entry[4..8].copy_from_slice(&crc);
}

fn examine(bytes: &[u8], is_thorough: bool) {
    let Ok(image) = Image::decode(bytes) else {
        return;
    };
    let covered: usize = image.items().map(|item| item.entries).sum();
    assert!(covered <= image.pages().len() * 126);
    let findings = image.findings();
    for finding in &findings {
        assert!(finding.offset < bytes.len());
    }
    assert!(findings.len() <= 4 + image.pages().len() * 256);
    if !is_thorough {
        return;
    }
    identify(bytes);
    let view = image.device_view();
    let text = snapshot(&view, &SecretRule::careful());
    assert!(text.len() <= bytes.len() * 16 + 1024);
    leftover_secrets(&image, &SecretRule::careful());
    Usage::of(&image).updates_before_compaction(3);
    assert!(diff(&view, &view).is_empty());
    // It is made of what can be written, or the reason is one of the view.
    let unwritable = csv::write(&view).err().map(|error| error.why);
    assert!(!matches!(unwritable, Some(csv::Unwritable::ReadsOtherwise)));
    mend(bytes);
}

/// Whatever the damage, what is salvaged can be generated and is sound, and a
/// repair changes no more than the bits that it names.
fn mend(bytes: &[u8]) {
    let image = Image::decode(bytes).unwrap();
    let salvage = salvage(&image);
    assert_eq!(salvage.kept + salvage.rescued.len(), salvage.document.entries().count());
    let fresh = generate(&salvage.document, salvage.size, salvage.version).unwrap();
    let view = Image::decode(&fresh).unwrap().device_view();
    assert_eq!(view.entries().len(), salvage.document.entries().count());
    would_be_lost(&image);
    let repaired = repair(bytes).unwrap();
    let mut expected = bytes.to_vec();
    for applied in &repaired.applied {
        applied.repair.apply(&mut expected);
    }
    assert!(repaired.bytes == expected);
    assert!(repaired.remaining == Image::decode(&expected).unwrap().findings());
}

#[test]
fn no_damaged_image_does_harm() {
    mutations_do_no_harm(&seeds(), count(IMAGES));
}

#[test]
fn no_damaged_image_of_others_does_harm() {
    let Some(seeds) = seeds_of_others() else {
        println!("skipped: there are no vectors at ../shared/vectors/nvs beside the repository");
        return;
    };
    mutations_do_no_harm(&seeds, count(IMAGES) / 4);
}

fn mutations_do_no_harm(seeds: &[Vec<u8>], count: u64) {
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || {
                for number in (thread..count).step_by(threads as usize) {
                    let mut random = Random::new(number);
                    let mut image = seeds[random.below(seeds.len())].clone();
                    mutate(&mut image, &mut random);
                    examine(&image, number % 8 == 0);
                    if number % 64 == 0 {
                        edit(&image);
                    }
                }
            });
        }
    });
}

#[test]
fn no_damaged_dump_does_harm() {
    const TABLE: usize = 0x8000;
    let seeds = [
        product()[..0xE000].to_vec(),
        product()[TABLE..0xE000].to_vec(),
        product()[TABLE + 0x1000..].to_vec(),
        encrypted_product(),
    ];
    for number in 0..count(DUMPS) {
        let mut random = Random::new(number);
        let mut dump = seeds[random.below(seeds.len())].clone();
        if random.below(2) == 0 {
            mutate(&mut dump, &mut random);
        }
        // Where the table is: in front of any page, wherever the file begins.
        let table = if dump.len() > TABLE { [TABLE, 0][random.below(2)] } else { 0 };
        for _ in 0..random.below(6) {
            let at = (table + random.below(256)).min(dump.len() - 1);
            match random.below(3) {
                0 => dump[at] ^= 1 << random.below(8),
                1 => dump[at] = random.next() as u8,
                _ => dump.truncate(at.max(1)),
            }
        }
        check(&dump, None);
        check(&dump, Some(TABLE));
    }
}

/// Images of 1 MB made to be slow: every entry of every page the same kind of
/// conflict. In quadratic time this would take minutes.
#[rstest]
#[case::definitions(|n| header(0, 0x01, 0xFF, n, [1, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]))]
#[case::one_name(|_| header(0, 0x01, 0xFF, 7, [1, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]))]
#[case::one_key(|_| header(1, 0x01, 0xFF, 7, [1, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]))]
#[case::empty_chunks(|n| header(1, 0x42, (n % 255) as u8, 7, [0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]))]
#[case::chunks_and_indexes(|n| match n % 2 {
    0 => header(1, 0x42, 0, 7, [0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]),
    _ => header(1, 0x48, 0xFF, 7, [0, 0, 0, 0, 1, 0, 0xFF, 0xFF]),
})]
#[case::damaged(|n| [n as u8; 32])]
#[case::noise(|n| Random::new(u64::from(n)).array())]
fn a_crowded_image_takes_linear_time(#[case] entry: fn(u32) -> [u8; 32]) {
    let mut image = generate(&Document::new(), 0x10_0000, Version::V2).unwrap();
    for page in 0..255u32 {
        let at = page as usize * 4096;
        let header = &mut image[at..at + 4096];
        header[..4].copy_from_slice(&0xFFFF_FFFCu32.to_le_bytes());
        header[4..8].copy_from_slice(&page.to_le_bytes());
        header[8] = 0xFE;
        let crc = crc32(&[&header[4..28]]);
        header[28..32].copy_from_slice(&crc);
        header[32..63].fill(0xAA);
        for number in 0..126 {
            let start = 64 + number as usize * 32;
            header[start..start + 32].copy_from_slice(&entry(page * 126 + number));
        }
    }
    examine(&image, true);
    let image = Image::decode(&image).unwrap();
    goldline_nvs::recover::recover(&image);
    let _ = csv::write(&image.device_view());
}

fn header(namespace: u8, item_type: u8, chunk: u8, key: u32, data: [u8; 8]) -> [u8; 32] {
    let mut entry = [0; 32];
    entry[..4].copy_from_slice(&[namespace, item_type, 1, chunk]);
    entry[8..14].copy_from_slice(format!("{key:06}").as_bytes());
    entry[24..].copy_from_slice(&data);
    let crc = crc32(&[&entry[..4], &entry[8..]]);
    entry[4..8].copy_from_slice(&crc);
    entry
}

fn crc32(parts: &[&[u8]]) -> [u8; 4] {
    let mut hasher = crc32fast::Hasher::new_with_initial(0xFFFF_FFFF);
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize().to_le_bytes()
}

fn edit(bytes: &[u8]) {
    let Ok(mut editor) = Editor::open(bytes) else {
        return;
    };
    let value = Value::Blob(vec![1; 90]);
    if editor.set("wifi", "cert", &value).is_ok() {
        let edited = editor.finish();
        let image = Image::decode(&edited).unwrap();
        let view = image.device_view();
        assert_eq!(view.get("wifi", "cert"), Some(&value));
    }
}

#[test]
fn no_damaged_csv_does_harm() {
    let text: &[u8] = b"key,type,encoding,value\nns,namespace,,\na,data,u8,1\n\
        b,data,string,\"x\n\"\"y\"\"\"\nc,data,hex2bin,00ff\nd,data,base64,QUJD\n\
        e,data,blob_fill(9;0xAA),z\nsta.ssid,data,string,net\nf,file,binary,x\n";
    for number in 0..count(CSVS) {
        let mut random = Random::new(number);
        let mut csv = text.to_vec();
        for _ in 0..1 + random.below(8) {
            let at = random.below(csv.len());
            match random.below(4) {
                0 => csv[at] ^= 1 << random.below(8),
                1 => csv[at] = b",\"\n#\r();x 9"[random.below(11)],
                2 => csv.insert(at, b",\"\n#\r();x 9"[random.below(11)]),
                _ => drop(csv.remove(at)),
            }
        }
        for mode in [Mode::Strict, Mode::Compat] {
            if let Ok(document) = parse(&csv, mode, &mut NoFiles) {
                let image = generate(&document, 0x4000, Version::V2);
                assert!(image.is_ok_and(|image| image.len() == 0x4000));
            }
        }
    }
}

#[rstest]
#[case::commas(",")]
#[case::quotes("\"\"")]
#[case::quoted_fields("\"a\",")]
#[case::lines("\n")]
#[case::comments("#\n")]
fn a_crowded_csv_takes_linear_time(#[case] part: &str) {
    let header = "key,type,encoding,value\nns,namespace,,\na,data,string,";
    for start in [header, "", "key,type,encoding,value\n\""] {
        let csv = format!("{start}{}", part.repeat(500_000));
        for mode in [Mode::Strict, Mode::Compat] {
            let _ = parse(csv.as_bytes(), mode, &mut NoFiles);
        }
    }
}

/// Records of the WiFi driver with a network at a place of its own, damaged: no field that is shown
/// holds the passphrase or the key, and the rule hides whatever the record hides.
#[test]
fn no_damaged_record_shows_its_secret() {
    const PASSPHRASE: &[u8] = b"Tulip-Ladder-77";
    const PMK: [u8; 32] = *b"\xF1\xE2\xD3 a key of thirty-two bytes!!!";
    let mut random = Random::new(0x5EC2E7);
    let namespace = Key::new("nvs.net80211").unwrap();
    for round in 0..count(RECORDS) {
        let mut network = 6u32.to_le_bytes().to_vec();
        network.extend(b"labnet");
        network.resize(36, 0);
        network.extend(PASSPHRASE);
        network.resize(104, 0);
        network.extend(PMK);
        network.resize(140, 0);
        let mut bytes = vec![[0, 0xFF][random.below(2)]; 140 * random.below(5)];
        bytes.extend(network);
        bytes.resize(700, 0);
        match random.below(4) {
            0 => bytes.truncate(random.below(701)),
            1 => bytes.rotate_left(random.below(700)),
            2 => {
                let at = random.below(700);
                bytes[at] ^= 1 << random.below(8);
            }
            _ => {}
        }
        for key in ["sta.apinfo", "ap.pmk_info"] {
            let (key, value) = (Key::new(key).unwrap(), Value::Blob(bytes.clone()));
            let record = Record::read(&namespace, &key, &value).expect("a key of the driver");
            let is_secret = SecretRule::careful().is_secret(&namespace, &key, &value);
            assert_eq!(record.is_secret(), is_secret, "round {round}");
            let shown = record.to_string();
            for secret in ["Tulip", "Ladder", "f1e2d3", "thirty-two"] {
                assert!(!shown.contains(secret), "round {round}: {shown}");
            }
        }
        // Wherever such a record lies, its pair of name and passphrase is found.
        let is_whole = bytes
            .windows(PASSPHRASE.len() + 1)
            .any(|window| window.starts_with(PASSPHRASE) && window.ends_with(&[0]));
        let has_name = bytes.windows(10).any(|window| window == b"\x06\0\0\0labnet");
        if is_whole && has_name && bytes.len() == 700 {
            assert!(secret::of_bytes(&bytes).is_some(), "round {round}");
        }
    }
}

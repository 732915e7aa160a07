//! What a run costs on a paced wire, with an application that no compression makes smaller: against the wire's
//! own time, against esptool with the same images, and a second time on the unit as the first left it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    cases::{Limits, Row, WallReference, passed},
    measure::Sample,
};
use crate::{command::run, workspace};

const BAUD: f64 = 921_600.0;
const BITS_PER_BYTE: f64 = 10.0;
/// Data sheet values of the simulated flash, for a whole block and for a sector.
const ERASE_BLOCK_S: f64 = 0.150;
const ERASE_SECTOR_S: f64 = 0.045;
/// Bytes that no compression makes fewer.
const PADDING: usize = 1 << 20;
const APP_AT: usize = 0x2_0000;
const TABLE_AT: usize = 0x8000;
const BOOTLOADER_AT: usize = 0x1000;
const NESTS: usize = 8;

const FIRST: &str = "1 MB app at 921600 baud, blank chip";
const BY_ESPTOOL: &str = "  esptool write-flash of the same images";

/// The rows, with the images and the profile that they need below `folder`.
pub fn rows(goldline: &Path, folder: &Path) -> Result<Vec<Row>, String> {
    let images = Images::make(goldline, folder)?;
    let text = |path: &Path| path.display().to_string();
    let (profile, flash) = (text(&images.profile), text(&folder.join("unit.bin")));
    let goldline = text(goldline);
    let unit = format!("simulator:?pace=true&baud=921600&flash-file={flash}");
    let run = [&goldline, "run", &profile, "--json", "--device", &unit];
    let blank = "simulator:?pace=true&baud=921600";
    let espvault = [&goldline, "run", "espvault", "--json", "--device", blank];
    let mut nests = vec![goldline.clone(), "run".into(), profile.clone(), "--json".into()];
    for nest in 1..=NESTS {
        nests.extend(["--device".into(), format!("{blank}&mac=02:00:00:be:0c:{nest:02x}")]);
    }
    let nests: Vec<&str> = nests.iter().map(String::as_str).collect();
    let wire = images.wire_and_erase_s();
    let limit = |times| Limits { wall_s: Some(times * wire), peak_bytes: None };
    let first = WallReference { name: FIRST, at_most: 1.0 };
    Ok(vec![
        Row::new(FIRST, folder, &run).writes(&flash).reads(whole),
        Row::new("  of it, flash and verify", folder, &run)
            .writes(&flash)
            .reads(flash_and_verify)
            .limits(limit(1.15))
            .no_slower_than(WallReference { name: BY_ESPTOOL, at_most: 1.0 }),
        // The file that the row before left.
        Row::new("  once more, the unit unchanged", folder, &run)
            .reads(whole)
            .no_slower_than(WallReference { at_most: 0.4, ..first }),
        esptool_row(&goldline, folder, &images)?,
        Row::new("  eight such units at once", folder, &nests)
            .reads(all_passed)
            .no_slower_than(WallReference { at_most: 1.1, ..first }),
        Row::new("espvault at 921600 baud, blank chip", folder, &espvault)
            .reads(whole)
            .limits(Limits { wall_s: Some(1.5), peak_bytes: None }),
    ])
}

/// esptool in front of a simulated unit of another process, on a terminal, as its rate is not the wire's there.
fn esptool_row(goldline: &str, folder: &Path, images: &Images) -> Result<Row, String> {
    const SCRIPT: &str = r#"
        "$0" simulator serve --chip esp32 --mode download --pty "$1" --pace >/dev/null & unit=$!
        while [ ! -e "$1" ]; do sleep 0.01; done
        "$2" --port "$1" --baud 921600 write-flash 0x1000 "$3" 0x8000 "$4" 0x20000 "$5"; code=$?
        kill $unit; wait $unit; exit $code"#;
    let tool = workspace::venv_python();
    let tool = tool.parent().ok_or("the folder of Python has no parent")?.join("esptool");
    let link = folder.join("unit");
    let paths = [&link, &tool, &images.bootloader, &images.table, &images.app];
    let paths = paths.map(|path| path.display().to_string());
    let words: Vec<&str> = ["sh", "-c", SCRIPT, goldline]
        .into_iter()
        .chain(paths.iter().map(String::as_str))
        .collect();
    Ok(Row::new(BY_ESPTOOL, folder, &words))
}

/// What is flashed, as files.
struct Images {
    profile: PathBuf,
    bootloader: PathBuf,
    table: PathBuf,
    app: PathBuf,
    /// How many bytes go over the wire, and how much of the flash they take.
    sizes: [usize; 3],
}

impl Images {
    /// The images of the shipped profile, as a run leaves them in a flash file, and a long segment more.
    fn make(goldline: &Path, folder: &Path) -> Result<Self, String> {
        let flash = folder.join("shipped.bin");
        let unit = format!("simulator:?flash-file={}", flash.display());
        let mut shipped = Command::new(goldline);
        shipped.args(["run", "espvault", "--json", "--device", &unit]);
        // The application holds the bench's CA: the same station's as that of the rows.
        shipped.env("GOLDLINE_STATE", folder.join("state"));
        run(shipped.stdout(std::process::Stdio::null()))?;
        let flash = fs::read(&flash).map_err(|error| format!("{}: {error}", flash.display()))?;
        let bootloader = trimmed(&flash[BOOTLOADER_AT..TABLE_AT]);
        let table = flash[TABLE_AT..TABLE_AT + 0xC00].to_vec();
        let app = padded(&flash[APP_AT..])?;
        let profile = workspace::root().join("fixtures/profiles/espvault.toml");
        let profile = fs::read_to_string(&profile).map_err(|error| error.to_string())?;
        let profile = profile
            .replace(r#"app = { model = "espvault" }"#, r#"app = { file = "app.bin" }"#)
            .replace(r#"bootloader = "esp-idf""#, r#"bootloader = "bootloader.bin""#);
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.join(name);
            fs::write(&path, bytes).map_err(|error| format!("{}: {error}", path.display()))?;
            Ok::<_, String>(path)
        };
        Ok(Self {
            sizes: [bootloader.len(), table.len(), app.len()],
            bootloader: write("bootloader.bin", &bootloader)?,
            table: write("table.bin", &table)?,
            app: write("app.bin", &app)?,
            profile: write("big.toml", profile.as_bytes())?,
        })
    }

    /// The least that flashing them can take: each byte once over the wire, and each sector erased.
    fn wire_and_erase_s(&self) -> f64 {
        let [bootloader, table, app] = self.sizes.map(|size| size.div_ceil(0x1000));
        // The application alone begins at a block.
        let sectors = bootloader + table + app % 16;
        let bytes: usize = self.sizes.iter().sum();
        bytes as f64 * BITS_PER_BYTE / BAUD
            + (app / 16) as f64 * ERASE_BLOCK_S
            + sectors as f64 * ERASE_SECTOR_S
    }
}

fn trimmed(region: &[u8]) -> Vec<u8> {
    let end = region.iter().rposition(|byte| *byte != 0xFF).map_or(0, |last| last + 1);
    region[..end.next_multiple_of(16).min(region.len())].to_vec()
}

/// The image at the start of `flash` with one segment more: at address 0, which no loader puts anywhere.
fn padded(flash: &[u8]) -> Result<Vec<u8>, String> {
    const HEADER: usize = 24;
    let count = usize::from(flash[1]);
    let mut end = HEADER;
    for _ in 0..count {
        let size = flash[end + 4..end + 8].try_into().map_err(|_| "an image that is cut short")?;
        end += 8 + u32::from_le_bytes(size) as usize;
    }
    let padding = incompressible(PADDING);
    let mut image = flash[..end].to_vec();
    image[1] += 1;
    image.extend([0; 4]);
    image.extend((padding.len() as u32).to_le_bytes());
    image.extend(&padding);
    let mut checksum = 0xEF;
    let mut at = HEADER;
    while at < image.len() {
        let size = image[at + 4..at + 8].try_into().map_err(|_| "an image that is cut short")?;
        let next = at + 8 + u32::from_le_bytes(size) as usize;
        checksum = image[at + 8..next].iter().fold(checksum, |sum, byte| sum ^ byte);
        at = next;
    }
    image.resize((image.len() + 1).next_multiple_of(16) - 1, 0);
    image.push(checksum);
    image.extend(Sha256::digest(&image).to_vec());
    Ok(image)
}

/// The same bytes each time: digests of a counter.
fn incompressible(size: usize) -> Vec<u8> {
    (0_u64..).flat_map(|number| Sha256::digest(number.to_le_bytes()).to_vec()).take(size).collect()
}

fn whole(sample: &Sample) -> Result<f64, String> {
    passed(sample).map(|_| sample.wall_s)
}

/// Seconds from the open port until the flash was proven.
fn flash_and_verify(sample: &Sample) -> Result<f64, String> {
    let record = passed(sample)?;
    let stages = record["stages"].as_array().into_iter().flatten();
    let flashes = |stage: &&Value| {
        let name = stage["name"].as_str().unwrap_or_default();
        name.starts_with("write_") || ["identify", "erase", "read_back"].contains(&name)
    };
    let ms = stages.filter(flashes).filter_map(|stage| stage["duration_ms"].as_f64());
    Ok(ms.sum::<f64>() / 1000.0)
}

fn all_passed(sample: &Sample) -> Result<f64, String> {
    let records: Vec<Value> = serde_json::from_str(&sample.stdout)
        .map_err(|error| format!("it printed no records: {error}"))?;
    let passed = records.iter().filter(|record| record["verdict"] == "PASS").count();
    if passed == NESTS { Ok(sample.wall_s) } else { Err(format!("{passed} of {NESTS} passed")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_with_padding_is_whole() {
        let mut flash = vec![0; 24];
        (flash[0], flash[1], flash[23]) = (0xE9, 1, 1);
        flash.extend([0, 0, 0, 0x40, 3, 0, 0, 0, 1, 2, 4]);
        flash.extend([0xFF; 64]);
        let image = padded(&flash).expect("it is one");
        assert_eq!((image[1], image.len() % 16), (2, 0));
        let (body, digest) = image.split_at(image.len() - 32);
        assert_eq!(Sha256::digest(body)[..], *digest);
        let padding = &body[24 + 11 + 8..][..PADDING];
        let sum = padding.iter().fold(0xEF ^ 1 ^ 2 ^ 4, |sum, byte| sum ^ byte);
        assert_eq!(body.last(), Some(&sum));
    }

    #[test]
    fn the_least_time_counts_bytes_and_sectors() {
        let path = PathBuf::new;
        let images = Images {
            profile: path(),
            bootloader: path(),
            table: path(),
            app: path(),
            sizes: [0x2000, 0xC00, 0x1_1000],
        };
        let bytes = f64::from(0x2000 + 0xC00 + 0x1_1000) * 10.0 / 921_600.0;
        assert!((images.wire_and_erase_s() - bytes - 0.150 - 4.0 * 0.045).abs() < 1e-9);
    }
}

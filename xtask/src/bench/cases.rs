//! What is measured, and against what.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::measure::{Sample, measure};
use crate::workspace;

/// 64 KB of NVS with 200 keys: what the codec's limits are stated for.
const NVS_SIZE: &str = "0x10000";
const NVS_KEYS: usize = 200;
/// How many times less CPU than the reference a whole process of ours is to take.
const NVS_CPU_AIM: f64 = 25.0;

/// The stage of a record that ends when the first byte leaves for the unit.
const FIRST_BYTE: &str = "first_byte";

/// What a figure is held against.
#[derive(Clone, Copy, Default)]
pub struct Limits {
    /// Largest good wall time, in seconds.
    pub wall_s: Option<f64>,
    /// Largest good peak memory, in bytes.
    pub peak_bytes: Option<f64>,
}

/// A row that another one is compared with.
#[derive(Clone, Copy)]
pub struct Reference {
    /// Its name.
    pub name: &'static str,
    /// How many times less CPU than it the other is to take.
    pub cpu_aim: f64,
}

/// A row whose wall time another one is to keep below: both wait for the same wire.
#[derive(Clone, Copy)]
pub struct WallReference {
    /// Its name.
    pub name: &'static str,
    /// The largest good part of its wall time.
    pub at_most: f64,
}

/// One line of the table.
pub struct Row {
    /// What it is, for people.
    pub name: &'static str,
    /// What it must stay below.
    pub limits: Limits,
    /// The row that it is compared with.
    pub reference: Option<Reference>,
    /// The row that it must keep up with.
    pub wall_reference: Option<WallReference>,
    /// What was measured so far.
    pub samples: Vec<Sample>,
    /// Why it could not be measured.
    pub skipped: Option<String>,
    command: Vec<String>,
    folder: PathBuf,
    /// What the command must write; removed before each round.
    image: Option<PathBuf>,
    /// Judges what was printed and gives the row's wall time, in seconds: a command that did not do
    /// its work has no figure.
    reads: fn(&Sample) -> Result<f64, String>,
}

impl Row {
    pub fn new(name: &'static str, folder: &Path, command: &[&str]) -> Self {
        Self {
            name,
            limits: Limits::default(),
            reference: None,
            wall_reference: None,
            samples: Vec::new(),
            skipped: None,
            command: command.iter().map(|&word| word.to_owned()).collect(),
            folder: folder.to_owned(),
            image: None,
            reads: printed_something,
        }
    }

    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    fn against(self, reference: Reference) -> Self {
        Self { reference: Some(reference), ..self }
    }

    pub fn no_slower_than(self, reference: WallReference) -> Self {
        Self { wall_reference: Some(reference), ..self }
    }

    pub fn reads(self, reads: fn(&Sample) -> Result<f64, String>) -> Self {
        Self { reads, ..self }
    }

    /// The command writes an image, and need not print anything.
    pub fn writes(self, image: &str) -> Self {
        Self { image: Some(image.into()), reads: |sample| Ok(sample.wall_s), ..self }
    }

    /// Runs the command once more, unless it failed before.
    pub fn measure(&mut self) {
        if self.skipped.is_some() {
            return;
        }
        match self.sample() {
            Ok(sample) => self.samples.push(sample),
            Err(reason) => self.skipped = Some(reason),
        }
    }

    fn sample(&self) -> Result<Sample, String> {
        if let Some(image) = self.image.as_ref().filter(|image| image.exists()) {
            fs::remove_file(image)
                .map_err(|error| format!("cannot remove {}: {error}", image.display()))?;
        }
        let sample = measure(&self.command, &self.folder)?;
        if let Some(image) = self.image.as_ref().filter(|image| !image.exists()) {
            return Err(format!("it wrote no {}", image.display()));
        }
        Ok(Sample { wall_s: (self.reads)(&sample)?, ..sample })
    }

    /// True when both wrote the same bytes, without which no ratio between them means anything.
    pub fn wrote_the_same_as(&self, other: &Self) -> bool {
        match (&self.image, &other.image) {
            (Some(own), Some(others)) => {
                fs::read(own).is_ok_and(|bytes| fs::read(others).is_ok_and(|other| bytes == other))
            }
            _ => false,
        }
    }
}

/// Every row, with the files that it needs below `folder`.
pub fn all(binary: &Path, folder: &Path) -> Result<Vec<Row>, String> {
    let csv = folder.join("keys.csv");
    // An earlier bench's station would make the first run quicker than a newcomer's.
    let emptied = match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => fs::create_dir_all(folder),
    };
    emptied
        .and_then(|()| fs::write(&csv, nvs_csv(NVS_KEYS)))
        .map_err(|error| format!("cannot write {}: {error}", csv.display()))?;
    let (python, image) = (workspace::venv_python(), folder.join("ours.bin"));
    let reference_image = folder.join("reference.bin");
    let [goldline, csv, python, image, reference_image] =
        [binary, &csv, &python, &image, &reference_image].map(text);
    let (goldline, csv, python) = (goldline?, csv?, python?);
    let (image, reference_image) = (image?, reference_image?);

    let run = [goldline, "run", "--json"];
    let machine_code = workspace::root().join("fixtures/profiles/reference/reference.toml");
    let machine_code = [goldline, "run", text(&machine_code)?, "--json", "--device", "qemu:"];
    let virt = workspace::root().join("target/firmware/reference/virt/reference.toml");
    let translator = workspace::root().join("target/debug/examples/qemu_virt");
    let on_virt = format!("qemu:?machine=virt&binary={}", text(&translator)?);
    let on_virt = [goldline, "run", text(&virt)?, "--json", "--device", &on_virt];
    let ours = [goldline, "nvs", "generate", csv, image, NVS_SIZE];
    let module = "esp_idf_nvs_partition_gen";
    let theirs = [python, "-m", module, "generate", csv, reference_image, NVS_SIZE];
    let reference = Reference { name: REFERENCE_GENERATOR, cpu_aim: NVS_CPU_AIM };
    let show = [goldline, "nvs", "show", image, "--format", "json"];
    let check = [goldline, "nvs", "check", image];
    Ok(vec![
        Row::new("start: goldline --version", folder, &[goldline, "--version"]),
        Row::new("whole run: goldline run --json", folder, &run)
            .reads(|sample| passed(sample).map(|_| sample.wall_s))
            .limits(Limits { wall_s: Some(1.5), peak_bytes: Some(80e6) }),
        Row::new("  of it, until the first byte on the wire", folder, &run)
            .reads(first_byte)
            .limits(Limits { wall_s: Some(0.1), peak_bytes: None }),
        // Needs a QEMU that is found, and `cargo xtask firmware`; skipped by name without.
        Row::new("whole run of the reference firmware in QEMU", folder, &machine_code)
            .reads(|sample| passed(sample).map(|_| sample.wall_s))
            .limits(Limits { wall_s: Some(6.0), peak_bytes: None }),
        Row::new("  of it, without the guest's own boot and trial", folder, &machine_code)
            .reads(backend)
            .limits(Limits { wall_s: Some(0.3), peak_bytes: None }),
        // Needs Debian's QEMU, `cargo xtask firmware`, and the example that translates for it.
        Row::new("the same firmware on the machine virt", folder, &on_virt)
            .reads(|sample| passed(sample).map(|_| sample.wall_s))
            .limits(Limits { wall_s: Some(6.0), peak_bytes: None }),
        Row::new("goldline nvs generate", folder, &ours).writes(image).against(reference),
        Row::new(REFERENCE_GENERATOR, folder, &theirs).writes(reference_image),
        Row::new("goldline nvs show", folder, &show),
        Row::new("goldline nvs check", folder, &check),
    ])
}

const REFERENCE_GENERATOR: &str = "esp_idf_nvs_partition_gen generate";

/// Half numbers, half strings, in one namespace.
fn nvs_csv(keys: usize) -> String {
    let rows = (0..keys).map(|key| match key % 2 {
        0 => format!("key{key},data,u32,{key}\n"),
        _ => format!("key{key},data,string,value number {key}\n"),
    });
    std::iter::once("key,type,encoding,value\nbench,namespace,,\n".to_owned()).chain(rows).collect()
}

fn text(path: &Path) -> Result<&str, String> {
    path.to_str().ok_or_else(|| format!("{} is not UTF-8", path.display()))
}

fn printed_something(sample: &Sample) -> Result<f64, String> {
    if sample.stdout.is_empty() { Err("it printed nothing".into()) } else { Ok(sample.wall_s) }
}

/// The record of a run that ended with PASS; any other has no figure worth comparing.
pub fn passed(sample: &Sample) -> Result<Value, String> {
    let record: Value = serde_json::from_str(&sample.stdout)
        .map_err(|error| format!("it printed no record: {error}"))?;
    match record["verdict"].as_str() {
        Some("PASS") => Ok(record),
        verdict => Err(format!("the verdict is {verdict:?}: expected PASS")),
    }
}

/// Seconds until the first byte on the wire, as the run's own record tells.
fn first_byte(sample: &Sample) -> Result<f64, String> {
    let record = passed(sample)?;
    let mut stages = record["stages"].as_array().into_iter().flatten();
    let stage = stages.find(|stage| stage["name"] == FIRST_BYTE);
    let duration_ms = stage.and_then(|stage| stage["duration_ms"].as_f64());
    Ok(duration_ms.ok_or_else(|| format!("the record has no stage {FIRST_BYTE}"))? / 1000.0)
}

/// Seconds of a run in which its unit did not run: what the bench and its emulator add to the firmware's own time.
fn backend(sample: &Sample) -> Result<f64, String> {
    const OF_THE_GUEST: [&str; 6] =
        ["boot", "wifi_join", "time_sync", "mqtt_connect", "mqtt_command", "console_status"];
    let record = passed(sample)?;
    let stages = record["stages"].as_array().into_iter().flatten();
    let guests = stages
        .filter(|stage| stage["name"].as_str().is_some_and(|name| OF_THE_GUEST.contains(&name)));
    let guest_ms: f64 = guests.filter_map(|stage| stage["duration_ms"].as_f64()).sum();
    Ok(sample.wall_s - guest_ms / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(stdout: &str) -> Sample {
        Sample { wall_s: 1.0, cpu_s: 1.0, peak_bytes: 1.0, stdout: stdout.to_owned() }
    }

    #[test]
    fn the_first_byte_is_read_from_the_record() {
        let record = r#"{"verdict":"PASS","stages":[{"name":"first_byte","duration_ms":37}]}"#;
        assert_eq!(first_byte(&printed(record)), Ok(0.037));
    }

    #[test]
    fn the_guests_own_time_is_not_the_backends() {
        let record = r#"{"verdict":"PASS","stages":[{"name":"erase","duration_ms":50},{"name":"boot","duration_ms":600},{"name":"mqtt_connect","duration_ms":300}]}"#;
        let own = backend(&printed(record)).expect("it passed");
        assert!((own - 0.1).abs() < 1e-9, "{own}");
    }

    #[test]
    fn a_run_that_did_not_pass_gives_no_figure() {
        let refusal = |stdout| first_byte(&printed(stdout)).expect_err("refused");
        assert!(refusal(r#"{"verdict":"PASS","stages":[]}"#).contains("no stage first_byte"));
        assert!(refusal(r#"{"verdict":"ERROR"}"#).contains("expected PASS"));
        assert!(refusal("").contains("no record"));
        assert!(printed_something(&printed("")).is_err());
    }

    #[test]
    fn only_equal_images_are_compared() {
        let folder = tempfile::tempdir().expect("a folder");
        let row = |name: &str, bytes: &[u8]| {
            let image = folder.path().join(name);
            fs::write(&image, bytes).expect("written");
            Row::new("row", folder.path(), &[]).writes(image.to_str().expect("UTF-8"))
        };
        let ours = row("ours", &[1, 2]);
        assert!(ours.wrote_the_same_as(&row("same", &[1, 2])));
        assert!(!ours.wrote_the_same_as(&row("other", &[1, 3])));
        assert!(!ours.wrote_the_same_as(&Row::new("none", folder.path(), &[])));
    }
}

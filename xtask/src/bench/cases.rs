//! What is measured, and against what.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::measure::{Sample, measure};
use crate::workspace;

/// EspVault's values of the declared sample identity: what its golden image is made of.
const NVS_CSV: &str = "\
key,type,encoding,value
vault,namespace,,
wifi_ssid,data,string,ProductionWiFi
wifi_password,data,string,SecurePassword123
device_id,data,string,VAULT-00001
mqtt_broker,data,string,mqtts://prod.broker.com:8883
mqtt_username,data,string,device_vault_00001
mqtt_password,data,string,DeviceSecretKey
";
const NVS_SIZE: &str = "0x6000";

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

/// One line of the table.
pub struct Row {
    /// What it is, for people.
    pub name: &'static str,
    /// What it must stay below.
    pub limits: Limits,
    /// Name of the row that it is compared with.
    pub reference: Option<&'static str>,
    /// What was measured so far.
    pub samples: Vec<Sample>,
    /// Why it could not be measured.
    pub skipped: Option<String>,
    command: Vec<String>,
    folder: PathBuf,
    /// Takes the row's own wall time out of what the process printed.
    reads: Option<fn(&Sample) -> Option<f64>>,
}

impl Row {
    fn new(name: &'static str, folder: &Path, command: &[&str]) -> Self {
        Self {
            name,
            limits: Limits::default(),
            reference: None,
            samples: Vec::new(),
            skipped: None,
            command: command.iter().map(|&word| word.to_owned()).collect(),
            folder: folder.to_owned(),
            reads: None,
        }
    }

    fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    fn against(self, reference: &'static str) -> Self {
        Self { reference: Some(reference), ..self }
    }

    /// Runs the command once more, unless it failed before.
    pub fn measure(&mut self) {
        if self.skipped.is_some() {
            return;
        }
        match measure(&self.command, &self.folder).and_then(|sample| self.read(sample)) {
            Ok(sample) => self.samples.push(sample),
            Err(reason) => self.skipped = Some(reason),
        }
    }

    fn read(&self, sample: Sample) -> Result<Sample, String> {
        let Some(reads) = self.reads else { return Ok(sample) };
        let wall_s = reads(&sample).ok_or("the record has no such stage")?;
        Ok(Sample { wall_s, ..sample })
    }
}

/// Every row, with the files that it needs below `folder`.
pub fn all(binary: &Path, folder: &Path) -> Result<Vec<Row>, String> {
    let csv = folder.join("espvault.csv");
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&csv, NVS_CSV))
        .map_err(|error| format!("cannot write {}: {error}", csv.display()))?;
    let (python, image) = (workspace::venv_python(), folder.join("ours.bin"));
    let reference_image = folder.join("reference.bin");
    let [goldline, csv, python, image, reference_image] =
        [binary, &csv, &python, &image, &reference_image].map(text);
    let (goldline, csv, python) = (goldline?, csv?, python?);
    let (image, reference_image) = (image?, reference_image?);

    let run = [goldline, "run", "--json"];
    let generator = "esp_idf_nvs_partition_gen";
    Ok(vec![
        Row::new("start: goldline --version", folder, &[goldline, "--version"]),
        Row::new("whole run: goldline run --json", folder, &run)
            .limits(Limits { wall_s: Some(1.5), peak_bytes: Some(80e6) }),
        Row {
            reads: Some(first_byte),
            ..Row::new("  of it, until the first byte on the wire", folder, &run)
        }
        .limits(Limits { wall_s: Some(0.1), peak_bytes: None }),
        Row::new(
            "goldline nvs generate",
            folder,
            &[goldline, "nvs", "generate", csv, image, NVS_SIZE],
        )
        .against(REFERENCE_GENERATOR),
        Row::new(
            REFERENCE_GENERATOR,
            folder,
            &[python, "-m", generator, "generate", csv, reference_image, NVS_SIZE],
        ),
        Row::new(
            "goldline nvs show",
            folder,
            &[goldline, "nvs", "show", image, "--format", "json"],
        ),
    ])
}

const REFERENCE_GENERATOR: &str = "esp_idf_nvs_partition_gen generate";

fn text(path: &Path) -> Result<&str, String> {
    path.to_str().ok_or_else(|| format!("{} is not UTF-8", path.display()))
}

/// Seconds until the first byte on the wire, as the run's own record tells.
fn first_byte(sample: &Sample) -> Option<f64> {
    let record: Value = serde_json::from_str(&sample.stdout).ok()?;
    let stages = record["stages"].as_array()?;
    let stage = stages.iter().find(|stage| stage["name"] == FIRST_BYTE)?;
    Some(stage["duration_ms"].as_f64()? / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(stdout: &str) -> Sample {
        Sample { wall_s: 1.0, cpu_s: 1.0, peak_bytes: 1.0, stdout: stdout.to_owned() }
    }

    #[test]
    fn the_first_byte_is_read_from_the_record() {
        let record = r#"{"stages":[{"name":"first_byte","duration_ms":37,"attempts":1}]}"#;
        assert_eq!(first_byte(&printed(record)), Some(0.037));
    }

    #[test]
    fn a_record_without_the_stage_gives_no_figure() {
        assert_eq!(first_byte(&printed(r#"{"stages":[]}"#)), None);
        assert_eq!(first_byte(&printed("no record")), None);
    }
}

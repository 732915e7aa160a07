//! A folder to work in and the program to work with. Must not know what a test proves.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

/// A CSV with two secrets, whose values no output may hold unless asked.
pub const VAULT_CSV: &str = "\
key,type,encoding,value
vault,namespace,,
wifi_ssid,data,string,BenchNet
wifi_password,data,string,CorrectHorse99
device_id,data,string,VAULT-00001
mqtt_password,data,string,StapleBattery7
retries,data,u8,3
calibration,data,hex2bin,00ff10
";
/// The secret values in it.
pub const VAULT_SECRETS: [&str; 2] = ["CorrectHorse99", "StapleBattery7"];

/// A temporary folder in which the program runs.
pub struct Desk(TempDir);

/// What one run of the program left behind.
#[derive(Debug)]
pub struct Outcome {
    pub code: i32,
    pub stdout: String,
    /// Without the line breaks and the ornaments that the terminal's width asks for.
    pub stderr: String,
}

impl Desk {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    /// A desk with `vault.csv` and the image `vault.bin` made from it.
    pub fn with_vault() -> Self {
        let desk = Self::new();
        desk.write("vault.csv", VAULT_CSV);
        desk.nvs(&["generate", "vault.csv", "vault.bin", "0x6000"]).succeeded();
        desk
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).expect("the desk takes files");
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Names of all files, in order.
    pub fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).expect("the desk is a folder");
        let mut names: Vec<_> = entries
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("a plain name"))
            .collect();
        names.sort();
        names
    }

    /// Runs `goldline nvs` with these arguments, on the desk.
    pub fn nvs(&self, arguments: &[&str]) -> Outcome {
        self.nvs_with(arguments, &[])
    }

    /// The same with something on standard input.
    pub fn nvs_reading(&self, arguments: &[&str], input: &[u8]) -> Outcome {
        self.write("standard-input", input);
        let input = fs::File::open(self.path("standard-input")).expect("it was written");
        outcome(command(self.0.path(), arguments, &[]).stdin(input))
    }

    /// The same with variables of the environment.
    pub fn nvs_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Outcome {
        run(self.0.path(), arguments, variables)
    }
}

impl Outcome {
    /// Asserts exit code 0.
    #[track_caller]
    pub fn succeeded(self) -> Self {
        self.exited(0)
    }

    /// Asserts an exit code.
    #[track_caller]
    pub fn exited(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    /// Standard output as one JSON document.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    /// Asserts that no secret of the vault appears.
    #[track_caller]
    pub fn hides_secrets(&self) {
        for secret in VAULT_SECRETS {
            let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
            for form in [secret, &hex] {
                assert!(!self.stdout.contains(form), "{self:#?}");
                assert!(!self.stderr.contains(form), "{self:#?}");
            }
        }
    }
}

/// Runs `goldline nvs` in a folder.
pub fn run(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Outcome {
    outcome(&mut command(folder, arguments, variables))
}

fn command(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_goldline"));
    command.arg("nvs").args(arguments).envs(variables.iter().copied()).current_dir(folder);
    command
}

fn outcome(command: &mut Command) -> Outcome {
    let output = command.output().expect("the program starts");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("the program prints UTF-8");
    let stderr = text(&output.stderr).replace(['│', '×', '╰', '─', '▶'], " ");
    Outcome {
        code: output.status.code().expect("the program ends by itself"),
        stdout: text(&output.stdout),
        stderr: stderr.split_whitespace().collect::<Vec<_>>().join(" "),
    }
}

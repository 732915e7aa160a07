//! The program under test on a state directory of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use goldline::{
    registry::RegistryUrl,
    secret::Secret,
    store::{Outbox, OutboxKey, StateDirectory},
};
use tempfile::TempDir;

use super::devices::{NOON, device, row};

/// A station with a state directory.
pub struct Station {
    folder: TempDir,
    pub state: StateDirectory,
}

impl Station {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let state = StateDirectory::open(&folder.path().join("state")).expect("it opens");
        Self { folder, state }
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).expect("a file");
        path
    }

    /// `goldline registry …` on this station.
    pub fn registry(&self, words: &[&str]) -> Command {
        self.goldline("registry", words)
    }

    /// `goldline COMMAND …` on this station.
    pub fn goldline(&self, subcommand: &str, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_goldline"));
        for (name, _) in std::env::vars_os() {
            let name_text = name.to_string_lossy();
            if ["GOLDLINE_", "PG", "ESPPORT", "ESPTOOL_"]
                .iter()
                .any(|one| name_text.starts_with(one))
            {
                command.env_remove(name);
            }
        }
        command.env("HOME", self.folder.path()).current_dir(self.folder.path());
        command.arg(subcommand).args(words).arg("--state").arg(self.folder.path().join("state"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs `goldline registry deliver` with the URL in a variable.
    pub fn deliver(&self, url: &str) -> (i32, String) {
        let words = ["deliver", "--registry", "$REGISTRY_URL"];
        ended(self.registry(&words).env("REGISTRY_URL", url).output().expect("it starts"))
    }

    pub async fn outbox(&self) -> Outbox {
        self.state.outbox().await.expect("open")
    }

    /// Queues the sample device for a registry.
    pub async fn queue(&self, url: &RegistryUrl) {
        let device = device();
        let key = OutboxKey {
            registry: Some(url.label().to_owned()),
            profile: "zeroconf".to_owned(),
            unit: device.uuid.to_string(),
            status: None,
        };
        let text: Secret = row(device).to_text();
        self.outbox().await.enqueue(&key, &text, NOON).await.expect("queued");
    }

    /// Panics when a secret stands in a file of the state directory.
    pub fn assert_hides(&self, secrets: &[&str]) {
        let mut files = Vec::new();
        let mut folders = vec![self.folder.path().join("state")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() { folders.push(path) } else { files.push(path) }
            }
        }
        // The search finds what is there: a unit's UUID is no secret.
        let uuid = device().uuid.to_string();
        assert!(files.iter().any(|file| holds(file, &uuid)), "no row in {files:?}");
        for file in files {
            for secret in secrets {
                assert!(!holds(&file, secret), "{} shows a secret", file.display());
            }
        }
    }
}

fn holds(file: &Path, text: &str) -> bool {
    let bytes = fs::read(file).expect("a file");
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Exit code, and all that was printed.
pub fn ended(output: Output) -> (i32, String) {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program prints UTF-8");
    let code = output.status.code().expect("it ends by itself");
    (code, text(output.stdout) + &text(output.stderr))
}

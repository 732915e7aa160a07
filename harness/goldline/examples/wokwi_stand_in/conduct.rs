//! What the service does wrong, and what its units have: as the command line asks for.

use std::{fs::OpenOptions, io::Write, path::PathBuf};

use goldline_simulator::Fault;

/// How the service behaves.
#[derive(Default)]
pub struct Conduct {
    /// The protocol version that it says, where it is not 1.
    pub version: Option<u64>,
    /// Whether it never says hello.
    pub is_silent: bool,
    /// The status with which it refuses connections.
    pub status: Option<u16>,
    /// After so many bytes of the console the connection breaks.
    pub lose_after: Option<usize>,
    /// After so many bytes of the console the simulation time is used up.
    pub pause_after: Option<usize>,
    /// After so many bytes of the console time stands still, and nobody is told.
    pub freeze_after: Option<usize>,
    /// After so many bytes of the console nothing is answered any more.
    pub mute_after: Option<usize>,
    /// A command that it refuses.
    pub refuse: Option<String>,
    /// What is wrong with its units.
    pub faults: Vec<Fault>,
    /// Where it notes the commands that it was told.
    pub notes: Option<PathBuf>,
}

impl Conduct {
    /// Of options, each before its value.
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut conduct = Self::default();
        while let Some(option) = words.next() {
            if option == "--silent" {
                conduct.is_silent = true;
                continue;
            }
            let value = words.next().ok_or_else(|| format!("{option} has no value"))?;
            let wrong = |error: &dyn std::fmt::Display| format!("{option} {value}: {error}");
            match option.as_str() {
                "--version" => {
                    conduct.version = Some(value.parse().map_err(|error| wrong(&error))?);
                }
                "--status" => conduct.status = Some(value.parse().map_err(|error| wrong(&error))?),
                "--lose-after" => {
                    conduct.lose_after = Some(value.parse().map_err(|error| wrong(&error))?);
                }
                "--pause-after" => {
                    conduct.pause_after = Some(value.parse().map_err(|error| wrong(&error))?);
                }
                "--freeze-after" => {
                    conduct.freeze_after = Some(value.parse().map_err(|error| wrong(&error))?);
                }
                "--mute-after" => {
                    conduct.mute_after = Some(value.parse().map_err(|error| wrong(&error))?);
                }
                "--refuse" => conduct.refuse = Some(value),
                "--fault" => conduct.faults.push(value.parse().map_err(|error| wrong(&error))?),
                "--notes" => conduct.notes = Some(value.into()),
                _ => return Err(format!("there is no option {option}")),
            }
        }
        Ok(conduct)
    }

    /// Notes a command.
    pub fn note(&self, command: &str) {
        let Some(path) = &self.notes else { return };
        let file = OpenOptions::new().create(true).append(true).open(path);
        if let Err(error) = file.and_then(|mut file| writeln!(file, "{command}")) {
            eprintln!("wokwi_stand_in: {}: {error}", path.display());
        }
    }
}

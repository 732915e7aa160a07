//! What is simulated: a board and what hangs on it, in Wokwi's `diagram.json`.
//!
//! The format is Wokwi's (docs.wokwi.com, "diagram.json File Format" and "ESP32 Simulation"). Of a diagram that
//! is given, only what a run depends on is looked at: the board's MAC, and that its console leads somewhere.

use std::{fs, io, path::Path, path::PathBuf};

use serde_json::{Value, json};

use crate::{identity::Mac, profile::Chip};

/// What a board has unless its attributes say otherwise.
pub(super) const MAC: Mac = Mac([0x24, 0x0A, 0xC4, 0x00, 0x01, 0x10]);
/// Where the console leads.
const MONITOR: &str = "$serialMonitor";

/// There is no diagram for the unit.
#[derive(Debug, thiserror::Error)]
pub enum DiagramError {
    #[error("Wokwi has no board with {chip}: expected one of {BOARDS}")]
    NoBoard { chip: Chip },
    #[error("cannot read the diagram {}: {source}", .path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{} is no diagram.json: {reason}", .path.display())]
    NotADiagram { path: PathBuf, reason: String },
    #[error(
        "the diagram {} leads no pin to {MONITOR}, and no board's serialInterface does: the unit's console would be silent",
        .path.display()
    )]
    Silent { path: PathBuf },
}

impl DiagramError {
    /// What to do about it.
    pub fn action(&self) -> &'static str {
        match self {
            Self::NoBoard { .. } => {
                "choose a chip that Wokwi simulates with ?chip=, or draw a board of it and name it with ?diagram=FILE"
            }
            Self::Unreadable { .. } | Self::NotADiagram { .. } => {
                "correct ?diagram=FILE, or leave it out for the chip's development board"
            }
            Self::Silent { .. } => {
                "connect the board's TX and RX: [\"esp:TX\", \"$serialMonitor:RX\", \"\", []] and [\"esp:RX\", \"$serialMonitor:TX\", \"\", []]"
            }
        }
    }
}

/// A diagram, and what of it a run depends on.
#[derive(Clone, Debug)]
pub(super) struct Diagram {
    pub(super) text: String,
    pub(super) mac: Mac,
}

const BOARDS: &str =
    "esp32, esp32s2, esp32s3, esp32c3, esp32c5, esp32c6, esp32c61, esp32h2, esp32p4";

/// The development board of a chip, its TX and its RX.
fn board(chip: Chip) -> Option<(&'static str, &'static str, &'static str)> {
    let name = match chip {
        Chip::Esp32 => "board-esp32-devkit-c-v4",
        Chip::Esp32S2 => "board-esp32-s2-devkitm-1",
        Chip::Esp32S3 => "board-esp32-s3-devkitc-1",
        Chip::Esp32C3 => "board-esp32-c3-devkitm-1",
        Chip::Esp32C5 => "board-esp32-c5-devkitc-1",
        Chip::Esp32C6 => "board-esp32-c6-devkitc-1",
        Chip::Esp32C61 => "board-esp32-c61-devkitc-1",
        Chip::Esp32H2 => "board-esp32-h2-devkitm-1",
        Chip::Esp32P4 => return Some(("board-esp32-p4-function-ev", "37", "38")),
        Chip::Esp32C2 => return None,
    };
    Some((name, "TX", "RX"))
}

impl Diagram {
    /// The chip's development board alone, with its console.
    pub(super) fn of_chip(chip: Chip, mac: Option<Mac>) -> Result<Self, DiagramError> {
        let (board, tx, rx) = board(chip).ok_or(DiagramError::NoBoard { chip })?;
        let attributes = match mac {
            Some(mac) => json!({ "macAddress": mac.to_string() }),
            None => json!({}),
        };
        let diagram = json!({
            "version": 1,
            "author": "Goldline",
            "editor": "wokwi",
            "parts": [{ "type": board, "id": "esp", "attrs": attributes }],
            "connections": [
                [format!("esp:{tx}"), format!("{MONITOR}:RX"), "", []],
                [format!("esp:{rx}"), format!("{MONITOR}:TX"), "", []],
            ],
        });
        Ok(Self { text: diagram.to_string(), mac: mac.unwrap_or(MAC) })
    }

    /// One that somebody drew.
    pub(super) fn read(path: &Path) -> Result<Self, DiagramError> {
        let named = || path.to_owned();
        let text = fs::read_to_string(path)
            .map_err(|source| DiagramError::Unreadable { path: named(), source })?;
        let text = text.trim_start_matches('\u{feff}').to_owned();
        let not_one = |reason| DiagramError::NotADiagram { path: named(), reason };
        let drawn: Value =
            serde_json::from_str(&text).map_err(|error| not_one(error.to_string()))?;
        let list = |name: &str| {
            let found = drawn.get(name).and_then(Value::as_array);
            found.ok_or_else(|| not_one(format!("it has no list \"{name}\"")))
        };
        let (parts, connections) = (list("parts")?, list("connections")?);
        let attributes = |name| {
            let parts = parts.iter();
            parts.filter_map(move |part| part.get("attrs")?.get(name)?.as_str())
        };
        let is_heard = connections.iter().filter_map(Value::as_array).flatten().any(leads_out)
            || attributes("serialInterface").next().is_some();
        if !is_heard {
            return Err(DiagramError::Silent { path: named() });
        }
        let macs = attributes("macAddress").map(|mac| {
            let unknown = format!("its macAddress \"{mac}\" is no MAC address");
            mac.parse::<Mac>().map_err(|_| not_one(unknown))
        });
        let macs = macs.collect::<Result<Vec<_>, _>>()?;
        match macs.as_slice() {
            [] => Ok(Self { text, mac: MAC }),
            [mac] => Ok(Self { text, mac: *mac }),
            more => Err(not_one(format!("{} parts have a macAddress", more.len()))),
        }
    }
}

fn leads_out(end: &Value) -> bool {
    end.as_str().is_some_and(|end| end.split(':').next() == Some(MONITOR))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(text: &str) -> Result<Diagram, DiagramError> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("diagram.json");
        fs::write(&path, text).expect("a file");
        Diagram::read(&path)
    }

    #[test]
    fn a_diagram_of_our_own_is_one_that_is_taken() {
        let mac = Mac([0x24, 0x0A, 0xC4, 1, 2, 3]);
        for chip in Chip::ALL.into_iter().filter(|chip| *chip != Chip::Esp32C2) {
            assert!(BOARDS.split(", ").any(|name| name == chip.name()), "{chip}");
            let diagram = Diagram::of_chip(chip, Some(mac)).expect("a board");
            assert_eq!(drawn(&diagram.text).expect("a diagram").mac, mac);
        }
        let refused = Diagram::of_chip(Chip::Esp32C2, None);
        assert!(matches!(refused, Err(DiagramError::NoBoard { .. })));
    }

    #[test]
    fn a_diagram_without_a_console_is_refused() {
        let with = |connections: &str, attributes: &str| {
            drawn(&format!(
                r#"{{"parts": [{{"id": "a", "attrs": {attributes}}}], "connections": {connections}}}"#
            ))
        };
        assert!(matches!(with("[]", "{}"), Err(DiagramError::Silent { .. })));
        assert_eq!(with(r#"[["a:TX", "$serialMonitor:RX", ""]]"#, "{}").expect("one").mac, MAC);
        assert!(with("[]", r#"{"serialInterface": "USB_SERIAL_JTAG"}"#).is_ok());
    }

    #[test]
    fn what_is_no_diagram_is_refused() {
        for (text, part) in [
            ("parts: []", "expected value"),
            (r#"{"parts": []}"#, "no list \"connections\""),
            (
                r#"{"parts": [{"attrs": {"macAddress": "1"}}], "connections": [["$serialMonitor:RX"]]}"#,
                "macAddress \"1\"",
            ),
        ] {
            let error = drawn(text).expect_err(text).to_string();
            assert!(error.contains(part), "{error}");
        }
        assert!(matches!(
            Diagram::read(Path::new("/nowhere/diagram.json")),
            Err(DiagramError::Unreadable { .. })
        ));
    }
}

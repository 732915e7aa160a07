//! Wokwi's own clients drive the stand-in, so that it is held to somebody else's idea of the protocol.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

use super::{
    wokwi::Site,
    wokwi_stand_in::{Service, TOKEN},
};
use crate::end_to_end::program::Ended;

/// safesignal's chip, with its console.
const DIAGRAM: &str = r#"{"version": 1, "author": "a test", "editor": "wokwi",
    "parts": [{"type": "board-esp32-s3-devkitc-1", "id": "esp", "attrs": {}}],
    "connections": [["esp:TX", "$serialMonitor:RX", "", []], ["esp:RX", "$serialMonitor:TX", "", []]]}"#;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/emulators")
}

/// The client for JavaScript, if it is installed.
fn node() -> Option<Command> {
    let packages = repository().join(".node");
    let client = packages.join("node_modules/@wokwi/client");
    let runs = Command::new("node").arg("--version").stdout(Stdio::null()).status();
    if !client.is_dir() || !runs.is_ok_and(|status| status.success()) {
        eprintln!("skipped: no node with @wokwi/client at {}", packages.display());
        return None;
    }
    let mut command = Command::new("node");
    command.arg(tests().join("drive_wokwi.mjs")).arg(packages);
    Some(command)
}

/// The client for Python, if it is installed.
fn python() -> Option<Command> {
    let venv = env::var_os("GOLDLINE_VENV").map_or(repository().join(".venv"), PathBuf::from);
    let python = venv.join("bin/python");
    let runs =
        Command::new(&python).args(["-c", "import wokwi_client"]).stderr(Stdio::null()).status();
    if !runs.is_ok_and(|status| status.success()) {
        eprintln!("skipped: no wokwi-client for Python at {}", venv.display());
        return None;
    }
    let mut command = Command::new(python);
    command.arg(tests().join("drive_wokwi.py"));
    Some(command)
}

/// What a client prints that drives a unit which was never given any values.
fn driven(mut client: Command) -> Ended {
    let (site, service) = (Site::new(), Service::start());
    let folder = site.station.path("upload");
    std::fs::create_dir(&folder).expect("a folder");
    let flash = std::fs::read(site.station.path("unit.bin")).expect("a flash");
    for (name, bytes) in [
        ("diagram.json", DIAGRAM.as_bytes()),
        ("boot.bin", &flash[..0x8000]),
        ("table.bin", &flash[0x8000..0x9000]),
        ("nvs.bin", &flash[0x9000..0xF000]),
        ("app.bin", &flash[0x1_0000..0x4_0000]),
    ] {
        std::fs::write(folder.join(name), bytes).expect("a file");
    }
    client.arg(&folder).args(["0x0=boot.bin", "0x8000=table.bin", "0x9000=nvs.bin"]);
    let ended = Ended::of(service.admit(client.arg("0x10000=app.bin")));
    assert_eq!(ended.code(), 0, "{ended:?}");
    assert!(!format!("{ended:?}").contains(TOKEN));
    ended
}

/// What both were told: two whole starts, and an answer of the provisioned unit.
fn assert_well(seen: &Value) {
    for boot in ["first", "second"] {
        let text = seen[boot].as_str().expect("a text");
        assert!(text.contains("rst:0x1 (POWERON"), "{boot}: {text}");
        assert!(text.contains("Provisioning system initialized"), "{boot}: {text}");
    }
    let answer = seen["answer"].as_str().expect("a text");
    assert!(answer.contains("Provisioned: yes") && answer.contains("tenant-a"), "{answer}");
    assert_eq!(seen["part"].as_str().map(|said| said.contains("Part none not found")), Some(true));
}

#[test]
fn wokwi_s_client_for_javascript_drives_the_stand_in() {
    let Some(client) = node() else { return };
    let seen = driven(client).json();
    assert_well(&seen);
    assert_eq!(seen["protocolVersion"], 1);
    assert_eq!(seen["unknown"], "Error 1: Unknown command sim:fly");
    assert_eq!(
        (&seen["status"]["running"], &seen["paused"]["running"]),
        (&true.into(), &false.into())
    );
    assert!(seen["paused"]["nanos"].as_f64() > seen["status"]["nanos"].as_f64(), "{seen:#}");
    assert_eq!(seen["pin"]["pin"], "4");
    assert_eq!(seen["length"], DIAGRAM.len());
}

#[test]
fn wokwi_s_client_for_python_drives_the_stand_in() {
    let Some(client) = python() else { return };
    let seen = driven(client).json();
    assert_well(&seen);
    assert_eq!(seen["hello"]["version"], "1.0.0");
    assert_eq!(seen["pin"]["pin"], "4");
}

//! A record says what the run was made of: program, profile, images, firmware, golden, CA, station and seed.

use std::fs;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::program::Station;

const PROFILE: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/profiles/espvault.toml"));

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn image<'a>(record: &'a Value, name: &str) -> &'a Value {
    let images = record["images"].as_array().expect("images");
    images.iter().find(|image| image["name"] == name).expect("it was flashed")
}

#[test]
fn a_record_says_what_the_run_was_made_of() {
    let station = Station::new();
    station.write("line.toml", "[station]\nname = \"line 3\"\n");
    let words = ["run", "espvault", "--json", "--station", "line.toml"];
    let faults = ["--device", "simulator:?flash-file=unit.flash", "--fault", "firmware.slow_boot"];
    let ended = station.unit(words.into_iter().chain(faults).chain(["--seed", "7"]));
    let record = ended.json();
    assert_eq!(ended.code(), 0, "{record:#}");

    assert_eq!(record["goldline"], env!("CARGO_PKG_VERSION"));
    assert_eq!(record["profile_digest"], sha256(PROFILE.as_bytes()));
    assert_eq!((&record["station"], &record["seed"]), (&json!("line 3"), &json!(7)));
    assert!(record.get("golden").is_none(), "it was compared with none: {record:#}");
    // What the unit holds is what the record speaks of.
    let flash = fs::read(station.path("unit.flash")).expect("the unit's flash");
    for (name, offset) in [("bootloader", 0x1000), ("partition_table", 0x8000), ("app", 0x2_0000)] {
        let image = image(&record, name);
        let bytes = image["bytes"].as_u64().expect("a length") as usize;
        assert_eq!(image["sha256"], sha256(&flash[offset..offset + bytes]), "{name}");
    }
    let firmware = &record["firmware"];
    assert_eq!(firmware["project"], "espvault-universal-node", "{record:#}");
    assert_eq!(
        (&firmware["version"], &firmware["idf_version"]),
        (&json!("1.4.2"), &json!("v5.1.2"))
    );
    let elf = firmware["elf_sha256"].as_str().expect("digits");
    assert!(elf.len() == 64 && elf.bytes().any(|digit| digit != b'0'), "{elf}");

    let root = fs::read_to_string(station.state().join("ca/root.pem")).expect("the bench's CA");
    let body: String = root.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, body);
    assert_eq!(record["bench_ca"], sha256(&der.expect("PEM")));
}

/// Another profile, another golden and another CA are another run, though the unit passes all the same.
#[test]
fn what_differs_between_two_runs_differs_in_their_records() {
    let (first, second) = (Station::new(), Station::new());
    let one = first.unit(["run", "espvault", "--json"]).json();
    second.write("espvault.toml", format!("{PROFILE}\n# Reviewed.\n"));
    let other = second.unit(["run", "espvault.toml", "--json"]).json();
    for member in ["profile_digest", "bench_ca"] {
        assert_ne!(one[member], other[member], "{member}");
    }
    assert!(one.get("seed").is_none() && one.get("station").is_none(), "{one:#}");
    assert_eq!(image(&one, "partition_table"), image(&other, "partition_table"));
    // The application carries the CA that it trusts.
    assert_ne!(image(&one, "app")["sha256"], image(&other, "app")["sha256"]);
}

//! The whole flash of a unit of every shipped profile, as the simulator leaves it: `goldline nvs`
//! finds its NVS partitions and reads them right without being told anything of the chip.

use goldline::profile;
use serde_json::Value;

use super::program::Station;

macro_rules! read_back {
    ($($name:ident = $profile:literal;)+) => {
        $(#[test]
        fn $name() {
            is_read_back($profile);
        })+

        const TESTED: &[&str] = &[$($profile),+];
    };
}

read_back! {
    espvault = "espvault";
    espvault_encrypted = "espvault-encrypted";
    espvault_hmac = "espvault-hmac";
    espvault_certificates = "espvault-certificates";
    zeroconf = "zeroconf";
    zeroconf_ca = "zeroconf-ca";
    zeroconf_ca_console = "zeroconf-ca-console";
    zeroconf_portal = "zeroconf-portal";
    safesignal = "safesignal";
    safesignal_certificates = "safesignal-certificates";
    ble_gateway = "ble-gateway";
    ble_gateway_portal = "ble-gateway-portal";
    ble_gateway_factory = "ble-gateway-factory";
}

#[test]
fn no_shipped_profile_is_left_out() {
    let listed = Station::new().goldline(["profile", "list"]).stdout;
    let names: Vec<&str> =
        listed.lines().filter_map(|line| line.split_whitespace().next()).collect();
    for tested in TESTED {
        assert!(names.contains(tested), "{tested} is no profile: {names:?}");
    }
    assert_eq!(names.len(), TESTED.len(), "{names:?}");
}

fn is_read_back(name: &str) {
    let station = Station::new();
    let flash = station.path("flash.bin");
    let device = format!("simulator:?flash-file={}", flash.display());
    let credentials = station.path("credentials.json");
    let run = station.unit([
        "run",
        name,
        "--device",
        &device,
        "--save-credentials",
        credentials.to_str().expect("a plain path"),
    ]);
    assert_eq!(run.code(), 0, "{run:?}");
    let saved = std::fs::read(&credentials).expect("the credentials were saved");
    let values = serde_json::from_slice::<Value>(&saved).expect("JSON")[0]["values"].clone();

    // The key of the HMAC scheme lies in the eFuses, of which a flash says nothing.
    let key = values["hmac_key"].as_str().map(|digits| station.write("hmac.bin", bytes(digits)));
    let mut arguments = vec!["nvs", "show", "--format", "json", "flash.bin"];
    if let Some(key) = &key {
        let without = station.goldline(arguments.clone());
        assert_eq!(without.code(), 2, "{without:?}");
        assert!(without.said().contains("image.looks_encrypted"), "{without:?}");
        arguments.extend(["--hmac-key", key.to_str().expect("a plain path")]);
    }
    let shown = station.goldline(arguments);
    assert_eq!(shown.code(), 0, "{shown:?}");
    let dump = shown.json();

    let profile = profile::find(name, None).expect("a shipped profile");
    let partitions = dump["partitions"].as_array().expect("a dump has partitions");
    let of_label = |label: &str| {
        let is_it = |partition: &&Value| partition["partition"]["label"] == label;
        partitions.iter().find(is_it).unwrap_or_else(|| panic!("no {label} in {dump:#}"))
    };
    let partition = of_label(&profile.nvs.partition);
    for entry in &profile.nvs.entries {
        let is_it = |shown: &&Value| {
            shown["namespace"] == profile.nvs.namespace.as_str()
                && shown["key"] == entry.key.as_str()
        };
        let entries = partition["entries"].as_array().expect("a partition has entries");
        assert!(entries.iter().any(|shown| is_it(&shown)), "{}: {partition:#}", entry.key);
    }
    // What ESP-IDF itself keeps is known, and nothing of it is taken for a secret.
    let own = of_label("nvs");
    let calibration = own["entries"].as_array().expect("entries").iter();
    let calibration: Vec<&Value> =
        calibration.filter(|entry| entry["namespace"] == "phy").collect();
    assert!(!calibration.is_empty(), "{own:#}");
    assert!(calibration.iter().all(|entry| entry["secret"] == false), "{own:#}");

    let secrets = ["wifi_password", "mqtt_password", "psk", "psk_secret", "hmac_key"];
    for secret in secrets.iter().filter_map(|name| values[name].as_str()) {
        for said in [&shown.stdout, &shown.stderr] {
            assert!(!said.contains(secret), "{name} shows a secret");
        }
    }
}

fn bytes(digits: &str) -> Vec<u8> {
    let pair = |at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal digits");
    (0..digits.len()).step_by(2).map(pair).collect()
}

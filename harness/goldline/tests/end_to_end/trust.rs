//! Firmware that cannot trust the bench is refused before a unit is touched; whatever may trust it runs.
//!
//! The foreign firmware is another station's, whose CA was compiled into it.

use std::fs;

use super::program::{Ended, PROFILE, Station, check};

const DEVICE: &str = "simulator:?flash-file=unit.flash";
const CERTIFICATES: &str =
    include_str!("../../../../fixtures/profiles/safesignal-certificates.toml");

/// Where a product has its bootloader and its application.
pub struct Places {
    profile: &'static str,
    text: &'static str,
    bootloader: std::ops::Range<usize>,
    app: std::ops::Range<usize>,
}

pub const ESPVAULT: Places = Places {
    profile: "espvault",
    text: PROFILE,
    bootloader: 0x1000..0x8000,
    app: 0x2_0000..0x1A_0000,
};
const SAFESIGNAL: Places = Places {
    profile: "safesignal-certificates",
    text: CERTIFICATES,
    bootloader: 0..0x8000,
    app: 0x1_0000..0x21_0000,
};

/// A station whose profile `own.toml` flashes the images that this station made.
pub fn with_images_of(maker: &Station, places: &Places) -> Station {
    let ended = maker.unit(["provision", places.profile, "--device", DEVICE]);
    assert_eq!(ended.code(), 0, "{ended:?}");
    let flash = fs::read(maker.path("unit.flash")).expect("the unit's flash");
    let station = Station::new();
    for folder in [&station, maker] {
        folder.write("bootloader.bin", &flash[places.bootloader.clone()]);
        folder.write("app.bin", &flash[places.app.clone()]);
        let model = format!("app = {{ model = \"{}\" }}", places.profile);
        assert!(places.text.contains(&model));
        let text = places
            .text
            .replace(&model, "app = { file = \"app.bin\" }")
            .replace("bootloader = \"esp-idf\"", "bootloader = \"bootloader.bin\"");
        folder.write("own.toml", text);
    }
    station
}

#[test]
fn firmware_that_trusts_another_ca_is_refused_with_the_ways_out() {
    let maker = Station::new();
    let station = with_images_of(&maker, &ESPVAULT);
    for command in ["run", "check"] {
        let ended = station.unit([command, "own.toml", "--device", DEVICE]);
        assert_eq!(ended.code(), 2, "{ended:?}");
        for part in [
            "app.bin",
            "cannot trust this bench",
            "Goldline",
            "broker",
            "into NVS",
            "a build variant",
            "a certificate",
            "--broker",
        ] {
            assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
        }
        assert!(!station.path("unit.flash").exists(), "the unit was touched");
    }
    // The one that its images trust.
    let ended = maker.unit(["run", "own.toml", "--json", "--device", DEVICE]);
    assert_eq!(ended.code(), 0, "{}", ended.stdout);
}

#[test]
fn units_that_are_only_provisioned_get_it_with_a_warning() {
    let station = with_images_of(&Station::new(), &ESPVAULT);
    let ended = station.unit(["provision", "own.toml", "--device", DEVICE]);
    assert_eq!(ended.code(), 0, "{ended:?}");
    assert!(ended.stderr.contains("cannot trust this bench"), "{ended:?}");
}

/// A value of the station's that is stored in NVS, and that this firmware may read or not.
#[test]
fn a_certificate_that_is_given_for_nvs_counts_if_it_is_the_benchs() {
    let (maker, station) = (Station::new(), Station::new());
    let own = with_images_of(&maker, &ESPVAULT);
    assert_eq!(own.unit(["run", "espvault"]).code(), 0, "it has a CA now");
    assert_eq!(station.unit(["run", "espvault"]).code(), 0);
    let text = fs::read_to_string(own.path("own.toml")).expect("a profile");
    let value = "[values.own_ca]\nsource = \"site\"\nmultiline = true\nmax_bytes = 3000\n\n[nvs]\n";
    let entry = "entries = [\n  { key = \"own_ca\", encoding = \"string\", value = \"{own_ca}\" },";
    own.write("own.toml", text.replacen("[nvs]\n", value, 1).replacen("entries = [", entry, 1));
    let run = |ca: &Station| {
        let given = format!("own_ca=@{}", ca.state().join("ca/root.pem").display());
        own.unit(["run", "own.toml", "--json", "--set", &given])
    };
    let others = run(&station);
    assert_eq!(others.code(), 2, "{others:?}");
    assert!(others.stderr.contains("cannot trust this bench"), "{others:?}");
    // It is not refused; that this firmware does not read the key is found by the check.
    let benchs = run(&own);
    assert_eq!(benchs.json()["diagnosis"]["code"], "mqtt.server_untrusted", "{benchs:?}");
}

#[test]
fn a_profile_can_say_that_the_image_tells_nothing_of_trust() {
    let station = with_images_of(&Station::new(), &ESPVAULT);
    let own = fs::read_to_string(station.path("own.toml")).expect("a profile");
    station.write("own.toml", own.replacen("[images]\n", "[images]\ntrusts_elsewhere = true\n", 1));
    let ended = station.unit(["run", "own.toml", "--json"]);
    assert_eq!(ended.json()["diagnosis"]["code"], "mqtt.server_untrusted", "{ended:?}");
}

/// Nothing that such a profile checks needs the broker.
#[test]
fn a_checklist_without_the_broker_needs_no_trust() {
    let station = with_images_of(&Station::new(), &ESPVAULT);
    let own = fs::read_to_string(station.path("own.toml")).expect("a profile");
    let (own, _) = own.split_once("[[check]]\nid = \"mqtt_connect\"").expect("it is the last one");
    station.write("own.toml", own);
    let ended = station.unit(["run", "own.toml", "--device", DEVICE]);
    assert_eq!(ended.code(), 0, "{ended:?}");
}

#[test]
fn firmware_that_takes_its_ca_from_nvs_runs_whatever_it_carries() {
    let station = with_images_of(&Station::new(), &SAFESIGNAL);
    let ended = station.unit(["run", "own.toml", "--json"]);
    assert_eq!(ended.code(), 0, "{ended:?}");
    assert_eq!(check(&ended.json(), "mqtt_connect")["outcome"], "pass");
    let told = station.goldline(["profile", "check", "own.toml"]);
    assert!(told.stdout.contains("yes: the NVS key \"ca_cert\" holds the CA"), "{}", told.stdout);
}

#[test]
fn profile_check_lists_the_certificates_and_says_what_they_are_good_for() {
    let maker = Station::new();
    let station = with_images_of(&maker, &ESPVAULT);
    let told = |station: &Station| {
        let mut command = station.command();
        command.env("GOLDLINE_STATE", station.state()).args(["profile", "check", "own.toml"]);
        let ended = Ended::of(&mut command);
        assert_eq!(ended.code(), 0, "{ended:?}");
        ended.stdout
    };
    let before = told(&station);
    assert!(before.contains("Certificates in ") && before.contains("PEM"), "{before}");
    assert!(before.contains("broker") && before.contains("not yet: the image carries"), "{before}");
    assert!(!station.state().join("ca").exists(), "it makes no CA");
    // The station gets its CA.
    assert_eq!(station.unit(["run", "espvault"]).code(), 0);
    assert!(told(&station).contains("no: the image carries"), "{}", told(&station));
    assert!(told(&maker).contains("yes: the image carries"), "{}", told(&maker));
}

#[test]
fn a_firmware_model_trusts_the_bench() {
    let ended = Station::new().goldline(["profile", "check", "ble-gateway"]);
    assert_eq!(ended.code(), 0, "{ended:?}");
    assert!(ended.stdout.contains("compiled with the bench's CA"), "{}", ended.stdout);
    // Its configuration comes over plain http.
    assert!(ended.stdout.contains("no trust needed"), "{}", ended.stdout);
}

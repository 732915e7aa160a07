//! `goldline init` as a newcomer uses it: a build folder and a golden unit's flash in, a profile out that passes
//! `profile check`, lets a good unit pass and fails one for each key that it lacks.

use std::fs;

use rstest::rstest;

use super::{
    build_folders::{NVS, arduino, esp_idf, merged, platformio},
    own_builds::station,
    program::{Station, check},
};

const DEVICE: &str = "simulator:?flash-file=unit.flash";
const KEYS: [&str; 6] =
    ["wifi_ssid", "wifi_password", "device_id", "mqtt_broker", "mqtt_username", "mqtt_password"];
/// Those that hold secrets, with what the shipped profile's sample unit has there.
const SECRETS: [(&str, &str); 2] =
    [("wifi_password", "SecurePassword123"), ("mqtt_password", "DeviceSecretKey")];

/// A station with an ESP-IDF build, and the profile that was drafted from it and from a golden unit.
fn drafted() -> (Station, String) {
    let (station, flash) = station(esp_idf);
    station.write("golden.bin", flash);
    let ended = station.goldline(["init", "build", "-o", "own.toml", "--from-dump", "golden.bin"]);
    assert_eq!((ended.code(), ended.stdout.as_str()), (0, ""), "{ended:?}");
    let text = fs::read_to_string(station.path("own.toml")).expect("the profile");
    (station, text)
}

/// The run with the values that a profile has no sample of.
fn run(station: &Station, device: &str) -> serde_json::Value {
    for (name, value) in SECRETS {
        station.write(name, value);
    }
    let settings = SECRETS.map(|(name, _)| format!("{name}=@{name}"));
    let [wifi, mqtt] = &settings;
    let arguments = ["run", "own.toml", "--json", "--device", device, "--set", wifi, "--set", mqtt];
    station.unit(arguments).json()
}

#[test]
fn a_drafted_profile_passes_its_check_and_a_good_unit() {
    let (station, text) = drafted();
    let checked = station.goldline(["profile", "check", "own.toml"]);
    assert_eq!(checked.code(), 0, "{}", checked.stderr);
    for (name, secret) in SECRETS {
        assert!(!text.contains(secret), "the secret {name} stands in the profile");
    }
    for key in KEYS {
        assert!(text.contains(&format!("key = \"{key}\"")), "{key}: {text}");
    }
    for line in [
        "model = \"esp32\"",
        "flash_size = \"4MB\"",
        "build = \"build\"",
        "partition = \"factory\"",
        "namespace = \"vault\"",
        "# guessed: by the names of the keys.",
        "id = \"wifi_join\"",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let record = run(&station, DEVICE);
    assert_eq!(record["verdict"], "PASS", "{record:#}");
    let unset = station.unit(["run", "own.toml", "--device", DEVICE]);
    assert!(unset.code() != 0 && unset.said().contains("wifi_password"), "{unset:?}");
}

/// One key after the other is taken out of a provisioned unit: the verdict names it.
#[test]
fn each_key_that_a_unit_lacks_is_found_by_the_drafted_profile() {
    let (station, _) = drafted();
    assert_eq!(run(&station, DEVICE)["verdict"], "PASS");
    let whole = fs::read(station.path("unit.flash")).expect("a provisioned unit");
    for key in KEYS {
        let nvs = goldline_nvs::Image::decode(&whole[NVS]).expect("its NVS").device_view();
        let mut document = goldline_nvs::Document::from_view(&nvs).expect("its keys");
        assert!(document.remove("vault", key), "{key} was there");
        let lesser = goldline_nvs::generate(&document, NVS.len(), goldline_nvs::Version::V2);
        let mut flash = whole.clone();
        flash[NVS].copy_from_slice(&lesser.expect("it fits"));
        station.write("unit.flash", flash);
        let arguments = ["check", "own.toml", "--json", "--device", DEVICE];
        let record = station.unit(arguments).json();
        assert_eq!(record["verdict"], "FAIL", "{key}: {record:#}");
        let readback = check(&record, "nvs_readback");
        assert_eq!(readback["outcome"], "fail", "{key}: {record:#}");
        let words = record["diagnosis"].to_string();
        assert!(words.contains(&format!("vault/{key}")), "{key}: {words}");
    }
}

#[rstest]
#[case::esp_idf(esp_idf, "a build of ESP-IDF")]
#[case::platformio(platformio, "a build of PlatformIO")]
#[case::arduino(arduino, "a build of Arduino")]
#[case::merged(merged, "a build of a merged binary")]
fn a_build_alone_gives_a_profile_that_is_valid(
    #[case] make: fn(&std::path::Path, &[u8]),
    #[case] words: &str,
) {
    let (station, _) = station(make);
    let ended = station.goldline(["init", "build"]);
    assert_eq!(ended.code(), 0, "{ended:?}");
    assert!(ended.stdout.contains(words), "{}", ended.stdout);
    assert!(ended.stdout.contains("# guessed: write the namespace"), "{}", ended.stdout);
    station.write("own.toml", &ended.stdout);
    let checked = station.goldline(["profile", "check", "own.toml"]);
    assert_eq!(checked.code(), 0, "{}{}", checked.stderr, ended.stdout);
}

/// A merged MicroPython with a table that ends at 2 MB was drafted so, and then refused for its header's 4 MB.
#[test]
fn a_merged_binary_has_at_least_the_flash_of_its_header() {
    const SIZE_OF_HEADER: usize = 0x1003;
    let (station, _) = station(|file: &std::path::Path, flash: &[u8]| {
        let mut larger = flash.to_vec();
        larger[SIZE_OF_HEADER] = larger[SIZE_OF_HEADER] & 0x0F | 0x30;
        merged(file, &larger);
    });
    let ended = station.goldline(["init", "build"]);
    assert!(ended.stdout.contains("flash_size = \"8MB\""), "{ended:?}");
}

/// The CSV of Espressif's generator beside the build tells the keys; several namespaces are kept apart.
#[test]
fn a_csv_beside_the_build_tells_the_keys() {
    let (station, _) = station(esp_idf);
    station.write(
        "factory.csv",
        "key,type,encoding,value\nvault,namespace,,\nname,data,string,Unit 1\nport,data,u16,8883\n\
         token,data,string,s3cr3t-token\nstate,namespace,,\nname,data,string,idle\n",
    );
    station.write("partitions.csv", "# not one of NVS\nnvs,data,nvs,0x9000,0x6000\n");
    let ended = station.goldline(["init", "build", "-o", "own.toml"]);
    assert_eq!(ended.code(), 0, "{ended:?}");
    let text = fs::read_to_string(station.path("own.toml")).expect("the profile");
    for line in [
        "# Every value of factory.csv.",
        "partition = \"factory\"",
        "{ key = \"port\", encoding = \"u16\", value = \"{port}\" },",
        "{ namespace = \"state\", key = \"name\", encoding = \"string\", value = \"{name_2}\" },",
        "sample = \"idle\"",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(!text.contains("s3cr3t-token") && !text.contains("wifi_join\""), "{text}");
    // The firmware has other keys than these: what is judged here is what the bench wrote.
    station.write("token", "s3cr3t-token");
    let set = ["run", "own.toml", "--json", "--set", "token=@token", "--device", DEVICE];
    let record = station.unit(set).json();
    let readback = check(&record, "nvs_readback");
    assert_eq!(readback["outcome"], "pass", "{record:#}");
    let evidence = readback["evidence"].to_string();
    assert!(evidence.contains("state/name") && evidence.contains("vault/port"), "{evidence}");
}

#[test]
fn an_earlier_profile_stays_unless_it_is_to_be_replaced() {
    let (station, _) = station(esp_idf);
    station.write("own.toml", "mine");
    let refused = station.goldline(["init", "build", "-o", "own.toml"]);
    assert_eq!(refused.code(), 2, "{refused:?}");
    assert_eq!(fs::read_to_string(station.path("own.toml")).expect("it is there"), "mine");
    let forced = station.goldline(["init", "build", "-o", "own.toml", "--force"]);
    assert_eq!(forced.code(), 0, "{forced:?}");
    for (arguments, expected) in [
        (["init", "gone", "-o", "new.toml"], "build the firmware first"),
        (["init", "state", "-o", "new.toml"], "holds no build"),
    ] {
        let ended = station.goldline(arguments);
        assert_eq!((ended.code(), ended.said().contains(expected)), (2, true), "{ended:?}");
        assert!(!station.path("new.toml").exists());
    }
    station.write("short.bin", [0xFF; 0x1000]);
    let short = station.goldline(["init", "build", "--from-dump", "short.bin"]);
    assert!(short.said().contains("read the whole flash"), "{short:?}");
    station.write("blank.bin", vec![0xFF; 0x40_0000]);
    let blank = station.goldline(["init", "build", "--from-dump", "blank.bin"]);
    assert!(blank.said().contains("holds a key of the firmware's own"), "{blank:?}");
}

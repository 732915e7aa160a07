//! Values with a difficult form reach the unit unchanged: what the unit itself does with them proves
//! it, since it joins and logs in with nothing but what lies in its flash.

use rstest::rstest;

use super::program::{Ended, Station};

fn assert_passes(ended: &Ended) {
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""), "{}", ended.stdout);
    assert_eq!(ended.json()["verdict"], "PASS");
}

const SPACES: &str = " two  words ";
const QUOTES: &str = "it's a \"shop\"";
const COMMAS: &str = "a,b;c=d,\t,";
const UNICODE: &str = "Café 日本 🛜";
const BRACES: &str = "{wifi_ssid} {{x}}";
const SHELL: &str = "$HOME `id` \\n %s";
const LONGEST_SSID: &str = "12345678901234567890123456789012";
const SHORTEST_PASSPHRASE: &str = "12345678";
const LONGEST_PASSPHRASE: &str = "123456789012345678901234567890123456789012345678901234567890123";

#[rstest]
fn a_network_name_reaches_the_unit(
    #[values(SPACES, QUOTES, COMMAS, UNICODE, BRACES, SHELL, LONGEST_SSID, "x")] ssid: &str,
) {
    let station = Station::new();
    station.write("ssid", ssid);
    let setting = if ssid.starts_with('$') {
        "wifi_ssid=@ssid".to_owned()
    } else {
        format!("wifi_ssid={ssid}")
    };
    let device = ["--device", "simulator:?flash-file=unit.flash"];
    assert_passes(
        &station.unit([&["run", "--json", "--set", &setting], device.as_slice()].concat()),
    );
    let flash = std::fs::read(station.path("unit.flash")).expect("the flash");
    let text = [ssid.as_bytes(), b"\0"].concat();
    let factory = &flash[0x10000..0x16000];
    assert!(factory.windows(text.len()).any(|window| window == text), "{ssid} is not in the flash");
}

#[rstest]
fn a_passphrase_reaches_the_unit(
    #[values(QUOTES, COMMAS, UNICODE, BRACES, SHELL, SHORTEST_PASSPHRASE, LONGEST_PASSPHRASE)]
    passphrase: &str,
) {
    let station = Station::new();
    station.write("secret", format!("{passphrase}\n"));
    assert_passes(&station.unit(["run", "--json", "--set", "wifi_password=@secret"]));
}

#[test]
fn cells_of_a_row_reach_their_own_unit() {
    let station = Station::new();
    let rows = "number,wifi_ssid,wifi_password\n\
        41,\"a,b \"\"c\"\"\",\"pass,word \"\"x\"\"\"\n\
        42,Café 日本 🛜,{number:05} {{x}}\n\
        ,Shop,otherwise\n";
    station.write("units.csv", rows);
    let devices = ["--device", "simulator:"].repeat(3);
    let ended =
        station.unit([&["run", "--json", "--units", "units.csv"], devices.as_slice()].concat());
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""), "{}", ended.stdout);
    let records = ended.json();
    let ids: Vec<_> = (0..3).map(|unit| &records[unit]["unit"]["ids"]["device_id"]).collect();
    assert_eq!(ids, ["VAULT-00041", "VAULT-00042", "VAULT-00001"], "an empty cell gives nothing");
}

#[test]
fn a_value_is_taken_from_the_first_that_has_it() {
    let station = Station::new();
    station.write("units.csv", "number,wifi_ssid\n41,Row\n");
    station.write("station.toml", "[values]\nwifi_ssid = \"Station\"\nnumber = \"43\"\n");
    let files = ["--units", "units.csv", "--station", "station.toml"];
    let ended = station.unit([&["run", "--json", "--set", "number=40"], files.as_slice()].concat());
    assert_passes(&ended);
    assert_eq!(ended.json()["unit"]["ids"]["device_id"], "VAULT-00040");
    let with_row = station.unit([&["run", "--json"], files.as_slice()].concat());
    assert_eq!(with_row.json()["unit"]["ids"]["device_id"], "VAULT-00041");
    let with_station = station.unit(["run", "--json", "--station", "station.toml"]);
    assert_eq!(with_station.json()["unit"]["ids"]["device_id"], "VAULT-00043");
}

#[test]
fn a_station_file_gives_secrets_from_all_their_places() {
    let station = Station::new();
    station.write("passphrase", "from a file\n");
    for source in [
        "{ file = \"passphrase\" }",
        "{ env = \"PASSPHRASE\" }",
        "{ command = [\"echo\", \"from a program\"] }",
    ] {
        station.write(
            "station.toml",
            format!("[services.wifi]\nssid = \"Site\"\npassword = {source}\n"),
        );
        let mut command = station.unit_command(["run", "--json", "--station", "station.toml"]);
        assert_passes(&Ended::of(command.env("PASSPHRASE", "from the environment")));
    }
}

/// A misspelt value would leave the profile's sample in its place, and the unit would pass with it.
#[test]
fn a_value_of_the_station_that_no_product_has_is_refused() {
    let station = Station::new();
    station.write("station.toml", "[values]\nwifi_ssidd = \"Site\"\n");
    let ended = station.unit(["run", "--station", "station.toml"]);
    assert_eq!(ended.code(), 2, "{ended:?}");
    assert!(
        ended.stderr.contains("wifi_ssidd") && ended.stderr.contains("did you mean \"wifi_ssid\"?"),
        "{ended:?}"
    );
    // A line that also makes the gateway has a value for it.
    station.write("station.toml", "[values]\nremote_mqtt_host = \"mqtt.site.test\"\n");
    assert_passes(&station.unit(["run", "--json", "--station", "station.toml"]));
}

/// An editor's byte order mark is no part of a password.
#[test]
fn a_byte_order_mark_before_a_text_is_none_of_it() {
    let station = Station::new();
    station.write("ssid", "\u{FEFF}Shop floor\r\n");
    let saved = ["--save-credentials", "saved.json"];
    let ended = station.unit([&["run", "--json", "--set", "wifi_ssid=@ssid"], &saved[..]].concat());
    assert_passes(&ended);
    let saved = std::fs::read_to_string(station.path("saved.json")).expect("saved");
    assert!(saved.contains("\"Shop floor\""), "{saved}");
}

/// The key itself, in place of the passphrase that it would be made of.
#[test]
fn a_network_key_of_64_digits_is_taken_and_64_other_bytes_are_not() {
    let station = Station::new();
    let run = |secret: &str| {
        station.write("secret", secret);
        station.unit(["run", "--json", "--set", "wifi_password=@secret"])
    };
    assert_passes(&run(&"0123456789abcdefABCDEF0123456789".repeat(2)));
    let refused = run(&"g".repeat(64));
    assert_eq!(refused.code(), 2, "{refused:?}");
    assert!(refused.stderr.contains("64 hexadecimal digits"), "{refused:?}");
}

/// The shipped profile of an ESP32, with a value that is made of an interface's address and lies in its NVS.
fn with_address(symbol: &str) -> String {
    let value = format!("[values.label]\ntemplate = \"{{{symbol}}}\"\nid = true\n\n[nvs]");
    let entry = "entries = [\n  { key = \"label\", encoding = \"string\", value = \"{label}\" },";
    super::program::PROFILE.replacen("[nvs]", &value, 1).replacen("entries = [", entry, 1)
}

/// The sample unit's MAC ends in 10: ESP-IDF counts on from there.
#[rstest::rstest]
#[case::access_point("unit.mac_ap", "24:0a:c4:00:01:11")]
#[case::bluetooth("unit.mac_bt", "24:0a:c4:00:01:12")]
#[case::ethernet("unit.mac_eth", "24:0a:c4:00:01:13")]
fn the_address_of_an_interface_reaches_the_unit(#[case] symbol: &str, #[case] address: &str) {
    let station = Station::new();
    station.write("espvault.toml", with_address(symbol));
    let device = ["--device", "simulator:?flash-file=unit.flash"];
    let words = ["run", "espvault.toml", "--json"];
    let record = station.unit([words.as_slice(), device.as_slice()].concat()).json();
    assert_eq!(record["verdict"], "PASS", "{record:#}");
    assert_eq!(record["unit"]["ids"]["label"], address, "{record:#}");
    let interfaces = record["unit"]["interfaces"].as_object().expect("addresses by name");
    assert!(interfaces.values().any(|mac| mac == address), "{interfaces:?}");
    assert_eq!(interfaces["station"], record["unit"]["mac"]);
    let flash = std::fs::read(station.path("unit.flash")).expect("the flash");
    assert!(flash.windows(address.len()).any(|part| part == address.as_bytes()), "not in its NVS");
}

/// A unit that was given another interface's address fails a later check.
#[test]
fn the_address_of_another_interface_is_found_out() {
    let station = Station::new();
    station.write("espvault.toml", with_address("unit.mac_bt"));
    let device = ["--device", "simulator:?flash-file=unit.flash"];
    let run = |words: &[&str]| station.unit([words, device.as_slice()].concat()).json();
    assert_eq!(run(&["run", "espvault.toml", "--json"])["verdict"], "PASS");
    let mut flash = std::fs::read(station.path("unit.flash")).expect("the flash");
    let (own, other) = (b"24:0a:c4:00:01:12", b"24:0a:c4:00:01:11");
    let at = flash.windows(own.len()).position(|part| part == own).expect("it is in there");
    flash[at..at + other.len()].copy_from_slice(other);
    station.write("unit.flash", &flash);
    let record = run(&["check", "espvault.toml", "--json"]);
    assert_eq!(record["verdict"], "FAIL", "{record:#}");
    let code = record["diagnosis"]["code"].as_str().expect("a code");
    assert!(code.starts_with("nvs."), "{record:#}");
}

#[test]
fn a_chip_without_the_interface_has_no_such_address() {
    let station = Station::new();
    let profile = with_address("unit.mac_bt").replace("model = \"esp32\"", "model = \"esp32s2\"");
    station.write("espvault.toml", profile);
    let ended = station.unit(["run", "espvault.toml", "--json"]);
    assert_eq!(ended.code(), 2, "{ended:?}");
    assert!(ended.said().contains("unit.mac_bt"), "{}", ended.said());
}

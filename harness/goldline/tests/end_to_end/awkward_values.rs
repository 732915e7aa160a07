//! Values that a careless tool breaks: in every way that a unit gets its values, they arrive as they are or
//! are refused before anything is written.
//!
//! That they arrive, the unit itself shows: it joins with nothing but what it holds, and its NVS is read
//! back and compared.

use rstest::rstest;

use super::program::Station;

#[rstest]
fn a_network_name_arrives_as_it_is(
    #[values(
        "zeroconf-ca",
        "zeroconf-ca-console",
        "ble-gateway",
        "ble-gateway-portal",
        "ble-gateway-factory"
    )]
    profile: &str,
    #[values("two words", "quo\"te \\ it's", "a,b;c=d&e%20+f", "Café 日本")] ssid: &str,
) {
    let station = Station::new();
    station.write("ssid", ssid);
    let ended = station.unit(["run", profile, "--json", "--set", "wifi_ssid=@ssid"]);
    assert_eq!(ended.json()["verdict"], "PASS", "{}", ended.stdout);
}

/// Words of its console are split at spaces, and it knows no quotes.
#[rstest]
#[case::commas("wifi_ssid", "a,b;c=d", true)]
#[case::unicode("wifi_ssid", "Café日本", true)]
#[case::apostrophe("wifi_ssid", "it's", true)]
#[case::space("wifi_ssid", "two words", false)]
#[case::quote("wifi_ssid", "quo\"te", false)]
#[case::backslash("tenant", "a\\b", false)]
#[case::space_in_a_room("room", "room 1", false)]
fn a_value_is_typed_as_it_is_or_not_at_all(
    #[case] name: &str,
    #[case] value: &str,
    #[case] sayable: bool,
) {
    let station = Station::new();
    station.write("value", value);
    let setting = format!("{name}=@value");
    let arguments = ["run", "safesignal", "--json", "--set", &setting];
    let ended = station.unit(arguments);
    if sayable {
        assert_eq!(ended.json()["verdict"], "PASS", "{}", ended.stdout);
        return;
    }
    assert_eq!(ended.code(), 2, "{}", ended.stdout);
    assert!(ended.said().contains(&format!("the value \"{name}\" cannot be typed")), "{ended:?}");
    assert!(!station.state().exists(), "nothing was begun");
}

/// A new network for a unit that holds one is refused as early as the first.
#[test]
fn a_new_value_that_cannot_be_typed_is_refused_before_the_unit_is_touched() {
    let station = Station::new();
    let device = ["--device", "simulator:?flash-file=unit.flash"];
    let command = |words: &[&str]| station.unit([words, device.as_slice()].concat());
    assert_eq!(command(&["run", "safesignal"]).code(), 0);
    let before = std::fs::read(station.path("unit.flash")).expect("the flash");
    let ended = command(&["reprovision", "safesignal", "--only", "wifi", "--set", "wifi_ssid=a b"]);
    assert_eq!(ended.code(), 2, "{}", ended.said());
    assert!(std::fs::read(station.path("unit.flash")).expect("the flash") == before);
}

#[rstest]
fn a_line_break_or_a_nul_is_refused_everywhere(
    #[values("espvault", "zeroconf", "zeroconf-ca", "safesignal", "ble-gateway")] profile: &str,
    #[values("a\nb", "a\rb", "a\0b")] value: &str,
) {
    let station = Station::new();
    station.write("value", value);
    let ended = station.unit(["run", profile, "--json", "--set", "wifi_ssid=@value"]);
    assert_eq!(ended.code(), 2, "{}", ended.stdout);
    assert!(ended.said().contains("wifi_ssid"), "{}", ended.said());
    assert!(!station.state().exists(), "nothing was begun");
}

/// The buffers of the product's firmware, in bytes and not in characters.
#[rstest]
#[case::zeroconf("zeroconf", "wifi_ssid", 31)]
#[case::zeroconf_password("zeroconf", "wifi_password", 63)]
#[case::safesignal("safesignal", "wifi_ssid", 31)]
#[case::tenant("safesignal", "tenant", 15)]
#[case::gateway("ble-gateway", "wifi_ssid", 32)]
fn a_value_fits_the_firmwares_buffer_or_is_refused(
    #[case] profile: &str,
    #[case] name: &str,
    #[case] longest: usize,
) {
    let station = Station::new();
    let setting = format!("{name}=@value");
    station.write("value", "é".repeat(longest / 2) + &"x".repeat(longest % 2));
    let ended = station.unit(["run", profile, "--json", "--set", &setting]);
    assert_eq!(ended.json()["verdict"], "PASS", "{}", ended.stdout);
    station.write("value", "x".repeat(longest + 1));
    let ended = station.unit(["run", profile, "--json", "--set", &setting]);
    assert_eq!(ended.code(), 2, "{}", ended.stdout);
    assert!(ended.said().contains(&format!("to {longest}")), "{}", ended.said());
}

//! The values of one unit: who may give them, who wins, what is refused, and what is shown.

use std::{fs, io};

use goldline::{
    plan::{BindingError, Bindings, Given, GivenError, Identity, Origin, Sources, Text, Units},
    profile::{Profile, StationFile, find},
    secret::Secret,
};
use rstest::rstest;

/// Leases count up from a start; random bytes are all the same.
#[derive(Default)]
struct Counting {
    next: u32,
    leases: usize,
}

impl Sources for Counting {
    fn lease(&mut self, _value: &str) -> io::Result<u32> {
        self.leases += 1;
        self.next += 1;
        Ok(self.next)
    }

    fn fill_random(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        buffer.fill(0xAB);
        Ok(())
    }
}

fn espvault() -> Profile {
    find("espvault", None).expect("a shipped profile")
}

fn station(text: &str) -> StationFile {
    StationFile::parse("station.toml", text, "".as_ref()).expect("a valid station file")
}

/// What a real unit of EspVault needs from its site.
fn site(profile: &Profile) -> Given {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("password");
    fs::write(&path, "a real passphrase\n").expect("written");
    let mut given = Given::default();
    for argument in [
        "wifi_ssid=Production",
        "mqtt_broker=mqtts://broker.example.test:8883",
        &format!("wifi_password=@{}", path.display()),
    ] {
        given.parse_set(profile, argument).expect(argument);
    }
    given
}

fn resolve(given: &Given, identity: Identity) -> Result<Bindings, BindingError> {
    Bindings::resolve(&espvault(), given, identity, &mut Counting::default())
}

fn shown(bindings: &Bindings, name: &str) -> String {
    bindings.get(name).expect(name).to_string()
}

#[test]
fn the_declared_identity_is_the_samples() {
    let bindings = resolve(&Given::default(), Identity::Declared).expect("bound");
    for (name, text) in [
        ("device_id", "VAULT-00001"),
        ("mqtt_username", "device_vault_00001"),
        ("wifi_ssid", "ProductionWiFi"),
        ("wifi_password", "‹secret, 17 bytes›"),
        ("mqtt_password", "‹secret, 15 bytes›"),
    ] {
        assert_eq!(shown(&bindings, name), text);
    }
    assert_eq!(bindings.get("mqtt_password").map(Text::expose), Some("DeviceSecretKey"));
    assert_eq!(bindings.origin("number"), Some(Origin::Sample));
    let ids = bindings.public_ids(&espvault());
    assert_eq!(ids["device_id"], "VAULT-00001");
    assert_eq!(ids.len(), 2, "{ids:?}");
}

/// What may stand in the arguments of an emulator, which every user of the machine can read.
#[test]
fn a_network_of_the_profiles_own_sample_is_nobodys_secret() {
    let profile = espvault();
    let is_nobodys = |given: &Given| {
        let bindings = resolve(given, Identity::Declared).expect("the samples are complete");
        bindings.has_throw_away_network(&profile)
    };
    assert!(is_nobodys(&Given::default()));
    assert!(!is_nobodys(&site(&profile)));
    for (remembered, expected) in [("SecurePassword123", true), ("the-customers-own", false)] {
        let mut given = Given::default();
        given.take_remembered([("wifi_password".to_owned(), Secret::new(remembered))]);
        assert_eq!(is_nobodys(&given), expected, "{remembered}");
    }
}

#[test]
fn a_lot_of_simulated_units_shares_the_site_only() {
    let mut sources = Counting { next: 41, ..Counting::default() };
    let bindings =
        Bindings::resolve(&espvault(), &Given::default(), Identity::DeclaredSite, &mut sources)
            .expect("bound");
    assert_eq!(shown(&bindings, "device_id"), "VAULT-00042");
    assert_eq!(shown(&bindings, "wifi_ssid"), "ProductionWiFi");
    assert_eq!(bindings.get("mqtt_password").map(Text::expose), Some("ab".repeat(24).as_str()));
    assert_eq!(bindings.origin("mqtt_password"), Some(Origin::Random));
}

#[test]
fn a_real_port_gets_no_sample() {
    let error = resolve(&Given::default(), Identity::Issued).expect_err("nothing was given");
    assert!(matches!(&error, BindingError::NotGiven { name } if name == "wifi_ssid"), "{error}");
    let bindings = resolve(&site(&espvault()), Identity::Issued).expect("bound");
    assert_eq!(bindings.get("wifi_password").map(Text::expose), Some("a real passphrase"));
    assert_eq!(bindings.origin("number"), Some(Origin::Lease));
    assert_eq!(bindings.origin("device_id"), Some(Origin::Template));
}

#[test]
fn a_real_port_refuses_the_public_secret_even_when_given() {
    let profile = espvault();
    let text = "number,mqtt_password\n7,DeviceSecretKey\n";
    let units = Units::parse("units.csv", text.as_bytes(), &profile).expect("valid");
    let mut given = site(&profile);
    given.take_row(&units.rows()[0]);
    let error = resolve(&given, Identity::Issued).expect_err("the sample is public");
    assert!(matches!(&error, BindingError::PublicSecret { name } if name == "mqtt_password"));
    assert!(!error.to_string().contains("DeviceSecretKey"), "{error}");
}

#[rstest]
#[case::too_short("mqtt_username=", "0 bytes long")]
#[case::no_endpoint("mqtt_broker=broker.example.test", "no scheme")]
fn nothing_is_leased_for_values_that_do_not_fit(#[case] argument: &str, #[case] message: &str) {
    let profile = espvault();
    let mut given = Given::default();
    given.parse_set(&profile, argument).expect("taken, and judged later");
    let mut sources = Counting::default();
    let refused = Bindings::resolve(&profile, &given, Identity::DeclaredSite, &mut sources);
    let error = refused.expect_err(argument).to_string();
    assert!(error.contains(message), "{error}");
    assert_eq!(sources.leases, 0);
}

#[test]
fn set_outranks_the_row_and_the_row_the_station_file() {
    let profile = espvault();
    let station = station(
        "[services.wifi]\nssid = \"from the service\"\n\
         [values]\nnumber = \"3\"\nmqtt_broker = \"mqtts://station.example.test:1\"\n",
    );
    let csv = "number,mqtt_broker,wifi_ssid\n2,mqtts://row.example.test:1,\n";
    let units = Units::parse("units.csv", csv.as_bytes(), &profile).expect("valid");
    // The order of taking must not matter.
    let mut given = Given::default();
    given.take_station(&profile, &station).expect("taken");
    given.take_row(&units.rows()[0]);
    given.parse_set(&profile, "number=1").expect("taken");
    let bindings = resolve(&given, Identity::Declared).expect("bound");
    assert_eq!(shown(&bindings, "number"), "1");
    assert_eq!(shown(&bindings, "mqtt_broker"), "mqtts://row.example.test:1");
    assert_eq!(shown(&bindings, "wifi_ssid"), "from the service", "an empty cell gives nothing");
    assert_eq!(bindings.origin("wifi_ssid"), Some(Origin::StationFile));
}

#[test]
fn what_the_engine_learns_is_bound_once_and_completes_templates() {
    let text = include_str!("../../../../fixtures/profiles/espvault.toml")
        .replace("\"VAULT-{number:05}\"", "\"VAULT-{unit.mac}\"");
    let profile = Profile::parse("espvault.toml", &text, None).expect("valid");
    let mut sources = Counting::default();
    let mut bindings =
        Bindings::resolve(&profile, &Given::default(), Identity::Declared, &mut sources)
            .expect("bound");
    assert!(bindings.get("device_id").is_none());
    let unbound =
        bindings.render(&profile.mqtt.as_ref().expect("a broker").client_id).expect_err("not yet");
    assert_eq!(unbound.name, "device_id");
    bindings.bind("unit.mac", Text::public("a4:cf:12:34:56:78")).expect("bound");
    let client_id =
        bindings.render(&profile.mqtt.as_ref().expect("a broker").client_id).expect("bound");
    assert_eq!(client_id.to_string(), "VAULT-a4:cf:12:34:56:78");
    let again = bindings.bind("unit.mac", Text::public("a4:cf:12:34:56:79"));
    assert!(matches!(again, Err(BindingError::BoundTwice { .. })), "{again:?}");
}

#[test]
fn a_text_with_a_secret_in_it_shows_its_length_only() {
    let bindings = resolve(&Given::default(), Identity::Declared).expect("bound");
    let template = "user:{mqtt_password}".parse().expect("a template");
    let text = bindings.render(&template).expect("bound");
    assert_eq!(text.to_string(), "‹secret, 20 bytes›");
    assert_eq!(text.expose(), "user:DeviceSecretKey");
    let debug = format!("{bindings:?} {text:?}");
    assert!(!debug.contains("DeviceSecretKey") && !debug.contains("SecurePassword"), "{debug}");
}

#[rstest]
#[case::long("wifi_ssid=a network name of thirty-four byte", "34 bytes long: expected 1 to 32")]
#[case::newline("wifi_ssid=a\nb", "a line feed")]
#[case::nul("wifi_ssid=a\0b", "a NUL")]
#[case::number("number=007", "not a number")]
#[case::endpoint("mqtt_broker=broker.example.test", "no scheme")]
fn a_given_value_that_does_not_fit_is_refused(#[case] argument: &str, #[case] message: &str) {
    let mut given = Given::default();
    given.parse_set(&espvault(), argument).expect("taken, and judged later");
    let error = resolve(&given, Identity::Declared).expect_err(argument).to_string();
    assert!(error.contains(message), "{error}");
}

#[rstest]
#[case::no_equals("wifi_ssid", "expected KEY=VALUE")]
#[case::unknown("wifi_sid=x", "did you mean \"wifi_ssid\"?")]
#[case::secret("wifi_password=hunter2hunter2", "never goes through arguments")]
#[case::no_file("wifi_password=@missing/file", "cannot read missing/file")]
#[case::no_variable("wifi_password=$GOLDLINE_NO_SUCH_VARIABLE", "has no variable")]
fn an_argument_that_cannot_be_taken_is_refused(#[case] argument: &str, #[case] message: &str) {
    let error = Given::default().parse_set(&espvault(), argument).expect_err(argument).to_string();
    assert!(error.contains(message), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn an_argument_may_name_a_variable_and_not_the_same_value_twice() {
    let profile = espvault();
    let mut given = Given::default();
    given.parse_set(&profile, "wifi_ssid=$CARGO_PKG_NAME").expect("cargo sets it");
    let bindings = resolve(&given, Identity::Declared).expect("bound");
    assert_eq!(shown(&bindings, "wifi_ssid"), "goldline");
    let twice = given.parse_set(&profile, "wifi_ssid=other");
    assert!(matches!(twice, Err(GivenError::SetTwice { .. })), "{twice:?}");
}

#[rstest]
#[case::unknown_column("number,wifi_sid\n1,x\n", (1, 2), "did you mean \"wifi_ssid\"?")]
#[case::column_twice("number,number\n1,2\n", (1, 2), "a second column")]
#[case::too_few("number,wifi_ssid\n1,a\n2\n", (3, 1), "has 1 cells: expected 2")]
#[case::too_many("number\n1,hunter2\n", (2, 1), "has 2 cells: expected 1")]
#[case::same_unit("wifi_ssid,number\na,1\nb,2\nc,1\n", (4, 2), "line 2 has the same number")]
#[case::blank_lines("number,wifi_ssid\n\n\n1\n", (4, 1), "has 1 cells")]
#[case::empty("", (1, 1), "holds no unit")]
#[case::header_only("number\n", (1, 1), "holds no unit")]
fn a_file_of_units_is_refused_with_its_place(
    #[case] text: &str,
    #[case] place: (usize, usize),
    #[case] message: &str,
) {
    let error = Units::parse("units.csv", text.as_bytes(), &espvault()).expect_err("refused");
    assert_eq!((error.line, error.column), place, "{error}");
    assert!(error.to_string().contains(message) && !error.to_string().contains("hunter2"));
}

#[test]
fn units_may_be_quoted_and_come_from_a_spreadsheet() {
    let text = "\u{feff}number, wifi_ssid\r\n1,\"Hall 3, east\"\r\n2,\"say \"\"hi\"\"\"\r\n";
    let units = Units::parse("units.csv", text.as_bytes(), &espvault()).expect("valid");
    let ssids: Vec<_> = units
        .rows()
        .iter()
        .flat_map(|row| row.values().find(|(name, _)| *name == "wifi_ssid"))
        .map(|(_, text)| text.expose())
        .collect();
    assert_eq!(ssids, ["Hall 3, east", "say \"hi\""]);
    assert_eq!(units.rows()[1].line(), 3);
}

#[test]
fn units_that_are_no_text_are_refused_with_their_place() {
    let error = Units::parse("units.csv", b"number,wifi_ssid\n1,\xFF\n", &espvault())
        .expect_err("not UTF-8");
    assert_eq!((error.line, error.column), (2, 2), "{error}");
}

#[rstest]
#[case::no_toml("[services", (1, 10), "no TOML")]
#[case::section("[service.mqtt]\n", (1, 2), "did you mean \"services\"?")]
#[case::service("[services.mqt]\nurl = 1", (1, 11), "did you mean \"mqtt\"?")]
#[case::key("[services.wifi]\nssid = \"a\"\npasword = \"hunter2\"", (3, 1), "did you mean \"password\"?")]
#[case::no_url("[values]\n[services.mqtt]\n", (2, 1), "missing key `url` in [services.mqtt]")]
#[case::wrong_type("[services.ca]\nurl = 7", (2, 7), "`url` is integer: expected a text")]
#[case::clear_wifi("[services.wifi]\npassword = \"hunter2\"", (2, 12), "never stands in the station file")]
#[case::clear_token("[services.ca]\ntoken = \"hunter2\"", (2, 9), "never stands in the station file")]
#[case::clear_registry("[services.registry]\nurl = \"postgres://u:hunter2@h/d\"", (2, 7), "never stands in the station file")]
#[case::no_registry("[services.registry]\n", (1, 1), "missing key `url` in [services.registry]")]
#[case::config_server("[services.config_server]\ntoken = { env = \"A\" }", (1, 1), "missing key `url` in [services.config_server]")]
#[case::no_source("[values]\na = {}", (2, 5), "names 0 sources")]
#[case::two_sources("[values]\na = { env = \"A\", file = \"b\" }", (2, 5), "names 2 sources")]
#[case::source("[values]\na = { enf = \"A\" }", (2, 7), "did you mean \"env\"?")]
#[case::no_program("[values]\na = { command = [] }", (2, 17), "is empty")]
#[case::no_list("[values]\na = { command = \"pass show hunter2\" }", (2, 17), "a list of texts")]
#[case::requirement("[require]\nradios = true", (2, 1), "did you mean \"radio\"?")]
#[case::no_truth("[require]\nradio = \"yes\"", (2, 9), "`radio` is string: expected true or false")]
#[case::path_loss("[[nest]]\nname = \"1\"\ndevice = \"x\"\npath_loss_db = 121", (4, 16), "no number from 0 to 120")]
#[case::path_loss_text("[[nest]]\nname = \"1\"\ndevice = \"x\"\npath_loss_db = \"12\"", (4, 16), "no number from 0 to 120")]
#[case::calibrated_alone("[[nest]]\nname = \"1\"\ndevice = \"x\"\ncalibrated = 2026-11-01", (1, 1), "`calibrated` without `path_loss_db`")]
#[case::calibrated_text("[[nest]]\nname = \"1\"\ndevice = \"x\"\npath_loss_db = 1\ncalibrated = \"2026-11-01\"", (5, 14), "a day without quotes")]
#[case::calibrated_at("[[nest]]\nname = \"1\"\ndevice = \"x\"\npath_loss_db = 1\ncalibrated = 2026-11-01T10:00:00", (5, 14), "a day without quotes")]
#[case::days_alone("[[nest]]\nname = \"1\"\ndevice = \"x\"\npath_loss_db = 1\ncalibration_days = 9", (1, 1), "`calibration_days` without `calibrated`")]
#[case::hostapd("[network]\nhostap = \"/run/hostapd/wlan1\"", (2, 1), "did you mean \"hostapd\"?")]
#[case::not_a_table("values = \"hunter2\"", (1, 10), "`values` is string: expected a table")]
fn a_station_file_is_refused_with_its_place(
    #[case] text: &str,
    #[case] place: (usize, usize),
    #[case] message: &str,
) {
    let error = StationFile::parse("station.toml", text, "".as_ref()).expect_err("refused");
    let found = error.line_column();
    assert_eq!((found.line, found.column), place, "{error}");
    assert!(error.to_string().contains(message), "{error}");
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
}

#[test]
fn a_secret_of_the_station_comes_from_a_file_or_a_command() {
    let profile = espvault();
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("wifi"), "from the file\r\n").expect("written");
    let text = "[services.wifi]\npassword = { file = \"wifi\" }\n\
                [values]\nmqtt_password = { command = [\"printf\", \"from the command\"] }\n";
    let path = folder.path().join("station.toml");
    fs::write(&path, text).expect("written");
    let station = StationFile::load(&path).expect("valid");
    let mut given = Given::default();
    given.take_station(&profile, &station).expect("taken");
    let bindings = resolve(&given, Identity::Declared).expect("bound");
    assert_eq!(bindings.get("wifi_password").map(Text::expose), Some("from the file"));
    assert_eq!(bindings.get("mqtt_password").map(Text::expose), Some("from the command"));
}

#[test]
fn a_secret_in_the_clear_is_refused_when_the_profile_tells_it_is_one() {
    let station = station("[values]\nmqtt_password = \"hunter2\"\n");
    let error = Given::default().take_station(&espvault(), &station).expect_err("refused");
    assert!(matches!(error, GivenError::SecretInStationFile { .. }), "{error}");
    assert!(!format!("{error} {error:?} {station:?}").contains("hunter2"));
}

#[rstest]
#[case::fails("command = [\"false\"]", "false ended with")]
#[case::missing("command = [\"goldline-no-such-program\"]", "cannot run goldline-no-such-program")]
#[case::empty("command = [\"true\"]", "true is empty")]
fn a_command_that_gives_no_secret_is_refused(#[case] source: &str, #[case] message: &str) {
    let station = station(&format!("[values]\nmqtt_password = {{ {source} }}\n"));
    let error = Given::default().take_station(&espvault(), &station).expect_err("refused");
    assert!(error.to_string().contains(message), "{error}");
}

#[test]
fn a_source_is_not_read_for_a_value_that_is_given() {
    let profile = espvault();
    let station = station("[values]\nmqtt_broker = { command = [\"false\"] }\nother = \"x\"\n");
    let mut given = Given::default();
    given.parse_set(&profile, "mqtt_broker=mqtts://broker.example.test:1").expect("taken");
    given.take_station(&profile, &station).expect("the command is not run");
}

#[test]
fn a_text_compares_and_gives_its_fingerprint() {
    let text = Text::secret(Secret::new("hunter2"));
    assert_eq!(text.as_secret(), &Secret::new("hunter2"));
    assert_ne!(text, Text::public("hunter2"));
}

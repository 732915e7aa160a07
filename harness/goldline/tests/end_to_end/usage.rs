//! What is refused with exit code 2, and that nothing is touched then.

use std::{
    fs::{self, File},
    io::Read,
    os::unix::fs::PermissionsExt,
};

use rstest::rstest;
use rustix::{
    fs::{OFlags, fcntl_setfl},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
};

use super::program::{Ended, PROFILE, Station};

/// Asserts a refusal that says `message`, and that it left neither state nor a unit's flash behind.
fn assert_refused(station: &Station, ended: &Ended, message: &str) {
    assert_eq!(ended.code(), 2, "{ended:?}");
    assert_eq!(ended.stdout, "", "a refusal goes to standard error");
    assert!(ended.said().contains(message), "no \"{message}\" in {}", ended.said());
    for touched in ["state", "home", "unit.flash", "report"] {
        assert!(!station.path(touched).exists(), "it touched {touched}");
    }
}

#[rstest]
#[case::command(&["probe"], "probe")]
#[case::no_command(&[], "Usage")]
#[case::option(&["run", "--twice"], "--twice")]
fn arguments_that_are_none(#[case] arguments: &[&str], #[case] message: &str) {
    let station = Station::new();
    assert_refused(&station, &station.goldline(arguments), message);
}

#[rstest]
#[case::profile(&["espvalt"], "unknown profile \"espvalt\"")]
#[case::profile_with_a_near_name(&["espvalt"], "did you mean")]
#[case::profile_file(&["missing.toml"], "cannot read missing.toml")]
#[case::fault(&["--fault", "flash.app_bits"], "unknown fault \"flash.app_bits\"")]
#[case::device(&["--device", "usb:1"], "unknown device \"usb:1\"")]
#[case::device_option(&["--device", "simulator:?color=red"], "unknown option \"color\"")]
#[case::device_mac(&["--device", "simulator:?mac=12"], "expected a MAC address")]
#[case::device_chip(&["--device", "simulator:?chip=esp8266"], "esp8266")]
#[case::device_baud(&["--device", "simulator:?baud=fast"], "\"fast\"")]
#[case::device_flash_file(&["--device", "simulator:?flash-file="], "expected the path of a file")]
#[case::station_file(&["--station", "missing.toml"], "missing.toml:1:1: cannot read the file")]
#[case::units_file(&["--units", "missing.csv"], "missing.csv:1:1: cannot read the file")]
#[case::set_without_value(&["--set", "wifi_ssid"], "expected KEY=VALUE")]
#[case::set_of_an_unknown_value(&["--set", "wifi_sid=Shop"], "did you mean")]
#[case::set_twice(&["--set", "number=1", "--set", "number=2"], "twice")]
#[case::set_of_a_missing_file(&["--set", "wifi_password=@missing"], "cannot read missing")]
#[case::set_of_a_missing_variable(&["--set", "wifi_password=$MISSING"], "no variable MISSING")]
#[case::secret_in_the_arguments(&["--set", "wifi_password=hunter2hunter2"], "never goes through arguments")]
fn a_request_that_cannot_be_met(
    #[values("run", "provision", "check")] command: &str,
    #[case] arguments: &[&str],
    #[case] message: &str,
) {
    let station = Station::new();
    let common = ["--json", "--out", "report"];
    let ended = station.unit([&[command], arguments, &common].concat());
    assert_refused(&station, &ended, message);
}

/// Whoever mistypes `--set` must not find the secret in a log of the shell's errors.
#[test]
fn a_refused_secret_is_not_repeated() {
    let station = Station::new();
    for setting in ["wifi_password=MarkerOfASecret", "wifi_pasword=MarkerOfASecret"] {
        let ended = station.unit(["run", "--set", setting]);
        assert_refused(&station, &ended, "wifi_pas");
        assert!(!ended.stderr.contains("MarkerOfASecret"), "{}", ended.stderr);
    }
}

#[rstest]
#[case::unknown_key("title = ", "titel = ", "9:1: unknown key `titel`")]
#[case::bad_offset("offset = 0xf000", "offset = 0xf800", "0xf800")]
#[case::overlap("offset = 0xf000", "offset = 0xe000", "overlap")]
#[case::ssid_too_long(
    "sample = \"ProductionWiFi\"",
    "sample = \"A network whose name has 33 bytes\"",
    "33 bytes"
)]
#[case::no_toml("schema = 1", "schema = = 1", ":7:10:")]
fn a_profile_with_a_mistake_is_refused_at_its_place(
    #[case] old: &str,
    #[case] new: &str,
    #[case] message: &str,
    #[values(&["run"], &["profile", "check"])] command: &[&str],
) {
    let station = Station::new();
    assert!(PROFILE.contains(old));
    let edited = PROFILE.replacen(old, new, 1);
    let line = edited.lines().position(|line| line.contains(new)).expect("the edit") + 1;
    station.write("espvault.toml", edited);
    let mut asked = station.command();
    let ended =
        Ended::of(asked.args(command).arg("espvault.toml").env("GOLDLINE_STATE", station.state()));
    assert_refused(&station, &ended, message);
    let place = format!("espvault.toml:{line}:");
    assert!(ended.said().contains(&place), "no {place} in {}", ended.said());
}

#[rstest]
#[case::too_few("wifi_ssid\nShop\n", "1 units for 2 devices")]
#[case::too_many("wifi_ssid\nA\nB\nC\n", "3 units for 2 devices")]
#[case::none("wifi_ssid\n", "holds no unit")]
#[case::unknown_column("wifi_sid\nA\nB\n", "units.csv:1:1: the profile has no value \"wifi_sid\"")]
#[case::ragged("wifi_ssid,number\nA,1\nB\n", "units.csv:3:")]
#[case::same_unit("number\n7\n7\n", "the same number")]
fn rows_that_do_not_fit_the_devices(#[case] rows: &str, #[case] message: &str) {
    let station = Station::new();
    station.write("units.csv", rows);
    let devices = ["--device", "simulator:", "--device", "simulator:"];
    let ended = station.unit(["run", "--units", "units.csv"].into_iter().chain(devices));
    assert_refused(&station, &ended, message);
}

#[rstest]
#[case::secret_in_the_clear(
    "[values]\nwifi_password = \"MarkerOfASecret\"\n",
    "stands in the clear"
)]
#[case::unknown_key("[service]\n", "station.toml:1:2: unknown key `service`")]
fn a_station_file_with_a_mistake(#[case] text: &str, #[case] message: &str) {
    let station = Station::new();
    station.write("station.toml", text);
    let ended = station.unit(["run", "--station", "station.toml"]);
    assert_refused(&station, &ended, message);
    assert!(!ended.stderr.contains("MarkerOfASecret"), "{}", ended.stderr);
}

#[test]
fn a_state_directory_that_others_can_read() {
    let station = Station::new();
    fs::create_dir(station.state()).expect("a folder");
    fs::set_permissions(station.state(), fs::Permissions::from_mode(0o755)).expect("chmod");
    let ended = station.unit(["run"]);
    assert_eq!((ended.code(), ended.stdout.as_str()), (3, ""), "{ended:?}");
    assert!(ended.said().contains("chmod 700"), "{}", ended.said());
    assert_eq!(station.files(&station.state()), Vec::<std::path::PathBuf>::new());
}

/// The profile with the product's own firmware in place of the model.
fn profile_with_firmware(station: &Station) {
    let own = PROFILE.replacen("{ model = \"espvault\" }", "{ file = \"app.elf\" }", 1);
    station.write("espvault.toml", own);
}

/// A port that exists; what arrives there can be read.
fn existing_port() -> (File, String) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo terminal");
    grantpt(&master).expect("its rights");
    unlockpt(&master).expect("its lock");
    fcntl_setfl(&master, OFlags::NONBLOCK).expect("a flag");
    let name = ptsname(&master, Vec::new()).expect("its name");
    (File::from(master), name.into_string().expect("UTF-8"))
}

#[rstest]
#[case::no_profile(&["run"], "a real port needs its profile named")]
#[case::firmware_model(&["run", "espvault"], "runs in the simulator only")]
#[case::firmware_model_to_provision(&["provision", "espvault"], "runs in the simulator only")]
#[case::fault(&["provision", "espvault.toml", "--fault", "flash.app_bit"], "is for simulated units")]
#[case::fault_of_the_testbed(&["provision", "espvault.toml", "--fault", "broker.down"], "is for simulated units")]
#[case::samples(&["provision", "espvault.toml"], "is not given")]
#[case::no_way_to_the_bench(&["run", "espvault.toml"], "a real unit cannot reach")]
fn a_real_port_gets_nothing_that_is_made_up(
    #[case] arguments: &[&str],
    #[case] message: &str,
    #[values(true, false)] exists: bool,
) {
    let station = Station::new();
    profile_with_firmware(&station);
    let (mut port, name) = existing_port();
    let name = if exists { name } else { "/dev/ttyS99".to_owned() };
    let ended = station.unit([arguments, &["--device", &name]].concat());
    assert_refused(&station, &ended, message);
    let mut byte = [0];
    let arrived = port.read(&mut byte).map_err(|error| error.kind());
    assert!(matches!(arrived, Err(_) | Ok(0)), "the port was written to");
}

#[test]
fn a_real_port_of_the_environment_needs_its_profile_too() {
    let station = Station::new();
    let mut command = station.unit_command(["run"]);
    let ended = Ended::of(command.env("GOLDLINE_DEVICE", "/dev/ttyS99"));
    assert_refused(&station, &ended, "a real port needs its profile named");
}

/// What idf.py and esptool take is taken, where nothing else is named, and said.
#[rstest]
#[case::idf("ESPPORT", "ESPBAUD")]
#[case::esptool("ESPTOOL_PORT", "ESPTOOL_BAUD")]
fn the_port_of_espressifs_variables_needs_its_profile_too(#[case] port: &str, #[case] baud: &str) {
    let station = Station::new();
    let run = |arguments: &[&str]| {
        let mut command = station.unit_command(["run"].iter().chain(arguments));
        Ended::of(command.env(port, "/dev/ttyS99").env(baud, "921600"))
    };
    let ended = run(&[]);
    assert_refused(&station, &ended, "a real port needs its profile named");
    let taken = format!("device serial:/dev/ttyS99?baud=921600 (of {port} and {baud})");
    assert!(ended.said().contains(&taken), "{ended:?}");
    let ended = run(&["--device", "simulator:", "--dry-run"]);
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""), "{ended:?}");
    let mut command = station.unit_command(["run", "--dry-run"]);
    let ended = Ended::of(command.env(port, "/dev/ttyS99").env("GOLDLINE_DEVICE", "simulator:"));
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""), "{ended:?}");
}

#[test]
fn a_rate_of_the_environment_that_is_none_is_refused() {
    let station = Station::new();
    let mut command = station.unit_command(["provision", "espvault"]);
    let ended = Ended::of(command.env("ESPPORT", "/dev/ttyS99").env("ESPBAUD", "fast"));
    assert_refused(
        &station,
        &ended,
        "ESPBAUD is \"fast\": expected a baud rate from 300 to 6000000",
    );
    let mut command = station.unit_command(["run", "--dry-run"]);
    let ended = Ended::of(command.env("ESPBAUD", "fast"));
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""), "no port, no rate: {ended:?}");
}

/// Two runs of one unit at once would each judge what the other does to it.
#[rstest]
#[case::flash_file(
    "simulator:?flash-file=unit.flash",
    "simulator:?flash-file=unit.flash&pace=false"
)]
#[case::mac("simulator:?mac=a4:cf:12:00:00:01", "simulator:?mac=A4:CF:12:00:00:01")]
#[case::mac_of_the_default("simulator:", "simulator:?mac=24:0a:c4:00:01:10")]
fn one_simulated_unit_is_not_two(#[case] one: &str, #[case] other: &str) {
    let station = Station::new();
    let ended = station.unit(["run", "--device", one, "--device", other]);
    assert_refused(&station, &ended, "are the same unit");
}

#[rstest]
#[case::folder("folder", "folder is a folder, not a port")]
#[case::file("serial:file?reset=none", "file is a file, not a port")]
fn what_is_no_port_is_found_before_anything_is_asked(
    #[values("run", "provision")] command: &str,
    #[case] device: &str,
    #[case] message: &str,
) {
    let station = Station::new();
    fs::create_dir(station.path("folder")).expect("a folder");
    station.write("file", "no port");
    let device = device.replace("folder", &station.path("folder").display().to_string());
    let ended = station.unit([command, "espvault", "--device", &device]);
    assert_refused(&station, &ended, message);
    assert!(ended.said().contains("/dev/serial/by-id"), "{}", ended.said());
}

#[test]
fn one_real_port_is_not_two_units() {
    let station = Station::new();
    let twice = ["--device", "/dev/ttyS99", "--device", "/dev/ttyS99"];
    let ended = station.unit(["run", "espvault"].into_iter().chain(twice));
    assert_refused(&station, &ended, "are the same unit");
}

/// A station's first number must not be lost to a typing error.
#[rstest]
#[case::too_long("wifi_ssid=A network whose name has 33 bytes", "33 bytes long: expected 1 to 32")]
#[case::too_short("wifi_password=@seven", "7 bytes long: expected 8 to 64")]
#[case::line_break("wifi_ssid=two\nlines", "which no value may hold")]
#[case::carriage_return("wifi_ssid=two\rlines", "which no value may hold")]
#[case::line_break_in_a_file("wifi_password=@two_lines", "which no value may hold")]
#[case::nul_in_a_file("wifi_password=@nul", "which no value may hold")]
#[case::no_number("number=seven", "is not a number")]
#[case::no_broker("mqtt_broker=prod.broker.com", "the broker's address cannot be used")]
fn a_value_that_does_not_fit(
    #[values("run", "provision")] command: &str,
    #[case] setting: &str,
    #[case] message: &str,
) {
    let station = Station::new();
    station.write("seven", "1234567\n");
    station.write("two_lines", "first line\nsecond line");
    station.write("nul", "before\0after");
    let ended = station.unit([command, "--lot", "A", "--set", setting]);
    assert_refused(&station, &ended, message);
}

/// It was found when the services started, as an ERROR of the station's state.
#[rstest]
#[case::scheme("ca_url=htps://ca.example.test:8443", "does not start with http:// or https://")]
#[case::no_scheme("ca_url=ca.example.test", "does not start with http:// or https://")]
#[case::no_port("ca_url=https://ca.example.test:x", "a service's address cannot be used")]
#[case::broker(
    "mqtt_broker=mqts://broker.example.test:8883",
    "the broker's address cannot be used"
)]
fn an_address_with_a_slip(
    #[values("run", "provision")] command: &str,
    #[case] setting: &str,
    #[case] message: &str,
) {
    let station = Station::new();
    let profile = if setting.starts_with("ca_url") { "zeroconf" } else { "espvault" };
    let ended = station.unit([command, profile, "--set", setting]);
    assert_refused(&station, &ended, message);
}

#[test]
fn a_cell_that_does_not_fit() {
    let station = Station::new();
    station.write("units.csv", "wifi_ssid\nShop\n\"two\nlines\"\n");
    let devices = ["--device", "simulator:", "--device", "simulator:"];
    let ended = station.unit(["run", "--units", "units.csv"].into_iter().chain(devices));
    assert_refused(&station, &ended, "which no value may hold");
}

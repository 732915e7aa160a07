//! What is said of a unit with a known defect, and of a sound one on a defective bench.

use std::{fs, path::Path};

use rstest::rstest;
use serde_json::Value;

use super::program::{PROFILE, Station, check};

/// What the program says of the default unit with these faults.
fn verdict(faults: &[&str]) -> (i32, Value) {
    let station = Station::new();
    let faults = faults.iter().flat_map(|name| ["--fault", name]);
    let ended = station.unit(["run", "--json"].into_iter().chain(faults));
    let record = ended.json();
    let explained = &record["diagnosis"];
    for sentence in ["message", "action"] {
        let sentence = explained[sentence].as_str().expect("a diagnosis speaks in sentences");
        assert!(sentence.len() > 10, "it says too little: {explained}");
    }
    (ended.code(), record)
}

fn outcomes(record: &Value) -> Vec<&str> {
    let checks = record["checks"].as_array().expect("a record has checks");
    checks.iter().map(|check| check["outcome"].as_str().expect("a word")).collect()
}

#[rstest]
#[case::flash_app_bit("flash.app_bit", "flash_integrity", "flash.region_differs")]
#[case::flash_nvs_bit("flash.nvs_bit", "nvs_readback", "nvs.damaged")]
#[case::flash_nvs_key_missing("flash.nvs_key_missing", "nvs_readback", "nvs.key_missing")]
#[case::firmware_wifi_password("firmware.wifi_password", "wifi_join", "wifi.wrong_password")]
#[case::radio_deaf("radio.deaf", "wifi_join", "wifi.access_point_not_found")]
#[case::firmware_mqtt_password("firmware.mqtt_password", "mqtt_connect", "mqtt.bad_credentials")]
#[case::firmware_wrong_ca("firmware.wrong_ca", "mqtt_connect", "mqtt.server_untrusted")]
#[case::firmware_boot_loop("firmware.boot_loop", "wifi_join", "boot.loop")]
fn a_bad_unit_fails_with_its_reason(
    #[case] fault: &str,
    #[case] expected: &str,
    #[case] code: &str,
) {
    let (exit, record) = verdict(&[fault]);
    assert_eq!((exit, &record["verdict"]), (1, &Value::from("FAIL")), "{record:#}");
    assert_eq!(record["diagnosis"]["code"], code, "{record:#}");
    let blamed = check(&record, expected);
    assert_eq!((&blamed["outcome"], &blamed["diagnosis"]["code"]), (&"fail".into(), &code.into()));
    let failed = outcomes(&record).into_iter().filter(|outcome| *outcome == "fail").count();
    assert_eq!(failed, 1, "one defect fails one check: {record:#}");
}

/// A FAIL that depends on a service of the bench names who saw that service sound.
#[rstest]
#[case::firmware_wifi_password("firmware.wifi_password", "wifi_join")]
#[case::radio_deaf("radio.deaf", "wifi_join")]
#[case::firmware_mqtt_password("firmware.mqtt_password", "mqtt_connect")]
#[case::firmware_wrong_ca("firmware.wrong_ca", "mqtt_connect")]
fn a_unit_is_blamed_on_a_witness_only(#[case] fault: &str, #[case] blamed: &str) {
    let (_, record) = verdict(&[fault]);
    let evidence = check(&record, blamed)["evidence"].as_array().expect("evidence");
    let witnessed = |line: &&Value| line.as_str().is_some_and(|line| line.starts_with("witness: "));
    assert_eq!(evidence.iter().filter(witnessed).count(), 1, "{evidence:?}");
}

#[rstest]
#[case::ap_absent("ap.absent", "wifi_join", "testbed.access_point")]
#[case::ap_password("ap.password", "wifi_join", "testbed.access_point")]
#[case::broker_unknown_ca("broker.unknown_ca", "mqtt_connect", "testbed.broker")]
#[case::broker_down("broker.down", "mqtt_connect", "testbed.broker")]
fn a_bad_testbed_is_never_the_units_fault(
    #[case] fault: &str,
    #[case] expected: &str,
    #[case] code: &str,
) {
    let (exit, record) = verdict(&[fault]);
    assert_eq!((exit, &record["verdict"]), (3, &Value::from("ERROR")), "{record:#}");
    assert_eq!(record["diagnosis"]["code"], code, "{record:#}");
    assert_eq!(check(&record, expected)["outcome"], "error", "{record:#}");
    assert!(!outcomes(&record).contains(&"fail"), "{record:#}");
}

#[rstest]
#[case::wire_silent("wire.silent", "port.no_answer")]
#[case::wire_vanish("wire.vanish", "port.vanished")]
fn a_bad_wire_says_nothing_of_the_unit(#[case] fault: &str, #[case] code: &str) {
    let (exit, record) = verdict(&[fault]);
    assert_eq!((exit, &record["verdict"]), (3, &Value::from("ERROR")), "{record:#}");
    assert_eq!(record["diagnosis"]["code"], code, "{record:#}");
    assert_eq!(outcomes(&record), ["not_run"; 5], "{record:#}");
}

/// The bench is broken where the unit is: nobody can tell whether the unit is bad.
#[rstest]
#[case::firmware_mqtt_password_with_broker_down(&["firmware.mqtt_password", "broker.down"], "testbed.broker")]
#[case::firmware_mqtt_password_with_broker_unknown_ca(&["firmware.mqtt_password", "broker.unknown_ca"], "testbed.broker")]
#[case::firmware_wrong_ca_with_broker_down(&["firmware.wrong_ca", "broker.down"], "testbed.broker")]
#[case::firmware_wrong_ca_with_broker_unknown_ca(&["firmware.wrong_ca", "broker.unknown_ca"], "testbed.broker")]
#[case::radio_deaf_with_ap_absent(&["radio.deaf", "ap.absent"], "testbed.access_point")]
#[case::firmware_wifi_password_with_ap_password(&["firmware.wifi_password", "ap.password"], "testbed.access_point")]
#[case::firmware_mqtt_password_with_ap_absent(&["firmware.mqtt_password", "ap.absent"], "testbed.access_point")]
#[case::wire_vanish_with_broker_down(&["wire.vanish", "broker.down"], "port.vanished")]
fn a_unit_is_not_blamed_where_the_bench_is_broken(#[case] faults: &[&str], #[case] code: &str) {
    let (exit, record) = verdict(faults);
    assert_eq!((exit, &record["verdict"]), (3, &Value::from("ERROR")), "{record:#}");
    assert_eq!(record["diagnosis"]["code"], code, "{record:#}");
    assert!(!outcomes(&record).contains(&"fail"), "{record:#}");
}

/// The bench is broken elsewhere: the unit's own defect stands.
#[rstest]
#[case::flash_app_bit_with_broker_down(&["flash.app_bit", "broker.down"], "flash.region_differs")]
#[case::flash_nvs_bit_with_ap_absent(&["flash.nvs_bit", "ap.absent"], "nvs.damaged")]
#[case::firmware_boot_loop_with_ap_absent(&["firmware.boot_loop", "ap.absent"], "boot.loop")]
#[case::radio_deaf_with_broker_down(&["radio.deaf", "broker.down"], "wifi.access_point_not_found")]
fn a_witnessed_fail_outranks_an_error(#[case] faults: &[&str], #[case] code: &str) {
    let (exit, record) = verdict(faults);
    assert_eq!((exit, &record["verdict"]), (1, &Value::from("FAIL")), "{record:#}");
    assert_eq!(record["diagnosis"]["code"], code, "{record:#}");
}

#[test]
fn every_defect_of_the_flash_is_named() {
    let (_, record) = verdict(&["flash.app_bit", "flash.nvs_bit"]);
    assert_eq!(outcomes(&record)[..2], ["fail", "fail"], "{record:#}");
    assert_eq!(check(&record, "flash_integrity")["diagnosis"]["code"], "flash.region_differs");
    assert_eq!(check(&record, "nvs_readback")["diagnosis"]["code"], "nvs.damaged");
}

/// Nothing of it is erased once it was started, as with `test_then_final`, which finds it (`finals.rs`).
#[test]
fn a_flash_that_wears_out_later_harms_no_unit_that_is_written_before() {
    let ended = Station::new().unit(["run", "--json", "--fault", "flash.worn_out"]);
    assert_eq!((ended.code(), &ended.json()["verdict"]), (0, &"PASS".into()), "{ended:?}");
}

/// A unit with bad flash is not booted: what it did then would be no evidence of anything.
#[test]
fn a_unit_with_bad_flash_is_not_booted() {
    let (_, record) = verdict(&["flash.app_bit"]);
    assert_eq!(outcomes(&record)[2..], ["not_run"; 3], "{record:#}");
    let stages = record["stages"].as_array().expect("stages");
    assert!(stages.iter().all(|stage| stage["name"] != "boot"), "{stages:?}");
}

/// The default unit with a fault, and deadlines that a silent unit does not stretch.
fn hasty_verdict(fault: &str) -> (i32, Value) {
    let station = Station::new();
    let hasty = PROFILE
        .replace("boot_s = 10", "boot_s = 5")
        .replace("wifi_s = 20", "wifi_s = 3")
        .replace("mqtt_s = 20", "mqtt_s = 3");
    station.write("espvault.toml", hasty);
    let ended = station.unit(["run", "espvault.toml", "--json", "--fault", fault]);
    (ended.code(), ended.json())
}

/// The faults that no product of the first kind is named for; each is found all the same.
#[rstest]
#[case::stuck_bit("flash.stuck_bit", "flash_integrity", "flash.region_differs")]
#[case::weak_sector("flash.weak_sector", "flash_integrity", "flash.region_differs")]
#[case::erase_failed("flash.erase_failed", "flash_integrity", "flash.region_differs")]
#[case::wrong_size("flash.wrong_size", "flash_integrity", "chip.mismatch")]
#[case::wrong_chip("chip.wrong_chip", "flash_integrity", "chip.mismatch")]
#[case::blank_address("chip.wrong_mac", "flash_integrity", "chip.mac_invalid")]
#[case::encrypted("chip.encrypted", "wifi_join", "boot.loop")]
#[case::brown_out("chip.brown_out", "wifi_join", "boot.loop")]
#[case::watchdog("chip.watchdog", "wifi_join", "boot.loop")]
#[case::key_ignored("firmware.key_ignored", "wifi_join", "firmware.configuration")]
#[case::setting_ignored("firmware.setting_ignored", "mqtt_connect", "mqtt.not_connected")]
#[case::wrong_client_id("firmware.wrong_client_id", "mqtt_connect", "mqtt.identity_differs")]
#[case::stuck("firmware.stuck", "mqtt_connect", "mqtt.not_connected")]
#[case::weak("radio.weak", "wifi_join", "wifi.out_of_limits")]
#[case::drops("radio.drops", "wifi_join", "wifi.not_joined")]
#[case::no_ip("radio.no_ip", "wifi_join", "wifi.not_joined")]
#[case::clock_not_set("time.not_set", "mqtt_connect", "mqtt.server_untrusted")]
fn every_other_defect_of_the_unit_fails_by_its_name(
    #[case] fault: &str,
    #[case] expected: &str,
    #[case] code: &str,
) {
    let (exit, record) = hasty_verdict(fault);
    assert_eq!((exit, &record["verdict"]), (1, &Value::from("FAIL")), "{record:#}");
    assert_eq!(record["diagnosis"]["code"], code, "{record:#}");
    assert_eq!(check(&record, expected)["diagnosis"]["code"], code, "{record:#}");
}

/// A byte that is lost may be seen as one that does not come in time, and one too many may hide the next.
#[rstest]
#[case::dropped("wire.drop")]
#[case::duplicated("wire.duplicate")]
#[case::corrupted("wire.corrupt")]
fn noise_all_over_the_wire_says_nothing_of_the_unit(#[case] fault: &str) {
    let (exit, record) = hasty_verdict(fault);
    assert_eq!((exit, &record["verdict"]), (3, &Value::from("ERROR")), "{record:#}");
    let code = record["diagnosis"]["code"].as_str().expect("a code");
    assert!(["port.garbled", "port.timeout"].contains(&code), "{record:#}");
}

#[rstest]
// The stub's greeting does not come, which is no damage.
#[case::stub_refused("chip.stub_refused", "port.timeout")]
#[case::usb_vanishes("chip.usb_vanishes", "port.unusable")]
fn a_loader_out_of_reach_says_nothing_of_the_unit(#[case] fault: &str, #[case] code: &str) {
    let (exit, record) = hasty_verdict(fault);
    assert_eq!((exit, &record["verdict"]), (3, &Value::from("ERROR")), "{record:#}");
    assert_eq!(record["diagnosis"]["code"], code, "{record:#}");
}

/// What does no harm.
#[rstest]
#[case::slow_wire("wire.delay")]
#[case::one_late_answer("wire.late_once")]
#[case::late_answers("wire.late")]
#[case::one_bit("wire.bit")]
#[case::a_bit_in_a_digest("wire.bit_digest")]
#[case::a_bit_in_the_address("wire.bit_mac")]
#[case::a_bit_in_a_line("wire.bit_console")]
#[case::a_bit_in_a_request("wire.bit_request")]
#[case::a_wire_for_low_rates("wire.fast_rate")]
#[case::a_unit_that_hears_low_rates("wire.deaf_rate")]
#[case::slow_boot("firmware.slow_boot")]
fn a_harmless_fault_passes(#[case] fault: &str) {
    let (exit, record) = hasty_verdict(fault);
    assert_eq!((exit, &record["verdict"]), (0, &Value::from("PASS")), "{record:#}");
}

/// EspVault's firmware makes no id of its address, calls no CA service, takes no update and has neither
/// console nor portal, and its list looks for no other broker: a PASS with a fault of those would say
/// nothing.
#[rstest]
#[case::short_id("firmware.id_drops_zeros")]
#[case::no_ca_call("firmware.ca_call_missing")]
#[case::ca_call_with_another_key("firmware.ca_call_wrong_psk")]
#[case::credulous("firmware.any_certificate")]
#[case::a_bit_in_what_is_typed("wire.bit_typed")]
#[case::silent_console("firmware.console_silent")]
#[case::late_console("firmware.console_late")]
#[case::garbled_console("firmware.console_garbled")]
#[case::interleaved_console("firmware.console_interleaved")]
#[case::careless_reset("firmware.reset_leaves_credentials")]
#[case::saves_nothing("firmware.save_failed")]
#[case::portal_saves_nothing("firmware.portal_save_failed")]
#[case::portal_forgets("firmware.portal_forgets")]
#[case::portal_silent("firmware.portal_silent")]
#[case::ignores_updates("firmware.ota_ignored")]
#[case::stays_in_its_slot("firmware.ota_no_switch")]
#[case::updates_over_its_data("firmware.ota_erases_nvs")]
fn a_fault_that_the_product_cannot_show_is_refused(#[case] fault: &str) {
    let ended = Station::new().unit(["run", "--fault", fault]);
    assert_eq!(ended.code(), 2, "{ended:?}");
    let lacks = format!("{fault}: the profile espvault cannot show it: it has no ");
    assert!(ended.stderr.contains(&lacks), "{ended:?}");
}

/// In an encrypted NVS it hit an entry by chance, or none: then a sound unit passed under its name.
#[rstest]
fn no_entry_is_damaged_where_none_can_be_found(
    #[values("espvault-hmac", "espvault-encrypted", "safesignal-certificates")] profile: &str,
    #[values("flash.nvs_bit", "flash.nvs_key_missing")] fault: &str,
) {
    let ended = Station::new().unit(["run", profile, "--fault", fault]);
    assert_eq!(ended.code(), 2, "{ended:?}");
    assert!(ended.said().contains("it has no NVS in the clear"), "{ended:?}");
}

/// Another task's log line in the middle of each answer is no defect of a unit.
#[test]
fn an_answer_that_log_lines_break_is_one() {
    let (exit, record) = verdict_of("safesignal", "firmware.console_interleaved");
    assert_eq!((exit, &record["verdict"]), (0, &Value::from("PASS")), "{record:#}");
}

/// The bit lay in an entry of a driver's, which the driver wrote anew: a sound unit in the end, and a PASS.
#[rstest]
fn a_bit_in_nvs_is_one_of_the_products_own_values(#[values(0, 2, 3, 9)] seed: u64) {
    let (station, seed) = (Station::new(), seed.to_string());
    let faults = ["--fault", "flash.nvs_bit", "--seed", &seed];
    let ended = station.unit(["run", "ble-gateway", "--json"].into_iter().chain(faults));
    assert_eq!(ended.code(), 1, "{:#}", ended.json());
}

/// A part of a product is not the whole of it: a console that only prints, a portal that is not used.
#[rstest]
#[case("ble-gateway", "firmware.console_silent", "dialogue with a console")]
#[case("ble-gateway-factory", "firmware.portal_forgets", "web portal")]
#[case("zeroconf-ca", "firmware.ca_call_missing", "CA that the unit calls")]
#[case("zeroconf-ca-console", "firmware.save_failed", "values that only its console stores")]
#[case("zeroconf-ca", "firmware.reset_leaves_credentials", "factory reset")]
fn what_a_product_lacks_is_said(#[case] profile: &str, #[case] fault: &str, #[case] lacks: &str) {
    let ended = Station::new().unit(["run", profile, "--fault", fault]);
    assert_eq!(ended.code(), 2, "{ended:?}");
    assert!(ended.stderr.contains(lacks), "{ended:?}");
}

/// The faults of what EspVault's firmware has not, on a product that has it.
#[rstest]
#[case::short_id("ble-gateway", "firmware.id_drops_zeros", "device_id.differs")]
#[case::credulous("ble-gateway", "firmware.any_certificate", "mqtt.trusts_anyone")]
#[case::portal_saves_nothing("ble-gateway", "firmware.portal_save_failed", "portal.refused")]
#[case::portal_stays_open("ble-gateway", "firmware.portal_stays_open", "interface.still_on")]
#[case::portal_forgets("ble-gateway", "firmware.portal_forgets", "nvs.key_missing")]
#[case::portal_silent("ble-gateway", "firmware.portal_silent", "portal.unreachable")]
#[case::ignores_updates("ble-gateway", "firmware.ota_ignored", "ota.failed")]
#[case::stays_in_its_slot("ble-gateway", "firmware.ota_no_switch", "ota.failed")]
#[case::takes_tampered("ble-gateway", "firmware.ota_takes_tampered", "ota.accepted_bad_image")]
#[case::takes_unsigned("ble-gateway", "firmware.ota_takes_unsigned", "ota.accepted_bad_image")]
#[case::takes_another_chips(
    "ble-gateway",
    "firmware.ota_takes_wrong_chip",
    "ota.accepted_bad_image"
)]
#[case::takes_older("ble-gateway", "firmware.ota_takes_older", "ota.accepted_bad_image")]
#[case::updates_over_its_data("ble-gateway", "firmware.ota_erases_nvs", "nvs.key_missing")]
#[case::talkative("ble-gateway", "firmware.secret_in_log", "secret.in_log")]
#[case::silent_console("safesignal", "firmware.console_silent", "console.no_answer")]
#[case::late_console("safesignal", "firmware.console_late", "console.no_answer")]
#[case::garbled("safesignal", "firmware.console_garbled", "console.unexpected_answer")]
#[case::careless_reset("safesignal", "firmware.reset_leaves_credentials", "factory_reset.leftover")]
#[case::saves_nothing("safesignal", "firmware.save_failed", "nvs.key_missing")]
#[case::another_key("espvault-hmac", "chip.other_hmac_key", "firmware.configuration")]
#[case::with_another_key("safesignal-certificates", "chip.other_hmac_key", "nvs.of_another_unit")]
#[case::silent_at("zeroconf-ca", "firmware.console_silent", "console.no_answer")]
#[case::no_ca_call("zeroconf", "firmware.ca_call_missing", "ca.not_registered")]
#[case::ca_call_with_another_key("zeroconf", "firmware.ca_call_wrong_psk", "ca.not_registered")]
fn a_defect_of_another_product_fails_by_its_name(
    #[case] profile: &str,
    #[case] fault: &str,
    #[case] code: &str,
) {
    let (exit, record) = verdict_of(profile, fault);
    assert_eq!((exit, &record["verdict"]), (1, &Value::from("FAIL")), "{record:#}");
    assert_eq!(record["diagnosis"]["code"], code, "{record:#}");
}

/// The bench's own CA, config server and clock.
#[rstest]
#[case::ca_down("zeroconf-ca", "ca.down", "ca.unreachable")]
#[case::ca_timeout("zeroconf-ca", "ca.timeout", "ca.unreachable")]
#[case::ca_http_500("zeroconf-ca", "ca.http_500", "ca.refused")]
#[case::ca_http_401("zeroconf-ca", "ca.http_401", "ca.refused")]
#[case::ca_refuses("zeroconf-ca", "ca.refuses", "ca.refused")]
#[case::ca_malformed("zeroconf-ca", "ca.malformed", "ca.malformed")]
#[case::ca_other_key("espvault-certificates", "ca.other_key", "ca.certificate_wrong")]
#[case::ca_other_device("zeroconf-ca", "ca.other_device", "ca.certificate_wrong")]
#[case::ca_other_ca("zeroconf-ca", "ca.other_ca", "ca.certificate_wrong")]
#[case::ca_expired("zeroconf-ca", "ca.expired", "ca.certificate_expired")]
#[case::ca_expires_soon("zeroconf-ca", "ca.expires_soon", "ca.certificate_expired")]
#[case::config_down("ble-gateway", "config.down", "config.unreachable")]
#[case::config_http_500("ble-gateway", "config.http_500", "config.refused")]
#[case::config_malformed("ble-gateway", "config.malformed", "config.malformed")]
#[case::config_wrong_password("ble-gateway", "config.wrong_password", "config.malformed")]
#[case::config_other_device("ble-gateway", "config.other_device", "config.malformed")]
#[case::config_no_user("ble-gateway", "config.no_user", "testbed.broker")]
#[case::time_silent("ble-gateway", "time_server.silent", "testbed.time_server")]
#[case::time_wrong("ble-gateway", "time_server.wrong", "testbed.time_server")]
#[case::update_down("ble-gateway", "update_server.down", "testbed.update_server")]
#[case::update_damaged("ble-gateway", "update_server.damaged", "testbed.update_server")]
#[case::at_without_a_network("zeroconf-ca", "ap.absent", "testbed.access_point")]
#[case::at_with_another_password("zeroconf-ca", "ap.password", "testbed.access_point")]
#[case::console_without_a_network("zeroconf-ca-console", "ap.absent", "testbed.access_point")]
#[case::console_with_another_password("zeroconf-ca-console", "ap.password", "testbed.access_point")]
#[case::console_without_a_broker("zeroconf-ca-console", "broker.down", "testbed.broker")]
fn a_bad_service_of_the_bench_is_never_the_units_fault(
    #[case] profile: &str,
    #[case] fault: &str,
    #[case] code: &str,
) {
    let (exit, record) = verdict_of(profile, fault);
    assert_eq!((exit, &record["verdict"]), (3, &Value::from("ERROR")), "{record:#}");
    assert_eq!(record["diagnosis"]["code"], code, "{record:#}");
    assert!(!outcomes(&record).contains(&"fail"), "{record:#}");
    if fault.starts_with("ca.") {
        let stages = record["stages"].as_array().expect("stages");
        assert_eq!(stages.last().expect("some")["name"], "ca_register", "nothing is written");
    }
}

/// The CA is the unit's to call here, so the bench asks it only after the unit failed.
#[rstest]
#[case::down("ca.down")]
#[case::http_500("ca.http_500")]
#[case::http_401("ca.http_401")]
#[case::refuses("ca.refuses")]
#[case::malformed("ca.malformed")]
fn a_bad_ca_that_the_unit_calls_is_never_the_units_fault(#[case] fault: &str) {
    let (exit, record) = verdict_of("zeroconf", fault);
    assert_eq!((exit, &record["verdict"]), (3, &Value::from("ERROR")), "{record:#}");
    assert_eq!(check(&record, "ca_registration")["diagnosis"]["code"], "testbed.ca", "{record:#}");
    assert!(!outcomes(&record).contains(&"fail"), "{record:#}");
}

/// "The config server listens" was the witness against a sound unit.
#[rstest]
#[case::http_500("config.http_500")]
#[case::malformed("config.malformed")]
fn a_checked_unit_is_not_blamed_for_a_config_server_that_only_listens(#[case] fault: &str) {
    let station = Station::new();
    let device = format!("simulator:?flash-file={}", station.path("unit.flash").display());
    let provisioned = station.unit(["run", "ble-gateway", "--device", &device]);
    assert_eq!(provisioned.code(), 0, "{provisioned:?}");
    let words = ["check", "ble-gateway", "--json", "--device", &device, "--fault", fault];
    let record = station.unit(words).json();
    assert_eq!(record["verdict"], "ERROR", "{record:#}");
    assert_eq!(record["diagnosis"]["code"], "testbed.config_server", "{record:#}");
}

/// What was never reached says nothing, and is not waited for.
#[test]
fn a_unit_without_an_address_is_not_waited_for_at_the_broker() {
    let (_, record) = hasty_verdict("radio.no_ip");
    let witnessed = check(&record, "wifi_join")["evidence"].to_string();
    assert!(witnessed.contains("witness: the bench joined"), "{witnessed}");
    assert_eq!(check(&record, "mqtt_connect")["outcome"], "not_run", "{record:#}");
}

/// A unit of a shipped product with a fault; an update that never comes is not waited for that long.
fn verdict_of(profile: &str, fault: &str) -> (i32, Value) {
    let station = Station::new();
    let file = format!("{profile}.toml");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/profiles").join(&file);
    let shipped = fs::read_to_string(path).expect("it ships");
    station.write(&file, shipped.replace("within_s = 60", "within_s = 10"));
    let ended = station.unit(["run", &file, "--json", "--fault", fault]);
    (ended.code(), ended.json())
}

/// A fault that changes nothing would pass, and seem harmless.
#[rstest]
#[case::no_ca("espvault", "ca.down", &[], "the profile espvault has no CA")]
#[case::no_config("zeroconf", "config.down", &[], "the profile zeroconf has no config server")]
#[case::no_clock("espvault", "time_server.silent", &[], "the profile espvault has no time server")]
#[case::no_updates("safesignal", "update_server.down", &[], "the profile safesignal has no update server")]
#[case::another_ca("zeroconf-ca", "ca.down", &["--ca", "http://127.0.0.1:1"], "--ca names a CA")]
fn a_fault_of_a_service_that_is_not_run_is_refused(
    #[case] profile: &str,
    #[case] fault: &str,
    #[case] more: &[&str],
    #[case] said: &str,
) {
    let arguments = ["run", profile, "--fault", fault].into_iter().chain(more.iter().copied());
    let ended = Station::new().unit(arguments);
    assert_eq!(ended.code(), 2, "{}", ended.said());
    assert!(ended.said().contains(said), "{}", ended.said());
}

/// A new fault must be put into one of the tables of this file.
#[test]
fn every_fault_there_is_has_its_verdict_here() {
    let ended = Station::new().goldline(["simulator", "faults", "--json"]);
    let faults = ended.json();
    let source = include_str!("faults.rs");
    for fault in faults.as_array().expect("a list") {
        let name = fault["name"].as_str().expect("a name");
        assert!(source.contains(&format!("\"{name}\"")), "{name} has no expected verdict");
    }
}

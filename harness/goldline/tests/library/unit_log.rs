//! What a serial log claims, in the forms that real ones have: ESP-IDF's and Arduino's lines, with colours
//! and without, from whole logs and from the lines that matter.

use std::net::Ipv4Addr;

use goldline::{
    check::{BootFact, LogFacts, UnitLog},
    device::ConsoleLine,
    record::Code,
};
use rstest::rstest;

fn facts(lines: &[&str]) -> LogFacts {
    let line = |text: &&str| ConsoleLine { at_ms: 0, text: (*text).to_owned() };
    UnitLog::of(lines.iter().map(line).collect()).facts().clone()
}

const UNIT: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 23);

#[rstest]
#[case::idf(
    "I (1385) esp_netif_handlers: sta ip: 192.168.1.23, mask: 255.255.255.0, gw: 192.168.1.1"
)]
#[case::idf_in_colours(
    "\x1b[0;32mI (1385) esp_netif_handlers: sta ip: 192.168.1.23, mask: 255.255.255.0, gw: 192.168.1.1\x1b[0m"
)]
#[case::arduino("STA IP: 192.168.1.23, MASK: 255.255.255.0, GW: 192.168.1.1")]
#[case::arduino_logged("[  1385][V][NetworkEvents.cpp:117] _checkForEvent(): STA IP: 192.168.1.23")]
fn a_station_says_its_address(#[case] line: &str) {
    assert_eq!(facts(&[line]).address, Some(UNIT));
}

/// They may be another one's: they count only where the network knows that address.
#[rstest]
#[case::of_a_product("✓ IP Address: 192.168.1.23")]
#[case::sketch("IP address: 192.168.1.23")]
#[case::example("I (900) example_connect: - IPv4 address: 192.168.1.23,")]
#[case::got("[WIFI] Got IP: 192.168.1.23")]
fn an_address_in_other_words_is_a_mention(#[case] line: &str) {
    let facts = facts(&["AP IP address: 192.168.4.1", line]);
    assert_eq!(facts.address, None);
    assert!(facts.names(UNIT) && facts.names(Ipv4Addr::new(192, 168, 4, 1)));
    assert!(!facts.names(Ipv4Addr::new(192, 168, 1, 24)));
}

#[rstest]
#[case("I (765) wifi:security: WPA2-PSK, phy: bgn, rssi: -45")]
#[case("RSSI: -45 dBm")]
#[case("Signal strength (RSSI):-45")]
fn a_signal_is_read(#[case] line: &str) {
    assert_eq!(facts(&[line]).signals_dbm, [-45]);
}

#[rstest]
#[case("W (700) vault_wifi: Disconnected, reason: 201 (NO_AP_FOUND)")]
#[case("[  2401][W][WiFiGeneric.cpp:1062] _eventCallback(): Reason: 201 - NO_AP_FOUND")]
#[case(
    "[  2401][V][WiFiGeneric.cpp:353] _arduino_event_cb(): STA Disconnected: SSID: Lab, BSSID: 00:00:00:00:00:00, Reason: 201"
)]
fn a_disconnection_has_its_reason(#[case] line: &str) {
    assert_eq!(facts(&[line]).disconnects, [201]);
    assert!(facts(&["Reset reason: 1"]).disconnects.is_empty());
}

#[test]
fn an_application_without_a_logged_start_is_seen() {
    let rom = ["rst:0x1 (POWERON_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)", "entry 0x400805e4"];
    let with = |line: &str| facts(&[&rom[..], &[line]].concat()).has_application();
    assert!(with("[   312][I][main.cpp:9] setup(): hello"));
    assert!(with("BLE-Gateway-XIAO v2.0.0"));
    assert!(!with("I (27) boot: ESP-IDF v5.1.2 2nd stage bootloader"));
    assert!(!with("\u{fffd}\u{fffd}x80"), "another baud rate's noise");
    assert!(!with("Guru Meditation Error: Core  0 panic'ed (LoadProhibited)."));
    assert!(!facts(&["BLE-Gateway-XIAO v2.0.0"]).has_application(), "left of an earlier boot");
}

const RESET: &str = "rst:0x3 (SW_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)";

#[test]
fn a_loop_is_quoted_by_its_cause() {
    let watchdog = [
        RESET,
        "I (261) main_task: Calling app_main()",
        "E (5301) task_wdt: Task watchdog got triggered. The following tasks/users did not reset the watchdog in time:",
        "E (5301) task_wdt:  - IDLE0 (CPU 0)",
    ];
    let reset = "rst:0x8 (TG1WDT_SYS_RESET),boot:0x13";
    let log = [&watchdog[..], &[reset], &watchdog[1..], &[reset], &watchdog[1..]].concat();
    assert_eq!(facts(&log).boot_fact(), None, "twice is no loop");
    let fact = facts(&[&log[..], &[reset]].concat()).boot_fact().expect("three times are");
    let told = fact.diagnosis();
    assert_eq!(told.code, Code::BootLoop);
    assert!(told.message.contains("Task watchdog got triggered"), "{}", told.message);
    assert!(
        told.message.contains("3 times by itself (last: TG1WDT_SYS_RESET)"),
        "{}",
        told.message
    );
}

/// The ROM repeats itself until its watchdog bites, and then does so again.
#[test]
fn a_chip_that_reads_noise_resets_for_ever_and_says_what_it_reads() {
    let refused = "invalid header: 0x5a1de2b7";
    let turn = ["rst:0x10 (RTCWDT_RTC_RESET),boot:0x13", refused, refused, refused];
    assert_eq!(facts(&turn).boot_fact(), None);
    let told = facts(&turn).cause().expect("a refusal without an application");
    assert_eq!((told.code, told.message.contains(refused)), (Code::BootImageRefused, true));
    let told = facts(&turn.repeat(4)).boot_fact().expect("a loop").diagnosis();
    assert_eq!((told.code, told.message.contains(refused)), (Code::BootLoop, true));
}

#[rstest]
#[case::app(&[
    "E (91) esp_image: Checksum failed. Calculated 0x1 read 0x2",
    "E (95) boot: OTA app partition slot 0 is not bootable",
    "E (99) boot: No bootable app partitions in the partition table",
], "Checksum failed")]
#[case::table(&[
    "E (51) flash_parts: partition 0 invalid magic number 0xffff",
    "E (55) boot: Failed to verify partition table",
    "E (59) boot: load partition table error!",
], "invalid magic number")]
#[case::bootloader(&["csum err:0x1a!=0x2b", "ets_main.c 384 "], "csum err:0x1a!=0x2b")]
#[case::signature(&["secure boot check fail", "ets_main.c 371 "], "secure boot check fail")]
fn what_no_further_start_can_change_is_final(#[case] lines: &[&str], #[case] quoted: &str) {
    let fact = facts(&[&[RESET][..], lines].concat()).boot_fact();
    let Some(BootFact::ImageRefused(line)) = fact else { panic!("a refusal: {fact:?}") };
    assert!(line.contains(quoted), "{line}");
}

#[test]
fn a_refused_slot_beside_a_good_one_refuses_nothing() {
    let facts = facts(&[
        RESET,
        "E (91) esp_image: Checksum failed. Calculated 0x1 read 0x2",
        "E (95) boot: OTA app partition slot 1 is not bootable",
        "I (261) main_task: Calling app_main()",
    ]);
    assert_eq!((facts.boot_fact(), facts.cause()), (None, None));
}

/// `field/time-not-set.console.log`: the last line was quoted, which says nothing.
#[test]
fn of_a_failed_handshake_the_reason_is_kept() {
    let lines = [
        "E (1386) esp-tls-mbedtls: mbedtls_ssl_handshake returned -0x2700",
        "I (1386) esp-tls-mbedtls: Failed to verify peer certificate!",
        "I (1386) esp-tls-mbedtls: verification info:   ! The certificate validity starts in the future",
        "E (1386) esp-tls: Failed to open new connection",
    ];
    for count in 1..=lines.len() {
        let told = facts(&lines[..count]).tls.expect("a failure");
        assert_eq!(told, lines[count.min(3) - 1], "of {count} lines");
    }
    let arduino = "[  1386][E][ssl_client.cpp:37] _handle_error(): (-9984) X509 - Certificate verification failed, e.g. CRL, CA or signature check failed";
    assert_eq!(facts(&[arduino]).tls.as_deref(), Some(arduino));
}

#[test]
fn a_crash_is_the_cause_of_what_was_missing_after_it() {
    let crash = ["Guru Meditation Error: Core  0 panic'ed (LoadProhibited).", "Rebooting..."];
    let told = facts(&[&[RESET][..], &crash, &[RESET]].concat()).cause().expect("it crashed");
    assert_eq!(told.code, Code::BootUnexpectedReset);
    assert!(told.message.contains("Guru Meditation Error"), "{}", told.message);
    assert_eq!(facts(&[RESET, "I (261) main_task: Calling app_main()"]).cause(), None);
    // A firmware may restart for want of a network, which is no crash.
    assert_eq!(facts(&[RESET, "I (261) main_task: Calling app_main()", RESET]).cause(), None);
}

//! What DTR and RTS do at a reset: the same as esptool's, by the same configuration, on one port.
//!
//! The unit is the simulator in a process of its own, whose lines RFC 2217 carries.

use std::{path::Path, process::Command};

use goldline::process::ChildGuard;
use rstest::rstest;

use super::{
    program::{Ended, Station},
    remote::{RFC2217, esptool, serve},
    resets::{product, provision},
};

const CLASSIC: &str = "D0|R1|W0.1|D1|R0|W0.05|D0";
/// As good, with both lines at once.
const TOGETHER: &str = "U0,1|W0.1|U1,0|W0.05|U0,0";
/// Into the application: a loader answers to neither.
const APPLICATION: &str = "D0|R1|W0.1|R0";

/// A unit that runs its application until it is reset.
fn unit(station: &Station, options: &[&str]) -> (ChildGuard, String) {
    serve(station, RFC2217, &[&["--mode", "boot"], options].concat())
}

fn configure(station: &Station, sequence: &str) {
    station.write("esptool.cfg", format!("[esptool]\ncustom_reset_sequence = {sequence}\n"));
}

fn read_mac(program: &Path, station: &Station, url: &str, before: &str) -> Ended {
    let mut command = Command::new(program);
    command.current_dir(station.path("")).env_remove("ESPTOOL_CFGFILE");
    command.env("HOME", station.path("home"));
    command.args([
        "--port",
        url,
        "--before",
        before,
        "--connect-attempts",
        "1",
        "--no-stub",
        "read-mac",
    ]);
    Ended::of(&mut command)
}

/// Whether the unit was provisioned, or nothing answered as a loader.
fn is_reached(ended: &Ended) -> bool {
    let record = ended.json();
    match ended.code() {
        0 => true,
        3 => {
            let code = record["diagnosis"]["code"].as_str().expect("a code").to_owned();
            let silent = ["port.no_answer", "port.garbled", "port.timeout"];
            assert!(silent.contains(&code.as_str()), "{record:#}");
            false
        }
        _ => panic!("{record:#}"),
    }
}

/// A foreign tool, Goldline, and the foreign tool again, each from whatever the one before left.
#[rstest]
#[case::classic(&[], None, "default-reset", "", true)]
#[case::custom(&[], Some(CLASSIC), "default-reset", "", true)]
#[case::the_application_is_no_loader(&[], Some(APPLICATION), "default-reset", "", false)]
#[case::native_usb(&["--native-usb"], None, "usb-reset", "?reset=usb-jtag", true)]
#[case::usb_in_front_of_transistors(&[], None, "usb-reset", "?reset=usb-jtag", false)]
fn goldline_resets_as_esptool_does(
    #[case] options: &[&str],
    #[case] sequence: Option<&str>,
    #[case] before: &str,
    #[case] reset: &str,
    #[case] reaches: bool,
) {
    let Some(esptool) = esptool() else { return };
    let station = product();
    let (_unit, url) = unit(&station, options);
    if let Some(sequence) = sequence {
        configure(&station, sequence);
    }
    let foreign = || read_mac(&esptool, &station, &url, before);
    let said = foreign();
    assert_eq!(said.code() == 0, reaches, "{said:?}");
    let ended = provision(&station, &format!("{url}{reset}"));
    assert_eq!(is_reached(&ended), reaches, "{ended:?}");
    let note = sequence.map(|_| format!("{url} is reset as ./esptool.cfg says\n"));
    assert_eq!(ended.stderr, note.unwrap_or_default());
    let said = foreign();
    assert_eq!(said.code() == 0, reaches, "{said:?}");
}

/// esptool has no ioctl at the other end of RFC 2217, where Goldline sets both lines all the same.
#[rstest]
#[case::both_at_once(&format!("?reset=custom:{TOGETHER}"), true)]
#[case::of_the_device(&format!("?reset=custom:{CLASSIC}"), true)]
#[case::the_device_is_nearer_than_the_file("?reset=classic", true)]
#[case::demanded("?reset=esptool", false)]
fn the_device_says_which_reset_counts(#[case] reset: &str, #[case] reaches: bool) {
    let station = product();
    let (_unit, url) = unit(&station, &[]);
    configure(&station, APPLICATION);
    let ended = provision(&station, &format!("{url}{reset}"));
    assert_eq!(is_reached(&ended), reaches, "{ended:?}");
}

#[test]
fn a_file_of_another_place_counts_by_its_variable() {
    let station = product();
    let (_unit, url) = unit(&station, &[]);
    configure(&station, APPLICATION);
    let file = format!("[esptool]\ncustom_reset_sequence = {TOGETHER}\n");
    let file = station.write("jig.cfg", file);
    let device = format!("{url}?reset=esptool");
    let mut command = super::resets::provision_command(&station, &["--device", &device]);
    let ended = Ended::of(command.env("ESPTOOL_CFGFILE", &file));
    assert!(is_reached(&ended), "{ended:?}");
    assert_eq!(ended.stderr, format!("{device} is reset as {} says\n", file.display()));
}

/// Before anything is touched.
#[rstest]
#[case::in_the_device(None, "custom:D0|R1|X9", "step \"X9\" at character 7 is none", "")]
#[case::in_the_file(
    Some("D0|R1|W0.1|D2"),
    "esptool",
    "custom_reset_sequence in ./esptool.cfg: step \"D2\" at character 12 is none",
    "?reset=classic"
)]
#[case::no_file(
    None,
    "esptool",
    "no configuration of esptool names a custom_reset_sequence",
    "ESPTOOL_CFGFILE"
)]
fn a_sequence_that_is_none_is_refused(
    #[case] sequence: Option<&str>,
    #[case] reset: &str,
    #[case] message: &str,
    #[case] action: &str,
) {
    let station = product();
    if let Some(sequence) = sequence {
        configure(&station, sequence);
    }
    let ended = provision(&station, &format!("/dev/ttyS99?reset={reset}"));
    assert_eq!((ended.code(), ended.stdout.as_str()), (2, ""), "{ended:?}");
    let said = ended.said();
    assert!(said.contains(message) && said.contains(action), "{said}");
    assert!(!station.state().exists());
}

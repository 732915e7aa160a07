//! What the fuses of a unit are held against it for, and when: told before its boot, after it, or not at all.

use goldline::{
    check::FusesSeen,
    device::Fuses,
    profile::{Chip, Profile},
    record::{Code, Verdict},
};

use super::checks::Case;

const ESPVAULT: &str = include_str!("../../../../fixtures/profiles/espvault.toml");

/// A good unit of a product with that demand, and what its loader told before and after the boot.
fn case(demand: &str, before: &[(&'static str, u32)], after: &[(&'static str, u32)]) -> Case {
    let text = format!("{ESPVAULT}\n[security]\n{demand}\n[[check]]\nid = \"security_state\"\n");
    let profile = Profile::parse("espvault.toml", &text, None).expect("a valid profile");
    let mut case = Case::of(profile, None);
    let fuses = |told: &[(&'static str, u32)]| Some(Fuses::new(Chip::Esp32, told.iter().copied()));
    case.seen.fuses = Some(FusesSeen { before: fuses(before), after: fuses(after) });
    case
}

const CLOSED: &str = "jtag = \"disabled\"";
const BURNT: [(&str, u32); 3] = [("WR_DIS", 0), ("JTAG_DISABLE", 1), ("UART_DOWNLOAD_DIS", 0)];
const OPEN: [(&str, u32); 3] = [("WR_DIS", 0), ("JTAG_DISABLE", 0), ("UART_DOWNLOAD_DIS", 0)];

#[test]
fn fuses_as_demanded_pass() {
    assert_eq!(case(CLOSED, &BURNT, &BURNT).judge().0, Verdict::Pass);
}

/// The contact that leads into the loader may fail while the unit is tested.
#[test]
fn what_was_told_is_not_forgotten_when_the_loader_falls_silent() {
    case(CLOSED, &OPEN, &[]).expect(Verdict::Fail, Code::SecurityNotBurnt);
    case(CLOSED, &BURNT, &[]).expect(Verdict::Error, Code::SecurityNotProven);
}

/// Chips before the third revision of the ESP32 ignore that fuse.
#[test]
fn a_loader_that_answers_is_not_disabled() {
    let disabled = [("WR_DIS", 0), ("JTAG_DISABLE", 0), ("UART_DOWNLOAD_DIS", 1)];
    let case = case("download_mode = \"disabled\"", &disabled, &disabled);
    case.expect(Verdict::Fail, Code::SecurityNotBurnt);
}

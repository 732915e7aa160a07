//! Profiles as people write them: what is accepted, what is refused, and where the refusal points.

use goldline::profile::{Profile, find};

const ESPVAULT: &str = include_str!("../../../fixtures/profiles/espvault.toml");

#[test]
fn the_shipped_profile_parses() {
    let profile = Profile::parse("espvault.toml", ESPVAULT, None).expect("a valid profile");
    assert_eq!(profile.name, "espvault");
    assert_eq!(profile.flash.size(), 4 << 20);
    let names: Vec<_> = profile.values.iter().map(|value| value.name.as_str()).collect();
    assert_eq!(names[..3], ["number", "device_id", "wifi_ssid"], "in the file's order");
    assert!(find("espvault", None).is_ok());
}

//! What a product's firmware says in its own words, beside ESP-IDF's log.

use super::console::Console;
use super::settings::Settings;

/// Lines of the firmware's own, with the settings that they name.
pub(super) fn say(lines: &[String], settings: &Settings, console: &Console) {
    for line in lines {
        console.raw(&format!("{}\r\n", settings.fill(line)));
    }
}

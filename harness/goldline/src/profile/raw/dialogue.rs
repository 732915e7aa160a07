//! The section `console`: what is typed into a unit's serial console, and what it must answer.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{At, Text};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::profile) struct RawConsole {
    /// What ends a line that is sent: lf, cr or crlf.
    pub line_end: Text,
    /// How a value stands in a line: verbatim (to the line's end), unquoted (a value with a space is
    /// refused), when_needed or always (in double quotes).
    pub quoting: Text,
    /// What the console shows when it waits for a line, such as "esp32> ". Lines are typed when it stands there,
    /// and an answer is over when it comes back. Without it, lines are typed when nothing was printed for 200 ms.
    pub prompt: Option<Text>,
    /// Whether a line that was not answered well is typed once more, since what came over a wire counts only
    /// when it repeats: true, unless a line must not be typed twice.
    pub retype: Option<bool>,
    /// The device id that the unit prints at its start.
    pub device_id: Option<RawDeviceId>,
    /// The lines that provision a unit.
    #[serde(default)]
    pub provision: Vec<RawExchange>,
    /// The lines of `goldline reprovision --only wifi`.
    #[serde(default)]
    pub wifi: Vec<RawExchange>,
    /// The lines that ask a provisioned unit for its state.
    #[serde(default)]
    pub status: Vec<RawExchange>,
    /// The lines that take every credential from the unit.
    #[serde(default)]
    pub factory_reset: Vec<RawExchange>,
    /// The lines whose answers show that what must be off is off: the unit's word, for the check interface_off.
    #[serde(default)]
    pub off: Vec<RawExchange>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::profile) struct RawDeviceId {
    /// A regular expression with one group, such as "Device ID: ([0-9A-F]{12})".
    pub pattern: Text,
    /// What the group must hold, such as "{unit.mac_upper}".
    pub expected: Text,
    /// How long the unit may take, in seconds.
    pub within_s: At<u64>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::profile) struct RawExchange {
    /// The line, without its end. A secret in it is shown as asterisks.
    pub send: Text,
    /// A text of several lines, such as a certificate, that is typed when the console asks for it.
    pub paste: Option<RawPaste>,
    /// Texts that the answer must contain, in this order; where something is pasted, the answer to that.
    pub expect: At<Vec<Text>>,
    /// Texts that mean a refusal.
    #[serde(default)]
    pub refuse: Vec<Text>,
    /// How long the answer may take, in seconds.
    pub within_s: At<u64>,
    /// Whether the unit restarts by itself afterwards.
    #[serde(default)]
    pub restarts: bool,
    /// For a line of the status: a number in its answer, with its limits.
    pub measure: Option<At<RawMeasure>>,
    /// What the unit must reach to answer well: wifi, broker or ca. Without it the answer is the unit's alone,
    /// and a wrong one its fault.
    pub needs: Option<Text>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::profile) struct RawMeasure {
    /// What records call it, such as "battery".
    pub name: Text,
    /// A regular expression with one group, the number, such as "battery: ([0-9]+) mV".
    pub pattern: Text,
    /// Such as "mV"; a count has none.
    pub unit: Option<Text>,
    /// Smallest good value.
    pub lower: Option<f64>,
    /// Largest good value.
    pub upper: Option<f64>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::profile) struct RawPaste {
    /// What the console says when it is ready for the text.
    pub when: Text,
    /// The text, such as "{issued.certificate}": typed as it is, whatever the quoting.
    pub text: Text,
}

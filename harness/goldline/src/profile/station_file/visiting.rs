//! `[portal]`: how the bench gets into the networks that units open to be configured.
//!
//! ```toml
//! [portal]
//! join = ["./join", "wlan2"]      # is told the network's name and its access point's address besides; the passphrase
//!                                 # is the first line of its standard input; ends with 0 when it has joined
//! leave = ["./leave", "wlan2"]
//! interface = "wlan2"             # what is said in that network goes out over it
//! within_s = 30                   # how long each of them may take
//! ```

use std::time::Duration;

use super::{Fault, Found, Reader, missing, nests, plain, table, unknown};
use crate::process::Program;

const KEYS: &[&str] = &["join", "leave", "interface", "within_s"];
const WITHIN: Duration = Duration::from_secs(30);

/// How the bench gets into a unit's own network.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Visiting {
    /// Joins it: is told its name and its access point's address as its last two arguments.
    pub join: Program,
    /// Leaves it.
    pub leave: Option<Program>,
    /// The interface that it is joined with.
    pub interface: String,
    /// How long each program, and a connection, may take.
    pub within: Duration,
}

impl Visiting {
    /// All programs that it has.
    pub fn programs(&self) -> impl Iterator<Item = &Program> {
        [Some(&self.join), self.leave.as_ref()].into_iter().flatten()
    }
}

impl Reader<'_> {
    /// `[portal]`.
    pub(super) fn visiting(&self, whole: &Found<'_>) -> Result<Visiting, Fault> {
        let section = table("portal", whole)?;
        for (key, _) in section {
            if !KEYS.contains(&key.get_ref().as_ref()) {
                return Err(unknown(key, KEYS));
            }
        }
        let program =
            |key: &'static str| section.get(key).map(|value| self.program(key, value)).transpose();
        let interface =
            section.get("interface").map(|value| plain("interface", value)).transpose()?;
        let within = nests::span(section, "within_s", 1, 600, Duration::from_secs)?;
        Ok(Visiting {
            join: program("join")?.ok_or_else(|| missing(whole, "portal", "join"))?,
            leave: program("leave")?,
            interface: interface.ok_or_else(|| missing(whole, "portal", "interface"))?,
            within: within.unwrap_or(WITHIN),
        })
    }
}

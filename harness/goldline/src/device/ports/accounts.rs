//! The names of users, from `/etc/passwd`. Those of a directory service are not there.

use std::fs;

use super::machine::Machine;

/// The name of a user, or its number where the file has none.
pub(super) fn user(machine: &Machine, id: u32) -> String {
    name(machine, "passwd", id).unwrap_or_else(|| format!("user {id}"))
}

/// Both files have the name first and the number third.
fn name(machine: &Machine, file: &str, id: u32) -> Option<String> {
    let text = fs::read_to_string(machine.etc().join(file)).ok()?;
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let number: u32 = fields.nth(1)?.parse().ok()?;
        (number == id).then(|| name.to_owned())
    })
}

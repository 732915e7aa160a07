//! The names of users and groups, from `/etc/passwd` and `/etc/group`. Those of a directory service are not there.

use std::fs;

use super::machine::Machine;

/// The name of a user, or its number where the file has none.
pub(super) fn user(machine: &Machine, id: u32) -> String {
    name(machine, "passwd", id).unwrap_or_else(|| format!("user {id}"))
}

/// A group, and who is in it beside those whose own it is.
pub(super) struct Group {
    pub(super) name: String,
    members: Vec<String>,
}

impl Group {
    /// Whether the file names a user as a member. A process has it from its next login on.
    pub(super) fn has(&self, user: &str) -> bool {
        self.members.iter().any(|member| member == user)
    }
}

/// A group by its number, which is its name where the file has none.
pub(super) fn group(machine: &Machine, id: u32) -> Group {
    let text = fs::read_to_string(machine.etc().join("group")).unwrap_or_default();
    let found = text.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, number, members] = fields.as_slice() else { return None };
        let members = members.split(',').map(|name| name.trim().to_owned()).collect();
        (number.parse() == Ok(id)).then(|| Group { name: (*name).to_owned(), members })
    });
    found.unwrap_or_else(|| Group { name: id.to_string(), members: Vec::new() })
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

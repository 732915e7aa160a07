//! What a change of each leaf must lead to.

use toml::{Table, Value};

/// What to do with one leaf.
pub enum Rule {
    /// Give it another value; the run must say one of the texts.
    Change { value: Value, named: Vec<String> },
    /// No run can tell, for this reason.
    NoRunCanTell(&'static str),
    /// Nobody said.
    Unknown,
}

fn change(value: impl Into<Value>, named: &[&str]) -> Rule {
    let named = named.iter().map(|name| (*name).to_owned()).collect();
    Rule::Change { value: value.into(), named }
}

/// The rule of a leaf; `table` is the whole description.
pub fn of(path: &[&str], value: &Value, table: &Table) -> Rule {
    let text = value.as_str().unwrap_or_default();
    match path {
        ["app", ..] => Rule::NoRunCanTell("what an application calls itself is not provisioned"),
        ["settings", "order", _] => Rule::NoRunCanTell("the order of reading changes nothing"),
        ["settings", "partition"] => change("otherpart", &["otherpart"]),
        ["settings", "namespace"] => change(other_name(text), &[&other_name(text)]),
        ["settings", "values", _, "key"] => change(other_name(text), &[&other_name(text)]),
        ["settings", "values", name, "type"] => change("u32", &[key_of(table, name)]),
        ["settings", "values", name, "max_bytes"] => change(3, &[key_of(table, name)]),
        ["wifi", "ssid"] => change(another_setting(table, text), &["network"]),
        ["wifi", "passphrase"] => change(another_setting(table, text), &["password"]),
        ["wifi", "attempts"] => Rule::NoRunCanTell("a good join needs one attempt"),
        ["mqtt", "uri"] => change(another_setting(table, text), &["mqtts://"]),
        ["mqtt", "username"] => change(another_setting(table, text), &["user name"]),
        ["mqtt", "password"] => change(another_setting(table, text), &["password"]),
        ["mqtt", "client_id"] => change(format!("{text}-x"), &["client id"]),
        ["mqtt", "subscribe", _] => change(format!("{text}/x"), &["did not subscribe to"]),
        ["mqtt", "command", "topic" | "answer"] => change(format!("{text}/x"), &["the command"]),
        ["mqtt", "command", "fields", _] => change("x", &["the command"]),
        _ => Rule::Unknown,
    }
}

/// A name of at most 15 characters that is not this one, nor a part of it, nor holds it.
fn other_name(name: &str) -> String {
    let reversed: String = name.chars().rev().collect();
    if reversed == name { format!("{}x", &name[..name.len().min(14)]) } else { reversed }
}

/// The NVS key of a setting.
fn key_of<'a>(table: &'a Table, setting: &str) -> &'a str {
    table["settings"]["values"][setting]["key"].as_str().expect("a setting has a key")
}

/// The name of a setting that is not this one.
fn another_setting(table: &Table, name: &str) -> String {
    let settings = table["settings"]["values"].as_table().expect("settings are a table");
    let other = settings.keys().find(|other| *other != name && *other != "ssid");
    other.expect("there are several settings").clone()
}

//! What a change of each leaf of a firmware description must lead to.

use toml::{Table, Value};

use crate::profile::{DialogueName, Method, Profile};

/// What to do with one leaf.
pub(super) enum Rule {
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

/// The rule of a leaf of what the unit ships with, or was provisioned by; `table` is the whole description.
pub(super) fn of(path: &[&str], value: &Value, table: &Table, profile: &Profile) -> Rule {
    let text = value.as_str().unwrap_or_default();
    match path {
        ["app", ..] => Rule::NoRunCanTell("what an application calls itself is not provisioned"),
        ["says", ..] | [_, "opened" | "saved" | "synchronized" | "fetching" | "fetched", _] => {
            Rule::NoRunCanTell("lines for people; the harness reads none of them")
        }
        ["settings", ..] => of_settings(&path[1..], text, table, profile),
        ["wifi", ..] => of_wifi(&path[1..], text, table),
        ["mqtt", ..] => of_mqtt(&path[1..], text, table, profile),
        ["constants", ..] => of_constants(&path[1..], text, table),
        ["console", ..] => of_console(&path[1..], value, table, profile),
        ["provisioning", ..] => of_provisioning(&path[1..]),
        ["device_id", ..] => of_device_id(&path[1..], text),
        ["portal", ..] if profile.method == Method::FactoryFirmware => {
            Rule::NoRunCanTell("a unit from the factory never opens its portal")
        }
        ["portal", "path"] if profile.portal.as_ref().is_some_and(|portal| portal.fetch_form) => {
            Rule::NoRunCanTell("it stands in the portal's form, as for a browser")
        }
        ["portal", ..] => of_portal(&path[1..], text, table),
        ["time", "server"] => change("other.example.test", &["the time"]),
        ["time", "port"] => change(124, &["the time"]),
        ["remote_config", ..] => of_remote_config(&path[1..], text, table),
        ["ca_call", ..] => of_ca_call(&path[1..], text, table),
        ["ota", "topic"] => change(format!("{text}/x"), &["never downloaded"]),
        ["ota", "report"] => change(format!("{text}/x"), &["reported nothing"]),
        ["ota", "signed"] => Rule::NoRunCanTell(
            "what is not signed has no signature to leave out, and is refused before",
        ),
        ["factory", ..] => of_factory(&path[1..], text),
        _ => Rule::Unknown,
    }
}

/// The rule of a leaf of what the unit is updated to for a while: it must start, join and report, and is replaced again.
pub(super) fn of_update(path: &[&str], value: &Value, table: &Table, profile: &Profile) -> Rule {
    match path {
        ["app", "version"] => change("0.0.1", UPDATE),
        ["settings" | "wifi" | "time" | "remote_config", ..]
        | [
            "mqtt",
            "uri" | "host" | "username" | "password" | "ca" | "certificate" | "private_key",
        ]
        | ["ota", "report"] => match of(path, value, table, profile) {
            Rule::Change { value, .. } => change(value, UPDATE),
            other => other,
        },
        _ => Rule::NoRunCanTell("of an update it is asked that it starts, joins and reports"),
    }
}

fn of_settings(path: &[&str], text: &str, table: &Table, profile: &Profile) -> Rule {
    match path {
        ["order", _] => Rule::NoRunCanTell("the order of reading changes nothing"),
        ["partition"] => change("otherpart", &["otherpart", "NVS_PART_NOT_FOUND"]),
        ["namespace"] => change(other_name(text), &[&other_name(text), NOT_THERE]),
        ["encryption", "partition"] => change("otherpart", &["ESP_ERR_NVS"]),
        ["encryption", "scheme"] => Rule::NoRunCanTell("the other scheme has other keys beside it"),
        ["values", name, _] if !is_used(table, profile, name) => {
            Rule::NoRunCanTell("the profile gives no value for it")
        }
        ["values", _, "key"] => change(other_name(text), &[&other_name(text), NOT_THERE]),
        ["values", name, "type"] if text == "string" => {
            change("u32", &[key_of(table, name), NOT_THERE, "Failed", "status 500", "ERROR"])
        }
        ["values", name, "type"] => change("string", &[key_of(table, name), NOTHING_STORED]),
        ["values", name, "max_bytes"] if is_number(table, name) => {
            Rule::NoRunCanTell("a number has no length")
        }
        ["values", name, "max_bytes"] => {
            change(3, &[key_of(table, name), name, "refused", "portal", "1 to 3 bytes"])
        }
        ["values", _, "optional"] => {
            Rule::NoRunCanTell("whether a value may be missing shows only when one is")
        }
        _ => Rule::Unknown,
    }
}

fn of_wifi(path: &[&str], text: &str, table: &Table) -> Rule {
    match path {
        ["ssid"] => change(
            another_setting(table, text),
            &["network", "AT+WIFI_CONNECT", "wifi_enable", "join"],
        ),
        ["passphrase"] => {
            change(another_setting(table, text), &["password", "AT+WIFI_CONNECT", "wifi_enable"])
        }
        ["attempts"] => Rule::NoRunCanTell("a good join needs one attempt"),
        _ => Rule::Unknown,
    }
}

fn of_mqtt(path: &[&str], text: &str, table: &Table, profile: &Profile) -> Rule {
    match path {
        ["uri" | "host"] => change(another_setting(table, text), &["mqtts://"]),
        ["username"] => change(another_setting(table, text), &["user name"]),
        ["password"] => change(another_setting(table, text), &["password"]),
        ["client_id"] => change(format!("{text}-x"), &["client id"]),
        ["subscribe", _] => change(format!("{text}/x"), &["did not subscribe to"]),
        ["command", "topic" | "answer"] => change(format!("{text}/x"), &["the command"]),
        ["command", "fields", _] => change("x", &["the command"]),
        ["alert", "topic"] => change(format!("{text}/x"), &["no alert arrived"]),
        ["alert", "fields", _] => change("x", &["the alert"]),
        ["certificate" | "private_key"] if is_used(table, profile, text) => {
            change(another_setting(table, text), &["TLS handshake", "client certificate"])
        }
        ["ca"] if is_used(table, profile, text) => {
            change(another_setting(table, text), &["certificate"])
        }
        ["ca" | "certificate" | "private_key"] => {
            Rule::NoRunCanTell("the profile gives no value for it")
        }
        _ => Rule::Unknown,
    }
}

fn of_constants(path: &[&str], text: &str, table: &Table) -> Rule {
    match path {
        [name] if table.contains_key("factory") => {
            let _ = name;
            Rule::NoRunCanTell("each unit gets a value of its own for it")
        }
        ["broker"] => change("mqtts://other.example.test:8883", &["mqtts://"]),
        [_] => change(format!("{text}x"), &["user name or password", "password"]),
        _ => Rule::Unknown,
    }
}

fn of_console(path: &[&str], value: &Value, table: &Table, profile: &Profile) -> Rule {
    let text = value.as_str().unwrap_or_default();
    let names = command_names(table);
    let command = |index: &str| -> String {
        let index = index.parse::<usize>().ok();
        index.and_then(|index| names.get(index)).copied().unwrap_or_default().to_owned()
    };
    let typed = typed_commands(&names, profile);
    match path {
        ["prompt" | "echo" | "unknown" | "failure"] => {
            Rule::NoRunCanTell("it shows only when something else is wrong, or to people")
        }
        ["quoting"] => match value.as_bool() {
            Some(true) => change(false, &["wifi_config", "wifi_enable"]),
            _ => Rule::NoRunCanTell("no value of the samples needs a quote"),
        },
        ["command", index, ..] if !typed.contains(&command(index)) => {
            Rule::NoRunCanTell("the profile never types this command")
        }
        ["command", _, "usage" | "reply_failed" | "reply_missing", ..] => {
            Rule::NoRunCanTell("a sound run gets no such answer")
        }
        ["command", _, "requires", _] => {
            Rule::NoRunCanTell("in a sound run every required setting is there")
        }
        ["command", index, "name"] => {
            let other = format!("x{text}");
            change(other, &[command(index).as_str(), "no alert arrived"])
        }
        ["command", index, "arguments", _] => {
            let other = if text.starts_with('-') { "--sure".to_owned() } else { "-x".to_owned() };
            change(other, &[command(index).as_str()])
        }
        ["command", index, "options", _] => {
            change(another_setting(table, text), &[command(index).as_str(), "network", "password"])
        }
        // A firmware that waits for no provisioning finds its network in the image.
        ["command", _, "actions", _]
            if !table.contains_key("provisioning")
                && ["store", "join", "check_joined"].contains(&text) =>
        {
            Rule::NoRunCanTell("the image holds the network: the unit has joined by itself")
        }
        ["command", index, "actions", _] => {
            let name = command(index);
            change(
                if text == "alert" { "restart" } else { "alert" },
                &[
                    name.as_str(),
                    "restart",
                    NOTHING_STORED,
                    NOT_THERE,
                    "still holds",
                    "refused",
                    "never",
                    "alert",
                    "provisioned",
                ],
            )
        }
        ["command", index, "pem"] => {
            change(another_setting(table, text), &[command(index).as_str()])
        }
        ["command", _, "marks", _] => change("0", &["provisioned", NOT_THERE, NOTHING_STORED]),
        ["command", index, "reply" | "reply_stored", _] if is_expected(text) => {
            change("???", &[command(index).as_str()])
        }
        ["command", _, "reply", _] => {
            Rule::NoRunCanTell("a line of the answer that the profile does not look at")
        }
        _ => Rule::Unknown,
    }
}

/// Whether a line of an answer holds what a profile expects of it.
fn is_expected(line: &str) -> bool {
    let looked_at = [
        "saved",
        "Complete",
        "OK",
        "WIFI GOT IP",
        "connected",
        "reset",
        "Paste",
        "BLE",
        "{ca?}",
        "{certificate?}",
        "{key?}",
        "{device}",
        "{tenant}",
        "{building}",
        "{room}",
    ];
    looked_at.iter().any(|text| line.contains(text))
}

fn of_provisioning(path: &[&str]) -> Rule {
    match path {
        ["required", _] => Rule::NoRunCanTell("in a sound run every required setting is there"),
        ["flag"] => change("ssid", &["join", "provisioned", "No configuration found", "command"]),
        _ => Rule::Unknown,
    }
}

fn of_device_id(path: &[&str], text: &str) -> Rule {
    match path {
        ["drops_zeros"] => change(true, &["leading zero"]),
        ["banner", _] if text.contains("{device_id}") => change("ID {device_id}", &["device id"]),
        ["banner", _] => Rule::NoRunCanTell("lines for people; the harness reads none of them"),
        _ => Rule::Unknown,
    }
}

fn of_portal(path: &[&str], text: &str, table: &Table) -> Rule {
    match path {
        ["ssid" | "password"] => change(format!("{text}-x"), &["network"]),
        ["address"] => change("192.168.4.2:80", &["192.168.4.1:80"]),
        ["path"] => change("/store", &["/save", "404", "restart"]),
        ["fields", _] => change(
            another_setting(table, text),
            &[
                "network",
                "password",
                "user name",
                "gateway/",
                "reached",
                NOT_THERE,
                "mqtt_pass",
                key_of(table, text),
            ],
        ),
        _ => Rule::Unknown,
    }
}

fn of_remote_config(path: &[&str], text: &str, table: &Table) -> Rule {
    match path {
        ["url"] => change(format!("{text}/x"), &["its configuration"]),
        ["setting"] => change(
            another_setting(table, text),
            &["mqtts://", "server name", "user name", "password"],
        ),
        ["field"] => change("broker", &["server name", "mqtts://"]),
        ["wins"] => change(false, &["server name", "mqtts://"]),
        _ => Rule::Unknown,
    }
}

fn of_ca_call(path: &[&str], text: &str, table: &Table) -> Rule {
    match path {
        ["url"] => change(another_setting(table, text), &["called the CA"]),
        ["path"] => change(format!("{text}/x"), &["called the CA"]),
        ["fields", "type"] => change("x", &["type"]),
        ["fields", _] => change("x", &["the CA"]),
        ["secret"] => Rule::NoRunCanTell("it names what a fault changes"),
        ["attempts"] => Rule::NoRunCanTell("a good call needs one attempt"),
        _ => Rule::Unknown,
    }
}

fn of_factory(path: &[&str], text: &str) -> Rule {
    match path {
        ["before", _] => Rule::NoRunCanTell("lines for people; the harness reads none of them"),
        ["after", _] if text.contains("Factory provisioned") => {
            change("done", &["Factory provisioned"])
        }
        ["after", _] => Rule::NoRunCanTell("lines for people; the harness reads none of them"),
        ["strings", key] if text == OTHER_CONSTANT => change("PROVISION_WIFI_SSID", &[*key]),
        ["strings", key] => change(OTHER_CONSTANT, &[*key]),
        ["flags", _] => change("flag", &["gateway/"]),
        _ => Rule::Unknown,
    }
}

/// What is said of a unit whose update does not run.
const UPDATE: &[&str] = &["ota.failed"];
/// What is said of a unit that stored nothing where it should have.
const NOTHING_STORED: &str = "not try to join";
const NOT_THERE: &str = "is not there";
/// A constant that no key of the factory firmware is meant to hold.
const OTHER_CONSTANT: &str = "PROVISION_MQTT_HOST";

/// Whether the profile gives a value for a setting: those of certificates it may not.
fn is_used(table: &Table, profile: &Profile, setting: &str) -> bool {
    let certificate = ["ca", "certificate", "key"].contains(&setting);
    let key = setting_of(table, setting, "key");
    !certificate || key.is_some_and(|key| profile.nvs.entries.iter().any(|entry| entry.key == key))
}

/// The commands that the console knows, in order.
fn command_names(table: &Table) -> Vec<&str> {
    let commands = table.get("console").and_then(|console| console.get("command"));
    let commands = commands.and_then(Value::as_array).into_iter().flatten();
    commands
        .map(|command| command.get("name").and_then(Value::as_str).unwrap_or_default())
        .collect()
}

/// Those of them that the profile types: of those that a line begins with, the longest.
fn typed_commands(names: &[&str], profile: &Profile) -> Vec<String> {
    let dialogues = [
        DialogueName::Provision,
        DialogueName::Wifi,
        DialogueName::Status,
        DialogueName::FactoryReset,
        DialogueName::Off,
    ];
    let console = profile.console.iter();
    let exchanges = console.flat_map(|console| dialogues.map(|name| console.dialogue(name)));
    let lines = exchanges.flatten().map(|exchange| &exchange.send);
    let lines = lines.chain(profile.alert.iter().map(|alert| &alert.send));
    let command_of = |line: String| {
        let begun = names.iter().filter(|name| line.starts_with(**name));
        begun.max_by_key(|name| name.len()).map(|name| (*name).to_owned())
    };
    lines.filter_map(|line| command_of(line.to_string())).collect()
}

fn is_number(table: &Table, setting: &str) -> bool {
    matches!(setting_of(table, setting, "type"), Some("u8" | "bool" | "u32"))
}

/// What is said of a setting.
fn setting_of<'a>(table: &'a Table, setting: &str, field: &str) -> Option<&'a str> {
    table.get("settings")?.get("values")?.get(setting)?.get(field)?.as_str()
}

/// A name of at most 15 characters that is not this one, nor a part of it, nor holds it.
fn other_name(name: &str) -> String {
    let reversed: String = name.chars().rev().collect();
    if reversed == name { name.chars().take(14).chain(['x']).collect() } else { reversed }
}

/// The NVS key of a setting; of one without, its own name.
fn key_of<'a>(table: &'a Table, setting: &'a str) -> &'a str {
    setting_of(table, setting, "key").unwrap_or(setting)
}

/// The name of a setting that is not this one; where there is no other, one that does not exist.
fn another_setting(table: &Table, name: &str) -> String {
    let settings = table.get("settings").and_then(|settings| settings.get("values"));
    let settings = settings.and_then(Value::as_table).into_iter().flat_map(Table::keys);
    let other = settings.into_iter().find(|other| *other != name && *other != "ssid");
    other.map_or_else(|| format!("{name}_x"), Clone::clone)
}

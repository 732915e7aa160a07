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
pub fn of(path: &[&str], value: &Value, table: &Table, profile: &Table) -> Rule {
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
        ["portal", ..] if profile["method"].as_str() == Some("factory_firmware") => {
            Rule::NoRunCanTell("a unit from the factory never opens its portal")
        }
        ["portal", "path"] if profile["portal"]["fetch_form"].as_bool() == Some(true) => {
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

fn of_settings(path: &[&str], text: &str, table: &Table, profile: &Table) -> Rule {
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

fn of_mqtt(path: &[&str], text: &str, table: &Table, profile: &Table) -> Rule {
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

fn of_console(path: &[&str], value: &Value, table: &Table, profile: &Table) -> Rule {
    let text = value.as_str().unwrap_or_default();
    let command = |index: &str| -> String {
        let commands = table["console"]["command"].as_array().expect("commands are a list");
        let index: usize = index.parse().expect("an index");
        commands[index]["name"].as_str().expect("a name").to_owned()
    };
    let typed = typed_commands(table, profile);
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

/// What is said of a unit that stored nothing where it should have.
const NOTHING_STORED: &str = "not try to join";
const NOT_THERE: &str = "is not there";
/// A constant that no key of the factory firmware is meant to hold.
const OTHER_CONSTANT: &str = "PROVISION_MQTT_HOST";

/// Whether the profile gives a value for a setting: those of certificates it may not.
fn is_used(table: &Table, profile: &Table, setting: &str) -> bool {
    let entries = profile["nvs"]["entries"].as_array().expect("keys are a list");
    let certificate = ["ca", "certificate", "key"].contains(&setting);
    let key = table["settings"]["values"].get(setting).and_then(|setting| setting.get("key"));
    !certificate || key.is_some_and(|key| entries.iter().any(|entry| &entry["key"] == key))
}

/// The commands that the profile types: of those that a line begins with, the longest.
fn typed_commands(table: &Table, profile: &Table) -> Vec<String> {
    let commands = table["console"]["command"].as_array().expect("commands are a list");
    let names: Vec<&str> = commands.iter().filter_map(|command| command["name"].as_str()).collect();
    let dialogues = profile["console"].as_table().expect("a table").values();
    let exchanges = dialogues.filter_map(Value::as_array).flatten().chain(profile.get("alert"));
    let lines = exchanges.filter_map(|exchange| exchange["send"].as_str());
    let command_of = |line: &str| {
        let begun = names.iter().filter(|name| line.starts_with(**name));
        begun.max_by_key(|name| name.len()).map(|name| (*name).to_owned())
    };
    lines.filter_map(command_of).collect()
}

fn is_number(table: &Table, setting: &str) -> bool {
    let kind = table["settings"]["values"][setting]["type"].as_str();
    matches!(kind, Some("u8" | "bool" | "u32"))
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

//! The text of a drafted profile: commented for whoever goes on with it, no secret in it.

use std::fmt::{self, Write as _};

use super::{
    Facts,
    entries::{Entry, Origin},
    services::{self, Address, Wifi},
};
use crate::{build::UNPARTITIONED, profile::Feature};

/// The longest text of an NVS string, which a value may have unless it says more.
const LONGEST: usize = 3967;

pub(super) fn profile(facts: &Facts) -> String {
    let mut text = Text(String::new());
    let names = value_names(&facts.entries.list);
    product(&mut text, facts);
    images(&mut text, facts);
    values(&mut text, facts, &names);
    nvs(&mut text, facts, &names);
    let joins = wifi(&mut text, facts, &names);
    mqtt(&mut text, facts, &names);
    checks(&mut text, joins);
    text.0
}

struct Text(String);

impl Text {
    fn line(&mut self, line: fmt::Arguments<'_>) {
        writeln!(self.0, "{line}").expect("a String takes every text");
    }

    fn comment(&mut self, words: &str) {
        self.line(format_args!("# {words}"));
    }
}

/// As TOML writes a text.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn product(text: &mut Text, facts: &Facts) {
    let (maker, chip) = (facts.build.maker.words(), facts.chip);
    text.comment(&format!("Drafted by `goldline init` from a build of {maker}."));
    text.comment("What could not be known is marked `guessed`: read those lines first.");
    text.line(format_args!("\nschema = 1"));
    text.line(format_args!("name = {}", quoted(&facts.name)));
    text.line(format_args!("title = {}", quoted(&facts.name)));
    text.comment("An NVS image is made for each unit and flashed with the rest.");
    text.line(format_args!("method = \"factory_image\""));
    text.line(format_args!("\n[chip]\nmodel = \"{chip}\""));
    if let Some(why) = facts.flash.guessed {
        text.comment(&format!("guessed: {why}"));
    }
    text.line(format_args!("flash_size = \"{}MB\"", facts.flash.megabytes));
}

fn images(text: &mut Text, facts: &Facts) {
    text.line(format_args!("\n[images]"));
    text.comment("Everything that the build flashes, each at its offset; read anew at every run.");
    text.line(format_args!("build = {}", quoted(&facts.shown_build.display().to_string())));
    if let Some(table) = &facts.shown_partitions {
        text.line(format_args!("partitions = {}", quoted(&table.display().to_string())));
    }
    if facts.is_elf() {
        text.comment("An ELF alone: ESP-IDF's own bootloader is taken.");
    }
    if facts.except.contains(&facts.nvs.name) {
        text.comment("The build's own NVS is left out: Goldline makes one for each unit.");
    }
    if facts.except.iter().any(|name| name == UNPARTITIONED) {
        text.comment("guessed: what lies in no partition was left by earlier firmware.");
    }
    if !facts.except.is_empty() {
        let names: Vec<String> = facts.except.iter().map(|name| quoted(name)).collect();
        text.line(format_args!("except = [{}]", names.join(", ")));
    }
    text.comment("The partition table is the build's:");
    for row in &facts.table.rows {
        let flag = if row.encrypted { ", encrypted" } else { "" };
        text.comment(&format!(
            "  {:15} {}/{} at {:#x}, {:#x} bytes{flag}",
            row.name, row.kind, row.subtype, row.offset, row.size
        ));
    }
}

/// Names for the values of the entries: each key as a word, numbered where two namespaces have it.
fn value_names(entries: &[Entry]) -> Vec<String> {
    const RESERVED: [&str; 5] = ["unit", "issued", "observed", "ota", "nonce"];
    let mut names: Vec<String> = Vec::new();
    for entry in entries {
        let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let lower = entry.key.to_ascii_lowercase();
        let mut word: String = lower.chars().map(|c| if is_word(c) { c } else { '_' }).collect();
        if !word.starts_with(|c: char| c.is_ascii_lowercase()) || RESERVED.contains(&word.as_str())
        {
            word = format!("value_{word}");
        }
        let mut name = word.clone();
        let mut number = 2;
        while names.contains(&name) {
            name = format!("{word}_{number}");
            number += 1;
        }
        names.push(name);
    }
    names
}

fn values(text: &mut Text, facts: &Facts, names: &[String]) {
    let entries = &facts.entries.list;
    match &facts.entries.from {
        Origin::Dump => {
            text.line(format_args!("\n# Every value of the golden unit's NVS."));
        }
        Origin::Csv(path) => {
            let name = path.file_name().unwrap_or_default().display();
            text.line(format_args!("\n# Every value of {name}."));
        }
        Origin::Nothing => {
            text.line(format_args!(
                "\n# The values of a unit: none are known. Write one for each, such as"
            ));
            text.comment("  [values.device_id]");
            text.comment("  source = \"site\"");
            text.comment("  sample = \"device-1\"");
            text.comment("or draft this profile anew with --from-dump FLASH.bin of a good unit.");
            text.line(format_args!("[values]"));
            return;
        }
    }
    text.comment(
        "`sample` is what a simulated unit gets, and no real one: give each unit its own with",
    );
    text.comment(
        "--set NAME=VALUE, a column of --units FILE.csv, or [values] of the station file.",
    );
    text.comment(
        "What is the same in every unit may stand in its entry below instead: value = \"8883\".",
    );
    if entries.iter().any(|entry| entry.secret) {
        text.comment(
            "A secret has no sample here: --set NAME=@FILE, --set 'NAME=$VARIABLE', or as above.",
        );
    }
    if entries.is_empty() {
        text.line(format_args!("[values]"));
    }
    let wifi = services::wifi(entries);
    for (at, (entry, name)) in entries.iter().zip(names).enumerate() {
        value(text, entry, name, bounds(entry, at, wifi.as_ref()));
    }
}

/// The shortest and the longest good value, in bytes.
fn bounds(entry: &Entry, at: usize, wifi: Option<&Wifi>) -> (usize, usize) {
    match wifi {
        Some(wifi) if wifi.ssid == at => (1, 32),
        Some(wifi) if wifi.password == at => (8, 64),
        _ => (usize::from(!entry.text.is_empty()), LONGEST.max(entry.text.len())),
    }
}

fn value(text: &mut Text, entry: &Entry, name: &str, (least, most): (usize, usize)) {
    text.line(format_args!("\n[values.{name}]\nsource = \"site\""));
    if entry.secret {
        text.comment("guessed: secret, by its name or what it shows.");
        text.line(format_args!("secret = true"));
    } else {
        text.line(format_args!("sample = {}", quoted(&entry.text)));
    }
    if entry.text.contains('\n') {
        text.line(format_args!("multiline = true"));
    }
    if least != 1 {
        text.line(format_args!("min_bytes = {least}"));
    }
    if most != LONGEST {
        text.line(format_args!("max_bytes = {most}"));
    }
}

fn nvs(text: &mut Text, facts: &Facts, names: &[String]) {
    let entries = &facts.entries.list;
    text.line(format_args!("\n[nvs]"));
    if facts.entries.partition.is_none() {
        text.comment("guessed: the partition that ESP-IDF opens by default.");
    }
    text.line(format_args!("partition = {}", quoted(&facts.nvs.name)));
    let namespace = entries.first().map(|entry| entry.namespace.as_str());
    if namespace.is_none() {
        text.comment("guessed: write the namespace that your firmware opens.");
    }
    let namespace = namespace.unwrap_or("storage");
    text.line(format_args!("namespace = {}", quoted(namespace)));
    text.comment("Read back key by key: one that is missing, differs or is too many is a FAIL. What the firmware");
    text.comment(
        "writes by itself later does not belong here, but its namespace into foreign_namespaces.",
    );
    for left in &facts.entries.left_out {
        text.comment(&format!("left out: {left}, which a profile cannot write."));
    }
    text.line(format_args!("entries = ["));
    for (entry, name) in entries.iter().zip(names) {
        let other = match entry.namespace == namespace {
            true => String::new(),
            false => format!("namespace = {}, ", quoted(&entry.namespace)),
        };
        let (key, encoding) = (quoted(&entry.key), entry.encoding);
        text.line(format_args!(
            "  {{ {other}key = {key}, encoding = \"{encoding}\", value = \"{{{name}}}\" }},"
        ));
    }
    text.line(format_args!("]"));
    text.comment("ESP-IDF's and Arduino's own namespaces are known, and need no line here.");
    text.line(format_args!("foreign_namespaces = []"));
}

/// Whether the unit is to join a network.
fn wifi(text: &mut Text, facts: &Facts, names: &[String]) -> bool {
    let guess = services::wifi(&facts.entries.list).filter(|_| facts.chip.has(Feature::Wifi));
    let Some(guess) = guess else {
        text.line(format_args!("\n# No keys of a network were found. With a network to join:"));
        text.comment("  [wifi]");
        text.comment("  ssid = \"{NAME OF A VALUE}\"");
        text.comment("  password = \"{NAME OF A VALUE}\"");
        text.comment("and the check wifi_join.");
        return false;
    };
    text.line(format_args!("\n# guessed: by the names of the keys."));
    let (ssid, password) = (&names[guess.ssid], &names[guess.password]);
    text.line(format_args!("[wifi]\nssid = \"{{{ssid}}}\"\npassword = \"{{{password}}}\""));
    true
}

/// Nothing tells what a unit subscribes to, and a filter too many is a FAIL: so it is for people to finish.
fn mqtt(text: &mut Text, facts: &Facts, names: &[String]) {
    let Some(guess) = services::mqtt(&facts.entries.list) else { return };
    let of = |at: usize| format!("{{{}}}", names[at]);
    let of_optional = |at: Option<usize>| at.map_or_else(String::new, of);
    let endpoint = match guess.address {
        Address::Uri(at) => of(at),
        Address::HostAndPort(host, port) => format!("mqtts://{}:{}", of(host), of(port)),
    };
    text.line(format_args!("\n# guessed: a broker, by the names of the keys. Name what the unit subscribes to, take the"));
    text.comment("comment signs away, and add the check mqtt_connect.");
    text.comment("[mqtt]");
    text.comment(&format!("endpoint = \"{endpoint}\""));
    text.comment("policy = \"redirected\"");
    text.comment(&format!("client_id = \"{}\"", of(guess.client_id)));
    text.comment(&format!("username = \"{}\"", of_optional(guess.username)));
    text.comment(&format!("password = \"{}\"", of_optional(guess.password)));
    text.comment("subscriptions = []");
}

fn checks(text: &mut Text, joins: bool) {
    text.line(format_args!("\n[deadlines]"));
    text.comment("guessed: from reset to the application's first line, in seconds.");
    text.line(format_args!("boot_s = 10"));
    if !joins {
        text.comment("guessed: how long the application must run without a crash, in seconds.");
        text.line(format_args!("steady_s = 10"));
    }
    text.line(format_args!("\n[[check]]\nid = \"flash_integrity\""));
    text.line(format_args!("\n[[check]]\nid = \"nvs_readback\""));
    if !joins {
        text.line(format_args!("\n[[check]]\nid = \"start\""));
        text.comment("An application that prints nothing by itself: silent = true");
    }
    if joins {
        text.line(format_args!(
            "\n[[check]]\nid = \"wifi_join\"\nwithout_radio = \"network_join\""
        ));
    }
}

//! `goldline device list`: which ports there are, what each is, and who has it.

use std::{
    fs,
    process::{Command, Stdio},
};

use goldline::process::ChildGuard;
use serde_json::{Value, json};

use super::{
    jig::{CP2102N, FT2232H, Jig, SERIAL_JTAG, Terminal, Usb},
    program::{Ended, Station},
    schema::python,
};

fn list(jig: &Jig<'_>) -> Vec<Value> {
    let ended = Ended::of(jig.command().args(["device", "list", "--json"]));
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""), "{ended:?}");
    ended.json().as_array().expect("an array").clone()
}

fn bridge<'a>(hub: &'a str, serial: Option<&'a str>) -> Usb<'a> {
    let names = Some(("Silicon Labs", "CP2102N USB to UART Bridge Controller"));
    Usb { hub, id: CP2102N, names, serial }
}

/// One of each kind that a bench meets.
fn bench(jig: &Jig<'_>) {
    jig.tty_usb("ttyUSB10", "cp210x", &bridge("1-1.4.2", Some("0001")), 0);
    jig.tty_usb("ttyUSB2", "cp210x", &bridge("1-1.4.3", Some("0001")), 0);
    jig.links(
        "ttyUSB2",
        "usb-Silicon_Labs_0001-if00-port0",
        "pci-0000:00:14.0-usb-0:1.4.3:1.0-port0",
    );
    let prog = Usb { hub: "1-2", id: FT2232H, names: None, serial: None };
    jig.tty_usb("ttyUSB0", "ftdi_sio", &prog, 0);
    jig.tty_usb("ttyUSB1", "ftdi_sio", &prog, 1);
    let names = Some(("Espressif", "USB JTAG/serial debug unit"));
    let esp = Usb { hub: "1-3", id: SERIAL_JTAG, names, serial: Some("34:85:18:00:00:01") };
    jig.tty_acm("ttyACM0", &esp, 0);
    let uno = Usb { hub: "1-4", id: ("2341", "0043"), names: None, serial: None };
    jig.tty_acm("ttyACM1", &uno, 0);
    jig.uart("ttyS0", 0);
    jig.uart("ttyAMA0", 32);
    // A console of the machine has no device.
    fs::create_dir(jig.path("sys/class/tty/tty0")).expect("a folder");
}

#[test]
fn every_port_is_listed_with_what_it_is_and_where_it_is_plugged_in() {
    let station = Station::new();
    let jig = Jig::new(&station);
    bench(&jig);
    let ports = list(&jig);
    let seen: Vec<Value> = ports
        .iter()
        .map(|port| json!([port["kind"], port["name"], port["driver"], port["url"]]))
        .collect();
    let expected = [
        json!(["esp", "ESP USB Serial/JTAG", "cdc_acm", "serial:hub=1-3:0"]),
        json!(["other_usb", null, "cdc_acm", "serial:hub=1-4:0"]),
        json!(["uart", null, "serial8250", null]),
        json!(["bridge", "FT2232", "ftdi_sio", "serial:hub=1-2:0"]),
        json!(["bridge", "FT2232", "ftdi_sio", "serial:hub=1-2:1"]),
        json!(["bridge", "CP210x", "cp210x", "serial:hub=1-1.4.3:0"]),
        json!(["bridge", "CP210x", "cp210x", "serial:hub=1-1.4.2:0"]),
    ];
    assert_eq!(seen, expected);
    let two = &ports[5];
    assert_eq!(two["path"], jig.port("ttyUSB2"));
    assert_eq!(two["by_id"], jig.port("serial/by-id/usb-Silicon_Labs_0001-if00-port0"));
    assert_eq!(two["by_path"], jig.port("serial/by-path/pci-0000:00:14.0-usb-0:1.4.3:1.0-port0"));
    let usb = json!({
        "vendor_id": "10c4", "product_id": "ea60", "vendor": "Silicon Labs",
        "product": "CP2102N USB to UART Bridge Controller", "serial": "0001", "hub": "1-1.4.3", "interface": 0,
    });
    assert_eq!(two["usb"], usb);
    assert_eq!(ports[6]["by_id"], Value::Null);
}

#[test]
fn the_table_is_for_people() {
    let station = Station::new();
    let jig = Jig::new(&station);
    let ended = Ended::of(jig.command().args(["device", "list"]));
    assert!(ended.stdout.starts_with("no serial port is plugged in"), "{ended:?}");
    bench(&jig);
    let ended = Ended::of(jig.command().args(["device", "list"]));
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""));
    let line = ended.stdout.lines().find(|line| line.contains("ttyACM0")).expect("its line");
    let words: Vec<&str> =
        line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    let port = jig.port("ttyACM0");
    let expected =
        [&port, "ESP USB Serial/JTAG", "303a:1001", "34:85:18:00:00:01", "1-3:0", "cdc_acm", "-"];
    assert_eq!(words, expected);
}

/// A device says of itself what it likes.
#[test]
fn a_device_s_own_words_move_no_cursor() {
    let station = Station::new();
    let jig = Jig::new(&station);
    jig.tty_usb("ttyUSB0", "cp210x", &bridge("1-1", Some("\u{1b}[2Jclear\u{7}")), 0);
    assert_eq!(list(&jig)[0]["usb"]["serial"], "[2Jclear");
}

#[test]
fn the_array_is_as_its_schema_says() {
    let Some(python) = python() else { return };
    let station = Station::new();
    let jig = Jig::new(&station);
    bench(&jig);
    let terminal = Terminal::new();
    jig.wire("ttyUSB0", &terminal.path);
    let _holder = hold(&terminal);
    let schema = Ended::of(jig.command().args(["device", "list", "--schema"]));
    station.write("schema.json", schema.stdout);
    station.write("ports.json", serde_json::to_string(&list(&jig)).expect("JSON"));
    let judge = "import json, jsonschema; \
        schema, ports = (json.load(open(name)) for name in ('schema.json', 'ports.json')); \
        jsonschema.Draft202012Validator.check_schema(schema); \
        jsonschema.validate(ports, schema, cls=jsonschema.Draft202012Validator); \
        del ports[0]['path']; \
        print(len(ports), len(list(jsonschema.Draft202012Validator(schema).iter_errors(ports))))";
    let mut python = Command::new(python);
    let judged = Ended::of(python.args(["-c", judge]).current_dir(station.path("")));
    assert_eq!(judged.stdout, "7 1\n", "{judged:?}");
}

/// A process that has the port open, and does nothing with it.
fn hold(terminal: &Terminal) -> ChildGuard {
    let mut command = Command::new("sleep");
    command.arg("600").stdin(Stdio::null()).stdout(terminal.open());
    ChildGuard::spawn(&mut command).expect("it starts")
}

#[test]
fn whoever_has_a_port_open_is_named() {
    let station = Station::new();
    let jig = Jig::new(&station);
    let [held, free] = [Terminal::new(), Terminal::new()];
    for (name, terminal) in [("ttyUSB0", &held), ("ttyUSB1", &free)] {
        jig.tty_usb(name, "cp210x", &bridge("1-1", None), u8::from(name == "ttyUSB1"));
        jig.wire(name, &terminal.path);
    }
    let mut holder = hold(&held);
    let pid = holder.child().id();
    let ports = list(&jig);
    let expected = json!([{ "pid": pid, "program": "sleep", "user": null, "by": "open" }]);
    assert_eq!(ports[0]["held_by"], expected, "and not the test itself, which is the other end");
    assert_eq!(ports[1]["held_by"], json!([]));
    let table = Ended::of(jig.command().args(["device", "list"])).stdout;
    assert!(table.contains(&format!("sleep (pid {pid})")), "{table}");
    drop(holder);
    assert_eq!(list(&jig)[0]["held_by"], json!([]));
}

#[test]
fn a_lock_file_counts_for_as_long_as_its_process_lives() {
    let station = Station::new();
    let jig = Jig::new(&station);
    let terminal = Terminal::new();
    jig.tty_usb("ttyUSB0", "cp210x", &bridge("1-1", None), 0);
    jig.wire("ttyUSB0", &terminal.path);
    let name = terminal.path.file_name().expect("a name").to_string_lossy().into_owned();
    let mut elsewhere = ChildGuard::spawn(Command::new("sleep").arg("600")).expect("it starts");
    let pid = elsewhere.child().id();
    let file = jig.path("run/lock").join(format!("LCK..{name}"));
    fs::write(file, format!("{pid:>10}\n")).expect("a lock file");
    let expected = json!([{ "pid": pid, "program": "sleep", "user": null, "by": "lock_file" }]);
    assert_eq!(list(&jig)[0]["held_by"], expected);
    drop(elsewhere);
    assert_eq!(list(&jig)[0]["held_by"], json!([]));
}

/// Pseudo terminals have no modem lines, so that none of these units can be reset: what is said of them is how it went.
#[test]
fn units_are_asked_on_request_and_only_where_it_does_no_harm() {
    let station = Station::new();
    let jig = Jig::new(&station);
    bench(&jig);
    let [held, free] = [Terminal::new(), Terminal::new()];
    jig.wire("ttyUSB0", &held.path);
    jig.wire("ttyUSB2", &free.path);
    let _holder = hold(&held);
    let ended = Ended::of(jig.command().args(["device", "list", "--identify", "--json"]));
    assert_eq!(ended.code(), 0, "{ended:?}");
    let ports = ended.json();
    let why = |name: &str| -> Option<String> {
        let mut ports = ports.as_array().expect("an array").iter();
        let port = ports.find(|port| port["path"] == jig.port(name)).expect("it is listed");
        assert_eq!(port["unit"], Value::Null);
        port["not_identified"].as_str().map(str::to_owned)
    };
    assert_eq!(why("ttyACM1"), None, "an Arduino is nobody's to reset");
    assert_eq!(why("ttyAMA0"), None, "nor is whatever hangs on the machine's own UART");
    assert!(why("ttyUSB0").expect("why").starts_with("its port is held by sleep (pid "));
    assert!(why("ttyUSB2").expect("why").contains("its modem lines cannot be set"));
    assert!(why("ttyUSB10").expect("why").contains("cannot open"));
    let table = Ended::of(jig.command().args(["device", "list", "--identify"])).stdout;
    assert!(table.lines().next().expect("heads").ends_with("UNIT"), "{table}");
}

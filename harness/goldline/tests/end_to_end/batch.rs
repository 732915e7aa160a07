//! Several units in one command: each has an id and a verdict of its own.

use serde_json::Value;

use super::program::Station;

/// The third address is no chip's: its group bit is set, as in the product's own sample.
const UNITS: [&str; 3] = [
    "simulator:?mac=e8:69:09:e9:0a:b4",
    "simulator:?mac=24:0a:c4:00:01:11",
    "simulator:?mac=a1:b2:c3:d4:e5:f6",
];

#[test]
fn a_bad_unit_of_a_batch_does_not_stop_the_others() {
    let station = Station::new();
    let devices = UNITS.iter().flat_map(|unit| ["--device", unit]);
    let command = ["run", "ble-gateway", "--json", "--lot", "A"].into_iter().chain(devices);
    let ended = station.unit(command);
    let records = ended.json();
    let each = |what: fn(&Value) -> &Value| -> Vec<&Value> {
        records.as_array().expect("a record a unit").iter().map(what).collect()
    };
    assert_eq!(ended.code(), 1, "{records:#}");
    assert_eq!(each(|record| &record["verdict"]), ["PASS", "PASS", "FAIL"], "{records:#}");
    let ids = each(|record| &record["unit"]["ids"]["device_id"]);
    assert_eq!(ids, ["E86909E90AB4", "240AC4000111", "A1B2C3D4E5F6"]);
    assert_eq!(records[2]["diagnosis"]["code"], "chip.mac_invalid");
}

/// Units of one tenant were refused as one unit given twice.
#[test]
fn a_list_of_units_gives_each_its_own_id_and_place() {
    let station = Station::new();
    let rows = "device_id,tenant,building,room\n\
                button-1,acme,north,101\n\
                button-2,acme,north,102\n\
                button-3,acme,south,7\n";
    station.write("units.csv", rows);
    let devices = ["--device", "simulator:"].repeat(3);
    let command = ["run", "safesignal", "--json", "--units", "units.csv"];
    let ended = station.unit([&command, devices.as_slice()].concat());
    let records = ended.json();
    assert_eq!(ended.code(), 0, "{records:#}");
    let ids: Vec<&Value> = records
        .as_array()
        .expect("a record a unit")
        .iter()
        .map(|record| &record["unit"]["ids"]["device_id"])
        .collect();
    assert_eq!(ids, ["button-1", "button-2", "button-3"]);
}

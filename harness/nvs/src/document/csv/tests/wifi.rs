//! What the CSV itself says of keys that the generator adds beside WiFi credentials.

use crate::csv::{Mode, NoFiles, parse};
use crate::{Document, Value};

fn read(text: &str, mode: Mode) -> Result<Document, String> {
    parse(text.as_bytes(), mode, &mut NoFiles).map_err(|error| error.to_string())
}

/// Keys and lengths of the values, in order.
fn contents(document: &Document) -> Vec<(String, usize)> {
    document.entries().map(|(_, key, value)| (key.to_string(), value.len())).collect()
}

fn strict(rows: &str) -> Vec<(String, usize)> {
    let text = format!("key,type,encoding,value\nnvs.net80211,namespace,,\n{rows}");
    contents(&read(&text, Mode::Strict).unwrap())
}

fn list(expected: &[(&str, usize)]) -> Vec<(String, usize)> {
    expected.iter().map(|(key, length)| ((*key).to_owned(), *length)).collect()
}

#[test]
fn a_row_of_the_csv_counts_before_and_behind_the_credentials() {
    let rows = "sta.pmk,data,hex2bin,01\nsta.ssid,data,string,net\n\
                other,data,u8,1\nsta.apinfo,data,hex2bin,0203\n";
    let expected =
        [("sta.pmk", 1), ("sta.ssid", 3), ("sta.apsw", 2), ("other", 1), ("sta.apinfo", 2)];
    assert_eq!(strict(rows), list(&expected));
    let rows = "ap.ssid,data,string,net\nap.passwd,data,string,secret123\n\
                ap.authmode,data,u8,3\nap.pmk_info,data,hex2bin,01\n";
    let expected = [("ap.ssid", 3), ("ap.passwd", 9), ("ap.authmode", 1), ("ap.pmk_info", 1)];
    assert_eq!(strict(rows), list(&expected));
}

#[test]
fn a_row_is_still_not_written_twice() {
    let text = "key,type,encoding,value\nnvs.net80211,namespace,,\nsta.ssid,data,string,net\n\
                sta.pmk,data,hex2bin,01\nsta.pmk,data,hex2bin,02\n";
    let error = read(text, Mode::Strict).unwrap_err();
    assert!(error.starts_with("line 5, column 1: `sta.pmk` is already set"), "{error}");
    assert!(error.contains("(line 4)"), "{error}");
}

const ALONE: &str = "key,type,encoding,value,wifi_extras\nnvs.net80211,namespace,,,\n\
                     sta.ssid,data,string,net,none\nsta.pswd,data,string,secret123,none\n\
                     ap.ssid,data,string,net,none\nap.passwd,data,string,secret123,none\n\
                     ap.authmode,data,u8,3,none\nother,namespace,,,\nsta.ssid,data,u8,1,none\n";

#[test]
fn a_column_keeps_everything_from_being_added() {
    let document = read(ALONE, Mode::Strict).unwrap();
    let expected = [
        ("sta.ssid", 3),
        ("sta.pswd", 9),
        ("ap.ssid", 3),
        ("ap.passwd", 9),
        ("ap.authmode", 1),
        ("sta.ssid", 1),
    ];
    assert_eq!(contents(&document), list(&expected));
}

#[test]
fn the_compatible_mode_ignores_the_column() {
    let without = ALONE.replace(",wifi_extras", "").replace(",none", "");
    let keys = |text: &str| contents(&read(text, Mode::Compat).unwrap());
    assert_eq!(keys(ALONE), keys(&without));
    assert_eq!(keys(ALONE).len(), 10);
}

#[test]
fn the_column_takes_one_word() {
    let error = read(&ALONE.replace("net,none", "net,no"), Mode::Strict).unwrap_err();
    let expected = "line 3, column 26: the column `wifi_extras` takes `none`";
    assert!(error.starts_with(expected), "{error}");
}

#[test]
fn a_file_row_for_credentials_is_refused_with_the_column_too() {
    let text = "key,type,encoding,value,wifi_extras\nnvs.net80211,namespace,,,\n\
                sta.ssid,file,string,ssid.txt,none\n";
    let mut files = |_: &str| Ok(b"net".to_vec());
    let error = parse(text.as_bytes(), Mode::Strict, &mut files).unwrap_err().to_string();
    assert!(error.contains("stores the path of a file row for `sta.ssid`"), "{error}");
}

#[test]
fn without_a_word_of_the_csv_the_generator_adds_its_own() {
    let rows = "sta.ssid,data,string,net\n";
    let expected = [("sta.ssid", 3), ("sta.apinfo", 140), ("sta.pmk", 32), ("sta.apsw", 2)];
    assert_eq!(strict(rows), list(&expected));
    let text = format!("key,type,encoding,value\nnvs.net80211,namespace,,\n{rows}");
    let document = read(&text, Mode::Strict).unwrap();
    let (_, _, apinfo) = document.entries().nth(1).unwrap();
    assert_eq!(*apinfo, Value::Blob(vec![0xFF; 140]));
}

//! What a device reads → CSV → the same content.

use proptest::prelude::*;

use crate::csv::{Mode, NoFiles, Unwritable, WriteError, parse, write};
use crate::{DeviceView, Document, Image, Value, Version, diff, generate};

/// Large enough for every document of these tests.
const SIZE: usize = 0x2_0000;

fn image(document: &Document) -> Vec<u8> {
    generate(document, SIZE, Version::V2).unwrap()
}

fn view(document: &Document) -> DeviceView {
    Image::decode(&image(document)).unwrap().device_view()
}

fn read(csv: &str) -> Document {
    parse(csv.as_bytes(), Mode::Strict, &mut NoFiles).unwrap()
}

fn document(namespace: &str, entries: &[(&str, Value)]) -> Document {
    let mut document = Document::new();
    for (key, value) in entries {
        document.insert(namespace, key, value.clone()).unwrap();
    }
    document
}

/// The CSV of a document, after it was found to give the same content.
#[track_caller]
fn round_trip(document: &Document) -> String {
    let before = view(document);
    let csv = write(&before).unwrap();
    let after = view(&read(&csv));
    assert!(diff(&before, &after).is_empty(), "{csv}");
    assert_eq!(before.entries().len(), after.entries().len(), "{csv}");
    assert_eq!(before.namespaces(), after.namespaces(), "{csv}");
    csv
}

#[test]
fn what_is_written_gives_the_same_image() {
    let mut document = document(
        "ns",
        &[
            ("plain", Value::str("a b")),
            ("#odd,\"key", Value::str("a,\"b\"\nc")),
            ("pem", Value::str("-----BEGIN X-----\nAA")),
            ("empty", Value::str("")),
            ("spaces", Value::str(" \t ")),
            ("comment", Value::str("#1")),
            ("number", Value::I64(i64::MIN)),
            ("blob", Value::Blob(vec![0, 255])),
            ("float", Value::F32(0.1)),
            ("double", Value::F64(-0.0)),
            ("nan", Value::F64(f64::from_bits(0xFFF0_0000_0000_0001))),
        ],
    );
    document.namespace("empty").unwrap();
    let csv = round_trip(&document);
    assert_eq!(image(&read(&csv)), image(&document), "{csv}");
    assert!(csv.contains("\nfloat,data,float,0.1\ndouble,data,double,-0.0\n"), "{csv}");
}

/// What a device keeps after it joined: the credentials as the driver stores
/// them, and the record of access points with 700 bytes.
fn of_live_device() -> Vec<(&'static str, Value)> {
    let mut ssid = 6u32.to_le_bytes().to_vec();
    ssid.extend(b"labnet");
    let mut apinfo = vec![0xFF; 700];
    apinfo[..10].copy_from_slice(&ssid);
    vec![
        ("opmode", Value::U8(3)),
        ("sta.ssid", Value::Blob(ssid.clone())),
        ("sta.pswd", Value::str("Tulip-Ladder-77")),
        ("sta.apinfo", Value::Blob(apinfo)),
        ("sta.pmk", Value::Blob(vec![7; 32])),
        ("sta.apsw", Value::Blob(vec![1, 0])),
        ("ap.ssid", Value::Blob(ssid)),
        ("ap.passwd", Value::Blob(b"passphrase".to_vec())),
        ("ap.authmode", Value::U8(3)),
        ("ap.pmk_info", Value::Blob(vec![9; 132])),
    ]
}

#[test]
fn a_live_device_has_its_csv() {
    let csv = round_trip(&document("nvs.net80211", &of_live_device()));
    assert!(csv.starts_with("key,type,encoding,value\n"), "{csv}");
}

#[test]
fn any_part_of_a_live_device_has_its_csv() {
    let entries = of_live_device();
    let (station, access_point) = entries.split_at(6);
    for half in [station, access_point] {
        for kept in 0..1u32 << half.len() {
            let is_kept = |index: &usize| kept & 1 << index != 0;
            let part: Vec<_> =
                (0..half.len()).filter(is_kept).map(|index| half[index].clone()).collect();
            round_trip(&document("nvs.net80211", &part));
        }
    }
}

#[test]
fn the_order_in_the_flash_does_not_matter() {
    let mut entries = of_live_device();
    entries.reverse();
    round_trip(&document("nvs.net80211", &entries));
}

#[test]
fn what_the_generator_adds_stays_out_so_that_others_read_the_csv_as_well() {
    let text = "key,type,encoding,value\nnvs.net80211,namespace,,\n\
                sta.ssid,data,string,net\nsta.pswd,data,string,secret123\n\
                ap.ssid,data,string,mine\nap.passwd,data,string,passphrase\nap.authmode,data,u8,3\n";
    assert_eq!(round_trip(&read(text)), text);
}

#[test]
fn nothing_is_added_where_nothing_was() {
    let csv = round_trip(&document("nvs.net80211", &[("sta.ssid", Value::str("net"))]));
    let expected = "key,type,encoding,value,wifi_extras\nnvs.net80211,namespace,,,\n\
                    sta.ssid,data,string,net,none\n";
    assert_eq!(csv, expected);
}

#[test]
fn names_of_wifi_keys_may_stand_elsewhere() {
    round_trip(&document("mine", &of_live_device()));
    round_trip(&document("mine", &[("sta.apinfo", Value::U8(1))]));
}

#[test]
fn what_would_not_survive_is_refused_by_name() {
    let refused = |value: Value| write(&view(&document("ns", &[("key", value)]))).unwrap_err();
    let why = |value| refused(value).why;
    assert_eq!(why(Value::Str(vec![0xFF])), Unwritable::NotUtf8);
    assert_eq!(why(Value::str("a\r")), Unwritable::CarriageReturn);
    assert_eq!(why(Value::str("a\n#b")), Unwritable::CommentLine);
    let message = refused(Value::str("hunter2\r")).to_string();
    assert!(message.starts_with("ns/key cannot be written as CSV: the string has a carriage"));
    assert!(!message.contains("hunter2"), "{message}");
}

/// Changes an image's bytes and mends the CRC of the entry they are in.
fn rewrite(image: &mut [u8], entry: usize, change: impl Fn(&mut [u8])) {
    let bytes = &mut image[64 + entry * 32..][..32];
    change(bytes);
    let crc = crate::format::crc32(&[&bytes[..4], &bytes[8..]].concat());
    bytes[4..8].copy_from_slice(&crc.to_le_bytes());
}

#[test]
fn names_that_only_a_device_takes_are_refused_by_name() {
    let entries = [("a", Value::U8(1)), ("b", Value::U16(2)), ("c", Value::U8(3))];
    let document = document("ns", &entries);
    let error = |change: &dyn Fn(&mut [u8])| -> WriteError {
        let mut image = image(&document);
        // Within a page that is full, a device does not look for what a later entry replaces.
        image[..4].copy_from_slice(&0xFFFF_FFFCu32.to_le_bytes());
        rewrite(&mut image, 2, change);
        write(&Image::decode(&image).unwrap().device_view()).unwrap_err()
    };
    let foreign = error(&|entry| entry[8..10].copy_from_slice("é".as_bytes()));
    assert!(foreign.to_string().starts_with("ns/é cannot be written as CSV"), "{foreign}");
    let behind = error(&|entry| entry[11] = b'x');
    assert_eq!(behind.why, Unwritable::Name);
    let twice = error(&|entry| entry[8] = b'a');
    assert_eq!(twice.why, Unwritable::TwoTypes);
    assert_eq!(twice.key.unwrap().to_string(), "a");
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{1,15}",
        prop_oneof![
            Just("sta.ssid"),
            Just("sta.pswd"),
            Just("sta.apinfo"),
            Just("sta.pmk"),
            Just("sta.apsw"),
            Just("ap.ssid"),
            Just("ap.pmk_info")
        ]
        .prop_map(str::to_owned),
    ]
    .prop_filter("a key has no space around", |name| name.trim() == name)
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<u8>().prop_map(Value::U8),
        any::<i8>().prop_map(Value::I8),
        any::<u16>().prop_map(Value::U16),
        any::<i16>().prop_map(Value::I16),
        any::<u32>().prop_map(Value::U32),
        any::<i32>().prop_map(Value::I32),
        any::<u64>().prop_map(Value::U64),
        any::<i64>().prop_map(Value::I64),
        any::<u32>().prop_map(|bits| Value::F32(f32::from_bits(bits))),
        any::<u64>().prop_map(|bits| Value::F64(f64::from_bits(bits))),
        "[a-c,;\"#\\n\\r \t\u{85}\u{2028}é日-]{0,20}".prop_map(|text| Value::str(&text)),
        "[^\u{0}]{0,40}".prop_map(|text| Value::str(&text)),
        proptest::collection::vec(1u8.., 0..9).prop_map(Value::Str),
        proptest::collection::vec(any::<u8>(), 0..90).prop_map(Value::Blob),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_the_writer_takes_reads_back_equal(
        entries in proptest::collection::vec(
            (prop_oneof![Just("nvs.net80211".to_owned()), Just("b".to_owned()), name()], name(), value()),
            0..12,
        ),
    ) {
        let mut document = Document::new();
        for (namespace, key, value) in &entries {
            let _ = document.insert(namespace, key, value.clone());
        }
        let expresses = |value: &Value| match value {
            Value::Str(text) => std::str::from_utf8(text)
                .is_ok_and(|text| !text.contains('\r') && !text.contains("\n#")),
            _ => true,
        };
        let is_expressible = document.entries().all(|(_, _, value)| expresses(value));
        let before = view(&document);
        match write(&before) {
            Ok(csv) => {
                let after = view(&read(&csv));
                prop_assert!(is_expressible);
                prop_assert!(diff(&before, &after).is_empty(), "{}", csv);
                prop_assert_eq!(before.namespaces(), after.namespaces());
            }
            Err(error) => prop_assert!(!is_expressible, "{}", error),
        }
    }
}

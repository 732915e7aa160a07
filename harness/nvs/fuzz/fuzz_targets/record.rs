//! Any bytes as a record of ESP-IDF and as a value that may be a secret; the first chooses the key.
#![no_main]

use goldline_nvs::record::{Content, Record};
use goldline_nvs::{Key, SecretRule, Value, secret};
use libfuzzer_sys::fuzz_target;

const KEYS: [&str; 10] = [
    "sta.apinfo", "sta.ssid", "sta.pswd", "sta.pmk", "sta.bssid", "ap.pmk_info", "ap.ssid",
    "ap.passwd", "country", "other",
];

fuzz_target!(|bytes: &[u8]| {
    let Some((&choice, content)) = bytes.split_first() else {
        return;
    };
    let namespace = Key::new("nvs.net80211").unwrap();
    let key = Key::new(KEYS[usize::from(choice) % KEYS.len()]).unwrap();
    for value in [Value::Blob(content.to_vec()), Value::Str(content.to_vec())] {
        let rule = SecretRule::careful();
        let is_secret = rule.is_secret(&namespace, &key, &value);
        let Some(record) = Record::read(&namespace, &key, &value) else {
            continue;
        };
        // A record is hidden exactly when a field of it is.
        assert_eq!(is_secret, record.is_secret());
        let hidden = |field: &goldline_nvs::record::Field| matches!(field.content, Content::Secret(_));
        assert_eq!(record.fields().iter().any(hidden), record.is_secret());
        assert!(!format!("{record:?}").is_empty());
    }
    // Whatever holds the bytes, the verdict is the same and takes time in proportion to them.
    assert_eq!(secret::of_bytes(content), secret::of_bytes(content));
});

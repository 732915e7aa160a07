//! esp-nvs as the other side: it reads what this crate writes and edits, and
//! this crate reads what it writes. The two share no code.

use std::collections::BTreeMap;

use esp_nvs::mem_flash::MemFlash;
use goldline_nvs::csv::{Mode, NoFiles, parse};
use goldline_nvs::edit::Editor;
use goldline_nvs::{Image, Severity, Value, generate};

use crate::differential::job;
use crate::random::Random;

type Nvs = esp_nvs::Nvs<MemFlash>;

fn open(bytes: Vec<u8>) -> Nvs {
    esp_nvs::Nvs::new(0, bytes.len(), MemFlash::from_bytes(bytes)).unwrap()
}

#[test]
fn esp_nvs_reads_what_is_generated() {
    let mut read_back = 0;
    for seed in 1000..1100 {
        let job = job(&mut Random::new(seed));
        let Ok(document) = parse(job.csv.as_bytes(), Mode::Strict, &mut NoFiles) else {
            continue;
        };
        let Ok(plain) = generate(&document, job.size, job.version) else {
            continue;
        };
        let mut nvs = open(plain.clone());
        for (namespace, key, expected) in document.entries() {
            let name = |key: goldline_nvs::Key| esp_nvs::Key::from_str(key.as_str().unwrap());
            let found = get(&mut nvs, &name(namespace), &name(key), expected);
            assert_eq!(found.as_ref(), Some(expected), "{seed}: {namespace}/{key}");
        }
        let decoded = Image::decode(&plain).unwrap();
        assert_eq!(decoded.device_view().entries().len(), document.entries().count());
        read_back += 1;
    }
    assert!(read_back >= 50, "{read_back}");
}

fn get(nvs: &mut Nvs, namespace: &esp_nvs::Key, key: &esp_nvs::Key, like: &Value) -> Option<Value> {
    Some(match like {
        Value::U8(_) => Value::U8(nvs.get(namespace, key).ok()?),
        Value::I8(_) => Value::I8(nvs.get(namespace, key).ok()?),
        Value::U16(_) => Value::U16(nvs.get(namespace, key).ok()?),
        Value::I16(_) => Value::I16(nvs.get(namespace, key).ok()?),
        Value::U32(_) => Value::U32(nvs.get(namespace, key).ok()?),
        Value::I32(_) => Value::I32(nvs.get(namespace, key).ok()?),
        Value::U64(_) => Value::U64(nvs.get(namespace, key).ok()?),
        Value::I64(_) => Value::I64(nvs.get(namespace, key).ok()?),
        Value::Str(_) => Value::str(&nvs.get::<String>(namespace, key).ok()?),
        Value::Blob(_) => Value::Blob(nvs.get(namespace, key).ok()?),
        Value::F32(_) | Value::F64(_) => return None,
    })
}

/// Values of a few keys, changed often enough for many compactions.
fn changes(seed: u64) -> Vec<(String, Value)> {
    let mut random = Random::new(seed);
    let value = |random: &mut Random| {
        let mut bytes = vec![0; random.below(200)];
        random.fill(&mut bytes);
        match random.below(5) {
            0 => Value::U8(random.next() as u8),
            1 => Value::I64(random.next() as i64),
            2 => Value::str(&"s".repeat(random.below(90))),
            3 => Value::Blob(bytes.repeat(1 + random.below(12))),
            _ => Value::Blob(bytes),
        }
    };
    // A key keeps its type: which of two types a device reads is not defined.
    let types: Vec<Value> = (0..8).map(|_| value(&mut random)).collect();
    let change = |_| loop {
        let key = random.below(8);
        let value = value(&mut random);
        if value.type_name() == types[key].type_name() {
            break (format!("k{key}"), value);
        }
    };
    (0..120).map(change).collect()
}

fn set(nvs: &mut Nvs, key: &str, value: &Value) -> Result<(), esp_nvs::error::Error> {
    let (namespace, key) = (esp_nvs::Key::from_str("ns"), esp_nvs::Key::from_str(key));
    match value {
        Value::U8(v) => nvs.set(&namespace, &key, *v),
        Value::I64(v) => nvs.set(&namespace, &key, *v),
        Value::Str(_) => nvs.set(&namespace, &key, value.as_str().unwrap()),
        Value::Blob(bytes) => nvs.set(&namespace, &key, bytes.as_slice()),
        other => panic!("no {} here", other.type_name()),
    }
}

#[test]
fn what_esp_nvs_writes_is_read() {
    for seed in 0..20 {
        let mut nvs = open(vec![0xFF; 0x8000]);
        let mut model = BTreeMap::new();
        for (key, value) in changes(seed) {
            set(&mut nvs, &key, &value).unwrap();
            model.insert(key, value);
        }
        let bytes = nvs.into_inner().into_inner();
        let image = Image::decode(&bytes).unwrap();
        let worst = image.findings().into_iter().map(|f| f.severity).max();
        assert!(worst <= Some(Severity::Note), "{seed}: {:#?}", image.findings());
        let view = image.device_view();
        let entries = view.entries().iter();
        let found = entries.map(|e| (e.key.to_string(), e.value.clone())).collect();
        assert_eq!(model, found, "{seed}");
    }
}

#[test]
fn esp_nvs_reads_what_is_edited() {
    for seed in 100..120 {
        let mut editor = Editor::open(&[0xFF; 0x8000]).unwrap();
        let mut model = BTreeMap::new();
        for (key, value) in changes(seed) {
            editor.set("ns", &key, &value).unwrap();
            model.insert(key, value);
        }
        let mut nvs = open(editor.finish());
        for (key, value) in model {
            let (namespace, name) = (esp_nvs::Key::from_str("ns"), esp_nvs::Key::from_str(&key));
            let found = get(&mut nvs, &namespace, &name, &value);
            assert_eq!(found, Some(value), "{seed}: {key}");
        }
    }
}

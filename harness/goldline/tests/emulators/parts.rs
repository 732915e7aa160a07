//! Parts of a flash and of a record, as the tests of several emulators take them.

use serde_json::Value;

/// An image of ESP-IDF's form ends on 16 bytes.
pub fn image(flash: &[u8], start: usize, end: usize) -> Vec<u8> {
    let bytes = &flash[start..end];
    let length = bytes.iter().rposition(|byte| *byte != 0xFF).expect("an image") + 1;
    bytes[..length.next_multiple_of(16)].to_vec()
}

/// How often a stage of a run was tried.
pub fn attempts(record: &Value, stage: &str) -> u64 {
    let stages = record["stages"].as_array().expect("stages");
    let stage = stages.iter().find(|it| it["name"] == stage);
    stage.unwrap_or_else(|| panic!("no such stage in {record:#}"))["attempts"]
        .as_u64()
        .expect("a number")
}

//! The JSON Schema of a profile, for editors: made of the types that read one.
//!
//! A schema knows forms only; whether names, lengths and offsets fit is the parser's affair.

use super::raw::RawProfile;

/// The schema as JSON text, with a line's end.
pub fn json_schema() -> String {
    let schema = schemars::schema_for!(RawProfile);
    let mut text = serde_json::to_string_pretty(&schema).expect("a schema is JSON");
    text.push('\n');
    text
}

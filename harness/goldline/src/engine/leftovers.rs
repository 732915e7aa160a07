//! Looks for what a factory reset should have taken: every value that the unit has by the plan or had
//! before, in the raw bytes of its NVS partition, where an erased entry keeps its value until its sector
//! is erased.

use goldline_nvs::{Image, leftover::leftover_bytes};

use super::{Failure, Run};
use crate::{
    check::Leftovers,
    plan::{BoundPlan, Region},
};

/// Shorter values are found everywhere by accident.
const SHORTEST: usize = 4;

/// A value that must be gone, as NVS stores it.
struct Value {
    namespace: String,
    key: String,
    bytes: Vec<u8>,
    /// The plan does not have it: the unit had it before.
    earlier: bool,
}

impl Run {
    pub(super) async fn search_leftovers(&mut self, region: &Region) -> Result<(), Failure> {
        self.enter_loader().await?;
        let (offset, size) = (region.offset, region.capacity);
        let bytes = self.with_device(move |device| device.read(offset, size)).await?;
        let plan = self.bound()?;
        let bytes = as_read(plan, bytes);
        let earlier = self.seen.nvs_before.clone().map(|before| as_read(plan, before));
        let values = values_to_find(plan, earlier.as_deref())?;
        let found = values.iter().filter_map(|value| describe(&bytes, value));
        self.seen.leftovers = Some(Leftovers { searched: bytes.len(), found: found.collect() });
        Ok(())
    }
}

/// The partition as the unit reads it; a blank one is blank with every key.
fn as_read(plan: &BoundPlan, bytes: Vec<u8>) -> Vec<u8> {
    match plan.plain_nvs(&bytes) {
        Ok(plain) => plain.into_owned(),
        Err(_) => bytes,
    }
}

/// The plan's values, and those that the unit had when it came: it may have been provisioned with others.
fn values_to_find(plan: &BoundPlan, earlier: Option<&[u8]>) -> Result<Vec<Value>, Failure> {
    let mut values: Vec<Value> = Vec::new();
    for (namespace, key, value) in plan.document()?.entries() {
        values.extend(value.as_bytes().map(|bytes| Value {
            namespace: namespace.to_string(),
            key: key.to_string(),
            bytes: bytes.to_vec(),
            earlier: false,
        }));
    }
    // What is no NVS has no values.
    let Some(image) = earlier.and_then(|earlier| Image::decode(earlier).ok()) else {
        return Ok(values);
    };
    for entry in image.device_view().entries() {
        let (namespace, key) = (entry.namespace.to_string(), entry.key.to_string());
        // What a firmware keeps under keys of its own is its own affair.
        let is_its = |known: &Value| known.namespace == namespace && known.key == key;
        let planned = values.iter().any(is_its);
        let Some(bytes) = entry.value.as_bytes().filter(|_| planned) else { continue };
        if !values.iter().any(|known| is_its(known) && known.bytes == bytes) {
            values.push(Value { namespace, key, bytes: bytes.to_vec(), earlier: true });
        }
    }
    Ok(values)
}

/// Where a value still is, without the value.
fn describe(bytes: &[u8], value: &Value) -> Option<String> {
    let at = position(bytes, &value.bytes)?;
    let key = &value.key;
    let whose = if value.earlier { "an earlier value" } else { "the value" };
    let erased = if is_live(bytes, &value.namespace, key) { "" } else { ", in an erased entry" };
    Some(format!("{whose} of {key} (at byte {at:#x}{erased})"))
}

/// A long value may lie in pieces, on several pages.
fn position(bytes: &[u8], value: &[u8]) -> Option<usize> {
    if value.len() < SHORTEST {
        return None;
    }
    let whole = bytes.windows(value.len()).position(|window| window == value);
    whole.or_else(|| leftover_bytes(&Image::decode(bytes).ok()?, value).into_iter().min())
}

/// Whether a device still finds the key.
fn is_live(bytes: &[u8], namespace: &str, key: &str) -> bool {
    Image::decode(bytes).is_ok_and(|image| image.device_view().entry(namespace, key).is_some())
}

#[cfg(test)]
mod tests {
    use goldline_nvs::{Document, Value as Stored, Version, edit::Editor, generate};

    use super::*;

    const CERTIFICATE: usize = 3900;

    fn certificate() -> Vec<u8> {
        (0..CERTIFICATE).map(|at| u8::try_from(at * 7 % 251).expect("a byte")).collect()
    }

    /// A partition whose only values were erased by their entries.
    fn erased() -> Vec<u8> {
        let mut document = Document::new();
        let long = Stored::Blob(certificate());
        document.insert("own", "pad", Stored::Blob(vec![1; 1000])).expect("it fits");
        document.insert("own", "cert", long).expect("it fits");
        document.insert("own", "psk", Stored::Blob(vec![0xDE, 0xAD, 0xBE, 0xEF])).expect("it fits");
        let bytes = generate(&document, 0x6000, Version::V2).expect("it fits");
        let mut editor = Editor::open(&bytes).expect("it is one");
        for key in ["cert", "psk"] {
            assert!(editor.remove("own", key), "{key}");
        }
        editor.finish()
    }

    #[test]
    fn a_value_in_pieces_and_one_that_is_no_text_are_found() {
        let bytes = erased();
        let certificate = certificate();
        let whole = bytes.windows(certificate.len()).any(|window| window == certificate);
        assert!(!whole, "it lies in one piece: the test tells nothing");
        assert!(position(&bytes, &certificate).is_some());
        assert!(position(&bytes, &[0xDE, 0xAD, 0xBE, 0xEF]).is_some());
        assert_eq!(position(&[0xFF; 0x6000], &certificate), None);
        assert_eq!(position(&bytes, &[0xDE]), None, "too short to tell");
    }
}

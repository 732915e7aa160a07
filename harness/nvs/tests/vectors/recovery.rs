//! What is still to be had of a damaged image: the value that a device reads, the repair of a
//! single bit, and what a device would lose.

use goldline_nvs::{
    Image, Value,
    recover::{Loss, recover},
};
use libtest_mimic::Trial;

use crate::{
    damaged::{foreign, image_of},
    others,
};

pub fn trials() -> Vec<Trial> {
    let own = |name: &str, body: fn()| {
        Trial::test(format!("recovery::{name}"), move || {
            body();
            Ok(())
        })
    };
    vec![
        own("a_single_bit_is_named", || {
            is_repaired_by(&image_of("header-bit"), HEADER_BIT);
            is_repaired_by(&image_of("key-bit"), KEY_BIT);
        }),
        own("two_bits_are_not_guessed", two_bits_are_not_guessed),
        own("the_newer_of_two_values_is_read", || {
            reads(&image_of("number-being-replaced"), "numbers", "u8", &Value::U8(7), 8);
        }),
        own("the_first_of_two_is_read_on_a_full_page", || {
            reads(&image_of("number-twice-on-a-full-page"), "numbers", "u8", &Value::U8(255), 8);
        }),
        own("the_old_blob_is_read_until_the_new_one_has_its_index", || {
            reads(&image_of("blob-being-replaced"), "cfg", "retries", &Value::U8(3), 5);
        }),
        own("a_compaction_loses_nothing", || {
            reads(&image_of("compaction-interrupted"), "cfg", "last", &Value::U32(305_419_896), 5);
        }),
        own("items_of_a_lost_page_stay_listed", || {
            is_listed_only(&image_of("header-bit"), "retries");
        }),
        own("items_behind_a_torn_string_stay_listed", || {
            is_listed_only(&image_of("torn-string"), "pass");
        }),
        own("what_a_device_loses_is_recovered", || {
            recovers_page(&image_of("header-bit"), "BenchNet", 5);
            recovers_header(&image_of("key-bit"), "BenchNet");
        }),
        others::trial("a_single_bit_is_named", |folder| {
            is_repaired_by(&foreign(folder, "d01_hdr_seq_flip"), HEADER_BIT);
            is_repaired_by(&foreign(folder, "d07_key_flip"), KEY_BIT);
        }),
        others::trial("the_newer_of_two_values_is_read", |folder| {
            reads(&foreign(folder, "d17_dup_after_powerloss"), "ns", "k_u8", &Value::U8(7), 8);
        }),
        others::trial("items_of_a_lost_page_stay_listed", |folder| {
            is_listed_only(&foreign(folder, "d01_hdr_seq_flip"), "retries");
        }),
        others::trial("what_a_device_loses_is_recovered", |folder| {
            recovers_page(&foreign(folder, "d01_hdr_seq_flip"), "MyNet", 8);
            recovers_header(&foreign(folder, "d07_key_flip"), "MyNet");
        }),
    ]
}

/// The lowest bit of the sequence number.
const HEADER_BIT: &str = "flipping bit 0 of byte 4 of the page restores the CRC";
/// The first letter of the key of entry 1, which became a capital.
const KEY_BIT: &str = "flipping bit 5 of byte 0x68 restores the CRC; the key was `ssid`";

fn decode(bytes: &[u8]) -> Image<'_> {
    Image::decode(bytes).expect("an image of a page at least")
}

fn is_repaired_by(bytes: &[u8], repair: &str) {
    let findings = decode(bytes).findings();
    assert!(findings[0].to_string().contains(repair), "{}", findings[0]);
}

fn two_bits_are_not_guessed() {
    let mut bytes = image_of("key-bit");
    bytes[0x69] ^= 0x01;
    let findings = decode(&bytes).findings();
    assert!(findings[0].repair.is_none(), "{}", findings[0]);
}

fn reads(bytes: &[u8], namespace: &str, key: &str, value: &Value, entries: usize) {
    let view = decode(bytes).device_view();
    assert_eq!(view.get(namespace, key), Some(value));
    assert_eq!(view.entries().len(), entries);
}

/// A device sees nothing; the raw items are there.
fn is_listed_only(bytes: &[u8], key: &str) {
    let image = decode(bytes);
    assert_eq!(image.device_view().entries(), []);
    assert!(image.items().any(|item| item.header.key() == *key));
}

/// All values of a page that is not read, `ssid` being the first.
fn recovers_page(bytes: &[u8], ssid: &str, values: usize) {
    let recovered = recovered(bytes);
    assert_eq!(recovered[0], ("ssid".to_owned(), Value::str(ssid), Loss::Page));
    assert_eq!(recovered.len(), values, "all values of the page, the blob among them");
}

/// The value behind a header with one wrong bit in its key, `ssid`.
fn recovers_header(bytes: &[u8], ssid: &str) {
    assert_eq!(recovered(bytes), [("ssid".to_owned(), Value::str(ssid), Loss::Header)]);
}

fn recovered(bytes: &[u8]) -> Vec<(String, Value, Loss)> {
    let values = recover(&decode(bytes));
    values.into_iter().map(|found| (found.key.to_string(), found.value, found.loss)).collect()
}

//! Any bytes as an image, plain and decrypted.
#![no_main]

use goldline_nvs::crypt::{Keys, decrypt};
use goldline_nvs::leftover::{leftover_bytes, leftover_secrets};
use goldline_nvs::recover::recover;
use goldline_nvs::usage::Usage;
use goldline_nvs::{
    Document, Image, SecretRule, Version, csv, diff, generate, identify, repair, salvage, snapshot,
    would_be_lost,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    identify(bytes);
    let _ = decrypt(bytes, &Keys::new([7; 64]));
    let Ok(image) = Image::decode(bytes) else {
        return;
    };
    let view = image.device_view();
    for finding in image.findings() {
        assert!(finding.offset < bytes.len());
    }
    snapshot(&view, &SecretRule::careful());
    leftover_secrets(&image, &SecretRule::careful());
    leftover_bytes(&image, b"password");
    recover(&image);
    Usage::of(&image).updates_before_compaction(2);
    assert!(diff(&view, &view).is_empty());
    would_be_lost(&image);
    let salvage = salvage(&image);
    let fresh = generate(&salvage.document, salvage.size, salvage.version).unwrap();
    let fresh = Image::decode(&fresh).unwrap().device_view();
    assert_eq!(fresh.entries().len(), salvage.kept + salvage.rescued.len());
    assert_eq!(repair(bytes).unwrap().bytes.len(), bytes.len());
    let unwritable = csv::write(&view).err().map(|error| error.why);
    assert!(!matches!(unwritable, Some(csv::Unwritable::ReadsOtherwise)));
    // What can be written anew reads the same.
    if let Ok(document) = Document::from_view(&view)
        && let Ok(fresh) = generate(&document, 0x20000, Version::V2)
    {
        let again = Image::decode(&fresh).unwrap().device_view();
        assert!(diff(&view, &again).is_empty());
    }
});

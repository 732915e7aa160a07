//! Any bytes as a CSV, in both modes.
#![no_main]

use goldline_nvs::csv::{Mode, NoFiles, parse};
use goldline_nvs::{Image, Version, generate};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for mode in [Mode::Strict, Mode::Compat] {
        let Ok(document) = parse(bytes, mode, &mut NoFiles) else {
            continue;
        };
        for version in [Version::V1, Version::V2] {
            let Ok(image) = generate(&document, 0x6000, version) else {
                continue;
            };
            let view = Image::decode(&image).unwrap().device_view();
            if mode == Mode::Strict {
                assert_eq!(view.entries().len(), document.entries().count());
            }
        }
    }
});

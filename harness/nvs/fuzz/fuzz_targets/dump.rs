//! Any bytes as a dump of the flash; the first two may say where its table is.
#![no_main]

use goldline_nvs::dump::{Contents, Kind, look};
use goldline_nvs::{Image, identify};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((place, file)) = bytes.split_first_chunk() else {
        return;
    };
    let table_offset = usize::from(u16::from_le_bytes(*place)) * 16;
    for table_offset in [None, Some(table_offset), Some(table_offset & !0xFFF)] {
        let Ok(Contents::Dump(dump)) = look(file, table_offset) else {
            continue;
        };
        for partition in &dump.partitions {
            let held = &file[partition.range.clone()];
            assert!(held.len() <= partition.size);
            assert_eq!(partition.is_cut_short(), held.len() < partition.size);
            assert!(!partition.label.is_empty());
            if partition.kind == Kind::Nvs && held.len() <= 0x10000 {
                identify(held);
                let _ = Image::decode(held).map(|image| image.device_view());
            }
        }
    }
});

//! Edits of any image: the first bytes are the edits, the rest is the image.
#![no_main]

use goldline_nvs::edit::Editor;
use goldline_nvs::{Code, Finding, Image, Value};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((edits, image)) = bytes.split_at_checked(16) else {
        return;
    };
    let Ok(mut editor) = Editor::open(image) else {
        return;
    };
    for edit in edits {
        let key = format!("k{}", edit % 4);
        let value = match edit / 64 {
            0 => Value::U8(*edit),
            1 => Value::Str(vec![b'x'; usize::from(*edit)]),
            2 => Value::Blob(vec![*edit; usize::from(*edit) * 20]),
            _ => {
                editor.remove("fuzz", &key);
                continue;
            }
        };
        if editor.set("fuzz", &key, &value).is_ok() {
            let bytes = editor.clone().finish();
            let image = Image::decode(&bytes).unwrap();
            // Two names of one index: the entry is listed under the first.
            let is_shared = |finding: &Finding| finding.code == Code::NamespaceIndex;
            if !image.findings().iter().any(is_shared) {
                assert_eq!(image.device_view().get("fuzz", &key), Some(&value));
            }
        }
    }
});

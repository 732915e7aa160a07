//! What still fits into a partition, and what it is worth saying of its filling as a whole.
//!
//! Found by trying: the answer is what a device would do, compactions and all.

use std::collections::HashMap;
use std::fmt;

use crate::edit::Editor;
use crate::image::Image;
use crate::key::Key;
use crate::limits::{BLOB_MAX_BYTES, ENTRIES_PER_PAGE, READ_WRITE_MIN_BYTES};
use crate::usage::{Usage, entries_of};
use crate::value::Value;

/// No NVS partition in use is larger; each trial copies all of it.
const TRIED_MAX_BYTES: usize = 1 << 20;

/// Room of a partition, and who takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Space {
    /// What its filling is called, where that is worth a word.
    pub condition: Option<Condition>,
    /// Bytes of the longest string, without its NUL, that still fits under a new key of a namespace
    /// that exists; none when nothing fits, a device does not open it for writing, or it has over 1 MiB.
    pub largest_string: Option<usize>,
    /// The same for a blob.
    pub largest_blob: Option<usize>,
    /// Namespaces in their order: name, keys, and entries of 32 bytes that these take.
    pub namespaces: Vec<(Key, usize, usize)>,
}

/// How full a partition is, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Nothing was ever written to it, or it was erased.
    Blank,
    /// Smaller than three pages: a device opens it only where the table says `readonly`.
    ReadOnly,
    /// Not one more number fits.
    Full,
    /// Less than a tenth of its entries is free.
    NearlyFull,
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Condition::Blank => "blank",
            Condition::ReadOnly => "for read-only use",
            Condition::Full => "full",
            Condition::NearlyFull => "nearly full",
        })
    }
}

impl Condition {
    /// Judges a plain image.
    pub fn of(image: &Image<'_>) -> Option<Self> {
        let view = image.device_view();
        condition(image, Trial::of(image, view.namespaces()).as_ref())
    }

    /// What it means, as the rest of a sentence.
    pub fn meaning(self) -> &'static str {
        match self {
            Condition::Blank => "nothing was ever written to it, or it was erased",
            Condition::ReadOnly => {
                "it has less than 0x3000 bytes, and a device opens it only where the partition \
                 table says readonly"
            }
            Condition::Full => "not one more number fits, not even after a compaction",
            Condition::NearlyFull => "less than a tenth of its entries is free",
        }
    }
}

impl Space {
    /// Judges a plain image.
    pub fn of(image: &Image<'_>) -> Self {
        let view = image.device_view();
        let mut taken: HashMap<Key, (usize, usize)> = HashMap::new();
        for entry in view.entries() {
            let (keys, entries) = taken.entry(entry.namespace).or_default();
            *keys += 1;
            *entries += entries_of(&entry.value);
        }
        let namespaces = view.namespaces().iter().map(|name| {
            let (keys, entries) = taken.get(name).copied().unwrap_or_default();
            (*name, keys, entries)
        });
        let trial = Trial::of(image, view.namespaces());
        Self {
            condition: condition(image, trial.as_ref()),
            largest_string: trial.as_ref().and_then(|trial| {
                // A page holds no longer one, whatever the partition's size.
                trial.largest(crate::limits::PAGE_BYTES, |bytes| Value::Str(vec![b'x'; bytes]))
            }),
            largest_blob: trial.as_ref().and_then(|trial| {
                let most = image.len().min(BLOB_MAX_BYTES);
                trial.largest(most, |bytes| Value::Blob(vec![0; bytes]))
            }),
            namespaces: namespaces.collect(),
        }
    }
}

fn condition(image: &Image<'_>, trial: Option<&Trial>) -> Option<Condition> {
    if image.pages().iter().all(|page| page.is_blank()) {
        return Some(Condition::Blank);
    }
    if image.len() < READ_WRITE_MIN_BYTES {
        return Some(Condition::ReadOnly);
    }
    if !trial?.takes(&Value::U8(0)) {
        return Some(Condition::Full);
    }
    let usable = (image.pages().len() - 1) * ENTRIES_PER_PAGE;
    (Usage::of(image).entries_available() < usable / 10).then_some(Condition::NearlyFull)
}

/// A partition that is written to and thrown away.
struct Trial {
    editor: Editor,
    namespace: String,
    key: String,
}

impl Trial {
    /// Nothing where a device does not open it for writing, nor where trying would take long.
    fn of(image: &Image<'_>, namespaces: &[Key]) -> Option<Self> {
        if image.len() > TRIED_MAX_BYTES {
            return None;
        }
        let bytes: Vec<u8> = image.pages().iter().flat_map(|page| page.bytes()).copied().collect();
        let editor = Editor::open(&bytes).ok()?;
        // A name that no firmware uses, so that nothing is replaced.
        let key = "~".repeat(crate::limits::KEY_MAX_BYTES);
        let namespace = namespaces.first().and_then(Key::as_str).unwrap_or("n").to_owned();
        Some(Self { editor, namespace, key })
    }

    fn takes(&self, value: &Value) -> bool {
        self.editor.clone().set(&self.namespace, &self.key, value).is_ok()
    }

    fn largest(&self, most: usize, value: impl Fn(usize) -> Value) -> Option<usize> {
        if !self.takes(&value(0)) {
            return None;
        }
        let (mut fits, mut fails) = (0, most + 1);
        while fails - fits > 1 {
            let middle = fits + (fails - fits) / 2;
            match self.takes(&value(middle)) {
                true => fits = middle,
                false => fails = middle,
            }
        }
        Some(fits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Document, Version, generate};

    fn image(document: &Document, size: usize) -> Vec<u8> {
        generate(document, size, Version::V2).unwrap()
    }

    fn space(bytes: &[u8]) -> Space {
        Space::of(&Image::decode(bytes).unwrap())
    }

    #[test]
    fn what_is_said_to_fit_does_and_one_byte_more_does_not() {
        let mut document = Document::new();
        document.insert("ns", "blob", Value::Blob(vec![7; 3000])).unwrap();
        let bytes = image(&document, 0x3000);
        let space = space(&bytes);
        assert_eq!(space.condition, None);
        let fits = |value: Value| Editor::open(&bytes).unwrap().set("ns", "new", &value).is_ok();
        let (string, blob) = (space.largest_string.unwrap(), space.largest_blob.unwrap());
        assert!(fits(Value::Str(vec![b'x'; string])) && !fits(Value::Str(vec![b'x'; string + 1])));
        assert!(fits(Value::Blob(vec![0; blob])) && !fits(Value::Blob(vec![0; blob + 1])));
        assert_eq!(space.namespaces, [(Key::new("ns").unwrap(), 1, 96)]);
    }

    #[test]
    fn blank_small_and_full_partitions_are_called_so() {
        assert_eq!(space(&[0xFF; 0x3000]).condition, Some(Condition::Blank));
        let mut document = Document::new();
        document.insert("ns", "n", Value::U8(1)).unwrap();
        assert_eq!(space(&image(&document, 0x1000)).condition, Some(Condition::ReadOnly));
        assert_eq!(space(&image(&document, 0x1000)).largest_blob, None);
        for n in 0..240 {
            document.insert("ns", &format!("k{n}"), Value::U8(1)).unwrap();
        }
        let nearly = space(&image(&document, 0x3000));
        assert_eq!(nearly.condition, Some(Condition::NearlyFull));
        for n in 240..250 {
            document.insert("ns", &format!("k{n}"), Value::U8(1)).unwrap();
        }
        let full = space(&image(&document, 0x3000));
        assert_eq!(full.condition, Some(Condition::Full));
        assert_eq!((full.largest_string, full.largest_blob), (None, None));
    }
}

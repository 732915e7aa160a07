//! Which version of a product a unit was provisioned as, as a digest that a station remembers.
//!
//! It must not change while the product does not: what is hashed are the names that profiles use, never
//! those of Rust. A new field of the NVS content has to be added here, and changes the digest only where a
//! profile uses it.

use sha2::{Digest, Sha256};

use crate::{
    hex::hex,
    image::FlashImages,
    profile::{NvsContent, NvsEncryption, NvsEntry, NvsKeyScheme},
};

/// SHA-256, as lowercase hex, of what is flashed and of which keys are written.
pub(super) fn digest(images: &FlashImages, nvs: &NvsContent) -> String {
    let mut words = Words(Sha256::new());
    for image in [&images.bootloader, &images.partition_table, &images.app] {
        words.add(image);
    }
    images.others.iter().for_each(|image| words.add(image));
    add_content(&mut words, nvs);
    hex(&words.0.finalize())
}

/// Each word with its length before it, so that no two lists of words are one text.
struct Words(Sha256);

impl Words {
    fn add(&mut self, word: impl AsRef<[u8]>) {
        let word = word.as_ref();
        self.0.update((word.len() as u64).to_le_bytes());
        self.0.update(word);
    }

    fn add_all<'a>(&mut self, words: impl ExactSizeIterator<Item = &'a String>) {
        self.count(words.len());
        words.for_each(|word| self.add(word));
    }

    fn count(&mut self, count: usize) {
        self.0.update((count as u64).to_le_bytes());
    }
}

fn add_content(words: &mut Words, nvs: &NvsContent) {
    let NvsContent { partition, namespace, entries, foreign_namespaces, encryption } = nvs;
    words.add(partition);
    words.add(namespace);
    words.count(entries.len());
    for NvsEntry { namespace: its, key, encoding, value } in entries {
        if its != namespace {
            words.add(its);
        }
        words.add(key);
        words.add(encoding.name());
        words.add(value.to_string());
    }
    words.add_all(foreign_namespaces.iter());
    let Some(NvsEncryption { scheme, key }) = encryption else { return words.add("plain") };
    match scheme {
        NvsKeyScheme::Partition { name } => {
            words.add("nvs_keys");
            words.add(name);
        }
        NvsKeyScheme::Hmac => words.add("hmac"),
    }
    words.add(key.to_string());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::NvsEncoding;

    fn images() -> FlashImages {
        FlashImages {
            bootloader: b"bootloader".to_vec(),
            partition_table: b"table".to_vec(),
            app: b"app".to_vec(),
            factory_app: None,
            others: Vec::new(),
            updates: Vec::new(),
        }
    }

    fn content() -> NvsContent {
        let entry = |key: &str, encoding, value: &str| NvsEntry {
            namespace: "vault".to_owned(),
            key: key.to_owned(),
            encoding,
            value: value.parse().expect("a template"),
        };
        NvsContent {
            partition: "nvs".to_owned(),
            namespace: "vault".to_owned(),
            entries: vec![
                entry("id", NvsEncoding::String, "VAULT-{number:05}"),
                entry("port", NvsEncoding::U16, "8883"),
            ],
            foreign_namespaces: vec!["phy".to_owned()],
            encryption: None,
        }
    }

    fn encrypted(scheme: NvsKeyScheme) -> NvsContent {
        let key = "{nvs_key}".parse().expect("a template");
        NvsContent { encryption: Some(NvsEncryption { scheme, key }), ..content() }
    }

    #[test]
    fn the_same_product_has_the_same_digest_in_every_version_of_goldline() {
        // Stations remember it: only a change of what is hashed may change this text, and the changelog
        // has to say that units must be provisioned again.
        assert_eq!(
            digest(&images(), &content()),
            "3d69566a4658e02ed0b6eed5a3c625e9e5c177df5bddfd429b055a2c3bdd5e4b"
        );
    }

    #[test]
    fn every_part_of_the_product_counts() {
        let changed = |change: fn(&mut NvsContent)| {
            let mut content = content();
            change(&mut content);
            content
        };
        let contents = [
            content(),
            changed(|nvs| nvs.partition.push('2')),
            changed(|nvs| nvs.namespace.push('2')),
            changed(|nvs| nvs.entries[0].namespace.push('2')),
            changed(|nvs| nvs.entries[0].key.push('2')),
            changed(|nvs| nvs.entries[0].encoding = NvsEncoding::Binary),
            changed(|nvs| nvs.entries[0].value = "VAULT-{number}".parse().expect("a template")),
            changed(|nvs| nvs.entries.reverse()),
            changed(|nvs| drop(nvs.entries.pop())),
            changed(|nvs| nvs.foreign_namespaces.clear()),
            encrypted(NvsKeyScheme::Hmac),
            encrypted(NvsKeyScheme::Partition { name: "nvs_keys".to_owned() }),
        ];
        let mut digests: Vec<String> =
            contents.iter().map(|content| digest(&images(), content)).collect();
        let moved = FlashImages {
            bootloader: b"bootloadert".to_vec(),
            partition_table: b"able".to_vec(),
            ..images()
        };
        digests.push(digest(&moved, &content()));
        let count = digests.len();
        digests.sort();
        digests.dedup();
        assert_eq!(digests.len(), count);
    }
}

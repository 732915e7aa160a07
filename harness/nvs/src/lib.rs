//! ESP32 NVS partitions: generate, decode, diagnose, encrypt, compare and edit.
//!
//! # Layout
//!
//! The folders follow the way of the data.
//!
//! | module | what it knows |
//! | --- | --- |
//! | [`limits`], `format` | the numbers of the format on flash |
//! | [`Key`], [`Value`], [`ItemType`] | what an item is |
//! | [`document`] | what is to be written: built by hand or read from CSV |
//! | [`generate`](mod@generate) | document → image bytes |
//! | [`image`] | image bytes → pages, entries and items **as they are** |
//! | [`device`] | image → what a device sees after its boot repairs |
//! | [`check`](mod@check) | image → findings with stable codes |
//! | [`recover`] | image → what can still be read, whatever a device makes of it |
//! | [`repair`](mod@repair) | one flipped bit each, flipped back |
//! | [`salvage`](mod@salvage) | image → a document of what is readable, and what was not |
//! | [`identify`](mod@identify), [`crypt`] | what a file is; encrypted images and their keys |
//! | [`dump`] | where NVS partitions lie in a dump of the flash |
//! | [`edit`] | changes as a device makes them |
//! | [`usage`], [`space`], [`leftover`] | capacity and wear; what still fits; secrets in erased entries |
//! | [`diff`](mod@diff), [`snapshot`](mod@snapshot) | device views compared and shown |
//! | [`record`] | records of ESP-IDF itself, by their layout |
//! | [`secret`], [`fingerprint`] | what is never shown, and what stands for it |
//!
//! Nothing here does I/O, knows of a chip or of a command line, and nothing is
//! repaired on read: the raw view and the device's view stand side by side.
//!
//! Units: sizes and offsets are bytes from the partition's start unless a name
//! says pages or entries (an entry is 32 bytes, a page 4096 bytes).
//!
//! ```
//! use goldline_nvs::{Document, Image, Value, Version, generate};
//!
//! let mut document = Document::new();
//! document.insert("vault", "device_id", Value::str("VAULT-00001"))?;
//! let bytes = generate(&document, 0x6000, Version::V2)?;
//!
//! let image = Image::decode(&bytes)?;
//! assert!(image.findings().is_empty());
//! let view = image.device_view();
//! assert_eq!(view.get("vault", "device_id"), Some(&Value::str("VAULT-00001")));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

pub mod check;
pub mod crypt;
pub mod device;
pub mod diff;
pub mod document;
pub mod dump;
pub mod edit;
pub mod fingerprint;
mod format;
pub mod generate;
pub mod identify;
pub mod image;
mod key;
mod keys;
pub mod leftover;
pub mod limits;
pub mod record;
pub mod recover;
pub mod repair;
pub mod salvage;
pub mod secret;
pub mod snapshot;
pub mod space;
mod text;
pub mod usage;
mod value;

pub use check::{Code, Finding, Repair, Severity};
pub use device::DeviceView;
pub use diff::{diff, diff_layout};
pub use document::{Document, csv};
pub use format::{PageState, Version};
pub use generate::generate;
pub use identify::identify;
pub use image::Image;
pub use key::{Key, KeyError};
pub use repair::repair;
pub use salvage::{salvage, would_be_lost};
pub use secret::SecretRule;
pub use snapshot::snapshot;
pub use value::{ItemType, Value};

//! A file → the plain bytes of an NVS image, or the answer why it is none.

use std::path::{Path, PathBuf};

use goldline_nvs::{
    Image,
    crypt::{self, Keys},
    device::{DeviceView, Opening},
    identify::{Kind, identify},
};
use zeroize::Zeroizing;

use super::{
    files,
    problem::{NvsProblem, Unreadable},
};

/// An image that can be judged: plain, or decrypted with its keys.
pub(super) struct OpenedImage {
    path: PathBuf,
    plain: Zeroizing<Vec<u8>>,
    is_encrypted: bool,
}

impl OpenedImage {
    /// Reads an image. With keys it must be encrypted, without it must be plain; an erased
    /// partition is both.
    pub(super) fn open(path: &Path, keys: Option<&Keys>) -> Result<Self, NvsProblem> {
        let bytes = files::read(path)?;
        let unreadable = |why| NvsProblem::Unreadable { path: path.to_owned(), why };
        let kind = identify(&bytes);
        refuse(&bytes, kind).map_err(unreadable)?;
        let plain = match (kind, keys) {
            (Kind::EncryptedNvs, None) => return Err(unreadable(Unreadable::LooksEncrypted)),
            (_, None) => bytes,
            (_, Some(keys)) => {
                let plain = crypt::decrypt(&bytes, keys);
                Zeroizing::new(plain.map_err(|error| unreadable(error.into()))?)
            }
        };
        Ok(Self { path: path.to_owned(), plain, is_encrypted: kind == Kind::EncryptedNvs })
    }

    /// Where it was read from.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The image as it is without encryption.
    pub(super) fn plain(&self) -> &[u8] {
        &self.plain
    }

    /// Whether the file is encrypted.
    pub(super) fn is_encrypted(&self) -> bool {
        self.is_encrypted
    }

    /// The image split into pages and items.
    pub(super) fn image(&self) -> Image<'_> {
        Image::decode(&self.plain).expect("what was identified as NVS or erased has a page")
    }

    /// What a device reads.
    ///
    /// # Errors
    /// A device reads nothing, because it does not open the partition.
    pub(super) fn device_view(&self) -> Result<DeviceView, NvsProblem> {
        let view = self.image().device_view();
        match why_closed(view.opening()) {
            None => Ok(view),
            Some(why) => Err(NvsProblem::DoesNotOpen { path: self.path.clone(), why }),
        }
    }
}

/// Why a device does not open a partition, if it does not.
pub(super) fn why_closed(opening: Opening) -> Option<&'static str> {
    match opening {
        Opening::ReadWrite | Opening::ReadOnly => None,
        Opening::NewVersion { .. } => Some("ESP_ERR_NVS_NEW_VERSION_FOUND"),
        Opening::NoFreePages => Some("ESP_ERR_NVS_NO_FREE_PAGES"),
    }
}

/// The answers for files that are no NVS image.
fn refuse(bytes: &[u8], kind: Kind) -> Result<(), Unreadable> {
    match kind {
        Kind::KeyPartition | Kind::DamagedKeyPartition | Kind::HmacKey => {
            Err(Unreadable::IsKey(kind))
        }
        Kind::Empty => Err(Unreadable::NotNvs(kind)),
        Kind::Nvs | Kind::EncryptedNvs => Ok(()),
        Kind::Blank | Kind::Other => {
            Image::decode(bytes).map_err(Unreadable::TooShort)?;
            match kind {
                Kind::Blank => Ok(()),
                _ => Err(Unreadable::NoNvsPage),
            }
        }
    }
}

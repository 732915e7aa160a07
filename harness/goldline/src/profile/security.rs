//! Which security fuses of a product's units must be burnt, and which must not.
//!
//! The demand alone: what a chip's fuses mean is not known here.

use std::{collections::BTreeMap, fmt};

/// What the fuses of a unit must say; at least one of these is demanded.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Security {
    /// Whether the ROM starts signed bootloaders only.
    pub secure_boot: Option<SecureBoot>,
    /// Whether the flash holds ciphertext, and whether a tool can still write plain text.
    pub flash_encryption: Option<FlashEncryption>,
    /// What the ROM loader still does.
    pub download_mode: Option<DownloadMode>,
    /// Whether a debugger can be attached.
    pub jtag: Option<Jtag>,
    /// What each key block is for, by its number.
    pub keys: BTreeMap<u8, KeyPurpose>,
}

/// How many key blocks chips have whose blocks have purposes.
pub const KEY_BLOCKS: u8 = 6;

/// Declares a choice of words.
macro_rules! words {
    ($(#[doc = $doc:literal])+ $name:ident { $($(#[doc = $of:literal])+ $variant:ident = $word:literal,)+ }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub enum $name {
            $($(#[doc = $of])+ $variant,)+
        }

        impl $name {
            /// Every one, with its word in profiles and records.
            pub const ALL: &'static [(&'static str, Self)] = &[$(($word, Self::$variant)),+];

            /// Its word in profiles and records.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

words! {
    /// Which secure boot.
    SecureBoot {
        /// None.
        Off = "off",
        /// The ESP32's first, which no demand names.
        V1 = "v1",
        /// RSA or ECDSA signatures.
        V2 = "v2",
    }
}

words! {
    /// Which flash encryption.
    FlashEncryption {
        /// None.
        Off = "off",
        /// On, and the loader still writes plain text.
        Development = "development",
        /// On for good, and the loader writes none.
        Release = "release",
    }
}

words! {
    /// What the ROM loader still does.
    DownloadMode {
        /// All of it.
        Enabled = "enabled",
        /// It writes, and neither reads nor runs anything.
        Secure = "secure",
        /// There is none.
        Disabled = "disabled",
    }
}

words! {
    /// Whether a debugger can be attached.
    Jtag {
        /// It can.
        Enabled = "enabled",
        /// It cannot, and nothing gives it back.
        Disabled = "disabled",
    }
}

words! {
    /// What a key block is for, by espefuse's names.
    KeyPurpose {
        /// Software's own.
        User = "USER",
        /// One half of a flash encryption key of 512 bits.
        Xts256First = "XTS_AES_256_KEY_1",
        /// The other half.
        Xts256Second = "XTS_AES_256_KEY_2",
        /// A flash encryption key of 256 bits.
        Xts128 = "XTS_AES_128_KEY",
        /// HMAC for JTAG and signatures both.
        HmacDownAll = "HMAC_DOWN_ALL",
        /// HMAC that gives JTAG back.
        HmacDownJtag = "HMAC_DOWN_JTAG",
        /// HMAC for the signature peripheral.
        HmacDownSignature = "HMAC_DOWN_DIGITAL_SIGNATURE",
        /// HMAC for software, which also makes NVS keys.
        HmacUp = "HMAC_UP",
        /// Digest of a secure boot key.
        Digest0 = "SECURE_BOOT_DIGEST0",
        /// Another one.
        Digest1 = "SECURE_BOOT_DIGEST1",
        /// A third one.
        Digest2 = "SECURE_BOOT_DIGEST2",
    }
}

impl KeyPurpose {
    /// The number that is burnt.
    pub fn number(self) -> u32 {
        match self {
            Self::User => 0,
            Self::Xts256First => 2,
            Self::Xts256Second => 3,
            Self::Xts128 => 4,
            Self::HmacDownAll => 5,
            Self::HmacDownJtag => 6,
            Self::HmacDownSignature => 7,
            Self::HmacUp => 8,
            Self::Digest0 => 9,
            Self::Digest1 => 10,
            Self::Digest2 => 11,
        }
    }

    /// Whether the ROM must read it: everybody can then.
    pub fn is_digest(self) -> bool {
        matches!(self, Self::Digest0 | Self::Digest1 | Self::Digest2)
    }

    /// Whether it encrypts the flash.
    pub fn encrypts_flash(self) -> bool {
        matches!(self, Self::Xts128 | Self::Xts256First | Self::Xts256Second)
    }

    /// Whether no software may read it.
    pub fn is_secret(self) -> bool {
        !self.is_digest() && self != Self::User
    }
}

impl Security {
    /// Whether the unit's loader tells nothing of its flash any more when all of this is so, and what stands in the way.
    pub fn locks(&self) -> Option<&'static str> {
        let encrypts = self.flash_encryption.is_some_and(|wanted| wanted != FlashEncryption::Off);
        match self.download_mode {
            Some(DownloadMode::Disabled) => {
                Some("no loader answers where the download mode is disabled")
            }
            Some(DownloadMode::Secure) => {
                Some("the loader neither digests nor reads in Secure Download Mode")
            }
            _ if encrypts => Some("the loader sees ciphertext where the flash is encrypted"),
            _ => None,
        }
    }
}

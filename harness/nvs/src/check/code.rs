//! The stable names of findings.

use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// What kind of thing a finding is about. The text is stable: tools may
        /// compare with it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// Every code there is.
            pub const ALL: &[Code] = &[$(Code::$name,)*];

            /// The stable text.
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$name => $text,)* }
            }
        }
    };
}

codes! {
    /// The length is not a whole number of pages.
    ImageSize = "image-size",
    /// No page looks like one of an NVS partition.
    NotNvs = "not-nvs",
    /// Page headers are sound, entries are noise: encrypted, or read with a wrong key.
    LooksEncrypted = "looks-encrypted",
    /// No erased page is left, without which a device does not open it.
    NoEmptyPage = "no-empty-page",
    /// Pages are in use, and none takes new entries.
    NoActivePage = "no-active-page",
    /// More than one page takes new entries.
    ActivePages = "active-pages",
    /// The header's CRC does not match.
    PageCrc = "page-crc",
    /// The state is CORRUPT or none that the format knows.
    PageState = "page-state",
    /// A format newer than a device of today knows.
    PageVersion = "page-version",
    /// Marked empty, and not empty.
    PageDirty = "page-dirty",
    /// Two pages with the same sequence number.
    DupSeq = "dup-seq",
    /// A compaction was interrupted.
    PageFreeing = "page-freeing",
    /// An entry's CRC does not match.
    EntryCrc = "entry-crc",
    /// An entry's state bits have the pattern that no device writes.
    EntryState = "entry-state",
    /// The span contradicts the type or the size, or leaves the page.
    Span = "span",
    /// The size is larger than the page's rest.
    ItemSize = "item-size",
    /// A chunk index that the type cannot have.
    ChunkIndex = "chunk-index",
    /// A type code that the format does not define.
    UnknownType = "unknown-type",
    /// A key that no tool writes: empty, without NUL, or with bytes behind it.
    BadKey = "bad-key",
    /// A string without its NUL.
    NoNul = "no-nul",
    /// A payload's CRC does not match.
    DataCrc = "data-crc",
    /// The bitmap contradicts the header on the payload's state.
    PayloadState = "payload-state",
    /// Written, and not yet recorded in the bitmap.
    TornWrite = "torn-write",
    /// Sound items behind a gap, which a device does not reach.
    BehindGap = "behind-gap",
    /// The same key twice.
    DuplicateKey = "duplicate-key",
    /// An index whose chunks do not add up.
    BlobSize = "blob-size",
    /// A chunk without an index.
    OrphanChunk = "orphan-chunk",
    /// A namespace definition with an index that is reserved or taken.
    NamespaceIndex = "namespace-index",
    /// An index of a namespace that is not defined.
    NoNamespace = "no-namespace",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

//! Who a unit is: its MAC address, and what products derive from it.
//!
//! Must not know profiles or devices; it turns bytes into names and back. A secret leaves as
//! [`Secret`](crate::secret::Secret) only. Every scheme is fixed by the vectors in its tests.

mod custom;
mod mac;
mod salted;
mod uuid_scheme;

pub use custom::{CustomPsk, CustomUuid, IdentityError};
pub use mac::{Eui64Error, Mac, MacError};
pub use salted::{Salt, SaltTooShort, SaltedScheme};
pub use uuid_scheme::{MacScheme, UnknownScheme, has_rfc_variant};

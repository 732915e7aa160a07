//! Text with the names of values in it, such as `VAULT-{number:05}`.
//!
//! Must not know where values come from; it parses and it renders.

/// Literal text and symbols, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Template(pub(super) Vec<Part>);

/// A piece of a template.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Part {
    /// As it stands.
    Text(String),
    /// A value by name, padded with zeros to `width` characters.
    Symbol {
        /// Name of the value, such as `device_id` or `unit.mac`.
        name: String,
        /// Smallest width; 0 when none is given.
        width: usize,
    },
}

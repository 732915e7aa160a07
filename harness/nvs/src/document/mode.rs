//! How the CSV is read: rows and encodings have to agree on it.

/// How to treat what the reference generator gets wrong; see the table of [`csv`](super::csv).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Refuse it.
    #[default]
    Strict,
    /// Do as the reference does, as far as the table says.
    Compat,
}

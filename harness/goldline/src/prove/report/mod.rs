//! What people read of a proof: a text for the terminal, a page for a browser and for paper.
//!
//! Reads a [`Proof`](super::Proof) only, and decides nothing: both say the same, and `words` holds what they say.

mod cases;
mod html;
mod matrix;
mod rows;
mod text;
mod words;

pub use html::proof_page;
pub use text::proof_text;

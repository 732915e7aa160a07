//! The codec against images and digests that it did not make itself.

mod golden;
mod support;
mod vectors;

//! The codec against images and digests that it did not make itself.

mod damage;
mod differential;
mod dump;
mod dump_any;
mod flash;
mod golden;
mod mutation;
mod other_reader;
mod random;
mod support;
#[path = "../vectors/damage.rs"]
#[expect(dead_code, reason = "what must be said of them is proven in the binary `vectors`")]
mod table;

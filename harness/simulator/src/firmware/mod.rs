//! The application: what a product's firmware reads, does and prints.
//!
//! A firmware is a [`Description`] and the CA that it was built with, packed into an ESP image by
//! [`compile`]. A unit runs only what is found again in its flash: nothing that the firmware
//! does comes from anywhere but flash, faults and the [`World`](crate::World).

mod ca_call;
mod certificates;
mod clock;
mod console;
mod description;
mod device_id;
mod elf;
mod factory;
mod http;
mod keyboard;
mod mqtt;
mod mqtt_client;
mod nvs_error;
mod nvs_keys;
mod operation;
mod ota;
mod package;
mod portal;
mod remote_config;
mod route;
mod run;
mod say;
mod settings;
mod shell;
mod signature;
mod storage;
mod trust;
mod wifi;

pub(crate) use console::Console;
pub use description::{Description, DescriptionError};
pub(crate) use keyboard::Keyboard;
pub(crate) use package::load;
pub use package::{CompileError, check, compile, compile_with, is_described, sign_as_described};
pub(crate) use run::run;
pub use trust::tls_of_firmware;

//! Units in emulators: the stand-ins are as the real ones were recorded or are described, and the harness runs
//! units in both.
//!
//! The stand-ins are built with the examples; a real QEMU is used where `GOLDLINE_TEST_QEMU` names its folder. A
//! distribution's QEMU, which has no ESP32, runs the reference firmware on its own machine `virt`. No test knows a
//! real esp-emu.

mod esp_emu;
mod esp_emu_service;
mod parts;
mod processes;
mod qemu;
mod reference;
mod transcripts;
mod units;
mod virt;
mod wokwi;
mod wokwi_peers;
mod wokwi_stand_in;
mod wokwi_tls;

//! The simulator as its clients meet it: through its port, with tools that know nothing of it.

mod at_commands;
mod bench;
mod boot;
mod broker;
mod certificates;
mod console;
mod encrypted_nvs;
mod espflash_library;
mod factory;
mod faults;
mod firmware;
mod images;
mod kill;
mod network;
mod segment;
mod stack;
mod web;
mod zeroconf;

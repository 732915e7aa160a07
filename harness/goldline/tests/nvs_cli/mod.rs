//! `goldline nvs …` over the real binary: exit codes, what is printed, what is written, and what
//! never appears anywhere.

mod check;
mod desk;
mod diff;
mod dumps;
mod edit;
mod encryption;
mod generate;
mod mending;
mod secret_forms;
mod show;

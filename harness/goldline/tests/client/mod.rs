//! What the bench calls, against real servers on loopback: a CA, a config server, a unit's portal.

mod ca;
mod ca_certificates;
mod command_line;
mod http;
mod peers;
mod portal;
mod provisioning;
mod server;

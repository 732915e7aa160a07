//! The testbed as its clients find it: real TLS, MQTT and HTTP over loopback.

mod abusers;
mod access_point;
mod authority;
mod bench;
mod broker;
mod ca;
mod cable;
mod client_certificates;
mod config_server;
mod datagrams;
mod http_server;
mod isolation;
mod lending;
mod nat;
mod own_networks;
mod peers;
mod saboteurs;
mod strangers;
mod time_server;
mod update_server;
mod web;
mod wire;
mod witness;

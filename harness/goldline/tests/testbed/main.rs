//! The testbed as its clients find it: real TLS, MQTT and HTTP over loopback.

mod access_point;
mod authority;
mod bench;
mod broker;
mod ca;
mod client_certificates;
mod isolation;
mod peers;
mod witness;

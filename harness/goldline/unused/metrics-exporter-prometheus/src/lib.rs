//! What rumqttd names of its exporter for Prometheus, and no more: it starts only where it is
//! configured, which the bench's broker never does. Were it started, it would fail and say so.

use std::net::SocketAddr;

/// An exporter that cannot be installed.
#[derive(Debug, Default)]
pub struct PrometheusBuilder;

impl PrometheusBuilder {
    /// As it is called.
    pub fn new() -> Self {
        Self
    }

    /// Forgets the address.
    pub fn with_http_listener(self, _address: SocketAddr) -> Self {
        self
    }

    /// Always fails.
    pub fn install(self) -> Result<(), &'static str> {
        Err("Goldline is built without an exporter for Prometheus")
    }
}

//! What a unit must reach: access point, DNS, MQTTS broker, certificate authority.
//!
//! Each service is real on its wire (TLS, MQTT, HTTP), records what it saw, and can be waited on.
//! Must not import the engine, plans, checks or devices: it is told what to offer.

pub mod access_point;
pub mod authority;
pub mod broker;
pub mod event_log;
pub mod fault;

//! The fleet's register against a real PostgreSQL, which each test starts for itself.

mod adversity;
mod cluster;
mod delivery;
mod devices;
mod enrol;
mod program;
mod runs;
mod schema;
mod status;
mod upsert;

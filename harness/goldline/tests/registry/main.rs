//! The fleet's register against a real PostgreSQL, which each test starts for itself.

mod cluster;
mod delivery;
mod devices;
mod program;
mod schema;
mod upsert;

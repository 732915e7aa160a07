//! Tests of the loader without any port.

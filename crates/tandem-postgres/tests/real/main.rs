//! Against real PostgreSQL: two servers a test, on free ports, in folders of their own.
//!
//! Each test starts its own pair, so they run beside each other and leave nothing.

mod adopt;
mod doctor;
mod guard;
mod promotion;
mod reinstate;
mod schema;
mod server;
mod setup;
mod traffic;
mod uninstall;
mod verify;
mod world;

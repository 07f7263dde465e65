//! One module a command: its arguments and what it does.

pub(crate) mod check;
pub(crate) mod config;
pub(crate) mod cost;
pub(crate) mod infra;
pub(crate) mod slo;

#[cfg(feature = "runtime")]
pub(crate) mod agent;
#[cfg(feature = "runtime")]
pub(crate) mod certificates;
#[cfg(feature = "runtime")]
pub(crate) mod doctor;
#[cfg(feature = "runtime")]
pub(crate) mod drill;
#[cfg(feature = "runtime")]
pub(crate) mod guard;
#[cfg(feature = "runtime")]
pub(crate) mod history;
#[cfg(feature = "runtime")]
pub(crate) mod init;
#[cfg(feature = "runtime")]
pub(crate) mod lab;
#[cfg(feature = "runtime")]
pub(crate) mod moves;
#[cfg(feature = "runtime")]
pub(crate) mod network;
#[cfg(feature = "runtime")]
pub(crate) mod person;
#[cfg(feature = "runtime")]
pub(crate) mod replication;
#[cfg(feature = "runtime")]
pub(crate) mod requests;
#[cfg(feature = "runtime")]
pub(crate) mod status;
#[cfg(feature = "runtime")]
pub(crate) mod token;

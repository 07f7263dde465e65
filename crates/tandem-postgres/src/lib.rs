//! Tandem's hands on PostgreSQL: replication is set up, watched, stopped and
//! turned round here, always by plain SQL on a stock server.
//!
//! [`Database`] is one site's database as its agent uses it: every operation is
//! one bounded, repeatable step. [`setup`] prepares both databases once;
//! [`doctor`], [`status`], [`tail`] and [`verify`] answer a person's questions.
//!
//! Invariant: nothing here decides. Whether a site may write, and when it is
//! promoted, is the planner's word; this crate refuses only what would be wrong
//! under every plan (an older epoch, opening while still receiving).
//!
//! Refused: a superuser agent. The agent's role holds no more than the functions
//! of `sql/powers.sql` lend it: a stolen agent password cannot change application
//! rows. It can decode published changes, since it must own a replication slot.

mod clock;
mod connect;
mod database;
pub mod doctor;
mod error;
mod facts;
mod guard;
pub mod guards;
pub mod ledger;
mod names;
mod promotion;
pub mod reinstate;
pub mod schema;
mod session;
pub mod setup;
pub mod status;
pub mod steps;
pub mod tail;
mod tls;
pub mod uninstall;
pub mod verify;

pub use clock::boot_time;
pub use database::Database;
pub use error::Error;
pub use facts::Provider;
pub use guard::break_glass_sql;
pub use names::Names;

//! Real servers on loopback: one PostgreSQL, Redis or etcd each, started, waited for, killed.
//!
//! A handle owns its server: dropping it kills the server and removes the
//! folder if the lab chose it. Starting means to wait until the server
//! *answers* its own protocol; one that dies meanwhile shows the end of its log.

mod binaries;
mod etcd;
mod folder;
mod postgres;
mod redis;
pub(crate) mod segment;

use std::time::Duration;

pub use binaries::{Binaries, PostgresBinaries};
pub use etcd::{Etcd, EtcdOptions};
pub use postgres::{Postgres, PostgresOptions, SUPERUSER};
pub use redis::{Redis, RedisOptions};

use crate::Result;
use crate::ports::free_port;

/// How long a server may take to answer; generous, since the machine may be busy.
const START_BOUND: Duration = Duration::from_secs(90);
/// How long a server may take to stop cleanly.
const STOP_BOUND: Duration = Duration::from_secs(60);
/// How often a free port is chosen anew because somebody else was faster.
const PORT_TRIES: u32 = 5;

/// Runs `start` with `wanted`, or with free ports until one of them stays free.
async fn with_port<T, F: Future<Output = Result<T>>>(
    wanted: Option<u16>,
    mut start: impl FnMut(u16) -> F,
) -> Result<T> {
    if let Some(port) = wanted {
        return start(port).await;
    }
    for _ in 1..PORT_TRIES {
        match start(free_port()?).await {
            Err(error) if error.is_port_taken() => {}
            result => return result,
        }
    }
    start(free_port()?).await
}

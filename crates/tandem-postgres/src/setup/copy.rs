//! Waits for the first copy of all tables and tells how far it is.
//!
//! Invariant: the relays are put in only when every table is ready, since a table's own copy
//! worker would not find a relay that does not run yet. The wait has the caller's bound.

use std::time::{Duration, Instant};

use super::Pair;
use crate::error::Error;
use crate::steps::{Executor, STEP_LIMIT, Way};

/// How often the copy's progress is looked at.
const POLL: Duration = Duration::from_millis(100);

const PROGRESS: &str = "
    SELECT count(*) FILTER (WHERE r.srsubstate = 'r'), count(*),
           coalesce(string_agg(format('%s (%s)', r.srrelid::regclass, r.srsubstate), ', ') FILTER (WHERE r.srsubstate <> 'r'), ''),
           coalesce((SELECT e.sync_error_count FROM pg_stat_subscription_stats e WHERE e.subname = $1::text), 0)
      FROM pg_subscription s LEFT JOIN pg_subscription_rel r ON r.srsubid = s.oid
     WHERE s.subname = $1::text AND s.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())";

/// How far the copy is.
struct Progress {
    ready: i64,
    total: i64,
    state: String,
}

/// Waits until every table is copied, then puts the relays in if they were left out.
pub(super) async fn wait_ready(
    pair: &Pair,
    executor: &Executor<'_>,
    limit: Duration,
    say: &mut (dyn FnMut(&str) + Send),
) -> Result<(), Error> {
    let begun = Instant::now();
    let mut told = String::new();
    loop {
        let Progress {
            ready,
            total,
            state,
        } = progress(pair, executor).await?;
        if ready == total && total > 0 {
            break;
        }
        if begun.elapsed() > limit {
            let what = "the copy of the tables";
            return Err(Error::Unfinished { what, limit, state });
        }
        if state != told {
            say(&state);
            told = state;
        }
        tokio::time::sleep(POLL).await;
    }
    if executor.is_direct() {
        let site = pair.replica.site;
        say(&format!(
            "{site}: connect the subscription through the relays"
        ));
        executor.connect(site, Way::Relays).await?;
    }
    Ok(())
}

async fn progress(pair: &Pair, executor: &Executor<'_>) -> Result<Progress, Error> {
    let name = &pair.replica.subscription;
    let row = executor
        .replica()
        .row("copy", STEP_LIMIT, PROGRESS, &[name])
        .await?;
    let (ready, total): (i64, i64) = (row.get(0), row.get(1));
    let (open, errors): (String, i64) = (row.get(2), row.get(3));
    let mut state = format!("{ready} of {total} tables ready; waiting for {open}");
    if errors > 0 {
        let site = pair.replica.site;
        state.push_str(&format!(
            "; {errors} failed attempts, see the log of {site}"
        ));
    }
    Ok(Progress {
        ready,
        total,
        state,
    })
}

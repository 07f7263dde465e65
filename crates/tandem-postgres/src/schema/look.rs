//! Looks at both sites: which one is the primary now, and what each has done of a file.
//!
//! Pure but for the reading: [`direction`] judges two answers. Where it is in doubt (nobody
//! receives, or both do) a schema change has no right order, so it is refused.

use serde::Deserialize;
use tandem_core::config::Config;
use tandem_core::model::SiteId;
use tokio_postgres::types::Json;

use super::execute::take_turn;
use super::obstacles::Obstacle;
use super::plan::{Mark, Progress, Side, Sides};
use super::reading::Name;
use super::shape;
use crate::connect::Target;
use crate::error::Error;
use crate::facts::LIMIT;
use crate::names::Names;
use crate::session::Session;
use crate::setup::Pair;

/// Where each site remembers what was done.
pub(super) const JOURNAL: &str = "tandem_schema.journal";

const SQL: &str = include_str!("../sql/pair.sql");

/// The answer of `sql/pair.sql`.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Site {
    pub(super) set_up: bool,
    pub(super) subscription: Option<Subscription>,
    pub(super) slot_lost: bool,
    pub(super) published: Vec<Name>,
    pub(super) publishes_all: bool,
    pub(super) closed_schemas: Vec<String>,
    pub(super) application_writes: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Subscription {
    pub(super) enabled: bool,
    pub(super) worker: bool,
    pub(super) errors: i64,
    pub(super) unready: Vec<String>,
    pub(super) tables: Vec<Name>,
}

impl Site {
    pub(super) fn receives(&self) -> bool {
        self.subscription
            .as_ref()
            .is_some_and(|found| found.enabled)
    }
}

/// Both administrators' connections, the primary's first.
pub(super) struct Connections {
    pub(super) primary: Session,
    pub(super) replica: Session,
}

/// Everything that was seen.
pub(super) struct View {
    pub(super) connections: Connections,
    pub(super) sides: Sides,
    /// The application may write tables, so it may write new ones.
    pub(super) application_writes: bool,
    /// What is wrong with replication as it runs.
    pub(super) obstacles: Vec<Obstacle>,
}

/// Which of two sites is the primary: the one that does not receive while the other does.
fn direction(first: (SiteId, &Site), second: (SiteId, &Site)) -> Result<SiteId, Obstacle> {
    match (first.1.receives(), second.1.receives()) {
        (false, true) => Ok(first.0),
        (true, false) => Ok(second.0),
        (false, false) => Err(Obstacle::new(
            format!(
                "neither {} nor {} receives from the other, so neither order is right",
                first.0, second.0
            ),
            "bring replication back first; `tandem replication status` says what it waits for",
        )),
        (true, true) => Err(Obstacle::new(
            format!("{} and {} both receive from each other", first.0, second.0),
            "find out which one may write (`tandem status`), and disable the other subscription",
        )),
    }
}

/// Replication that does not run would leave the replica with half of a change.
fn health(primary: &Site, replica: &Site, names: &Names) -> Vec<Obstacle> {
    let mut found = Vec::new();
    let status = "see `tandem replication status` and the log of that server";
    if let Some(subscription) = &replica.subscription {
        let name = &names.subscription;
        if !subscription.worker {
            let problem = format!(
                "{}: {name} is enabled and nothing runs ({} failures so far)",
                names.site, subscription.errors
            );
            found.push(Obstacle::new(problem, status));
        }
    }
    if primary.slot_lost {
        found.push(Obstacle::new(
            format!("slot {} is lost", names.source_slot),
            "the replica must be copied again",
        ));
    }
    if primary.publishes_all {
        found.push(Obstacle::new(
            "the publication is FOR ALL TABLES",
            "`tandem doctor` prints the path to a list",
        ));
    }
    found
}

/// Opens both sites and reads what a plan for `migration` needs; `alone` if it will be taken, so
/// that what an interrupted run still does on a server is over before it is looked at.
pub(super) async fn view(
    alone: bool,
    config: &Config,
    migration: &str,
) -> Result<Result<View, Obstacle>, Error> {
    let pair = Pair::of(config)?;
    let (first, second) = tokio::try_join!(
        open(alone, config, &pair.primary),
        open(alone, config, &pair.replica)
    )?;
    for (names, (_, site)) in [(&pair.primary, &first), (&pair.replica, &second)] {
        if !site.set_up {
            let problem = format!("{} was never set up", names.site);
            return Ok(Err(Obstacle::new(
                problem,
                "run `tandem replication setup` first",
            )));
        }
    }
    let primary = match direction(
        (pair.primary.site, &first.1),
        (pair.replica.site, &second.1),
    ) {
        Ok(primary) => primary,
        Err(obstacle) => return Ok(Err(obstacle)),
    };
    let ((primary, names), (replica, other)) = match primary == pair.primary.site {
        true => ((first, pair.primary), (second, pair.replica)),
        false => ((second, pair.replica), (first, pair.primary)),
    };
    let application_writes = primary.1.application_writes;
    let obstacles = health(&primary.1, &replica.1, &other);
    let published = primary.1.published.clone();
    let subscribed = replica
        .1
        .subscription
        .as_ref()
        .map(|found| found.tables.clone())
        .unwrap_or_default();
    let (primary_side, replica_side) = tokio::try_join!(
        side(config, names, &primary, published, migration),
        side(config, other, &replica, subscribed, migration)
    )?;
    Ok(Ok(View {
        connections: Connections {
            primary: primary.0,
            replica: replica.0,
        },
        sides: Sides {
            primary: primary_side,
            replica: replica_side,
        },
        application_writes,
        obstacles,
    }))
}

async fn open(alone: bool, config: &Config, names: &Names) -> Result<(Session, Site), Error> {
    // Flushed here, whatever the standby says: the barrier counts from our own commits.
    let target = Target::admin(config, names.site)?
        .with_options("-c search_path=pg_catalog -c synchronous_commit=local");
    let session = target.open().await?;
    if alone {
        take_turn(&session).await?;
    }
    let site = ask(config, names, &session).await?;
    Ok((session, site))
}

/// Asks one site about its part of replication.
pub(super) async fn ask(config: &Config, names: &Names, session: &Session) -> Result<Site, Error> {
    let database = &config.database;
    let row = session
        .row(
            "look at replication",
            LIMIT,
            SQL,
            &[
                &database.schemas,
                &database.owner_role,
                &database.application_role,
                &names.subscription,
                &names.slot,
                &names.publication,
            ],
        )
        .await?;
    let Json(site) = row
        .try_get::<_, Json<Site>>(0)
        .map_err(|source| Error::query("look at replication", source))?;
    Ok(site)
}

async fn side(
    config: &Config,
    names: Names,
    found: &(Session, Site),
    carried: Vec<Name>,
    migration: &str,
) -> Result<Side, Error> {
    let (session, site) = found;
    Ok(Side {
        names,
        shape: shape::read(config, session).await?,
        journal: journal(session, migration).await?,
        carried,
        copying: site
            .subscription
            .as_ref()
            .is_some_and(|found| !found.unready.is_empty()),
        closed_schemas: site.closed_schemas.clone(),
    })
}

async fn journal(session: &Session, migration: &str) -> Result<Vec<(Mark, Progress)>, Error> {
    let exists = session
        .row(
            "journal",
            LIMIT,
            "SELECT to_regclass('tandem_schema.journal') IS NOT NULL",
            &[],
        )
        .await?;
    if !exists.get::<_, bool>(0) {
        return Ok(Vec::new());
    }
    let sql = "SELECT statement, nth, state FROM tandem_schema.journal WHERE migration = $1::text";
    let rows = session.rows("journal", LIMIT, sql, &[&migration]).await?;
    let entry = |row: &tokio_postgres::Row| {
        let progress = match row.get::<_, &str>(2) {
            "done" => Progress::Done,
            _ => Progress::Begun,
        };
        (
            Mark {
                statement: row.get(0),
                nth: row.get(1),
            },
            progress,
        )
    };
    Ok(rows.iter().map(entry).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(enabled: Option<bool>) -> Site {
        let subscription = enabled.map(|enabled| Subscription {
            enabled,
            worker: enabled,
            ..Subscription::default()
        });
        Site {
            set_up: true,
            subscription,
            ..Site::default()
        }
    }

    #[test]
    fn the_primary_is_the_one_that_does_not_receive() {
        let (aws, gcp): (SiteId, SiteId) = (
            "aws".parse().expect("a site"),
            "gcp".parse().expect("a site"),
        );
        let judge = |first, second| direction((aws, &site(first)), (gcp, &site(second))).ok();
        assert_eq!(judge(None, Some(true)), Some(aws));
        assert_eq!(judge(Some(false), Some(true)), Some(aws));
        assert_eq!(judge(Some(true), None), Some(gcp));
        assert_eq!(judge(Some(true), Some(true)), None);
        assert_eq!(judge(None, None), None);
        assert_eq!(judge(None, Some(false)), None);
    }

    #[test]
    fn a_dead_worker_is_an_obstacle() {
        let names = Names {
            site: "gcp".parse().expect("a site"),
            other: "aws".parse().expect("a site"),
            publication: "p_rev".into(),
            slot: "s_rev".into(),
            subscription: "sub".into(),
            source_publication: "p".into(),
            source_slot: "s".into(),
        };
        let mut replica = site(Some(true));
        assert!(health(&site(None), &replica, &names).is_empty());
        replica.subscription = Some(Subscription {
            enabled: true,
            ..Subscription::default()
        });
        assert_eq!(health(&site(None), &replica, &names).len(), 1);
    }
}

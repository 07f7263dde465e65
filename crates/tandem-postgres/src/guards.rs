//! `tandem guard install|remove`: the guard's triggers go on and come off while applications write.
//!
//! A guard refuses every application write while no agent holds the right. So it goes on only
//! where that stops nobody: where the lease is open at this moment (looked at once more in the
//! trigger's own transaction), where the site receives and its applications must not write anyway,
//! or where a person says that none writes (`offline`).
//!
//! Invariant: installing a guard refuses no write that the lease allows. Refused: guards that let
//! everything pass until the first renewal; after a crash nobody could tell them from open ones.

use std::time::Duration;

use tandem_core::config::Config;
use tandem_core::model::SiteId;

use crate::connect::Target;
use crate::doctor::{Finding, Level};
use crate::error::Error;
use crate::facts::{self, Facts};
use crate::names::Names;
use crate::session::Session;
use crate::setup::Pair;
use crate::steps::{Executor, Mode, Outcome, Patience, Step};

/// Reading one row.
const LIMIT: Duration = Duration::from_secs(5);

/// The guard would let a write pass now; the same condition as in `sql/objects.sql`.
const OPEN: &str = "
    SELECT EXISTS (SELECT FROM tandem_local.lease
                    WHERE NOT closed AND started = pg_postmaster_start_time() AND expires_at > clock_timestamp())";

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Put guards on.
    Install,
    /// Take guards off.
    Remove,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Options {
    /// On or off.
    pub direction: Direction,
    /// Only at this site; else at both.
    pub site: Option<SiteId>,
    /// Only these tables, as SQL writes them (`public.contact`); else all.
    pub tables: Vec<String>,
    /// No application writes anywhere: a guard that refuses stops nobody.
    pub offline: bool,
    /// Only say what would be done.
    pub dry_run: bool,
    /// How locks are waited for.
    pub patience: Patience,
}

/// Puts guards on or takes them off, one table at a time, and reads back.
///
/// # Errors
/// If a server cannot be reached or refuses a step, or if the catalog says something else
/// afterwards. Steps that were taken stay.
pub async fn run(
    config: &Config,
    options: &Options,
    say: &mut (dyn FnMut(&str) + Send),
) -> Result<Outcome, Error> {
    let pair = Pair::of(config)?;
    if let Some(site) = options.site {
        Names::of(config, site)?;
    }
    let sites = look(config, &pair, options).await?;
    let faults: Vec<_> = sites
        .iter()
        .flat_map(|site| faults(options, site))
        .collect();
    if !faults.is_empty() {
        return Ok(Outcome::Refused(faults));
    }
    let steps = plan(options, &sites);
    if options.dry_run {
        return Ok(Outcome::Planned(steps));
    }
    let mut executor = Executor::new(config, &pair, options.patience).await?;
    let blocked = executor.take_all(&steps, say).await?;
    let left = plan(options, &look(config, &pair, options).await?);
    let told = |step: &&Step| blocked.iter().any(|found| found.is(step));
    if let Some(step) = left.iter().find(|step| !told(step)) {
        return Err(Error::Malformed {
            what: "the catalog, read back,",
            text: format!("`{step}` was taken and is still to do"),
        });
    }
    let taken = steps.into_iter().filter(|step| !told(&step)).collect();
    Ok(Outcome::of(taken, blocked))
}

/// One site as far as guards go.
struct Site {
    name: SiteId,
    facts: Facts,
    /// Fed by the other site.
    receives: bool,
    open: bool,
}

async fn look(config: &Config, pair: &Pair, options: &Options) -> Result<Vec<Site>, Error> {
    let mut sites = Vec::new();
    for names in [&pair.primary, &pair.replica] {
        if options.site.is_none_or(|site| site == names.site) {
            sites.push(look_at(config, names).await?);
        }
    }
    Ok(sites)
}

async fn look_at(config: &Config, names: &Names) -> Result<Site, Error> {
    let target = Target::admin(config, names.site)?.with_options("-c search_path=pg_catalog");
    let session = target.open().await?;
    let facts = facts::read(config, names, &session).await?;
    let fed = facts.subscriptions.get(&names.subscription);
    let receives = fed.is_some_and(|found| found.enabled);
    let open = is_open(&session, &facts).await?;
    Ok(Site {
        name: names.site,
        facts,
        receives,
        open,
    })
}

/// Whether the guard would let an application's write pass now.
pub(crate) async fn is_open(session: &Session, facts: &Facts) -> Result<bool, Error> {
    if !facts.is_set_up() || facts.hidden_objects {
        return Ok(false);
    }
    let row = session.row("lease", LIMIT, OPEN, &[]).await?;
    Ok(row.get(0))
}

fn faults(options: &Options, site: &Site) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut refuse = |problem: String, fix: &str| {
        found.push(Finding {
            site: site.name,
            check: "guard-install",
            level: Level::Refusal,
            problem,
            fix: fix.to_owned(),
        });
    };
    for table in &options.tables {
        if site.facts.table(table).is_none() {
            refuse(
                format!("there is no table {table} in a schema of tandem.toml"),
                "write it with its schema, as in public.contact",
            );
        }
    }
    if options.direction == Direction::Remove {
        return found;
    }
    if !site.facts.is_set_up() {
        refuse(
            "schema tandem_local does not exist".into(),
            "run `tandem replication setup` first",
        );
    } else if !steps_at(options, site).is_empty() && !may_guard(options.offline, site) {
        refuse(
            "no agent holds the right to write here now, so a guard would refuse every application write at once".into(),
            "start the agents and run this when `tandem status` shows the right; or add --offline if no application writes here",
        );
    }
    found
}

fn may_guard(offline: bool, site: &Site) -> bool {
    offline || site.open || site.receives
}

fn plan(options: &Options, sites: &[Site]) -> Vec<Step> {
    sites
        .iter()
        .flat_map(|site| steps_at(options, site))
        .collect()
}

fn steps_at(options: &Options, site: &Site) -> Vec<Step> {
    let wanted =
        |name: &str| options.tables.is_empty() || options.tables.iter().any(|table| table == name);
    let tables = site.facts.tables.iter().filter(|table| wanted(&table.name));
    match options.direction {
        Direction::Install => tables
            .filter(|table| table.logged && table.guard.as_deref() != Some("O"))
            .map(|table| {
                let proven = !options.offline && !site.receives;
                install(site.name, &table.name, proven)
            })
            .collect(),
        Direction::Remove => tables
            .filter(|table| table.guard.is_some())
            .map(|table| remove(site.name, &table.name))
            .collect(),
    }
}

/// The guard's trigger on one table (a name as SQL writes it).
pub(crate) fn trigger(table: &str) -> String {
    format!(
        "CREATE OR REPLACE TRIGGER tandem_guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION tandem_local.guard('gate')"
    )
}

/// Puts it on. `proven`: the lease must be open when the trigger is there.
pub(crate) fn install(site: SiteId, table: &str, proven: bool) -> Step {
    let mut sql = trigger(table);
    if proven {
        sql.push_str(&format!(
            ";\nDO $$ BEGIN IF NOT ({}) THEN\n    RAISE EXCEPTION 'tandem: the right to write ended; the guard was not put on' USING ERRCODE = 'object_not_in_prerequisite_state';\nEND IF; END $$",
            OPEN.trim()
        ));
    }
    Step::sql(site, format!("guard table {table}"), sql).locking(table, Mode::ShareRowExclusive)
}

/// Takes the guard off one table.
pub(crate) fn remove(site: SiteId, table: &str) -> Step {
    let sql = format!("DROP TRIGGER IF EXISTS tandem_guard ON {table}");
    Step::sql(site, format!("take the guard off table {table}"), sql)
        .locking(table, Mode::AccessExclusive)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Table;

    fn site(receives: bool, open: bool) -> Site {
        let table = |name: &str, guard: Option<&str>| Table {
            name: name.into(),
            logged: true,
            guard: guard.map(str::to_owned),
            ..Table::default()
        };
        let facts = Facts {
            schemas: vec!["tandem_local".into()],
            tables: vec![
                table("public.a", None),
                table("public.b", Some("O")),
                table("public.c", Some("D")),
            ],
            ..Facts::default()
        };
        Site {
            name: "aws".parse().expect("a site"),
            facts,
            receives,
            open,
        }
    }

    fn options(direction: Direction, offline: bool, tables: &[&str]) -> Options {
        Options {
            direction,
            site: None,
            tables: tables.iter().map(|table| (*table).to_owned()).collect(),
            offline,
            dry_run: true,
            patience: Patience::default(),
        }
    }

    #[test]
    fn a_guard_goes_on_only_where_it_stops_nobody() {
        for (receives, open, offline, refused) in [
            (false, false, false, true),
            (true, false, false, false),
            (false, true, false, false),
            (false, false, true, false),
        ] {
            let found = faults(
                &options(Direction::Install, offline, &[]),
                &site(receives, open),
            );
            assert_eq!(
                !found.is_empty(),
                refused,
                "{receives} {open} {offline}: {found:?}"
            );
        }
        let nothing_to_do = options(Direction::Install, false, &["public.b"]);
        assert!(faults(&nothing_to_do, &site(false, false)).is_empty());
        let unknown = options(Direction::Install, true, &["b"]);
        assert!(
            faults(&unknown, &site(false, false))[0]
                .problem
                .contains("no table b")
        );
    }

    #[test]
    fn only_what_differs_is_done_and_the_lease_is_looked_at_where_applications_write() {
        let names = |direction, receives| -> Vec<Step> {
            plan(&options(direction, false, &[]), &[site(receives, true)])
        };
        let on = names(Direction::Install, false);
        let said: Vec<_> = on.iter().map(|step| step.what.as_str()).collect();
        assert_eq!(said, ["guard table public.a", "guard table public.c"]);
        assert!(on.iter().all(|step| step.sql.contains("expires_at")));
        assert!(
            !names(Direction::Install, true)[0]
                .sql
                .contains("expires_at")
        );
        assert_eq!(names(Direction::Remove, false).len(), 2);
    }
}

//! After the load: what do the databases have, and does the returned site behave?

use std::collections::BTreeSet;
use std::time::Duration;

use tandem_core::drill::observed::{Finding, Observed};
use tandem_core::drill::{Action, Aftermath, Drill, Origin, Row};
use tandem_core::model::SiteId;
use tandem_core::planner::SafetyRule;
use tokio_postgres::{Config, NoTls};

use super::client::Mark;
use super::command::{LIST, own_command, words};
use super::databases::{failed, open, refused_by_guard};
use super::observe::{Sighting, Watching};
use super::progress::{Progress, Tell};
use super::stage::Stage;
use super::{Error, clock, databases};

/// How long a returned site may take to say that it is fenced, or a gate to
/// know its way: an agent waits a ttl after its start, and machines are busy.
const SETTLED: Duration = Duration::from_secs(60);

/// How long one try of a write may take; gates hold new sessions for 10 s.
const TRY: Duration = Duration::from_secs(15);

/// How long between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// The planner's code for a store that is not believed.
const STORE_REFUSED: &str = "TDM-1002";

const INSERT: &str = "INSERT INTO contact (request_id, name, email) VALUES ($1, 'After the drill', 'after@example.com') RETURNING origin::text";
const ROWS: &str =
    "SELECT request_id::text, origin::text FROM contact WHERE request_id::text LIKE $1";
const PROMOTED: &str = "SELECT epoch FROM tandem_local.promotion WHERE boundary IS NOT NULL AND from_site = $1::text ORDER BY epoch DESC LIMIT 1";

/// Reads the surviving database, then does and looks at what the drill says.
pub(super) async fn look(
    stage: &Stage,
    drill: &Drill,
    mark: &Mark,
    watching: &Watching,
    observed: &mut Observed,
    tell: Tell<'_>,
) -> Result<(), Error> {
    let writer = watching
        .writer()
        .map_or(drill.primary, |origin| origin.site);
    tell(&Progress::Phase(format!(
        "comparing every acknowledged write with the database of {writer}"
    )));
    observed.rows = rows(stage, writer, mark).await?;
    for check in &drill.aftermath {
        let finding = one(stage, (drill, check), (mark, watching), writer, observed).await?;
        tell(&Progress::Finding(finding.held, finding.detail.clone()));
        observed.findings.push(finding);
    }
    Ok(())
}

async fn rows(stage: &Stage, site: SiteId, mark: &Mark) -> Result<Vec<Row>, Error> {
    let client = open(site, &stage.administrator(site)).await?;
    let like = format!("{}%", mark.prefix());
    let rows = client.query(ROWS, &[&like]).await;
    let rows = rows.map_err(|source| failed(site, "read the rows of the drill")(source))?;
    let row = |row: &tokio_postgres::Row| {
        let origin: Option<String> = row.get(1);
        let number = mark.number(row.get(0))?;
        Some(Row {
            number,
            origin: origin.and_then(|origin| origin.parse().ok()),
        })
    };
    Ok(rows.iter().filter_map(row).collect())
}

async fn one(
    stage: &Stage,
    (drill, check): (&Drill, &Aftermath),
    (mark, watching): (&Mark, &Watching),
    writer: SiteId,
    observed: &mut Observed,
) -> Result<Finding, Error> {
    let (held, detail) = match check {
        Aftermath::StartSite { site } => {
            stage.start_site(*site).await?;
            (true, format!("everything of {site} runs again"))
        }
        Aftermath::HealSite { site } => {
            stage.heal_site(*site)?;
            (true, format!("every link of {site} is mended"))
        }
        Aftermath::ExpectStoreRefused {} => store_refused(stage).await,
        Aftermath::ExpectFenced { site } => fenced(stage, *site).await?,
        Aftermath::ExpectRefusedDirect { site } => {
            let doors = vec![(format!("PostgreSQL of {site}"), stage.direct(*site))];
            refused(doors, true).await
        }
        Aftermath::ExpectRefusedAtGate { site } => refused(stage.peer_doors(*site), false).await,
        Aftermath::ExpectForwarded { site, to } => forwarded(stage, *site, *to).await,
        Aftermath::FindMissing { site } => {
            find_missing(stage, *site, writer, mark, observed).await?
        }
        Aftermath::Sql { site, sql } => {
            let told = databases::run(stage, *site, sql, true).await?;
            (told.as_expected, format!("at {site}: {}", told.said))
        }
        Aftermath::ExpectReplicating { from, to } => {
            let told = databases::replicating(stage, *from, *to).await?;
            (told.as_expected, told.said)
        }
        Aftermath::ExpectRule { site, rule } => named(watching, *site, *rule),
        Aftermath::ExpectRow { site, sql, is } => {
            databases::row_becomes(stage, *site, sql, is).await?
        }
        Aftermath::ExpectSaid { command, says } => said(stage, command, says).await?,
        Aftermath::ExpectSequencesPast { site, of } => {
            databases::sequences_past(stage, *site, *of).await?
        }
        Aftermath::ExpectWholeTransaction { site } => {
            databases::whole_transaction(stage, *site, large_rows(drill)).await?
        }
    };
    Ok(Finding {
        check: check.clone(),
        held,
        detail,
    })
}

/// How many rows the drill's large transaction has.
fn large_rows(drill: &Drill) -> u64 {
    let rows = drill.steps.iter().map(|step| match step.action {
        Action::LargeTransaction { rows, .. } => rows,
        _ => 0,
    });
    rows.max().unwrap_or_default()
}

/// An agent of the site said that `rule` stands in the way.
fn named(watching: &Watching, site: SiteId, rule: SafetyRule) -> (bool, String) {
    let heard = watching.heard();
    let failed = |seen: &Sighting| -> Vec<SafetyRule> {
        let report = seen.report.as_ref();
        let rules = report.map_or(&[][..], |report| &report.rules);
        let failed = rules.iter().filter(|rule| !rule.passed);
        failed.map(|rule| rule.rule).collect()
    };
    let stands = |seen: &&Sighting| seen.site == site && failed(seen).contains(&rule);
    // The clearest word: at the beginning other rules stand in the way as well.
    let told = heard.sightings.iter().filter(stands);
    match told.min_by_key(|seen| failed(seen).len()) {
        Some(seen) => {
            let said = seen.report.as_ref().map_or("", |report| &report.en);
            let failed = failed(seen);
            let told = format!("{} said: {said}; what failed: {failed:?}", seen.agent);
            (true, told)
        }
        None => (
            false,
            format!("no agent of {site} named {rule:?} as what stands in the way"),
        ),
    }
}

/// A command prints all of `says`.
async fn said(stage: &Stage, command: &[String], says: &[String]) -> Result<(bool, String), Error> {
    let config = stage.config_file();
    let mut args: Vec<&str> = command.iter().map(String::as_str).collect();
    args.extend(["--config", &config]);
    let output = own_command(&args, LIST).await?;
    let all = words(&output);
    let missing: Vec<&str> = says
        .iter()
        .map(String::as_str)
        .filter(|word| !all.contains(word))
        .collect();
    let command = format!("`tandem {}`", command.join(" "));
    Ok(match missing.as_slice() {
        [] => (true, format!("{command} says {}", says.join(", "))),
        missing => (
            false,
            format!("{command} does not say {}: {all}", missing.join(", ")),
        ),
    })
}

/// Every agent of the site says *fenced* or *replica*, and none of its gates may write.
async fn fenced(stage: &Stage, site: SiteId) -> Result<(bool, String), Error> {
    let begun = clock::now();
    loop {
        let roles = stage.roles(site).await;
        let open = stage.gates_that_may_write(site).await;
        // One that lost nothing follows again by itself.
        let without = |role: &String| role == "fenced" || role == "replica";
        let all = !roles.is_empty() && roles.values().all(without);
        let told: Vec<String> = roles
            .iter()
            .map(|(agent, role)| format!("{agent} says {role}"))
            .collect();
        let told = format!("{}; {} of its gates may write", told.join(", "), open);
        if open > 0 {
            return Ok((false, told));
        }
        if all || clock::now().since(begun) > SETTLED {
            return Ok((all, told));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Every agent says that it does not believe the store.
async fn store_refused(stage: &Stage) -> (bool, String) {
    let begun = clock::now();
    loop {
        let reasons = stage.reasons().await;
        let all = reasons.values().all(|code| code == STORE_REFUSED);
        if all || clock::now().since(begun) > SETTLED {
            let told = reasons
                .iter()
                .map(|(agent, code)| format!("{agent}: {code}"));
            return (all, told.collect::<Vec<_>>().join(", "));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Every door must answer an application's write with an error of its own: a
/// door that hangs or is closed has refused nobody. A database must say that its guard refused.
async fn refused(doors: Vec<(String, Config)>, guarded: bool) -> (bool, String) {
    let mut all = true;
    let mut told = Vec::new();
    for (name, config) in doors {
        let (held, detail) = match attempt(&config).await {
            Ok(origin) => (
                false,
                format!("took the write as {}", origin.unwrap_or_default()),
            ),
            Err(Refusal::Said { by_guard, said }) => (by_guard || !guarded, said),
            Err(Refusal::Silent(detail)) => (false, detail),
        };
        all &= held;
        told.push(format!("{name}: {detail}"));
    }
    (all && !told.is_empty(), told.join("; "))
}

enum Refusal {
    /// The server answered with an error.
    Said { by_guard: bool, said: String },
    /// It said nothing that a client could act on.
    Silent(String),
}

impl From<tokio_postgres::Error> for Refusal {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(answer) => Self::Said {
                by_guard: refused_by_guard(answer),
                said: format!("{}: {}", answer.code().code(), answer.message()),
            },
            None => Self::Silent(error.to_string()),
        }
    }
}

/// One write of the application's role.
async fn attempt(config: &Config) -> Result<Option<String>, Refusal> {
    let write = async {
        let (client, connection) = config.connect(NoTls).await?;
        let driver = tokio::spawn(connection);
        let request_id = Mark::random().id(0);
        let row = client.query_one(INSERT, &[&request_id]).await;
        driver.abort();
        Ok(row?.get(0))
    };
    match tokio::time::timeout(TRY, write).await {
        Ok(result) => result,
        Err(_) => Err(Refusal::Silent(format!(
            "no answer within {} s",
            TRY.as_secs()
        ))),
    }
}

/// A write through each gate of the site ends in the other site's database.
async fn forwarded(stage: &Stage, site: SiteId, to: SiteId) -> (bool, String) {
    let mut all = true;
    let mut told = Vec::new();
    for (name, config) in stage.write_doors(site) {
        let (held, detail) = until_forwarded(&config, to).await;
        all &= held;
        told.push(format!("{name}: {detail}"));
    }
    (all && !told.is_empty(), told.join("; "))
}

async fn until_forwarded(config: &Config, to: SiteId) -> (bool, String) {
    let begun = clock::now();
    loop {
        let detail = match attempt(config).await {
            Ok(origin) => {
                let origin = origin.unwrap_or_default();
                let by = origin.parse::<Origin>().ok().map(|origin| origin.site);
                return (by == Some(to), format!("written by {origin}"));
            }
            Err(Refusal::Said { said, .. }) => said,
            Err(Refusal::Silent(detail)) => detail,
        };
        if clock::now().since(begun) > SETTLED {
            return (false, detail);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Waits for the ledger that the new primary writes, and compares it with what is missing there.
async fn find_missing(
    stage: &Stage,
    site: SiteId,
    writer: SiteId,
    mark: &Mark,
    observed: &mut Observed,
) -> Result<(bool, String), Error> {
    let missing: BTreeSet<u64> = observed
        .oracle()
        .missing
        .iter()
        .map(|missing| missing.number)
        .collect();
    let client = open(writer, &stage.administrator(writer)).await?;
    let epoch = client.query_opt(PROMOTED, &[&site.as_str()]).await;
    let epoch = epoch.map_err(|source| failed(writer, "read its promotions")(source))?;
    let Some(epoch) = epoch.map(|row| row.get::<_, i64>(0)) else {
        return Ok((missing.is_empty(), format!("{writer} recorded no boundary")));
    };
    let epoch = u64::try_from(epoch).unwrap_or_default();
    let Some(changes) = ledger(stage, epoch).await? else {
        return Ok((false, format!("{writer} wrote no ledger {epoch}")));
    };
    let listed: BTreeSet<u64> = changes
        .iter()
        .filter_map(|change| numbered(change, mark))
        .collect();
    let present: BTreeSet<u64> = observed.rows.iter().map(|row| row.number).collect();
    observed.found = missing.intersection(&listed).copied().collect();
    let survived = listed.intersection(&present).count();
    let detail = format!(
        "{} of {} missing acknowledged writes are in ledger {epoch} of {site}; {} rows of the drill stand there in all, {survived} of them survived",
        observed.found.len(),
        missing.len(),
        listed.len()
    );
    Ok((
        observed.found.len() == missing.len() && survived == 0,
        detail,
    ))
}

/// The survivor's agents write it when they reach the failed primary's server.
async fn ledger(stage: &Stage, epoch: u64) -> Result<Option<Vec<serde_json::Value>>, Error> {
    let begun = clock::now();
    loop {
        match stage.ledger(epoch).await? {
            None if clock::now().since(begun) <= SETTLED => tokio::time::sleep(LOOK_AGAIN).await,
            found => return Ok(found),
        }
    }
}

/// The drill's number of a lost row.
fn numbered(change: &serde_json::Value, mark: &Mark) -> Option<u64> {
    mark.number(change["row"]["request_id"].as_str()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_from_rows_of_this_run_only() {
        let mark = Mark::random();
        let row = |id: &str| serde_json::json!({ "row": { "request_id": id, "name": "Contact" } });
        assert_eq!(numbered(&row(&mark.id(12)), &mark), Some(12));
        assert_eq!(numbered(&row(&Mark::random().id(12)), &mark), None);
        assert_eq!(numbered(&row(mark.prefix()), &mark), None);
    }
}

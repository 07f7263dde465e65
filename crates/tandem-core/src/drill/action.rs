//! What a drill does to two clouds, and what it looks at when the load has ended.
//!
//! Intuition: an axe (kill, cut, freeze), a named person (switch over, fail over, reinstate,
//! change the schema), the application, and a database's own administrator (SQL past every gate).
//! A step of a person ends in a word, which stands in the evidence with its times; a fault only
//! has times.
//! Invariant: whether a step may touch clients is said here, once; a planned move may not.
//! Refused: a scripting language. A drill that needs a loop is a test, not an experiment.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::model::SiteId;
use crate::planner::SafetyRule;

/// The most rows of one large transaction: more would only fill a small machine's disk.
pub const LARGE_ROWS_MAX: u64 = 2_000_000;

/// Something that a person could do to two clouds with an axe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Action {
    /// Kill every process of a site at once (power loss).
    KillSite {
        /// The site.
        site: SiteId,
    },
    /// Start every process of a site.
    StartSite {
        /// The site.
        site: SiteId,
    },
    /// Kill one process (kill -9).
    KillProcess {
        /// As in the lab: `aws.crm-1`.
        process: String,
    },
    /// Start one process.
    StartProcess {
        /// As in the lab.
        process: String,
    },
    /// Stop one process politely.
    StopProcess {
        /// As in the lab.
        process: String,
    },
    /// Stop one process politely and start it again.
    RestartProcess {
        /// As in the lab.
        process: String,
    },
    /// Stop a process without telling it (SIGSTOP).
    Freeze {
        /// As in the lab.
        process: String,
    },
    /// Let a frozen process go on (SIGCONT).
    Thaw {
        /// As in the lab.
        process: String,
    },
    /// Cut a link between two places.
    CutLink {
        /// As in the lab: `aws-gcp`.
        link: String,
        /// Silently, or with a reset.
        how: CutHow,
        /// The direction that is cut; both if absent.
        #[serde(default)]
        towards: Option<SiteId>,
    },
    /// Let fewer bytes through each way of a link.
    SlowLink {
        /// As in the lab.
        link: String,
        /// Bytes per second; 0 = all.
        bytes_per_second: u64,
    },
    /// Mend a link.
    HealLink {
        /// As in the lab.
        link: String,
    },
    /// Cut a place from everybody else; what is inside lives on, with its clients.
    Isolate {
        /// A site or the witness.
        site: SiteId,
        /// Silently, or with a reset.
        how: CutHow,
    },
    /// Mend every link of a place.
    HealSite {
        /// A site or the witness.
        site: SiteId,
    },
    /// Make the store's member at a place the leader.
    MoveLeader {
        /// A site or the witness.
        to: SiteId,
    },
    /// Copy the disk of every member of the store, one after the other.
    CopyStores {},
    /// Kill every member of the store and start it on the disk that was copied.
    RestoreStores {},
    /// Start one of our own processes anew with another time since boot than the machine's.
    RestartWithClock {
        /// As in the lab.
        process: String,
        /// How much more time since boot it sees, in seconds.
        ahead_s: i64,
    },
    /// A named person asks for a planned move.
    Switchover {
        /// The site that takes over.
        to: SiteId,
        /// Whether the next step waits until that site writes.
        #[serde(default = "yes")]
        wait: bool,
        /// What the person must be told.
        #[serde(default)]
        expect: Wanted,
    },
    /// A named person asks for a forced move.
    Failover {
        /// The site that takes over.
        to: SiteId,
        /// Why acknowledged writes may be lost; without it they may not.
        #[serde(default)]
        accept_loss: Option<String>,
        /// Whether the next step waits until that site writes.
        #[serde(default = "yes")]
        wait: bool,
        /// What the person must be told.
        #[serde(default)]
        expect: Wanted,
    },
    /// A named person makes an old primary a replica again.
    Reinstate {
        /// The old primary.
        site: SiteId,
        /// Whether the next step waits until that is done.
        #[serde(default = "yes")]
        wait: bool,
        /// What the person must be told.
        #[serde(default)]
        expect: Wanted,
    },
    /// A named person takes a file of schema changes to both databases: plan, then apply.
    SchemaApply {
        /// The file's name, by which both sites remember it.
        file: String,
        /// What stands in it.
        sql: String,
        /// The site that the first statement must go to.
        first: SiteId,
    },
    /// Wait until one site's present heartbeats are applied at the other.
    WaitReplicating {
        /// The site that writes.
        from: SiteId,
        /// The site that follows.
        to: SiteId,
    },
    /// Run SQL as the database's administrator, past every gate.
    Sql {
        /// The database.
        site: SiteId,
        /// One or more statements.
        sql: String,
        /// Whether the next step waits for its end.
        #[serde(default = "yes")]
        wait: bool,
    },
    /// Run SQL as the application.
    AsApplication {
        /// The site.
        site: SiteId,
        /// One or more statements.
        sql: String,
        /// At the database itself instead of the site's first gate.
        #[serde(default)]
        past_gates: bool,
        /// What the application must be told; only the guard's own refusal counts as one.
        #[serde(default)]
        expect: Wanted,
    },
    /// Commit one large transaction and go on the moment the follower has received half of it.
    LargeTransaction {
        /// The site that writes.
        from: SiteId,
        /// The site that follows.
        to: SiteId,
        /// How many rows.
        rows: u64,
    },
}

/// What a person must be told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wanted {
    /// That it is done.
    #[default]
    Done,
    /// That a safety rule, or the guard, stands in the way.
    Refused,
}

fn yes() -> bool {
    true
}

impl Action {
    /// Whether requests under way may fail of it. Agents and the store are off
    /// the data path: their restart must not be noticed, and neither must what a person asks for
    /// in a planned way.
    pub fn touches_clients(&self) -> bool {
        match self {
            Self::KillProcess { process }
            | Self::StopProcess { process }
            | Self::RestartProcess { process }
            | Self::Freeze { process } => !process.contains(".agent") && !process.contains(".etcd"),
            Self::RestartWithClock { process, .. } => !process.contains(".agent"),
            Self::KillSite { .. }
            | Self::CutLink { .. }
            | Self::Isolate { .. }
            | Self::Failover { .. } => true,
            Self::StartSite { .. }
            | Self::StartProcess { .. }
            | Self::Thaw { .. }
            | Self::SlowLink { .. }
            | Self::HealLink { .. }
            | Self::HealSite { .. }
            | Self::MoveLeader { .. }
            | Self::CopyStores {}
            | Self::RestoreStores {}
            | Self::Switchover { .. }
            | Self::Reinstate { .. }
            | Self::WaitReplicating { .. }
            | Self::SchemaApply { .. }
            | Self::Sql { .. }
            | Self::AsApplication { .. }
            | Self::LargeTransaction { .. } => false,
        }
    }

    /// Whether it only sets the scene: recovery is not counted from it.
    pub fn is_preparation(&self) -> bool {
        matches!(
            self,
            Self::Sql { .. }
                | Self::AsApplication { .. }
                | Self::SlowLink { .. }
                | Self::LargeTransaction { .. }
                | Self::WaitReplicating { .. }
        )
    }

    /// Whether a person moves the right to write with it, so that the pause of writes is counted.
    pub fn is_move(&self) -> bool {
        let expected = match self {
            Self::Switchover { expect, .. } | Self::Failover { expect, .. } => *expect,
            _ => return false,
        };
        expected == Wanted::Done
    }
}

/// How a link is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CutHow {
    /// Bytes vanish, nobody is told.
    Drop,
    /// Connections are reset.
    Reset,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KillSite { site } => write!(f, "kill everything of {site}"),
            Self::StartSite { site } => write!(f, "start {site} again"),
            Self::KillProcess { process } => write!(f, "kill {process}"),
            Self::StartProcess { process } => write!(f, "start {process}"),
            Self::StopProcess { process } => write!(f, "stop {process} cleanly"),
            Self::RestartProcess { process } => write!(f, "restart {process}"),
            Self::Freeze { process } => write!(f, "freeze {process}"),
            Self::Thaw { process } => write!(f, "let {process} go on"),
            Self::CutLink { link, how, towards } => {
                let how = if *how == CutHow::Drop {
                    "silently"
                } else {
                    "with a reset"
                };
                match towards {
                    Some(site) => write!(f, "cut link {link} towards {site} {how}"),
                    None => write!(f, "cut link {link} {how}"),
                }
            }
            Self::SlowLink {
                link,
                bytes_per_second,
            } => write!(f, "let {bytes_per_second} bytes/s through link {link}"),
            Self::HealLink { link } => write!(f, "mend link {link}"),
            Self::Isolate { site, how } if *how == CutHow::Drop => {
                write!(f, "cut {site} from everybody silently")
            }
            Self::Isolate { site, .. } => write!(f, "cut {site} from everybody with resets"),
            Self::HealSite { site } => write!(f, "mend every link of {site}"),
            Self::MoveLeader { to } => write!(f, "make the store's member at {to} the leader"),
            Self::CopyStores {} => f.write_str("copy the disks of the store"),
            Self::RestoreStores {} => f.write_str("start the store on the copied disks"),
            Self::RestartWithClock { process, ahead_s } => {
                write!(
                    f,
                    "restart {process} with a clock that is {ahead_s} s ahead"
                )
            }
            Self::Switchover { to, .. } => write!(f, "a person switches over to {to}"),
            Self::Failover { to, .. } => write!(f, "a person fails over to {to}"),
            Self::Reinstate { site, .. } => write!(f, "a person reinstates {site}"),
            Self::SchemaApply { file, sql, .. } => {
                write!(f, "a person takes {file} to both sites: {}", one_line(sql))
            }
            Self::WaitReplicating { from, to } => write!(f, "wait until {to} follows {from}"),
            Self::Sql { site, sql, .. } => write!(f, "at {site}: {}", one_line(sql)),
            Self::AsApplication {
                site,
                sql,
                past_gates,
                ..
            } => {
                let door = if *past_gates { "database" } else { "gate" };
                let sql = one_line(sql);
                write!(f, "as the application at the {door} of {site}: {sql}")
            }
            Self::LargeTransaction { from, to, rows } => write!(
                f,
                "commit {rows} rows at once at {from} and wait until {to} has received half"
            ),
        }
    }
}

/// The beginning of a statement, for a list.
fn one_line(sql: &str) -> String {
    let words: Vec<&str> = sql.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => line[..end].into(),
        None => line,
    }
}

/// How many characters of a statement a list shows.
const SHOWN: usize = 100;

/// What is done and looked at when the load has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Aftermath {
    /// Start every process of a dead site again.
    StartSite {
        /// The site.
        site: SiteId,
    },
    /// Mend every link of a place.
    HealSite {
        /// A site or the witness.
        site: SiteId,
    },
    /// Every agent must refuse the store, and say so.
    ExpectStoreRefused {},
    /// The returned site must come back without the right to write.
    ExpectFenced {
        /// The site.
        site: SiteId,
    },
    /// The application's role must be refused by the site's own database.
    ExpectRefusedDirect {
        /// The site.
        site: SiteId,
    },
    /// The site's gates must refuse write sessions that other gates forward to it.
    ExpectRefusedAtGate {
        /// The site.
        site: SiteId,
    },
    /// A write through the site's gate must end in the other site's database.
    ExpectForwarded {
        /// The site whose gate is used.
        site: SiteId,
        /// The site whose database must have written it.
        to: SiteId,
    },
    /// Run SQL as the database's administrator, past every gate.
    Sql {
        /// The database.
        site: SiteId,
        /// One or more statements.
        sql: String,
    },
    /// One site's present heartbeats must be applied at the other.
    ExpectReplicating {
        /// The site that writes.
        from: SiteId,
        /// The site that follows.
        to: SiteId,
    },
    /// An agent of the site must have named this safety rule as what stood in the way.
    ExpectRule {
        /// The site.
        site: SiteId,
        /// The rule.
        rule: SafetyRule,
    },
    /// The first column of the one row of a query, as text, must become this.
    ExpectRow {
        /// The database.
        site: SiteId,
        /// The query.
        sql: String,
        /// What it must give.
        is: String,
    },
    /// A command of `tandem` must say all of these words, whatever its exit code.
    ExpectSaid {
        /// Its arguments; `--config` is added.
        command: Vec<String>,
        /// Words that must stand in what it prints.
        says: Vec<String>,
    },
    /// Every sequence of a site must be past what the other site ever issued.
    ExpectSequencesPast {
        /// The site that writes now.
        site: SiteId,
        /// The site that wrote before.
        of: SiteId,
    },
    /// The large transaction must be there wholly or not at all.
    ExpectWholeTransaction {
        /// The database.
        site: SiteId,
    },
    /// Look on the returned site for each acknowledged write that is missing.
    FindMissing {
        /// The site.
        site: SiteId,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    fn read(text: &str) -> Action {
        toml::from_str(text).expect("an action")
    }

    #[test]
    fn a_persons_step_waits_for_its_good_end_unless_the_file_says_otherwise() {
        let action = read("do = \"switchover\"\nto = \"gcp\"");
        assert!(action.is_move() && !action.touches_clients());
        assert_eq!(action.to_string(), "a person switches over to gcp");
        let refused = read("do = \"failover\"\nto = \"gcp\"\nexpect = \"refused\"");
        assert!(!refused.is_move());
        let later = read("do = \"reinstate\"\nsite = \"aws\"\nwait = false");
        assert!(matches!(later, Action::Reinstate { wait: false, .. }));
    }

    #[test]
    fn a_change_of_the_schema_is_no_excuse_for_a_failed_request() {
        let text = "do = \"schema-apply\"\nfile = \"a.sql\"\nfirst = \"gcp\"\nsql = \"SELECT 1\"";
        assert!(!read(text).touches_clients() && !read(text).is_preparation());
        let stop = "do = \"stop-process\"\nprocess = \"aws.postgres\"";
        assert!(read(stop).touches_clients());
    }

    #[test]
    fn a_long_statement_is_shown_on_one_short_line() {
        let sql = "SELECT\n 1,".to_string() + &" 2,".repeat(60);
        assert_eq!(one_line(&sql).chars().count(), SHOWN);
        assert_eq!(one_line("SELECT\n  1"), "SELECT 1");
    }
}

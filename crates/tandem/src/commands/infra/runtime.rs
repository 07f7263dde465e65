//! What the infrastructure part asks of the runtime, wired here.
//!
//! Without the runtime the replication phase says so and stops, and the apply
//! lock is a file beside the journal.

use std::path::Path;

use tandem_infra::phases::lock::{ApplyLock, FileLock};
use tandem_infra::phases::replication::ReplicationPhase;

#[cfg(not(feature = "runtime"))]
pub(super) fn replication(_: &Path) -> Box<dyn ReplicationPhase> {
    Box::new(tandem_infra::phases::replication::NotBuilt)
}

#[cfg(not(feature = "runtime"))]
pub(super) fn apply_lock(_: &Path, own: &Path) -> Box<dyn ApplyLock> {
    Box::new(FileLock::new(own))
}

#[cfg(feature = "runtime")]
pub(super) use with::{apply_lock, replication};

#[cfg(feature = "runtime")]
mod with {
    use std::path::PathBuf;

    use tandem_core::config::Config;
    use tandem_infra::cloud::Answer;
    use tandem_infra::phases::lock::Holder;
    use tandem_infra::phases::replication::Ends;
    use tandem_infra::phases::{Kind, Stop};
    use tandem_postgres::setup::{self, Options, Outcome, Patience};
    use tandem_postgres::status::{self, State};

    use super::{ApplyLock, FileLock, Path, ReplicationPhase};

    /// The initial copy of a large database takes hours.
    const COPY_LIMIT: std::time::Duration = std::time::Duration::from_secs(86_400);

    pub(in super::super) fn replication(config: &Path) -> Box<dyn ReplicationPhase> {
        Box::new(FromConfig(config.to_owned()))
    }

    /// The file lock, which first looks whether a failover is under way.
    pub(in super::super) fn apply_lock(config: &Path, own: &Path) -> Box<dyn ApplyLock> {
        Box::new(NoPlanRuns {
            config: config.to_owned(),
            file: FileLock::new(own),
        })
    }

    struct FromConfig(PathBuf);

    fn read(path: &Path) -> Result<Config, Stop> {
        const FIX: &str = "tandem config from-terraform writes it; --config FILE names it";
        let text = std::fs::read_to_string(path).map_err(|error| {
            Stop::new(
                Kind::Usage,
                format!("cannot read {}: {error}", path.display()),
                FIX,
            )
        })?;
        Config::parse(&text).map_err(|faults| {
            Stop::new(
                Kind::Usage,
                format!("{}: {faults}", path.display()),
                "put all of it right",
            )
        })
    }

    /// Runs one asynchronous call to its end.
    fn block<T>(work: impl Future<Output = T>) -> Result<T, Stop> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.map_err(|error| Stop::failed(error.to_string(), "try again"))?;
        Ok(runtime.block_on(work))
    }

    impl FromConfig {
        /// The file must speak of the databases that the phases made.
        fn config(&self, ends: &Ends) -> Result<Config, Stop> {
            let config = read(&self.0)?;
            let hosts: Vec<&str> = config
                .sites
                .values()
                .map(|site| site.postgres.host.as_str())
                .collect();
            if hosts.contains(&ends.rds_host.as_str()) {
                return Ok(config);
            }
            Err(Stop::new(
                Kind::Usage,
                format!(
                    "{} names the databases {}, not {}",
                    self.0.display(),
                    hosts.join(" and "),
                    ends.rds_host
                ),
                "tandem config from-terraform",
            ))
        }

        fn status(&self) -> Result<status::Status, Stop> {
            let config = read(&self.0)?;
            let status = block(status::read(&config))?;
            status.map_err(|error| Stop::failed(error.to_string(), "tandem replication status"))
        }
    }

    impl ReplicationPhase for FromConfig {
        fn set_up(&self, ends: &Ends) -> Result<Vec<String>, Stop> {
            let config = self.config(ends)?;
            let options = Options {
                dry_run: false,
                application_password_file: None,
                copy_limit: COPY_LIMIT,
                offline: false,
                patience: Patience::default(),
            };
            let outcome = block(setup::run(&config, &options, &mut |line| {
                eprintln!("{line}");
            }))?;
            let outcome = outcome
                .map_err(|error| Stop::failed(error.to_string(), "tandem replication setup"))?;
            match outcome {
                Outcome::Refused(faults) => {
                    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
                    Err(Stop::refused(
                        lines.join("\n  "),
                        "put all of it right, then the same command again",
                    ))
                }
                Outcome::Partial(_, blocked) => {
                    let lines: Vec<String> = blocked.iter().map(ToString::to_string).collect();
                    Err(Stop::failed(
                        lines.join("\n  "),
                        "end what holds these tables, then the same command again",
                    ))
                }
                Outcome::Planned(steps) | Outcome::Done(steps) => {
                    Ok(vec![format!("{} step(s) taken", steps.len())])
                }
            }
        }

        fn take_away(&self, _: &Ends) -> Result<Vec<String>, Stop> {
            Err(Stop::refused(
                "a subscription is not dropped by itself: its slot would be dropped with it",
                "drop subscription crm_subscription at the replica, then destroy the phases vpn, gcp and aws one by one",
            ))
        }

        fn flows(&self, _: &Ends) -> Answer {
            let fix = "tandem replication status";
            match self.status() {
                Err(stop) => Answer::failed(stop.problem, stop.fix),
                Ok(status) => match status
                    .directions
                    .iter()
                    .find(|found| found.state == State::Streaming)
                {
                    Some(found) => {
                        Answer::proven(format!("{} -> {} streaming", found.from, found.to))
                    }
                    None => Answer::failed("no direction is streaming", fix),
                },
            }
        }

        fn is_watched(&self, _: &Ends) -> Answer {
            let fix = "run the agents: they write heartbeats and export the lag";
            match self.status() {
                Err(stop) => Answer::failed(stop.problem, stop.fix),
                Ok(status) => match status.directions.iter().find_map(|found| found.lag_ms) {
                    Some(lag) => Answer::proven(format!("lag {lag} ms by heartbeat")),
                    None => Answer::failed("no heartbeat arrives", fix),
                },
            }
        }
    }

    struct NoPlanRuns {
        config: PathBuf,
        file: FileLock,
    }

    impl NoPlanRuns {
        /// Refuses unless the right to write rests: `open` at some site. Before
        /// there is a store, nothing can be under way.
        fn refuse_while_it_moves(&self) -> Result<(), Stop> {
            if !self.config.is_file() {
                return Ok(());
            }
            let config = read(&self.config)?;
            match block(tandem_agent::authority_phase(&config))? {
                Ok(None) => Ok(()),
                Ok(Some(phase)) if phase == "open" => Ok(()),
                Ok(Some(phase)) => Err(Stop::refused(
                    format!("a change of the primary is under way (phase {phase})"),
                    "wait for it: `tandem status`; then run the same command again",
                )),
                Err(error) => Err(Stop::refused(
                    format!("whether a change of the primary is under way is not known: {error}"),
                    "let the store answer; before it is built, name no policy: --config none",
                )),
            }
        }
    }

    impl ApplyLock for NoPlanRuns {
        fn take(&self, by: &str, reason: &str) -> Result<(), Stop> {
            self.refuse_while_it_moves()?;
            self.file.take(by, reason)
        }

        fn give_back(&self) -> Result<Option<Holder>, Stop> {
            self.file.give_back()
        }

        fn holder(&self) -> Result<Option<Holder>, Stop> {
            self.file.holder()
        }
    }
}

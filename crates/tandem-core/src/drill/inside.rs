//! Clients inside the sites: what a cut-off site says to its own people.
//!
//! Outside clients see nothing of a site that is cut from everybody, and so could never see a
//! second writer in it. Clients at every door of every site can: the application, the gates, and
//! the database itself, where only the guard stands.
//! Invariant: they are judged by the same oracle, and counted in no figure of outside clients.

use alloc::collections::BTreeSet;
use alloc::string::String;
use core::fmt;

use serde::{Deserialize, Serialize};

use super::action::Action;
use super::file::Drill;
use super::history::Request;
use super::measure::Measure;
use super::observed::{Observed, Values};
use super::oracle::Oracle;
use crate::model::SiteId;

/// A door of one site at which a client inside that site writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Door {
    /// The application, past the edge.
    Application,
    /// A gate, past the application.
    Gate,
    /// The database itself, past every gate: only the guard stands there.
    Database,
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Application => "application",
            Self::Gate => "gate",
            Self::Database => "database",
        })
    }
}

/// A write of a client inside a site: it goes on when the site is cut from everybody, so that
/// a second writer would be seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inside {
    /// The process that was written to: `aws.gate-1`.
    pub process: String,
    /// What kind of door that is.
    pub door: Door,
    /// The write.
    pub request: Request,
}

/// The number of the first write from inside; writes of outside clients count from 0.
pub const INSIDE_NUMBERS: u64 = 1 << 40;

impl Observed {
    /// The doors inside the sites. Late answers of a database's own door are left out: no gate
    /// stands there that could keep a committed answer back.
    pub(super) fn inside_values(&self, values: &mut Values, drill: &Drill, oracle: &Oracle) {
        let direct = self.inside.iter().filter(|i| i.door == Door::Database);
        let direct: BTreeSet<u64> = direct.map(|inside| inside.request.number).collect();
        let late = oracle.late.iter().filter(|l| !direct.contains(&l.number));
        values.count(Measure::LateAcknowledgements, late.count());
        if drill.inside.is_none() {
            return;
        }
        let acknowledged = || self.inside.iter().filter(|i| i.request.acknowledged());
        values.count(Measure::InsideAcknowledged, acknowledged().count());
        let isolated = acknowledged().filter(|inside| self.while_isolated(inside));
        values.count(Measure::IsolatedAcknowledged, isolated.count());
    }

    fn while_isolated(&self, inside: &Inside) -> bool {
        let at = |site: &SiteId| inside.process.split('.').next() == Some(site.as_str());
        let last = self.injected.iter().rev().find(|injected| {
            let before = |sent| injected.window.to <= sent;
            let here = match &injected.action {
                Action::Isolate { site, .. } | Action::HealSite { site } => at(site),
                _ => false,
            };
            here && inside.request.sent.is_some_and(before)
        });
        last.is_some_and(|last| matches!(last.action, Action::Isolate { .. }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::observed::Injected;
    use super::super::timing::Window;
    use super::super::transcript::Transcript;
    use super::*;
    use crate::model::Mono;
    use alloc::string::ToString;
    use alloc::vec::Vec;

    /// Writes of a history as if they came from inside, each at its `doors` entry.
    fn inside(text: &str, doors: &[(&str, Door)]) -> Vec<Inside> {
        let requests = Transcript::read(text).requests.into_iter();
        let at = |(request, (process, door)): (Request, &(&str, Door))| Inside {
            process: process.to_string(),
            door: *door,
            request: Request {
                number: INSIDE_NUMBERS + request.number,
                ..request
            },
        };
        requests.zip(doors).map(at).collect()
    }

    fn injected(at_ms: u64, action: Action) -> Injected {
        let at = Mono(at_ms * 1_000);
        Injected {
            action,
            window: Window { from: at, to: at },
            told: None,
        }
    }

    fn drill() -> Drill {
        let text = r#"
            version = 1
            id = "x"
            title = "t"
            hypothesis = "h"
            scope = ["aws"]
            blast_radius = "b"
            primary = "aws"
            before_s = 1
            after_s = 1
            load = { rate_per_s = 10, write_percent = 30 }
            abort = { failed_percent_before = 5 }
            expect = { rto_s = 8, rpo_s = 5 }
            inside = { every_ms = 200 }
            [[must]]
            measure = "epoch_violations"
            bound = "== 0"
        "#;
        Drill::parse(text).unwrap()
    }

    fn check(observed: &Observed, expected: &[(Measure, f64)]) {
        let values = observed.values(&drill());
        for (measure, expected) in expected {
            assert_eq!(values.get(measure), Some(expected), "{}", measure.name());
        }
    }

    #[test]
    fn a_writer_that_only_its_own_clients_see_is_found() {
        let text = "write 0   .. 10  201 aws/1
                    write 200 .. 210 201 gcp/2
                    write 205 .. 250 201 aws/1
                    write 211 .. 220 201 aws/1
                    write 205 .. 260 201 aws/1";
        let gate = ("aws.gate-1", Door::Gate);
        let other = ("gcp.gate-1", Door::Gate);
        let direct = ("aws.postgres", Door::Database);
        let observed = Observed {
            inside: inside(text, &[gate, other, gate, gate, direct]),
            ..Observed::default()
        };
        check(
            &observed,
            &[
                (Measure::EpochViolations, 1.0),
                (Measure::LateAcknowledgements, 1.0),
                (Measure::InsideAcknowledged, 5.0),
                (Measure::Requests, 0.0),
            ],
        );
    }

    #[test]
    fn writes_count_as_isolated_from_the_cut_to_the_mending_of_their_own_site() {
        let site: SiteId = "aws".parse().unwrap();
        let text = "write 0  .. 1  201 aws/1
                    write 20 .. 21 201 aws/1
                    write 20 .. 21 201 aws/1
                    write 40 .. 41 201 aws/1";
        let aws = ("aws.crm-1", Door::Application);
        let gcp = ("gcp.crm-1", Door::Application);
        let cut = Action::Isolate {
            site,
            how: super::super::action::CutHow::Drop,
        };
        let observed = Observed {
            inside: inside(text, &[aws, aws, gcp, aws]),
            injected: [injected(10, cut), injected(30, Action::HealSite { site })].into(),
            ..Observed::default()
        };
        check(&observed, &[(Measure::IsolatedAcknowledged, 1.0)]);
    }
}

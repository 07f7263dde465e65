//! What a check is: a name, what must hold, and a pure function over what the servers said.

use std::fmt;

use serde::Serialize;
use tandem_core::config::Config;
use tandem_core::model::SiteId;

use crate::facts::Facts;
use crate::names::Names;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Something should be changed.
    Warning,
    /// A promotion would fail or lose rows, or the guard could be passed.
    Refusal,
}

/// One thing that is wrong at one site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The site it was found at.
    pub site: SiteId,
    /// The check that found it.
    pub check: &'static str,
    /// How much it matters.
    pub level: Level,
    /// What is wrong, with the value found.
    pub problem: String,
    /// What to do.
    pub fix: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.site, self.problem, self.fix)
    }
}

/// One server that answered.
#[derive(Clone, Copy)]
pub(crate) struct Server<'a> {
    pub(crate) config: &'a Config,
    pub(crate) names: &'a Names,
    pub(crate) facts: &'a Facts,
}

/// Both servers, in the first direction; a silent one is absent.
pub(crate) struct Case<'a> {
    pub(crate) config: &'a Config,
    pub(crate) primary: Option<Server<'a>>,
    pub(crate) replica: Option<Server<'a>>,
}

/// One check.
pub(crate) struct Check {
    pub(crate) id: &'static str,
    /// What must hold, as a sentence.
    pub(crate) title: &'static str,
    pub(crate) look: Look,
}

/// What a check looks at.
pub(crate) enum Look {
    /// Each server alone.
    Each(fn(Server<'_>, &mut Findings)),
    /// Each server alone, once Tandem was set up there.
    SetUp(fn(Server<'_>, &mut Findings)),
    /// The first primary and its replica together.
    Both(fn(Server<'_>, Server<'_>, &mut Findings)),
    /// Both together, once Tandem was set up in both places.
    Linked(fn(Server<'_>, Server<'_>, &mut Findings)),
}

/// What one check found so far.
pub(crate) struct Findings {
    check: &'static str,
    site: SiteId,
    found: Vec<Finding>,
}

impl Findings {
    /// What follows is about `server`.
    pub(crate) fn at(&mut self, server: Server<'_>) -> &mut Self {
        self.site = server.names.site;
        self
    }

    /// A refusal if `wrong`.
    pub(crate) fn refuse(&mut self, wrong: bool, problem: impl Into<String>, fix: &str) {
        self.add(wrong, Level::Refusal, problem.into(), fix);
    }

    /// A warning if `wrong`.
    pub(crate) fn warn(&mut self, wrong: bool, problem: impl Into<String>, fix: &str) {
        self.add(wrong, Level::Warning, problem.into(), fix);
    }

    fn add(&mut self, wrong: bool, level: Level, problem: String, fix: &str) {
        if wrong {
            self.found.push(Finding {
                site: self.site,
                check: self.check,
                level,
                problem,
                fix: fix.to_owned(),
            });
        }
    }
}

/// What `check` finds; `None` if it cannot be asked of anybody here.
pub(crate) fn judge(check: &Check, case: &Case<'_>) -> Option<Vec<Finding>> {
    let servers: Vec<_> = [case.primary, case.replica].into_iter().flatten().collect();
    let mut found = Findings {
        check: check.id,
        site: case.config.policy.first_primary,
        found: Vec::new(),
    };
    let each =
        |servers: &[Server<'_>], look: fn(Server<'_>, &mut Findings), found: &mut Findings| {
            for server in servers {
                look(*server, found.at(*server));
            }
            !servers.is_empty()
        };
    let both = case.primary.zip(case.replica);
    let asked = match check.look {
        Look::Each(look) => each(&servers, look, &mut found),
        Look::SetUp(look) => {
            let ready: Vec<_> = servers
                .iter()
                .copied()
                .filter(|server| server.facts.is_set_up())
                .collect();
            each(&ready, look, &mut found)
        }
        Look::Both(look) => both
            .map(|(primary, replica)| look(primary, replica, &mut found))
            .is_some(),
        Look::Linked(look) => both
            .filter(|(primary, replica)| primary.facts.is_set_up() && replica.facts.is_set_up())
            .map(|(primary, replica)| look(primary, replica, &mut found))
            .is_some(),
    };
    asked.then_some(found.found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::FITNESS;
    use crate::setup::Pair;

    /// What needs servers of several versions, of which a test machine has one.
    #[test]
    fn old_and_unequal_versions_are_named() {
        let config = Config::parse(include_str!("../../../../docs/examples/tandem.toml")).unwrap();
        let pair = Pair::of(&config).unwrap();
        let judged = |primary: u32, replica: u32| -> Vec<String> {
            let [old, new] = [primary, replica].map(|version| Facts {
                version,
                ..Facts::default()
            });
            let server = |names, facts| {
                Some(Server {
                    config: &config,
                    names,
                    facts,
                })
            };
            let case = Case {
                config: &config,
                primary: server(&pair.primary, &old),
                replica: server(&pair.replica, &new),
            };
            let checks = FITNESS.iter().filter(|check| check.id.contains("version"));
            let found = checks.filter_map(|check| judge(check, &case)).flatten();
            found
                .map(|finding| format!("{} {}", finding.site, finding.check))
                .collect()
        };
        assert_eq!(judged(150_018, 150_002), Vec::<String>::new());
        assert_eq!(judged(150_018, 170_004), ["gcp major-versions"]);
        assert_eq!(
            judged(140_011, 190_000),
            ["aws version", "gcp version", "gcp major-versions"]
        );
    }
}

//! The right to write, as a gate knows it: pure, time as argument.
//!
//! Intuition: every agent of the own site is asked again and again; each answer
//! is a promise counted from *before* it was asked for. The best promise of the
//! highest epoch counts, and nothing else.
//! Invariant: a deadline never lies later than (clock before asking + the
//! answer's `remaining_ms`) of an answer of the highest epoch ever heard.
//! Refused: keeping a deadline across epochs. A later epoch may belong to the
//! other site, and a late answer of the earlier one must not open this gate.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use serde::Serialize;

use crate::model::{Epoch, Mono, SiteId};
use crate::wire::Remaining;

/// How long an answer speaks for the present when another agent disagrees: eight
/// asks of 250 ms. Older answers still lead to the other site when no agent
/// answers at all, because that site's own gate decides there.
const CURRENT: Duration = Duration::from_secs(2);

/// Why no site is known that takes writes; prints as one sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "code")]
pub enum Why {
    /// No agent has answered since this gate started.
    NeverHeard,
    /// Agents answer, but no site is open for writing.
    NoWriter,
    /// A site had the right to write, but nobody has seen it renewed lately.
    WriterStale {
        /// That site.
        site: SiteId,
    },
    /// This site is the writer, but no time to write is left, or none was granted yet.
    Lapsed,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeverHeard => f.write_str("no agent of this site has answered yet"),
            Self::NoWriter => f.write_str("no site is open for writing"),
            Self::WriterStale { site } => {
                write!(f, "the right of {site} to write was not seen renewed")
            }
            Self::Lapsed => f.write_str("this site's right to write has run out, or has not begun"),
        }
    }
}

/// Where write sessions belong now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// At this site, until the deadline.
    Here {
        /// The epoch of the right.
        epoch: Epoch,
        /// The moment from which nothing may pass.
        deadline: Mono,
    },
    /// At the other site's gates.
    Peer {
        /// The epoch of the other site's right.
        epoch: Epoch,
        /// The site that may write.
        site: SiteId,
    },
    /// Nowhere that is known: new sessions wait.
    Nowhere(Why),
}

/// What became of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// It counts.
    Taken,
    /// It comes from an older epoch than the highest heard.
    OldEpoch,
    /// It speaks for another site: the configuration names a wrong agent.
    WrongSite,
    /// A newer answer of the same agent was heard before.
    Overtaken,
}

/// The last answer of one agent that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// The clock before asking.
    pub asked: Mono,
    /// The epoch it speaks of.
    pub epoch: Epoch,
    /// Counted from `asked`.
    pub deadline: Mono,
    /// The site that may write in that epoch.
    pub writer: Option<SiteId>,
    /// Whether the agent knew that right as fresh.
    pub writer_fresh: bool,
    /// Whether writes can work there as far as the agent knew.
    pub writer_works: bool,
}

/// Everything heard from the agents of the own site.
#[derive(Debug, Clone)]
pub struct Rights {
    own: SiteId,
    remaining_max: Duration,
    epoch: Epoch,
    answers: Vec<Option<Answer>>,
}

impl Rights {
    /// Nothing heard yet. `remaining_max` is what one renewal can give at most
    /// ([`AuthorityPolicy::hold`](crate::config::AuthorityPolicy::hold));
    /// an answer that promises more is cut to it.
    pub fn new(own: SiteId, agents: usize, remaining_max: Duration) -> Self {
        let answers = vec![None; agents];
        Self {
            own,
            remaining_max,
            epoch: Epoch::default(),
            answers,
        }
    }

    /// The site whose gate this is.
    pub fn own(&self) -> SiteId {
        self.own
    }

    /// Takes in the answer of agent number `agent`, asked for at `asked`.
    pub fn hear(&mut self, agent: usize, asked: Mono, answer: &Remaining) -> Heard {
        if answer.site != self.own {
            return Heard::WrongSite;
        }
        if answer.epoch < self.epoch && !off!(GateTakesOldEpoch) {
            return Heard::OldEpoch;
        }
        let Some(slot) = self.answers.get_mut(agent) else {
            return Heard::WrongSite;
        };
        if slot.is_some_and(|last| last.asked > asked) {
            return Heard::Overtaken;
        }
        let granted = match answer.writer {
            Some(site) if site == self.own => Duration::from_millis(answer.remaining_ms),
            _ => Duration::ZERO,
        };
        self.epoch = answer.epoch;
        *slot = Some(Answer {
            asked,
            epoch: answer.epoch,
            deadline: asked.after(granted.min(self.remaining_max)),
            writer: answer.writer,
            writer_fresh: answer.writer_fresh,
            writer_works: answer.writer_works,
        });
        Heard::Taken
    }

    /// The highest epoch heard.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The last taken answer of each agent, of whatever epoch.
    pub fn answers(&self) -> &[Option<Answer>] {
        &self.answers
    }

    /// Where write sessions belong at `now`.
    pub fn decide(&self, now: Mono) -> Verdict {
        let epoch = self.epoch;
        if let Some(deadline) = self.valid().map(|a| a.deadline).max()
            && now < deadline
        {
            return Verdict::Here { epoch, deadline };
        }
        let away = |a: &Answer| a.writer.filter(|site| *site != self.own && a.writer_fresh);
        match self.speaking(now).find_map(away) {
            Some(site) => Verdict::Peer { epoch, site },
            None => Verdict::Nowhere(self.why(now)),
        }
    }

    /// The site last known to have the right to write in the highest epoch.
    pub fn writer(&self, now: Mono) -> Option<SiteId> {
        self.speaking(now).find_map(|a| a.writer)
    }

    /// Whether writes can work where the right is, as far as every agent that speaks knows.
    pub fn writer_works(&self, now: Mono) -> bool {
        self.speaking(now).all(|a| a.writer_works)
    }

    fn why(&self, now: Mono) -> Why {
        if self.valid().next().is_none() {
            return Why::NeverHeard;
        }
        match self.writer(now) {
            None => Why::NoWriter,
            Some(site) if site == self.own => Why::Lapsed,
            Some(site) => Why::WriterStale { site },
        }
    }

    /// Whether any answer of the highest epoch speaks for the present. If none does, the way to
    /// the other site is still kept, but nobody may be told that the other site takes writes:
    /// two sites whose agents are silent would both say so, and both would be sent no clients (I3).
    pub fn is_current(&self, now: Mono) -> bool {
        self.valid().any(|a| now.since(a.asked) <= CURRENT)
    }

    /// Answers of the highest epoch.
    fn valid(&self) -> impl Iterator<Item = &Answer> {
        self.answers
            .iter()
            .flatten()
            .filter(|a| a.epoch == self.epoch || off!(GateMixesEpochs))
    }

    /// The answers that speak for the present: those asked for lately, or all when
    /// every agent has gone silent.
    fn speaking(&self, now: Mono) -> impl Iterator<Item = &Answer> {
        let current = move |a: &Answer| now.since(a.asked) <= CURRENT;
        let any = self.valid().any(current);
        self.valid().filter(move |a| !any || current(a))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::String;

    fn site(name: &str) -> SiteId {
        name.parse().unwrap()
    }

    fn ms(millis: u64) -> Mono {
        Mono(0).after(Duration::from_millis(millis))
    }

    fn rights() -> Rights {
        Rights::new(site("aws"), 2, Duration::from_millis(5380))
    }

    /// `agent@asked epoch writer[!] remaining`; `!` = fresh.
    fn hear(rights: &mut Rights, line: &str) -> Heard {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (agent, asked) = words[0].split_once('@').unwrap();
        let writer = words[2].trim_end_matches('!');
        let answer = Remaining {
            agent: format!("aws-{agent}"),
            site: site("aws"),
            epoch: Epoch(words[1].parse().unwrap()),
            remaining_ms: words[3].parse().unwrap(),
            writer: (writer != "-").then(|| site(writer)),
            writer_fresh: words[2].ends_with('!'),
            writer_works: true,
        };
        rights.hear(agent.parse().unwrap(), ms(asked.parse().unwrap()), &answer)
    }

    fn show(verdict: Verdict) -> String {
        match verdict {
            Verdict::Here { epoch, deadline } => format!("here {epoch} {}", deadline.0 / 1000),
            Verdict::Peer { epoch, site } => format!("peer {epoch} {site}"),
            Verdict::Nowhere(why) => format!("{why:?}"),
        }
    }

    fn check(heard: &[&str], now: u64, expected: &str) {
        let mut rights = rights();
        for line in heard {
            hear(&mut rights, line);
        }
        assert_eq!(show(rights.decide(ms(now))), expected, "{heard:?} at {now}");
    }

    #[test]
    fn where_write_sessions_belong() {
        check(&[], 0, "NeverHeard");
        // The deadline counts from before asking.
        check(&["0@1000 7 aws! 3000"], 1500, "here 7 4000");
        check(&["0@1000 7 aws! 3000"], 3999, "here 7 4000");
        check(&["0@1000 7 aws! 3000"], 4000, "Lapsed");
        // The best of all agents counts, whatever the order.
        check(
            &["0@1000 7 aws! 3000", "1@1100 7 aws! 2000"],
            1500,
            "here 7 4000",
        );
        check(
            &["0@1000 7 aws! 1000", "1@1100 7 aws! 4000"],
            1500,
            "here 7 5100",
        );
        // A newer answer of the same agent replaces the older one, downwards too.
        check(&["0@1000 7 aws! 3000", "0@1250 7 aws! 0"], 1300, "Lapsed");
        check(&["0@1000 7 aws! 3000", "0@1250 7 - 0"], 1300, "NoWriter");
        // More than one renewal can give is not believed.
        check(&["0@1000 7 aws! 999999"], 1500, "here 7 6380");
        // The other site.
        check(&["0@1000 8 gcp! 0"], 1500, "peer 8 gcp");
        check(&["0@1000 8 gcp 0"], 1500, "WriterStale { site: gcp }");
        // A right to write without being the writer is a contradiction: denied.
        check(&["0@1000 8 gcp! 3000"], 1500, "peer 8 gcp");
        check(&["0@1000 8 - 3000"], 1500, "NoWriter");
    }

    #[test]
    fn a_deadline_counts_for_the_highest_epoch_only() {
        let open = "0@1000 7 aws! 5000";
        check(&[open, "1@1100 8 gcp! 0"], 1200, "peer 8 gcp");
        check(&[open, "1@1100 8 - 0"], 1200, "NoWriter");
        // The old epoch's agent speaks again: ignored, not even its answer replaced.
        check(
            &[open, "1@1100 8 gcp! 0", "0@1200 7 aws! 5000"],
            1300,
            "peer 8 gcp",
        );
        // Back here, in the next epoch.
        check(
            &[open, "1@1100 8 gcp! 0", "0@1200 9 aws! 500"],
            1300,
            "here 9 1700",
        );
    }

    #[test]
    fn silence_keeps_the_way_to_the_other_site_but_not_the_right_to_write() {
        check(&["0@1000 8 gcp! 0"], 3_600_000, "peer 8 gcp");
        check(&["0@1000 7 aws! 5000"], 3_600_000, "Lapsed");
        // A living agent overrules the memory of a dead one ...
        check(
            &["0@1000 8 gcp! 0", "1@9000 8 gcp 0"],
            9100,
            "WriterStale { site: gcp }",
        );
        // ... but two living agents: one that knows is enough.
        check(&["0@8900 8 gcp! 0", "1@9000 8 gcp 0"], 9100, "peer 8 gcp");
    }

    #[test]
    fn a_silent_agent_says_nothing_about_the_present() {
        let mut rights = rights();
        hear(&mut rights, "0@1000 8 gcp! 0");
        assert!(rights.is_current(ms(3000)));
        assert!(!rights.is_current(ms(3001)));
        assert_eq!(show(rights.decide(ms(3001))), "peer 8 gcp");
    }

    #[test]
    fn what_becomes_of_an_answer() {
        let mut rights = rights();
        assert_eq!(hear(&mut rights, "0@1000 7 aws! 3000"), Heard::Taken);
        assert_eq!(hear(&mut rights, "0@900 7 aws! 9000"), Heard::Overtaken);
        assert_eq!(hear(&mut rights, "1@1100 6 aws! 9000"), Heard::OldEpoch);
        assert_eq!(hear(&mut rights, "9@1100 7 aws! 9000"), Heard::WrongSite);
        let answer = Remaining {
            agent: "gcp-1".into(),
            site: site("gcp"),
            epoch: Epoch(9),
            remaining_ms: 9000,
            writer_works: true,
            writer: Some(site("aws")),
            writer_fresh: true,
        };
        assert_eq!(rights.hear(0, ms(1500), &answer), Heard::WrongSite);
        assert_eq!(rights.epoch(), Epoch(7));
    }
}

//! What the files leave open, stated instead of guessed in silence.
//!
//! Every answer that rests on an assumption names it; `--assume KEY=VALUE,...`
//! or the settings file replaces it.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use crate::error::Error;

/// What an assumption may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One of these words.
    Word(&'static [&'static str]),
    /// A number between these bounds.
    Number(u32, u32),
}

/// One assumption that can be made.
#[derive(Debug, Clone, Copy)]
pub struct Assumption {
    /// The key.
    pub key: &'static str,
    /// What is taken if nobody says otherwise.
    pub default: &'static str,
    /// What may be said.
    pub kind: Kind,
    /// What it means, and where the default comes from.
    pub meaning: &'static str,
}

/// Every assumption there is.
pub const ASSUMPTIONS: &[Assumption] = &[
    Assumption {
        key: "eks_support",
        default: "auto",
        kind: Kind::Word(&["auto", "standard", "extended"]),
        meaning: "price of the EKS control plane; auto = by the version's support dates",
    },
    Assumption {
        key: "gke_nodes",
        default: "per_zone",
        kind: Kind::Word(&["per_zone", "total"]),
        meaning: "how GKE node counts are meant; a regional cluster takes them per zone",
    },
    Assumption {
        key: "gke_zones",
        default: "3",
        kind: Kind::Number(1, 10),
        meaning: "zones of a regional cluster without node_locations; asia-northeast3 has a, b, c",
    },
    Assumption {
        key: "cloudflare_plan",
        default: "pro",
        kind: Kind::Word(&["free", "pro", "business", "enterprise"]),
        meaning: "the zone's Cloudflare plan; it bounds the monitor interval and has a price",
    },
    Assumption {
        key: "peak_utilisation",
        default: "50",
        kind: Kind::Number(1, 100),
        meaning: "percent of its capacity that a site uses at peak with both sites up; 50 is the most at which two equal sites can each carry both",
    },
    Assumption {
        key: "manual_promotion_s",
        default: "1800",
        kind: Kind::Number(0, 86_400),
        meaning: "seconds until a person has noticed, decided and promoted by hand; 20 to 60 minutes are usual",
    },
    Assumption {
        key: "approval_s",
        default: "600",
        kind: Kind::Number(0, 86_400),
        meaning: "seconds until a named person approves in mode confirm",
    },
    Assumption {
        key: "promote_s",
        default: "5",
        kind: Kind::Number(0, 3_600),
        meaning: "seconds to drain, promote and open the gates; measured 0.05 to 0.15 locally, 1 to 5 remotely",
    },
    Assumption {
        key: "pools_s",
        default: "5",
        kind: Kind::Number(0, 3_600),
        meaning: "seconds until connection pools reconnect; 1 to 5 are usual",
    },
    Assumption {
        key: "common_cause",
        default: "5",
        kind: Kind::Number(0, 100),
        meaning: "percent of outages that hit both clouds at once",
    },
    Assumption {
        key: "failover_coverage",
        default: "95",
        kind: Kind::Number(0, 100),
        meaning: "percent of failovers that succeed: drills passed / drills run",
    },
    Assumption {
        key: "transfer_usd",
        default: "200",
        kind: Kind::Number(0, 1_000_000),
        meaning: "data transfer of a month in USD, unless the usage file says how many GB",
    },
    Assumption {
        key: "drill_hours",
        default: "24",
        kind: Kind::Number(0, 730),
        meaning: "hours that the survivor's extra nodes run on a drill day",
    },
    Assumption {
        key: "lost_cloud_billed",
        default: "yes",
        kind: Kind::Word(&["yes", "no"]),
        meaning: "whether the lost cloud goes on billing what stands there",
    },
];

/// The assumptions of one run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Assumptions {
    given: BTreeMap<&'static str, String>,
}

impl Assumptions {
    /// Reads `KEY=VALUE,KEY=VALUE`.
    ///
    /// # Errors
    /// Unknown keys and values that a key cannot have.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut assumptions = Self::default();
        for given in text
            .split(',')
            .map(str::trim)
            .filter(|given| !given.is_empty())
        {
            let (key, value) = given.split_once('=').ok_or_else(|| Error::Assumption {
                given: given.to_owned(),
                problem: "write KEY=VALUE".to_owned(),
            })?;
            assumptions.set(key.trim(), value.trim())?;
        }
        Ok(assumptions)
    }

    /// States one assumption.
    ///
    /// # Errors
    /// If the key is unknown or cannot have this value.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), Error> {
        let refuse = |problem: String| Error::Assumption {
            given: format!("{key}={value}"),
            problem,
        };
        let known = ASSUMPTIONS.iter().find(|known| known.key == key);
        let Some(known) = known else {
            let keys: Vec<_> = ASSUMPTIONS.iter().map(|known| known.key).collect();
            return Err(refuse(format!(
                "no such key; there are {}",
                keys.join(", ")
            )));
        };
        match known.kind {
            Kind::Word(words) if !words.contains(&value) => {
                Err(refuse(format!("use one of {}", words.join(", "))))
            }
            Kind::Number(low, high)
                if !value
                    .parse::<u32>()
                    .is_ok_and(|n| (low..=high).contains(&n)) =>
            {
                Err(refuse(format!("use a whole number from {low} to {high}")))
            }
            _ => {
                self.given.insert(known.key, value.to_owned());
                Ok(())
            }
        }
    }

    /// Takes over what `other` states and this one does not.
    pub fn fill_from(&mut self, other: &Self) {
        for (key, value) in &other.given {
            self.given.entry(key).or_insert_with(|| value.clone());
        }
    }

    /// The value of a key: stated, or the default.
    pub fn word(&self, key: &str) -> &str {
        let default = || {
            let known = ASSUMPTIONS.iter().find(|known| known.key == key);
            known.expect("rules ask for keys of the table").default
        };
        self.given.get(key).map_or_else(default, String::as_str)
    }

    /// The value of a numeric key.
    pub fn number(&self, key: &str) -> u64 {
        self.word(key)
            .parse()
            .expect("numeric keys are checked when stated")
    }

    /// The value of a numeric key as exact money or quantity.
    pub fn decimal(&self, key: &str) -> Decimal {
        Decimal::from(self.number(key))
    }

    /// Whether somebody stated it.
    pub fn is_stated(&self, key: &str) -> bool {
        self.given.contains_key(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_keep_their_own_rules() {
        for known in ASSUMPTIONS {
            Assumptions::default()
                .set(known.key, known.default)
                .unwrap();
        }
    }

    #[test]
    fn wrong_ones_are_refused_with_what_is_allowed() {
        for bad in [
            "x=1",
            "gke_zones",
            "gke_zones=0",
            "gke_zones=many",
            "gke_nodes=both",
        ] {
            assert!(Assumptions::parse(bad).is_err(), "{bad}");
        }
        let good = Assumptions::parse("eks_support=standard, gke_nodes=total").unwrap();
        assert_eq!(
            (good.word("gke_nodes"), good.number("gke_zones")),
            ("total", 3)
        );
    }
}

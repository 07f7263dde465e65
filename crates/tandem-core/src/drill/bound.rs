//! A bound on one figure, written as people write it: `<= 5`, `>= 1`, `== 0`.

use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How a figure is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    /// `<=`
    AtMost,
    /// `>=`
    AtLeast,
    /// `==`
    Exactly,
}

/// A comparison and the number on its right side.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bound {
    /// How the figure is compared.
    pub compare: Compare,
    /// What it is compared with.
    pub limit: f64,
}

/// Text that is no bound.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no bound: write `<= N`, `>= N` or `== N`")]
pub struct InvalidBound(String);

impl Bound {
    /// Whether `value` keeps the bound. NaN keeps none.
    pub fn holds(self, value: f64) -> bool {
        match self.compare {
            Compare::AtMost => value <= self.limit,
            Compare::AtLeast => value >= self.limit,
            Compare::Exactly => value == self.limit,
        }
    }

    /// The same bound with `factor` times the room; only upper bounds have room.
    #[must_use]
    pub fn widened(self, factor: f64) -> Self {
        match self.compare {
            Compare::AtMost => Self {
                limit: self.limit * factor,
                ..self
            },
            Compare::AtLeast | Compare::Exactly => self,
        }
    }
}

impl FromStr for Bound {
    type Err = InvalidBound;

    fn from_str(text: &str) -> Result<Self, InvalidBound> {
        let invalid = || InvalidBound(text.to_string());
        let (sign, number) = text.trim().split_once(' ').ok_or_else(invalid)?;
        let compare = match sign {
            "<=" => Compare::AtMost,
            ">=" => Compare::AtLeast,
            "==" => Compare::Exactly,
            _ => return Err(invalid()),
        };
        let limit: f64 = number.trim().parse().map_err(|_| invalid())?;
        if !limit.is_finite() {
            return Err(invalid());
        }
        Ok(Self { compare, limit })
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.compare {
            Compare::AtMost => "<=",
            Compare::AtLeast => ">=",
            Compare::Exactly => "==",
        };
        write!(f, "{sign} {}", self.limit)
    }
}

impl Serialize for Bound {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Bound {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_read_as_they_are_written() {
        for text in ["<= 5", ">= 0.5", "== 0"] {
            assert_eq!(text.parse::<Bound>().unwrap().to_string(), text);
        }
        for bad in ["", "5", "< 5", "<=5", "<= x", "<= inf", "== NaN"] {
            assert!(bad.parse::<Bound>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_bound_holds_at_its_limit_and_never_for_nan() {
        let table = [
            ("<= 5", 5.0, true),
            ("<= 5", 5.01, false),
            (">= 1", 0.0, false),
            ("== 0", 0.0, true),
        ];
        for (bound, value, expected) in table {
            assert_eq!(
                bound.parse::<Bound>().unwrap().holds(value),
                expected,
                "{value} {bound}"
            );
        }
        for bound in ["<= 5", ">= 1", "== 0"] {
            assert!(!bound.parse::<Bound>().unwrap().holds(f64::NAN));
        }
    }

    #[test]
    fn only_upper_bounds_can_be_widened() {
        assert_eq!(
            "<= 5".parse::<Bound>().unwrap().widened(3.0).to_string(),
            "<= 15"
        );
        assert_eq!(
            "== 0".parse::<Bound>().unwrap().widened(3.0).to_string(),
            "== 0"
        );
    }
}

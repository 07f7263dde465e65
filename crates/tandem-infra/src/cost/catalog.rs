//! The price catalogue: small, dated, sourced.
//!
//! Intuition: a price without source and date is a rumour. Every row carries
//! both, and how sure it is; the embedded file needs no network.
//! Invariant: a price is between 0 and [`USD_MAX`], so that no product of a
//! price and a bounded quantity overflows.

use std::path::Path;

use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::read::{TEXT_BYTES_MAX, read_bounded};

const EMBEDDED: &str = include_str!("../../data/prices.csv");

/// More for one unit is a typing error.
pub const USD_MAX: u32 = 1_000_000;

/// Rows of a catalogue.
const ROWS_MAX: usize = 100_000;

/// How sure a price is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// Sources disagree, or it is an estimate with a stated basis.
    Low,
    /// One source, or derived from found numbers.
    Medium,
    /// Several sources agree, or the provider's own list.
    High,
}

impl Confidence {
    /// As the table shows it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Price {
    /// `aws`, `gcp`, `cloudflare`.
    pub provider: String,
    /// The region, or `global`.
    pub region: String,
    /// What is sold.
    pub sku: String,
    /// The unit it is sold in.
    pub unit: String,
    /// USD for one unit.
    pub usd: Decimal,
    /// Where the price was read.
    pub source: String,
    /// When it was read.
    pub date: Date,
    /// How sure it is.
    pub confidence: Confidence,
    /// The lowest price that a source supports.
    #[serde(default)]
    pub low: Option<Decimal>,
    /// The highest price that a source supports.
    #[serde(default)]
    pub high: Option<Decimal>,
}

/// All prices of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalogue {
    rows: Vec<Price>,
    /// Where it was read.
    pub source: String,
}

impl Catalogue {
    /// The catalogue that every build carries.
    pub fn embedded() -> Self {
        let mut catalogue =
            Self::parse(EMBEDDED).expect("the embedded catalogue is checked by a test");
        "embedded".clone_into(&mut catalogue.source);
        catalogue
    }

    /// A catalogue of the user's own.
    ///
    /// # Errors
    /// If the file cannot be read or a row breaks the rules.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let mut catalogue = Self::parse(&read_bounded(path, TEXT_BYTES_MAX)?)?;
        catalogue.source = path.to_string_lossy().into_owned();
        Ok(catalogue)
    }

    /// Reads the text of a catalogue.
    ///
    /// # Errors
    /// The first row that is no price, is out of range, or stands twice.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let (mut rows, mut seen) = (Vec::new(), std::collections::BTreeSet::new());
        for row in reader.deserialize::<Price>() {
            let row = row.map_err(|error| {
                let line = error.position().map_or(0, csv::Position::line);
                Error::Catalogue {
                    line,
                    problem: error.to_string(),
                }
            })?;
            let line = rows.len() as u64 + 2;
            check(&row).map_err(|problem| Error::Catalogue { line, problem })?;
            if !seen.insert((row.provider.clone(), row.region.clone(), row.sku.clone())) {
                let problem = format!("{} {} {} stands twice", row.provider, row.region, row.sku);
                return Err(Error::Catalogue { line, problem });
            }
            if rows.len() >= ROWS_MAX {
                return Err(Error::Catalogue {
                    line,
                    problem: format!("more than {ROWS_MAX} rows"),
                });
            }
            rows.push(row);
        }
        if rows.is_empty() {
            return Err(Error::Catalogue {
                line: 1,
                problem: "no prices".to_owned(),
            });
        }
        Ok(Self {
            rows,
            source: String::new(),
        })
    }

    /// The price of one sku; the home regions' row wins over another region's.
    pub fn find(&self, provider: &str, sku: &str) -> Option<&Price> {
        let rows = || {
            self.rows
                .iter()
                .filter(|row| row.provider == provider && row.sku == sku)
        };
        let home = |row: &&Price| {
            matches!(
                row.region.as_str(),
                "ap-northeast-2" | "asia-northeast3" | "global"
            )
        };
        rows().find(home).or_else(|| rows().next())
    }
}

fn check(row: &Price) -> Result<(), String> {
    let legal =
        |usd: Decimal| usd >= Decimal::ZERO && usd <= Decimal::from(USD_MAX) && usd.scale() <= 12;
    let all = [Some(row.usd), row.low, row.high];
    if !all.into_iter().flatten().all(legal) {
        return Err(format!(
            "{}: a price is from 0 to {USD_MAX} USD with at most 12 decimals",
            row.sku
        ));
    }
    if row.low.is_some_and(|low| low > row.usd) || row.high.is_some_and(|high| high < row.usd) {
        return Err(format!("{}: low <= usd <= high does not hold", row.sku));
    }
    let named = [&row.provider, &row.region, &row.sku, &row.unit, &row.source];
    if named.iter().any(|text| text.trim().is_empty()) {
        return Err(format!(
            "{}: provider, region, sku, unit and source are needed",
            row.sku
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_catalogue_keeps_its_rules() {
        let catalogue = Catalogue::embedded();
        assert_eq!(catalogue.rows.len(), 73);
        let count = |confidence| {
            catalogue
                .rows
                .iter()
                .filter(|row| row.confidence == confidence)
                .count()
        };
        assert_eq!(
            [
                count(Confidence::High),
                count(Confidence::Medium),
                count(Confidence::Low)
            ],
            [47, 16, 10]
        );
    }

    #[test]
    fn wrong_rows_are_named_by_line() {
        let head = "provider,region,sku,unit,usd,source,date,confidence\n";
        let rows = [
            "aws,r,s,hour,-1,x,2026-01-01,high",
            "aws,r,s,hour,9999999,x,2026-01-01,high",
            "aws,r,s,hour,much,x,2026-01-01,high",
            "aws,r,s,hour,1,x,yesterday,high",
            "aws,r,s,hour,1,x,2026-01-01,sure",
            "aws,r,s,hour,1,,2026-01-01,high",
            "aws,r,s,hour",
            "",
        ];
        for row in rows {
            assert!(
                Catalogue::parse(&format!("{head}{row}\n")).is_err(),
                "{row}"
            );
        }
        let twice = "aws,r,s,hour,1,x,2026-01-01,high\n".repeat(2);
        assert!(
            Catalogue::parse(&format!("{head}{twice}"))
                .unwrap_err()
                .to_string()
                .contains("line 3")
        );
    }
}

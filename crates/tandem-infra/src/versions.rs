//! Until when a version is supported: a dated table, compared with a day that
//! the caller names.
//!
//! Invariant: a version that the table does not know is never called supported
//! or unsupported; the rule says that it cannot tell.

use jiff::civil::Date;

const TABLE: &str = include_str!("../data/versions.csv");

/// One row of the table.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub struct Version {
    /// `eks`, `postgresql`, ...
    pub engine: String,
    /// The version.
    pub version: String,
    /// The last day of standard support.
    pub standard_until: Date,
    /// The last day of paid extended support, if there is any.
    pub extended_until: Option<Date>,
    /// Where the dates were read.
    pub source: String,
    /// When they were read.
    pub date: Date,
}

/// Whether a version can still be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// In standard support.
    Standard,
    /// Only against an extra charge.
    Extended,
    /// Not at all.
    Ended,
}

impl Version {
    /// The support on `day`.
    pub fn support(&self, day: Date) -> Support {
        match self.extended_until {
            _ if day <= self.standard_until => Support::Standard,
            Some(until) if day <= until => Support::Extended,
            _ => Support::Ended,
        }
    }
}

/// The row of one version.
pub fn find(engine: &str, version: &str) -> Option<Version> {
    rows().find(|row| row.engine == engine && row.version == version)
}

/// The newest version of an engine that is in standard support on `day`.
pub fn newest(engine: &str, day: Date) -> Option<Version> {
    let supported = |row: &Version| row.engine == engine && row.support(day) == Support::Standard;
    rows()
        .filter(supported)
        .max_by_key(|row| row.standard_until)
}

/// The last RDS minor of PostgreSQL 15 that has ended: `(major, minor, day)`.
pub fn last_ended_rds_minor() -> (u32, u32, Date) {
    let row = rows()
        .find(|row| row.engine == "rds-postgresql-minor")
        .expect("the table holds the row");
    let (major, minor) = split(&row.version).expect("the row is major.minor");
    (
        major,
        minor.expect("the row is major.minor"),
        row.standard_until,
    )
}

/// `15.4` as numbers; the minor is absent in `15`.
pub fn split(version: &str) -> Option<(u32, Option<u32>)> {
    match version.split_once('.') {
        None => Some((version.parse().ok()?, None)),
        Some((major, minor)) => Some((major.parse().ok()?, Some(minor.parse().ok()?))),
    }
}

fn rows() -> impl Iterator<Item = Version> {
    csv::Reader::from_reader(TABLE.as_bytes())
        .into_deserialize()
        .map(|row| row.expect("the embedded table is checked by a test"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn the_embedded_table_reads() {
        assert!(rows().count() > 10);
        assert_eq!(last_ended_rds_minor(), (15, 12, date(2026, 5, 31)));
    }

    #[test]
    fn support_ends_after_its_last_day() {
        let version = find("eks", "1.29").unwrap();
        assert_eq!(version.support(date(2025, 3, 23)), Support::Standard);
        assert_eq!(version.support(date(2025, 3, 24)), Support::Extended);
        assert_eq!(version.support(date(2026, 3, 24)), Support::Ended);
        assert_eq!(newest("eks", date(2026, 11, 22)).unwrap().version, "1.35");
    }
}

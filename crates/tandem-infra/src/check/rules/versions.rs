//! What is out of support, and what differs between the clouds.

use crate::check::{Found, Outcome, Rule, Severity, Topic, judge};
use crate::estate::{Estate, Missing};
use crate::versions::{self, Support};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "version-eks",
        topic: Topic::Versions,
        severity: Severity::Error,
        title: "the Kubernetes version is in standard support",
        why: "Extended support costs six times as much; after it the version cannot be chosen and clusters are upgraded without asking.",
        formula: "today <= end of standard support (14 months), else + 12 months extended",
        source: "Amazon EKS Kubernetes release calendar",
        remedy: "a version in standard support; see data/versions.csv",
        check: eks,
    },
    Rule {
        id: "version-rds",
        topic: Topic::Versions,
        severity: Severity::Error,
        title: "the RDS engine version can still be created",
        why: "RDS withdraws old minors; a restore or a new instance with one of them is refused.",
        formula: "minor > last withdrawn minor, or a major alone",
        source: "RDS end-of-support notice of 2026-05",
        remedy: "rds_engine_version = \"15\" (the current minor), or a newer major on both sides",
        check: rds,
    },
    Rule {
        id: "version-postgresql",
        topic: Topic::Versions,
        severity: Severity::Warning,
        title: "PostgreSQL's major is supported for another half year",
        why: "A major upgrade of a replicated pair takes preparation; the end must not be a surprise.",
        formula: "today + 180 days <= end of community support",
        source: "PostgreSQL versioning policy",
        remedy: "plan the upgrade of both sides",
        check: postgresql,
    },
    Rule {
        id: "version-mismatch",
        topic: Topic::Versions,
        severity: Severity::Error,
        title: "both clouds run the same major versions",
        why: "A newer Redis writes dumps that an older one cannot restore; a newer PostgreSQL may publish what an older one cannot apply.",
        formula: "major(PostgreSQL) and major.minor(Redis) are equal on both sides",
        source: "Redis RDB versions (7.0 reads 9 and 10); PostgreSQL logical replication",
        remedy: "bring both sides to the same version, one at a time, replica first",
        check: mismatch,
    },
];

fn eks(estate: &Estate) -> Outcome {
    let version = estate.aws.text("cluster_version")?;
    let row = versions::find("eks", &version)
        .ok_or_else(|| Missing(format!("support dates of EKS {version}")))?;
    let extended = row
        .extended_until
        .map_or_else(String::new, |until| format!(", extended until {until}"));
    let dates = format!(
        "EKS {version}: standard support until {}{extended}; today is {}",
        row.standard_until, estate.today
    );
    let (severity, text) = match row.support(estate.today) {
        Support::Standard => return judge(Vec::new(), dates),
        Support::Extended => (
            Severity::Warning,
            format!("{dates}: 0.60 instead of 0.10 USD an hour"),
        ),
        Support::Ended => (
            Severity::Error,
            format!(
                "{dates}: it can no longer be chosen; while it ran in extended support it cost 438 instead of 73 USD a month"
            ),
        ),
    };
    let mut found = Found::at(
        estate.aws.place("cluster_version"),
        "a supported control plane for 73 USD a month",
        text,
    )
    .severity(severity);
    if let Some(newest) = versions::newest("eks", estate.today) {
        found = found.fix(format!(
            "cluster_version = \"{}\" (standard support until {})",
            newest.version, newest.standard_until
        ));
    }
    judge(vec![found], "")
}

fn rds(estate: &Estate) -> Outcome {
    let version = estate.aws.text("rds_engine_version")?;
    let (major, minor) = versions::split(&version)
        .ok_or_else(|| Missing(format!("the parts of version {version}")))?;
    let (ended_major, ended_minor, day) = versions::last_ended_rds_minor();
    let gone = major == ended_major
        && minor.is_some_and(|minor| minor <= ended_minor)
        && estate.today > day;
    let computed = format!(
        "{version} is at or below {ended_major}.{ended_minor}, whose support ended on {day}"
    );
    let found = Found::at(
        estate.aws.place("rds_engine_version"),
        "an engine version that can be created and restored",
        computed,
    );
    judge(
        if gone { vec![found] } else { vec![] },
        format!("{version} can be created"),
    )
}

fn cloud_sql_major(estate: &Estate) -> Option<u32> {
    let version = estate.gcp.text("cloud_sql_database_version").ok()?;
    version
        .strip_prefix("POSTGRES_")?
        .split('_')
        .next()?
        .parse()
        .ok()
}

fn rds_major(estate: &Estate) -> Option<u32> {
    versions::split(&estate.aws.text("rds_engine_version").ok()?).map(|(major, _)| major)
}

fn postgresql(estate: &Estate) -> Outcome {
    let major = rds_major(estate)
        .or_else(|| cloud_sql_major(estate))
        .ok_or_else(|| Missing("rds_engine_version".to_owned()))?;
    let row = versions::find("postgresql", &major.to_string())
        .ok_or_else(|| Missing(format!("support dates of PostgreSQL {major}")))?;
    let soon = estate
        .today
        .checked_add(jiff::Span::new().days(180))
        .unwrap_or(estate.today);
    let dates = format!(
        "PostgreSQL {major} is supported until {}",
        row.standard_until
    );
    let found = Found::at(
        estate.aws.place("rds_engine_version"),
        "a supported database for the next half year",
        dates.clone(),
    );
    judge(
        if soon <= row.standard_until {
            vec![]
        } else {
            vec![found]
        },
        dates,
    )
}

fn redis(text: &str) -> Option<String> {
    let digits = text.trim_start_matches("REDIS_").replace('_', ".");
    let mut parts = digits.split('.');
    Some(format!("{}.{}", parts.next()?, parts.next().unwrap_or("0")))
}

fn mismatch(estate: &Estate) -> Outcome {
    let mut found = Vec::new();
    if let (Some(aws), Some(gcp)) = (rds_major(estate), cloud_sql_major(estate))
        && aws != gcp
    {
        let computed = format!("PostgreSQL {aws} at aws, {gcp} at gcp");
        found.push(Found::at(
            estate.gcp.place("cloud_sql_database_version"),
            "either database can be primary",
            computed,
        ));
    }
    let aws = redis(&estate.aws.text("elasticache_engine_version")?);
    let gcp = redis(&estate.gcp.text("memorystore_redis_version")?);
    if aws != gcp {
        let computed = format!(
            "Redis {} at aws, {} at gcp",
            aws.unwrap_or_default(),
            gcp.unwrap_or_default()
        );
        found.push(Found::at(
            estate.gcp.place("memorystore_redis_version"),
            "keys travel both ways",
            computed,
        ));
    }
    judge(found, "the majors are equal")
}

//! Where writes of every site go.

use std::net::IpAddr;

use tandem_core::config::SslMode;

use crate::check::{Found, Outcome, Rule, Severity, Topic, judge};
use crate::estate::{Estate, Missing};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "write-path",
        topic: Topic::Writes,
        severity: Severity::Error,
        title: "every site's applications can write",
        why: "One database takes writes; users pinned to the other cloud can read and nothing else.",
        formula: "each site with traffic has a gate that reaches the writer's gates, or its database takes writes",
        source: "design: every write session ends at the primary site's gate",
        remedy: "run gates at both sites (sites.*.gates in tandem.toml) and point DATABASE_URL at them",
        check: write_path,
    },
    Rule {
        id: "write-path-url",
        topic: Topic::Writes,
        severity: Severity::Error,
        title: "the application's database address follows the writer",
        why: "localhost has no database in a pod; an address or endpoint of one server stays there after a failover.",
        formula: "host(DATABASE_URL) is a gate: not localhost, no IP address, no server endpoint",
        source: "PostgreSQL on RDS: the address behind an endpoint moves at a Multi-AZ failover",
        remedy: "DATABASE_URL = postgres://<gate service>:<rw port>/crm",
        check: database_url,
    },
    Rule {
        id: "application-role",
        topic: Topic::Writes,
        severity: Severity::Warning,
        title: "applications do not log in as the master user",
        why: "The owner can switch the guard's triggers off, so the mode stays capped at confirm.",
        formula: "DATABASE_USERNAME is neither the master user nor the owner",
        source: "design: right to write, rule 11",
        remedy: "a role that owns nothing (crm_app); `tandem replication setup` prints the path to it",
        check: role,
    },
    Rule {
        id: "replication-tls",
        topic: Topic::Writes,
        severity: Severity::Warning,
        title: "replication verifies whom it talks to",
        why: "sslmode=require encrypts and authenticates nobody; whoever holds the address gets the data.",
        formula: "replication_sslmode = verify-full and host is a name",
        source: "PostgreSQL: libpq SSL support",
        remedy: "replication_sslmode = \"verify-full\" with ca_file and the endpoint's name as host",
        check: tls,
    },
];

fn write_path(estate: &Estate) -> Outcome {
    let promise = "both clouds are active: reads and writes at 50:50";
    let Ok(config) = estate.config() else {
        if !estate.gcp.present {
            return Err(Missing("tandem.toml, or the gcp environment".to_owned()));
        }
        let affinity = estate.edge.text("session_affinity").unwrap_or_default();
        let pinned = if affinity.ends_with("cookie") {
            ", pinned there by cookie,"
        } else {
            ""
        };
        let computed = format!(
            "GCP's database is a read-only subscriber and nothing forwards its writes: half of the users{pinned} cannot write"
        );
        return judge(
            vec![Found::at(
                estate.gcp.place("cloud_sql_instance_name"),
                promise,
                computed,
            )],
            "",
        );
    };
    let without = config
        .sites
        .iter()
        .filter(|(_, site)| site.gates.is_empty());
    let found = without.map(|(name, _)| {
        let key = format!("sites.{name}.gates");
        Found::at(
            estate.config_place(&key),
            promise,
            format!("site {name} has no gate: its applications cannot reach the writer"),
        )
    });
    judge(found.collect(), "each site has gates that reach the writer")
}

/// The host of `scheme://user@host:port,host:port/db`, also with a `jdbc:` before it.
fn host(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    let first = authority.rsplit('@').next()?.split(',').next()?;
    match first.strip_prefix('[') {
        Some(v6) => v6.split(']').next(),
        None => first.split(':').next(),
    }
}

fn database_url(estate: &Estate) -> Outcome {
    let url = estate
        .aws
        .entry("app_env", "DATABASE_URL")
        .ok_or_else(|| Missing("app_env.DATABASE_URL".to_owned()))?;
    let host = host(&url).unwrap_or_default().to_owned();
    let why = match host.as_str() {
        "localhost" => "no database runs inside the application's pod",
        _ if host.parse::<IpAddr>().is_ok() => "an address moves at the provider's own failover",
        _ if host.ends_with(".rds.amazonaws.com") => "the endpoint stays in AWS when AWS is lost",
        _ => return judge(Vec::new(), format!("applications connect to {host}")),
    };
    let computed = format!("the application connects to {host}: {why}");
    judge(
        vec![Found::at(
            estate.aws.place("app_env"),
            "writes follow the primary",
            computed,
        )],
        "",
    )
}

fn role(estate: &Estate) -> Outcome {
    let mut found = Vec::new();
    if let (Some(user), Ok(master)) = (
        estate.aws.entry("app_env", "DATABASE_USERNAME"),
        estate.aws.text("rds_master_username"),
    ) && user == master
    {
        let computed = format!(
            "the application logs in as {user}, the master user, who can switch the guard off"
        );
        found.push(Found::at(
            estate.aws.place("app_env"),
            "a fence that the application cannot lift",
            computed,
        ));
    }
    if let Ok(config) = estate.config() {
        let database = &config.database;
        let admin = config
            .sites
            .values()
            .any(|site| site.postgres.admin_role == database.application_role);
        if admin || database.owner_role == database.application_role {
            let computed = format!(
                "role {} owns tables or is the admin role",
                database.application_role
            );
            found.push(Found::at(
                estate.config_place("database.application_role"),
                "a fence that the application cannot lift",
                computed,
            ));
        }
    }
    judge(found, "the application's role owns nothing")
}

fn tls(estate: &Estate) -> Outcome {
    let config = estate.config()?;
    let mut found = Vec::new();
    for (name, site) in &config.sites {
        let key = |field: &str| estate.config_place(&format!("sites.{name}.postgres.{field}"));
        if site.postgres.replication_sslmode != SslMode::VerifyFull {
            found.push(Found::at(
                key("replication_sslmode"),
                "the peer is authenticated",
                "require: encrypted to whoever answers",
            ));
        }
        if site.postgres.host.parse::<IpAddr>().is_ok() {
            found.push(Found::at(
                key("host"),
                "the name in the certificate is checked",
                format!("{} is an address", site.postgres.host),
            ));
        }
    }
    judge(found, "verify-full with the endpoint's name")
}

#[cfg(test)]
mod tests {
    use super::host;

    #[test]
    fn hosts_of_urls() {
        let rows = [
            ("postgres://u:p@db.example:5432/crm", Some("db.example")),
            ("jdbc:postgresql://localhost:5432/crm", Some("localhost")),
            ("postgres://a:1,b:2/crm", Some("a")),
            ("postgres://[::1]:5432/crm", Some("::1")),
            ("no url", None),
        ];
        for (url, expected) in rows {
            assert_eq!(host(url), expected, "{url}");
        }
    }
}

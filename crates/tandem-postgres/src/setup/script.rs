//! The SQL that setup sends, made from the configuration.
//!
//! Names and texts are quoted here and nowhere else. Passwords travel as SCRAM
//! verifiers, so that no server log can hold one; the subscription's connection string
//! is the exception PostgreSQL leaves no way around, and its session logs nothing.

use std::net::{IpAddr, SocketAddr};

use postgres_protocol::escape::{escape_identifier as ident, escape_literal as text};
use tandem_core::config::{Agent, Config, Postgres, SslMode};
use tandem_core::model::SiteId;

use super::Options;
use crate::connect::{place, read_secret};
use crate::error::Error;
use crate::names::Names;
use crate::steps::Way;

const OBJECTS: &str = include_str!("../sql/objects.sql");
const POWERS: &str = include_str!("../sql/powers.sql");
/// The comment of a role that setup made.
pub(crate) const MADE: &str = "made by tandem replication setup";

/// Tandem's objects for one site: the agent's own, then the administrator's loans.
pub(super) fn objects(config: &Config, names: &Names) -> String {
    let agent = ident(&config.database.agent_role);
    let own = fill(OBJECTS, config, names);
    let own = own.replace("{{fingerprint}}", &text(&fingerprint(config, names)));
    let powers = fill(POWERS, config, names);
    format!(
        "BEGIN;
         CREATE SCHEMA IF NOT EXISTS tandem AUTHORIZATION {agent};
         CREATE SCHEMA IF NOT EXISTS tandem_local AUTHORIZATION {agent};
         SET LOCAL client_min_messages = warning;
         SET LOCAL ROLE {agent};\n{own}\nRESET ROLE;\n{powers}\nCOMMIT;"
    )
}

/// Changes when the objects of this build and configuration do.
pub(crate) fn fingerprint(config: &Config, names: &Names) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64; // FNV-1a: stable across builds, no adversary here.
    for script in [OBJECTS, POWERS] {
        for byte in fill(script, config, names).bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    format!("{hash:016x}")
}

fn fill(script: &str, config: &Config, names: &Names) -> String {
    let database = &config.database;
    let schemas: Vec<_> = database.schemas.iter().map(|schema| text(schema)).collect();
    [
        ("{{site}}", text(names.site.as_str())),
        ("{{owner_role}}", ident(&database.owner_role)),
        ("{{application_role}}", ident(&database.application_role)),
        ("{{agent_role}}", ident(&database.agent_role)),
        ("{{replication_role}}", ident(&database.replication_role)),
        ("{{subscription}}", ident(&names.subscription)),
        ("{{subscription_text}}", text(&names.subscription)),
        (
            "{{source_publication_text}}",
            text(&names.source_publication),
        ),
        ("{{source_slot_text}}", text(&names.source_slot)),
        ("{{way}}", text(&way(config, names))),
        ("{{publication}}", ident(&names.publication)),
        ("{{publication_text}}", text(&names.publication)),
        (
            "{{schemas}}",
            format!("ARRAY[{}]::text[]", schemas.join(", ")),
        ),
    ]
    .iter()
    .fold(script.to_owned(), |script, (key, value)| {
        script.replace(key, value)
    })
}

/// The roles that log in with a password of a file, for one site.
pub(super) fn passwords(
    config: &Config,
    site: SiteId,
    options: &Options,
) -> Result<Vec<(String, String)>, Error> {
    let (database, place) = (&config.database, place(config, site)?);
    let mut roles = vec![
        (
            database.agent_role.clone(),
            place.agent_password_file.clone(),
        ),
        (
            database.replication_role.clone(),
            place.replication_password_file.clone(),
        ),
    ];
    if let Some(file) = &options.application_password_file {
        roles.push((database.application_role.clone(), file.clone()));
    }
    Ok(roles)
}

/// `PASSWORD '...'` with a SCRAM verifier.
pub(crate) fn password_clause(file: &str) -> Result<String, Error> {
    let secret = read_secret(file)?;
    let verifier = postgres_protocol::password::scram_sha_256(secret.as_bytes());
    Ok(format!("PASSWORD {}", text(&verifier)))
}

/// Rights on what exists and what the owner will make, for one site.
pub(super) fn grants(config: &Config, application_too: bool) -> String {
    let database = &config.database;
    let [owner, app, agent, repl] = [
        &database.owner_role,
        &database.application_role,
        &database.agent_role,
        &database.replication_role,
    ]
    .map(|role| ident(role));
    let mut sql = String::from("BEGIN;");
    for schema in &database.schemas {
        let schema = ident(schema);
        sql.push_str(&format!(
            "GRANT USAGE ON SCHEMA {schema} TO {app}, {agent}, {repl};
             GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {repl};
             GRANT SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO {agent};
             ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA {schema} GRANT SELECT ON TABLES TO {repl};
             ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA {schema} GRANT SELECT ON SEQUENCES TO {agent};"
        ));
        if application_too {
            sql.push_str(&format!(
                "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {app};
                 GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO {app};
                 ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA {schema} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {app};
                 ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA {schema} GRANT USAGE, SELECT ON SEQUENCES TO {app};"
            ));
        }
    }
    sql.push_str("COMMIT;");
    sql
}

/// Takes back what [`grants`] gave to one of Tandem's own roles.
pub(crate) fn revokes(config: &Config, role: &str) -> String {
    let database = &config.database;
    let (owner, role) = (ident(&database.owner_role), ident(role));
    let mut sql = String::new();
    for schema in &database.schemas {
        let schema = ident(schema);
        sql.push_str(&format!(
            "REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {role};
             REVOKE ALL ON ALL SEQUENCES IN SCHEMA {schema} FROM {role};
             ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA {schema} REVOKE ALL ON TABLES FROM {role};
             ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA {schema} REVOKE ALL ON SEQUENCES FROM {role};
             REVOKE ALL ON SCHEMA {schema} FROM {role};\n"
        ));
    }
    sql
}

/// Whether the password is read, or a mark put in its place to be shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Secret {
    /// The password of the configured file.
    Read,
    /// `***`.
    Hidden,
    /// No password at all.
    Absent,
}

/// How the server of `names` reaches its publisher.
pub(crate) fn conninfo_by(
    config: &Config,
    names: &Names,
    way: Way,
    secret: Secret,
) -> Result<String, Error> {
    match way {
        Way::Relays => relay_conninfo(config, names, secret),
        Way::Straight => direct_conninfo(config, names, secret),
    }
}

/// The way through the relays without its password, for `tandem_local.follow`; empty where no
/// relay is configured, which the plan refuses.
fn way(config: &Config, names: &Names) -> String {
    relay_conninfo(config, names, Secret::Absent).unwrap_or_default()
}

/// Through the relays of its own site's agents, so that a restarted agent does not stop
/// replication and a promotion can cut it.
fn relay_conninfo(config: &Config, names: &Names, secret: Secret) -> Result<String, Error> {
    let mut hosts = Vec::new();
    for agent in config.agents(names.site) {
        if let Some(relay) = relay_address(agent)? {
            hosts.push(relay);
        }
    }
    if hosts.is_empty() {
        return Err(Error::Configuration {
            key: format!("sites.{}.agents", names.site),
            problem: "no agent has a relay_listen; replication needs at least one relay".into(),
        });
    }
    let source = place(config, names.other)?;
    let name = vec![source.host.as_str(); hosts.len()].join(",");
    let addresses: Vec<_> = hosts.iter().map(|host| host.ip().to_string()).collect();
    let ports: Vec<_> = hosts.iter().map(|host| host.port().to_string()).collect();
    conninfo(
        config,
        source,
        &name,
        Some(&addresses.join(",")),
        &ports.join(","),
        secret,
    )
}

/// The publisher's own address: for a copy before any agent runs, and after the last one has gone.
fn direct_conninfo(config: &Config, names: &Names, secret: Secret) -> Result<String, Error> {
    let source = place(config, names.other)?;
    conninfo(
        config,
        source,
        &source.host,
        source.address.as_deref(),
        &source.port.to_string(),
        secret,
    )
}

fn relay_address(agent: &Agent) -> Result<Option<SocketAddr>, Error> {
    let Some(listen) = &agent.relay_listen else {
        return Ok(None);
    };
    let wrong = |problem: String| Error::Configuration {
        key: format!("agents.{}.relay_listen", agent.name),
        problem,
    };
    let mut found: SocketAddr = listen
        .parse()
        .map_err(|_| wrong(format!("`{listen}` is no ip:port")))?;
    if found.ip().is_unspecified() {
        // Listens everywhere: the server reaches it where everybody reaches the agent.
        let host = agent.address.rsplit_once(':').map_or("", |(host, _)| host);
        let ip: IpAddr = host.trim_matches(['[', ']']).parse().map_err(|_| {
            wrong(format!(
                "listens on every address, and `address` ({host}) is no IP address; name one"
            ))
        })?;
        found.set_ip(ip);
    }
    Ok(Some(found))
}

/// The way to a server.
fn conninfo(
    config: &Config,
    source: &Postgres,
    host: &str,
    address: Option<&str>,
    port: &str,
    secret: Secret,
) -> Result<String, Error> {
    let password = match secret {
        Secret::Read => Some(read_secret(&source.replication_password_file)?),
        Secret::Hidden => Some("***".to_owned()),
        Secret::Absent => None,
    };
    let mut parts = vec![("host", host.to_owned())];
    if let Some(address) = address {
        parts.push(("hostaddr", address.to_owned()));
    }
    parts.extend([
        ("port", port.to_owned()),
        ("dbname", config.database.name.clone()),
        ("user", config.database.replication_role.clone()),
        ("connect_timeout", "2".to_owned()),
    ]);
    match source.replication_sslmode {
        SslMode::Require => parts.push(("sslmode", "require".to_owned())),
        SslMode::VerifyFull => {
            parts.push(("sslmode", "verify-full".to_owned()));
            let ca = source.ca_file.clone().ok_or_else(|| Error::Configuration {
                key: "postgres.ca_file".into(),
                problem: "verify-full needs the authority's certificate; name its file".into(),
            })?;
            parts.push(("sslrootcert", ca));
        }
    }
    // Last, as `tandem_local.follow` puts it: the same way is the same text.
    parts.extend(password.map(|password| ("password", password)));
    let quoted = parts
        .iter()
        .map(|(key, value)| format!("{key}={}", libpq_value(value)));
    Ok(quoted.collect::<Vec<_>>().join(" "))
}

fn libpq_value(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// Makes the subscription and, at the publisher, its slot.
pub(crate) fn subscribe(names: &Names, conninfo: &str) -> String {
    format!(
        "CREATE SUBSCRIPTION {} CONNECTION {} PUBLICATION {}
         WITH (slot_name = {}, copy_data = true, synchronous_commit = 'off', disable_on_error = false)",
        ident(&names.subscription),
        text(conninfo),
        ident(&names.source_publication),
        text(&names.source_slot),
    )
}

/// Points the subscription somewhere else.
pub(crate) fn reconnect(names: &Names, conninfo: &str) -> String {
    format!(
        "ALTER SUBSCRIPTION {} CONNECTION {}",
        ident(&names.subscription),
        text(conninfo)
    )
}

/// Takes tables that were published since.
pub(crate) fn refresh(names: &Names) -> String {
    format!(
        "ALTER SUBSCRIPTION {} REFRESH PUBLICATION",
        ident(&names.subscription)
    )
}

/// Publishes one table, in a new publication or one that exists.
pub(crate) fn publish(names: &Names, exists: bool, table: &str) -> String {
    let name = ident(&names.publication);
    match exists {
        true => format!("ALTER PUBLICATION {name} ADD TABLE {table}"),
        false => format!("CREATE PUBLICATION {name} FOR TABLE {table}"),
    }
}

/// Both heartbeat rows, before the copy: an UPDATE of a row that the other side does not
/// have is skipped there without a word.
pub(super) fn heartbeats(config: &Config, names: &Names) -> String {
    format!(
        "SET ROLE {}; INSERT INTO tandem.heartbeat (site, epoch, seq) VALUES ({}, 0, 0), ({}, 0, 0) ON CONFLICT DO NOTHING; RESET ROLE",
        ident(&config.database.agent_role),
        text(names.site.as_str()),
        text(names.other.as_str()),
    )
}

/// Makes a role, or gives an existing one what it lacks. A role of ours is marked, so that
/// `tandem uninstall` knows it from one that was there before.
pub(crate) fn role(name: &str, exists: bool, attributes: &str, password: &str) -> String {
    let name = ident(name);
    if exists {
        return format!("ALTER ROLE {name} {attributes} {password}");
    }
    format!(
        "CREATE ROLE {name} {attributes} {password}; COMMENT ON ROLE {name} IS {}",
        text(MADE)
    )
}

/// Membership in `group`.
pub(super) fn member(group: &str, role: &str) -> String {
    format!("GRANT {} TO {}", ident(group), ident(role))
}

#[cfg(test)]
mod tests {
    use super::libpq_value;

    #[test]
    fn values_of_a_connection_string_are_quoted() {
        assert_eq!(libpq_value("plain"), "'plain'");
        assert_eq!(libpq_value(r"it's \o"), r"'it\'s \\o'");
    }
}

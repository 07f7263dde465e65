//! From infrastructure to runtime: no address is typed twice.
//!
//! Intuition: Terraform knows where databases, caches and etcd stand; people
//! know the policy; nobody but the cluster knows where agents and gates will
//! run. So the outputs are laid over a base (the present `tandem.toml`, or the
//! example), and what still comes from the base is named.
//! Invariant: secrets never enter `tandem.toml`; the applications' environment
//! is a secret as a whole and is only ever written to a private file.

use serde_json::{Map, Value};

use crate::phases::Root;
use crate::phases::wiring::{self, Outputs};

/// Where the applications reach what they need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// `host:port` of the local gate; none before gates are adopted.
    pub gate: Option<String>,
    /// `host:port` of the local cache gateway; none before it is adopted.
    pub cache: Option<String>,
}

/// A filled `tandem.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filled {
    /// The text.
    pub text: String,
    /// What the outputs gave: `key = value`.
    pub filled: Vec<String>,
    /// Addresses that Terraform does not know, as they stand in the base.
    pub from_base: Vec<String>,
}

/// Names of the files that `tandem.toml` and the roots both state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stated {
    /// `cluster_name` of the AWS side.
    pub cluster: Option<String>,
    /// The database's name.
    pub database: Option<String>,
    /// `rds_master_username`.
    pub aws_admin: Option<String>,
    /// `cloud_sql_user_name`.
    pub gcp_admin: Option<String>,
}

/// Lays the outputs over a base.
///
/// # Errors
/// If the base is no TOML, or the outputs do not name both databases.
pub fn fill(base: &str, outputs: &Outputs, stated: &Stated) -> Result<Filled, String> {
    let mut table: toml::Table = base
        .parse()
        .map_err(|error| format!("the base is no TOML: {error}"))?;
    let mut filled = Vec::new();
    let needed = |root, name: &'static str| {
        wiring::text(outputs, root, name).ok_or_else(|| {
            format!(
                "no output {name}: tandem infra apply --phase {}",
                root.phase()
            )
        })
    };
    let rds = needed(Root::Aws, "rds_endpoint")?;
    let (rds_host, rds_port) = split(
        &rds,
        &wiring::text(outputs, Root::Aws, "rds_port").unwrap_or_default(),
    );
    let cloud_sql = needed(Root::Gcp, "cloud_sql_private_ip")?;
    let store = |root| {
        let port = wiring::text(outputs, root, "etcd_client_port").unwrap_or_else(|| "2379".into());
        wiring::text(outputs, root, "etcd_private_ip").map(|ip| format!("https://{ip}:{port}"))
    };
    let texts = [
        ("cluster", stated.cluster.clone()),
        ("database.name", stated.database.clone()),
        ("sites.aws.postgres.host", Some(rds_host)),
        (
            "sites.gcp.postgres.host",
            Some(cloud_sql.clone()).filter(|host| !is_address(host)),
        ),
        ("sites.aws.postgres.admin_role", stated.aws_admin.clone()),
        ("sites.gcp.postgres.admin_role", stated.gcp_admin.clone()),
        ("sites.aws.store", store(Root::Aws)),
        ("sites.gcp.store", store(Root::Gcp)),
    ];
    for (path, value) in texts {
        if let Some(value) = value {
            set(&mut table, path, toml::Value::String(value.clone()))?;
            filled.push(format!("{path} = \"{value}\""));
        }
    }
    set(
        &mut table,
        "sites.aws.postgres.port",
        toml::Value::Integer(rds_port.into()),
    )?;
    filled.push(format!("sites.aws.postgres.port = {rds_port}"));
    let mut from_base = addresses(&table);
    if is_address(&cloud_sql) {
        from_base.push(format!(
            "sites.gcp.postgres.host: a name, not an address: let a private DNS record point it at {cloud_sql}"
        ));
    }
    Ok(Filled {
        from_base,
        text: table.to_string(),
        filled,
    })
}

/// Certificates and `tandem.toml` speak of names only.
fn is_address(host: &str) -> bool {
    host.parse::<std::net::IpAddr>().is_ok()
}

fn split(endpoint: &str, port: &str) -> (String, u16) {
    let (host, own) = endpoint.split_once(':').unwrap_or((endpoint, port));
    (host.to_owned(), own.parse().unwrap_or(5432))
}

fn set(table: &mut toml::Table, path: &str, value: toml::Value) -> Result<(), String> {
    let (parents, last) = path.rsplit_once('.').unwrap_or(("", path));
    let mut at = table;
    for part in parents.split('.').filter(|part| !part.is_empty()) {
        let next = at.entry(part).or_insert_with(|| toml::Table::new().into());
        at = next
            .as_table_mut()
            .ok_or_else(|| format!("{part} of {path} is no table in the base"))?;
    }
    at.insert(last.to_owned(), value);
    Ok(())
}

/// Addresses of agents, gates and the witness.
fn addresses(table: &toml::Table) -> Vec<String> {
    fn walk(path: &str, value: &toml::Value, out: &mut Vec<String>) {
        match value {
            toml::Value::Table(pairs) => {
                for (key, value) in pairs {
                    walk(&format!("{path}.{key}"), value, out);
                }
            }
            toml::Value::Array(items) => {
                for (index, value) in items.iter().enumerate() {
                    walk(&format!("{path}[{index}]"), value, out);
                }
            }
            toml::Value::String(text) if path.ends_with("address") => {
                out.push(format!("{path} = \"{text}\""));
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    for (key, value) in table {
        walk(key, value, &mut found);
    }
    if let Some(store) = table
        .get("witness")
        .and_then(|witness| witness.get("store"))
    {
        found.push(format!("witness.store = {store}"));
    }
    found
}

/// What an application's environment says of one cloud.
#[derive(Debug, Clone, Default)]
pub struct Site {
    /// Where writes go without a gate: the primary.
    pub database: String,
    /// Its port.
    pub database_port: u16,
    /// The database's name.
    pub name: String,
    /// The user.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<String>,
    /// The local cache.
    pub redis: String,
    /// Its password.
    pub redis_password: Option<String>,
}

/// An application's environment: given values stay, addresses are filled.
pub fn environment(given: &Map<String, Value>, site: &Site, reach: &Reach) -> Map<String, Value> {
    let mut environment = given.clone();
    let direct = format!("{}:{}", site.database, site.database_port);
    let target = reach.gate.clone().unwrap_or(direct);
    let old = given
        .get("DATABASE_URL")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let mut put = |key: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            environment.insert(key.to_owned(), value.into());
        }
    };
    put("DATABASE_URL", Some(retarget(old, &target, &site.name)));
    put("DATABASE_USERNAME", site.user.clone());
    put("DATABASE_PASSWORD", site.password.clone());
    put(
        "REDIS_HOST",
        Some(reach.cache.clone().unwrap_or_else(|| site.redis.clone())),
    );
    put("REDIS_PASSWORD", site.redis_password.clone());
    // Single shards: a cluster client finds no cluster there.
    environment.insert("REDIS_NODES".to_owned(), "".into());
    environment
}

/// The same URL to another place: scheme, user and options stay.
fn retarget(url: &str, target: &str, name: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("postgresql", ""));
    let (place, options) = rest.split_once('?').unwrap_or((rest, ""));
    let user = place
        .rsplit_once('@')
        .map(|(user, _)| format!("{user}@"))
        .unwrap_or_default();
    let options = if options.is_empty() {
        String::new()
    } else {
        format!("?{options}")
    };
    format!("{scheme}://{user}{target}/{name}{options}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn outputs() -> Outputs {
        let map = |value: Value| value.as_object().cloned().unwrap_or_default();
        Outputs::from([
            (
                Root::Aws,
                map(
                    json!({"rds_endpoint": "crm.abc.rds.amazonaws.com", "rds_port": 5433, "etcd_private_ip": "10.30.10.9", "etcd_client_port": 12379}),
                ),
            ),
            (Root::Gcp, map(json!({"cloud_sql_private_ip": "10.23.0.3"}))),
        ])
    }

    #[test]
    fn the_example_is_filled_and_stays_accepted() {
        let base = include_str!("../../../docs/examples/tandem.toml");
        let stated = Stated {
            cluster: Some("crm-prod".to_owned()),
            ..Stated::default()
        };
        let filled = fill(base, &outputs(), &stated).unwrap();
        let config = tandem_core::config::Config::parse(&filled.text).unwrap();
        assert_eq!(config.cluster, "crm-prod");
        let hosts: Vec<_> = config
            .sites
            .values()
            .map(|site| site.postgres.host.clone())
            .collect();
        assert_eq!(
            hosts,
            [
                "crm.abc.rds.amazonaws.com",
                "crm-dr-postgres.internal.example.com"
            ]
        );
        assert!(
            filled
                .from_base
                .iter()
                .any(|line| line.contains("point it at 10.23.0.3"))
        );
        assert!(
            filled
                .from_base
                .iter()
                .any(|line| line.starts_with("sites.aws.agents[0].address"))
        );
        let store = "sites.aws.store = \"https://10.30.10.9:12379\"".to_owned();
        assert!(filled.filled.contains(&store), "{:?}", filled.filled);
        let lacking = fill(base, &Outputs::new(), &stated).unwrap_err();
        assert!(lacking.contains("--phase aws"), "{lacking}");
    }

    #[test]
    fn applications_reach_the_gate_once_it_is_adopted() {
        let given = json!({"DATABASE_URL": "jdbc:postgresql://old:5432/crm?ssl=true", "MAIL_USERNAME": "m", "REDIS_NODES": "a,b"});
        let given = given.as_object().cloned().unwrap();
        let site = Site {
            database: "crm.rds".to_owned(),
            database_port: 5432,
            name: "crm".to_owned(),
            redis: "cache".to_owned(),
            ..Site::default()
        };
        let direct = environment(
            &given,
            &site,
            &Reach {
                gate: None,
                cache: None,
            },
        );
        assert_eq!(
            direct["DATABASE_URL"],
            "jdbc:postgresql://crm.rds:5432/crm?ssl=true"
        );
        assert_eq!(
            (&direct["REDIS_HOST"], &direct["MAIL_USERNAME"]),
            (&json!("cache"), &json!("m"))
        );
        let reach = Reach {
            gate: Some("tandem-gate:6432".to_owned()),
            cache: Some("tandem-cache".to_owned()),
        };
        let adopted = environment(&Map::new(), &site, &reach);
        assert_eq!(adopted["DATABASE_URL"], "postgresql://tandem-gate:6432/crm");
        assert_eq!(adopted["REDIS_NODES"], "");
    }
}

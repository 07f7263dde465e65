//! Settings from the environment: all faults at once, secrets never printed.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use axum::http::HeaderValue;
use tokio_postgres::config::LoadBalanceHosts;

/// What `crm --help` says about the environment.
pub(crate) const HELP: &str = "\
Environment:
  LISTEN              address and port to serve, e.g. 127.0.0.1:8080
  CLOUD_PROVIDER      AWS or GCP, sent as X-Cloud-Provider with every answer
  DATABASE_URL        read/write, postgres://host:port[,host:port]/name
  DATABASE_READ_URL   read only, same shape
  DATABASE_USERNAME   application role
  DATABASE_PASSWORD   its password
  REDIS_HOST          host:port of the sessions' Redis
  REDIS_PASSWORD      optional
  WRITER_URLS         optional, http://host:port[,...]: who answers GET /v1/writer
  PATIENCE_MS         optional, how long a write waits for a database (5000)
  POOL_SIZE           optional, connections per pool (16)
  WRITE_GRACE_MS      optional, see README (8000)";

/// Everything the service needs to know to start.
pub(crate) struct Settings {
    /// Where to serve.
    pub listen: SocketAddr,
    /// The cloud this copy runs in, ready to be sent.
    pub cloud: Cloud,
    /// The read/write database.
    pub write_database: tokio_postgres::Config,
    /// The read-only database.
    pub read_database: tokio_postgres::Config,
    /// Host and port of Redis.
    pub redis: (String, u16),
    /// Redis password, if it has one.
    pub redis_password: Option<String>,
    /// Where to ask which site may write.
    pub writer_urls: Vec<reqwest::Url>,
    /// How long a write may wait for a database.
    pub patience: Duration,
    /// Connections per pool.
    pub pool_size: usize,
    /// How long writes must have failed before they count against `/health`.
    pub write_grace: Duration,
}

/// The name of a cloud that is safe in a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cloud(String);

impl Cloud {
    fn parse(name: &str) -> Result<Self, String> {
        let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        if name.is_empty() || !name.bytes().all(legal) {
            return Err(format!("`{name}` is no cloud; write AWS or GCP"));
        }
        Ok(Self(name.to_owned()))
    }

    /// The value of `X-Cloud-Provider`.
    pub(crate) fn header(&self) -> HeaderValue {
        HeaderValue::from_str(&self.0).expect("letters, digits and hyphens are legal")
    }
}

impl fmt::Display for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Every missing or illegal variable.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Faults(Vec<String>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "crm: {} fault(s) in the environment", self.0.len())?;
        for fault in &self.0 {
            write!(f, "\n  {fault}")?;
        }
        write!(f, "\nrun `crm --help` for all variables")
    }
}

impl Settings {
    /// Reads the variables through `lookup`.
    pub(crate) fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Faults> {
        let mut reader = Reader {
            lookup,
            faults: Vec::new(),
        };
        let settings = reader.settings();
        match settings {
            Some(settings) if reader.faults.is_empty() => Ok(settings),
            _ => Err(Faults(reader.faults)),
        }
    }
}

struct Reader<L> {
    lookup: L,
    faults: Vec<String>,
}

impl<L: Fn(&str) -> Option<String>> Reader<L> {
    /// Looks at every variable before giving up, so that all faults are told.
    fn settings(&mut self) -> Option<Settings> {
        let listen = self.parsed("LISTEN", |text| {
            text.parse()
                .map_err(|_| format!("`{text}` is no address; write 127.0.0.1:8080"))
        });
        let cloud = self.parsed("CLOUD_PROVIDER", Cloud::parse);
        let user = self.required("DATABASE_USERNAME");
        let password = self.required("DATABASE_PASSWORD");
        let write = self.parsed("DATABASE_URL", database);
        let read = self.parsed("DATABASE_READ_URL", database);
        let redis = self.parsed("REDIS_HOST", host_and_port);
        let writer_urls = self.optional("WRITER_URLS", Vec::new(), urls);
        let patience = self.optional("PATIENCE_MS", 5_000, number);
        let pool_size = self.optional("POOL_SIZE", 16, number);
        let grace = self.optional("WRITE_GRACE_MS", 8_000, number);
        let (user, password) = (user?, password?);
        Some(Settings {
            listen: listen?,
            cloud: cloud?,
            write_database: signed(write?, &user, &password),
            read_database: signed(read?, &user, &password),
            redis: redis?,
            redis_password: self.present("REDIS_PASSWORD"),
            writer_urls: writer_urls?,
            patience: Duration::from_millis(patience?),
            pool_size: usize::try_from(pool_size?).ok()?,
            write_grace: Duration::from_millis(grace?),
        })
    }

    fn present(&self, name: &str) -> Option<String> {
        (self.lookup)(name).filter(|value| !value.is_empty())
    }

    fn required(&mut self, name: &str) -> Option<String> {
        let value = self.present(name);
        if value.is_none() {
            self.faults.push(format!("{name}: missing"));
        }
        value
    }

    fn parsed<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let text = self.required(name)?;
        self.keep(name, parse(&text))
    }

    fn optional<T>(
        &mut self,
        name: &str,
        default: T,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        match self.present(name) {
            None => Some(default),
            Some(text) => self.keep(name, parse(&text)),
        }
    }

    fn keep<T>(&mut self, name: &str, parsed: Result<T, String>) -> Option<T> {
        parsed
            .map_err(|fault| self.faults.push(format!("{name}: {fault}")))
            .ok()
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse()
        .ok()
        .filter(|value| (1..=600_000).contains(value))
        .ok_or_else(|| format!("`{text}` is no number between 1 and 600000"))
}

fn host_and_port(text: &str) -> Result<(String, u16), String> {
    text.rsplit_once(':')
        .and_then(|(host, port)| Some((host.to_owned(), port.parse().ok()?)))
        .filter(|(host, _)| !host.is_empty())
        .ok_or_else(|| format!("`{text}` is no host:port"))
}

fn urls(text: &str) -> Result<Vec<reqwest::Url>, String> {
    text.split(',')
        .map(|url| {
            let base = reqwest::Url::parse(url.trim());
            let asked = base.and_then(|base| base.join("/v1/writer"));
            asked.map_err(|_| format!("`{url}` is no URL; write http://host:port"))
        })
        .collect()
}

/// A database URL may hold a password, so that faults never repeat it.
fn database(text: &str) -> Result<tokio_postgres::Config, String> {
    let shape = "is no postgres://host:port[,host:port]/name";
    let config: tokio_postgres::Config = text.parse().map_err(|_| shape.to_owned())?;
    if config.get_hosts().is_empty() || config.get_dbname().is_none() {
        return Err(shape.to_owned());
    }
    Ok(config)
}

/// Adds who we are and how we notice that the other end is gone. Several hosts
/// are equal; a random first one keeps a dead host from delaying every attempt.
fn signed(
    mut config: tokio_postgres::Config,
    user: &str,
    password: &str,
) -> tokio_postgres::Config {
    config
        .user(user)
        .password(password)
        .application_name("crm")
        .load_balance_hosts(LoadBalanceHosts::Random)
        .connect_timeout(Duration::from_secs(1))
        .tcp_user_timeout(Duration::from_secs(3))
        .keepalives_idle(Duration::from_secs(3))
        .keepalives_interval(Duration::from_secs(1))
        .keepalives_retries(3);
    config
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A complete environment; nothing listens at its addresses.
    pub(crate) fn environment(name: &str) -> Option<String> {
        let value = match name {
            "LISTEN" => "127.0.0.1:0",
            "CLOUD_PROVIDER" => "AWS",
            "DATABASE_URL" => "postgres://127.0.0.1:1,127.0.0.1:2/crm",
            "DATABASE_READ_URL" => "postgres://127.0.0.1:3/crm",
            "DATABASE_USERNAME" => "crm_app",
            "DATABASE_PASSWORD" => "secret",
            "REDIS_HOST" => "127.0.0.1:4",
            "PATIENCE_MS" => "200",
            _ => return None,
        };
        Some(value.to_owned())
    }

    #[test]
    fn a_complete_environment_is_read() {
        let settings = Settings::read(environment).expect("complete");
        assert_eq!(settings.write_database.get_ports(), [1, 2]);
        assert_eq!(settings.patience, Duration::from_millis(200));
        assert_eq!(settings.cloud.header(), "AWS");
        assert!(!format!("{:?}", settings.write_database).contains("secret"));
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let lookup = |name: &str| match name {
            "LISTEN" => Some("8080".to_owned()),
            "DATABASE_URL" => Some("postgres://user:hidden@/x?bad".to_owned()),
            "POOL_SIZE" => Some("0".to_owned()),
            "WRITER_URLS" => Some("nowhere".to_owned()),
            _ => None,
        };
        let told = Settings::read(lookup).err().expect("faults").to_string();
        for name in [
            "LISTEN",
            "CLOUD_PROVIDER",
            "DATABASE_URL",
            "DATABASE_READ_URL",
            "DATABASE_USERNAME",
            "DATABASE_PASSWORD",
            "REDIS_HOST",
            "POOL_SIZE",
            "WRITER_URLS",
        ] {
            assert!(told.contains(&format!("\n  {name}: ")), "{name} in {told}");
        }
        assert!(told.starts_with("crm: 9 fault(s)"), "{told}");
        assert!(!told.contains("hidden"));
    }
}

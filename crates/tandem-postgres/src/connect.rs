//! Where a site's PostgreSQL is and how its roles log in.

use std::net::IpAddr;
use std::time::Duration;

use tandem_core::config::{Config, Postgres};
use tandem_core::model::SiteId;
use tokio::task::JoinHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::Error;
use crate::session::Session;
use crate::tls;

/// A server answers a login within this time or counts as unreachable.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);

/// Everything needed to open a connection; its password never prints.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) address: String,
    pub(crate) role: String,
    settings: tokio_postgres::Config,
    /// Where the authority of the server is known; elsewhere passwords go as SCRAM over plain text.
    encryption: Option<MakeRustlsConnect>,
}

impl Target {
    /// A login at `site` as `role` with the password in `password_file`.
    pub(crate) fn new(
        config: &Config,
        site: SiteId,
        role: &str,
        password_file: &str,
    ) -> Result<Self, Error> {
        let place = place(config, site)?;
        let mut settings = tokio_postgres::Config::new();
        settings
            .host(&place.host)
            .port(place.port)
            .user(role)
            .password(read_secret(password_file)?)
            .dbname(&config.database.name)
            .application_name(format!("tandem {site}"))
            .connect_timeout(CONNECT_LIMIT)
            .tcp_user_timeout(Duration::from_secs(5))
            .keepalives_idle(Duration::from_secs(10))
            .keepalives_interval(Duration::from_secs(5))
            .keepalives_retries(3);
        if let Some(address) = &place.address {
            match address.parse::<IpAddr>() {
                Ok(ip) => settings.hostaddr(ip),
                Err(_) => {
                    return Err(Error::Configuration {
                        key: format!("sites.{site}.postgres.address"),
                        problem: format!("`{address}` is no IP address; put names into `host`"),
                    });
                }
            };
        }
        let encryption = place
            .login_ca_file
            .as_deref()
            .map(tls::trusting)
            .transpose()?;
        settings.ssl_mode(match encryption {
            Some(_) => SslMode::Require,
            None => SslMode::Disable,
        });
        let shown = place.address.as_ref().unwrap_or(&place.host);
        Ok(Self {
            address: format!("{shown}:{}", place.port),
            role: role.to_owned(),
            settings,
            encryption: encryption.map(MakeRustlsConnect::new),
        })
    }

    /// The agent role's login at `site`.
    pub(crate) fn agent(config: &Config, site: SiteId) -> Result<Self, Error> {
        let file = &place(config, site)?.agent_password_file;
        Self::new(config, site, &config.database.agent_role, file)
    }

    /// The administrator's login at `site`.
    pub(crate) fn admin(config: &Config, site: SiteId) -> Result<Self, Error> {
        let place = place(config, site)?;
        Self::new(config, site, &place.admin_role, &place.admin_password_file)
    }

    /// Sets run-time parameters (`-c name=value ...`) for the connections to come.
    #[must_use]
    pub(crate) fn with_options(mut self, options: &str) -> Self {
        self.settings.options(options);
        self
    }

    /// Notices within half a minute that the way to the server was cut, for connections whose
    /// statements may rightly take longer than that.
    #[must_use]
    pub(crate) fn with_keepalives(mut self) -> Self {
        self.settings
            .keepalives_idle(Duration::from_secs(10))
            .keepalives_interval(Duration::from_secs(5))
            .keepalives_retries(4);
        self
    }

    /// Opens one connection, within [`CONNECT_LIMIT`] as a whole.
    pub(crate) async fn open(&self) -> Result<Session, Error> {
        let connecting = tokio::time::timeout(CONNECT_LIMIT, self.connect());
        let (client, pump) = connecting
            .await
            .map_err(|_| Error::TimedOut {
                what: "login",
                address: self.address.clone(),
                limit: CONNECT_LIMIT,
            })?
            .map_err(|source| Error::Connect {
                address: self.address.clone(),
                role: self.role.clone(),
                source,
            })?;
        Ok(Session::new(client, pump, self.address.clone()))
    }

    /// A connection's error also reaches whoever waits for an answer; here it only ends the task.
    async fn connect(&self) -> Result<(Client, JoinHandle<()>), tokio_postgres::Error> {
        match &self.encryption {
            Some(tls) => {
                let (client, connection) = self.settings.connect(tls.clone()).await?;
                Ok((client, tokio::spawn(async { drop(connection.await) })))
            }
            None => {
                let (client, connection) = self.settings.connect(NoTls).await?;
                Ok((client, tokio::spawn(async { drop(connection.await) })))
            }
        }
    }
}

/// The configured PostgreSQL of `site`.
pub(crate) fn place(config: &Config, site: SiteId) -> Result<&Postgres, Error> {
    config
        .sites
        .get(&site)
        .map(|found| &found.postgres)
        .ok_or_else(|| Error::Configuration {
            key: format!("sites.{site}"),
            problem: "no such site; a database belongs to one of the two data sites".into(),
        })
}

/// The first line of a password file.
pub(crate) fn read_secret(path: &str) -> Result<String, Error> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::file(path, source))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

//! A replication connection, opened and closed: the only proof that one would be let in.
//!
//! On RDS the attribute REPLICATION stays false although the right is there, and
//! `pg_hba` can refuse what every catalog allows. The driver of this crate knows no
//! replication mode, so the login is done here, message by message (PostgreSQL 15,
//! sections 55.2 and 55.4); nothing is asked after it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::backend::{ErrorResponseBody, Message};
use postgres_protocol::message::frontend;
use rustls::pki_types::ServerName;
use tandem_core::config::{Config, Postgres};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::{Finding, Glance, Level, Outcome, worst};
use crate::connect::{place, read_secret};
use crate::error::{Error, sentence};
use crate::tls;

pub(super) const ID: &str = "replication-connection";
pub(super) const TITLE: &str = "a replication connection is let in";

/// Connect, encrypt and log in.
const LIMIT: Duration = Duration::from_secs(5);

/// Tries every site at which the replication role exists.
pub(super) async fn outcome(config: &Config, looks: &[&Glance<'_>]) -> Result<Outcome, Error> {
    let role = &config.database.replication_role;
    let ready = looks.iter().filter(|look| {
        let facts = look.facts.as_ref();
        facts.is_some_and(|facts| facts.roles.contains_key(role))
    });
    let (mut findings, mut tried) = (Vec::new(), 0);
    for look in ready {
        tried += 1;
        let site = look.names.site;
        let place = place(config, site)?;
        let password = match read_secret(&place.replication_password_file) {
            Ok(password) => password,
            Err(error) => {
                findings.push(Finding {
                    site,
                    check: ID,
                    level: Level::Warning,
                    problem: sentence(&error),
                    fix: "ask from a machine that has the replication role's password".into(),
                });
                continue;
            }
        };
        let attempt = timeout(LIMIT, attempt(config, place, &password)).await;
        let answer = attempt.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut)));
        if let Err(error) = answer {
            findings.push(Finding {
                site,
                check: ID,
                level: Level::Refusal,
                problem: format!("no replication connection as {role}: {error}"),
                fix: format!("let {role} replicate (LOGIN REPLICATION; RDS: GRANT rds_replication), with the password of the file, from every address that pg_hba must know"),
            });
        }
    }
    let result = match tried {
        0 => super::Verdict::Skipped,
        _ => worst(&findings),
    };
    Ok(Outcome {
        check: ID,
        title: TITLE,
        result,
        findings,
    })
}

async fn attempt(config: &Config, place: &Postgres, password: &str) -> io::Result<()> {
    let host = place.address.as_ref().unwrap_or(&place.host);
    let mut stream = TcpStream::connect((host.as_str(), place.port)).await?;
    let Some(ca_file) = &place.login_ca_file else {
        return log_in(stream, config, password, false).await;
    };
    let mut asked = BytesMut::new();
    frontend::ssl_request(&mut asked);
    stream.write_all(&asked).await?;
    if stream.read_u8().await? != b'S' {
        return Err(io::Error::other("the server does not encrypt"));
    }
    let client = tls::trusting(ca_file).map_err(io::Error::other)?;
    let name = ServerName::try_from(place.host.clone()).map_err(io::Error::other)?;
    let stream = TlsConnector::from(Arc::new(client))
        .connect(name, stream)
        .await?;
    log_in(stream, config, password, true).await
}

async fn log_in<S>(stream: S, config: &Config, password: &str, encrypted: bool) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let role = config.database.replication_role.as_str();
    let mut talk = Talk {
        stream,
        received: BytesMut::new(),
    };
    let parameters = [
        ("user", role),
        ("database", config.database.name.as_str()),
        ("replication", "database"),
        ("application_name", "tandem doctor"),
    ];
    talk.say(|buffer| frontend::startup_message(parameters, buffer))
        .await?;
    let mut scram = None;
    loop {
        match talk.hear().await? {
            Message::AuthenticationCleartextPassword | Message::AuthenticationMd5Password(_)
                if !encrypted =>
            {
                return Err(io::Error::other(
                    "the server wants the password in the clear; name its authority in login_ca_file",
                ));
            }
            Message::AuthenticationCleartextPassword => {
                talk.say(|buffer| frontend::password_message(password.as_bytes(), buffer))
                    .await?;
            }
            Message::AuthenticationMd5Password(body) => {
                let hash = md5_hash(role.as_bytes(), password.as_bytes(), body.salt());
                talk.say(|buffer| frontend::password_message(hash.as_bytes(), buffer))
                    .await?;
            }
            Message::AuthenticationSasl(_) => {
                let begun = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
                talk.say(|buffer| {
                    frontend::sasl_initial_response(SCRAM_SHA_256, begun.message(), buffer)
                })
                .await?;
                scram = Some(begun);
            }
            Message::AuthenticationSaslContinue(body) => {
                let scram = scram.as_mut().ok_or_else(out_of_turn)?;
                scram.update(body.data())?;
                talk.say(|buffer| frontend::sasl_response(scram.message(), buffer))
                    .await?;
            }
            Message::AuthenticationSaslFinal(body) => {
                scram
                    .as_mut()
                    .ok_or_else(out_of_turn)?
                    .finish(body.data())?;
            }
            Message::ErrorResponse(body) => return Err(refusal(&body)),
            Message::ReadyForQuery(_) => {
                return talk
                    .say(|buffer| {
                        frontend::terminate(buffer);
                        Ok(())
                    })
                    .await;
            }
            _ => {}
        }
    }
}

fn out_of_turn() -> io::Error {
    io::Error::other("the server answers what nobody asked")
}

fn refusal(body: &ErrorResponseBody) -> io::Error {
    let said = body.fields().find(|field| Ok(field.type_() == b'M'));
    let text = said
        .ok()
        .flatten()
        .map(|field| String::from_utf8_lossy(field.value_bytes()).into_owned());
    io::Error::other(text.unwrap_or_else(|| "refused".into()))
}

/// One conversation.
struct Talk<S> {
    stream: S,
    received: BytesMut,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Talk<S> {
    async fn say(&mut self, write: impl FnOnce(&mut BytesMut) -> io::Result<()>) -> io::Result<()> {
        let mut buffer = BytesMut::new();
        write(&mut buffer)?;
        self.stream.write_all(&buffer).await?;
        self.stream.flush().await
    }

    async fn hear(&mut self) -> io::Result<Message> {
        loop {
            if let Some(message) = Message::parse(&mut self.received)? {
                return Ok(message);
            }
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

//! What one program shows and whom it believes, read from its files.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tandem_core::config::Config;

use crate::{TlsError, name_of};

/// One program's certificate, key and authority, checked and ready for both directions.
#[derive(Clone)]
pub struct Credentials {
    cluster: String,
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
    pem: [String; 3],
}

impl std::fmt::Debug for Credentials {
    /// Never the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("cluster", &self.cluster)
            .finish_non_exhaustive()
    }
}

impl Credentials {
    /// The credentials of `program` (an agent, a gate) as `config` has them; `None` in plain mode.
    ///
    /// # Errors
    /// Files that are missing, exposed, damaged or of different authorities.
    pub fn of(config: &Config, program: &str) -> Result<Option<Self>, TlsError> {
        let Some(tls) = &config.tls else {
            return Ok(None);
        };
        let folder = Path::new(&tls.folder);
        let files = [".crt", ".key"].map(|end| folder.join(format!("{program}{end}")));
        Self::read(&config.cluster, Path::new(&tls.ca_file), &files).map(Some)
    }

    /// The credentials of the person who types commands here.
    ///
    /// # Errors
    /// As [`Credentials::of`].
    pub fn of_person(config: &Config) -> Result<Option<Self>, TlsError> {
        match &config.tls {
            Some(tls) => Self::of(config, &tls.client),
            None => Ok(None),
        }
    }

    /// Reads the authority's certificate, then the program's certificate and key.
    fn read(cluster: &str, ca: &Path, [certificate, key]: &[PathBuf; 2]) -> Result<Self, TlsError> {
        let read = |path: &Path| fs::read_to_string(path).map_err(TlsError::read(path));
        check_mode(key)?;
        let pem = [read(ca)?, read(certificate)?, read(key)?];
        let mut roots = RootCertStore::empty();
        for found in certificates(ca, &pem[0])? {
            roots.add(found).map_err(unusable(ca))?;
        }
        let roots = Arc::new(roots);
        let chain = certificates(certificate, &pem[1])?;
        let private = private_key(key, &pem[2])?;
        let server = server(&roots, chain.clone(), private.clone_key(), certificate)?;
        let client = client(roots, chain, private, certificate)?;
        Ok(Self {
            cluster: cluster.to_owned(),
            server: Arc::new(server),
            client: Arc::new(client),
            pem,
        })
    }

    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.server)
    }

    pub(crate) fn client(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.client)
    }

    /// The name that `program` must show.
    pub(crate) fn server_name(&self, program: &str) -> Result<ServerName<'static>, TlsError> {
        let name = name_of(&self.cluster, program);
        ServerName::try_from(name.clone()).map_err(|_| TlsError::Name(name))
    }

    /// Authority, certificate and key as PEM, for a client with a TLS of its own (etcd's).
    pub fn pem(&self) -> &[String; 3] {
        &self.pem
    }
}

/// A key that others may read is a key that others have.
fn check_mode(key: &Path) -> Result<(), TlsError> {
    let mode = fs::metadata(key)
        .map_err(TlsError::read(key))?
        .permissions()
        .mode()
        & 0o7777;
    // A group is how Kubernetes lets a pod read its mounted secrets.
    if mode & 0o007 != 0 || mode & 0o030 != 0 {
        let path = key.to_path_buf();
        return Err(TlsError::Exposed { path, mode });
    }
    Ok(())
}

fn server(
    roots: &Arc<RootCertStore>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    path: &Path,
) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(&provider))
            .build()
            .map_err(unusable(path))?;
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable(path))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(unusable(path))
}

fn client(
    roots: Arc<RootCertStore>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    path: &Path,
) -> Result<ClientConfig, TlsError> {
    ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable(path))?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .map_err(unusable(path))
}

fn certificates(path: &Path, pem: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(TlsError::Content {
            path: path.to_path_buf(),
            what: "certificate",
        }),
    }
}

fn private_key(path: &Path, pem: &str) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| TlsError::Content {
        path: path.to_path_buf(),
        what: "private key",
    })
}

fn unusable<E: std::error::Error + Send + Sync + 'static>(
    path: &Path,
) -> impl FnOnce(E) -> TlsError {
    let path = path.to_path_buf();
    |error| TlsError::Unusable {
        path,
        source: Box::new(error),
    }
}

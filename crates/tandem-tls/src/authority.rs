//! The cluster's own certificate authority: makes one certificate a program, overwrites nothing.
//!
//! The authority's key signs and does nothing else: after the certificates are carried to their
//! machines it belongs offline. Losing it means making all certificates anew, having it stolen
//! means that a stranger can make them.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tandem_core::config::Config;

use crate::{TlsError, name_of, store_program};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// The authority outlives several generations of certificates.
const AUTHORITY_LIFE: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// A year and a month: renewed once a year, with time to spare.
const PROGRAM_LIFE: Duration = Duration::from_secs(397 * 24 * 3600);

/// One holder of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Its name: an agent's or gate's, `etcd-SITE`, or a person's.
    pub name: String,
    /// Host names and addresses besides its logical name, for clients that know only those.
    pub hosts: Vec<String>,
    /// Whether others connect to it.
    pub listens: bool,
}

/// Everybody in `config` who needs a certificate: agents, gates, etcd members, the person.
pub fn programs(config: &Config) -> Vec<Program> {
    let person = config
        .tls
        .as_ref()
        .map_or("operator", |tls| tls.client.as_str());
    let mut found = Vec::new();
    let places = config.sites.iter().map(|(name, site)| (*name, &site.store));
    let places = places.chain([(config.witness.name, &config.witness.store)]);
    for (site, store) in places {
        // etcd's own tools and its other members check the address they dial.
        let mut hosts = vec![host_of(store), "localhost".into(), "127.0.0.1".into()];
        hosts.dedup();
        found.push(program(store_program(site), hosts, true));
        for agent in config.agents(site) {
            found.push(program(
                agent.name.clone(),
                vec![host_of(&agent.address)],
                true,
            ));
        }
        for gate in config.sites.get(&site).map_or(&[][..], |site| &site.gates) {
            let hosts = vec![host_of(&gate.admin_address)];
            found.push(program(gate.name.clone(), hosts, true));
        }
    }
    found.push(program(person.to_owned(), Vec::new(), false));
    found
}

fn program(name: String, hosts: Vec<String>, listens: bool) -> Program {
    Program {
        name,
        hosts,
        listens,
    }
}

/// The host of `host:port` or of `scheme://host:port/`.
fn host_of(address: &str) -> String {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let host = rest.rsplit_once(':').map_or(rest, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']').into()
}

/// Makes certificates. Its files are `ca.crt` and `ca.key`.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    cluster: String,
    folder: PathBuf,
}

impl Authority {
    /// The authority of `cluster` in `folder`; made if neither of its files is there.
    /// The second value says whether it was made.
    ///
    /// # Errors
    /// One of the files alone, files that do not fit, or a folder that cannot be written.
    pub fn open(folder: &Path, cluster: &str) -> Result<(Self, bool), TlsError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(TlsError::write(folder))?;
        let made = match pair(folder, "ca")? {
            Some((certificate, key)) => (Self::load(folder, cluster, &certificate, &key)?, false),
            None => (Self::make(folder, cluster)?, true),
        };
        Ok(made)
    }

    fn load(
        folder: &Path,
        cluster: &str,
        certificate: &Path,
        key: &Path,
    ) -> Result<Self, TlsError> {
        let (certificate_pem, key_pem) = read_pair(certificate, key)?;
        let content = |path: &Path, what| TlsError::Content {
            path: path.to_path_buf(),
            what,
        };
        let key_pair = KeyPair::from_pem(&key_pem).map_err(|_| content(key, "private key"))?;
        let der = CertificateDer::from_pem_slice(certificate_pem.as_bytes());
        let der = der.map_err(|_| content(certificate, "certificate"))?;
        let public = key_pair.der_bytes();
        if !der.windows(public.len()).any(|part| part == public) {
            let path = certificate.to_path_buf();
            return Err(TlsError::Mismatch { path });
        }
        Ok(Self::with(folder, cluster, key_pair))
    }

    fn make(folder: &Path, cluster: &str) -> Result<Self, TlsError> {
        let key = KeyPair::generate()?;
        let certificate = parameters(cluster).self_signed(&key)?.pem();
        write_new(&folder.join("ca.key"), &key.serialize_pem(), 0o600)?;
        write_new(&folder.join("ca.crt"), &certificate, 0o644)?;
        Ok(Self::with(folder, cluster, key))
    }

    fn with(folder: &Path, cluster: &str, key: KeyPair) -> Self {
        Self {
            issuer: Issuer::new(parameters(cluster), key),
            cluster: cluster.to_owned(),
            folder: folder.to_path_buf(),
        }
    }

    /// Makes `NAME.crt` and `NAME.key` for `program` unless they are there. Says whether it did.
    ///
    /// # Errors
    /// One of the two alone, or files that cannot be written.
    pub fn provide(&self, program: &Program) -> Result<bool, TlsError> {
        if pair(&self.folder, &program.name)?.is_some() {
            return Ok(false);
        }
        let (certificate, key) = self.sign(program)?;
        write_new(&self.path(&program.name, "key"), &key, 0o600)?;
        write_new(&self.path(&program.name, "crt"), &certificate, 0o644)?;
        Ok(true)
    }

    /// Replaces the certificate and key of `program`; the old ones stay beside them with the
    /// ending `.before`.
    ///
    /// # Errors
    /// Files that cannot be written or moved.
    pub fn renew(&self, program: &Program) -> Result<(), TlsError> {
        let (certificate, key) = self.sign(program)?;
        for (end, text, mode) in [("key", key, 0o600), ("crt", certificate, 0o644)] {
            let path = self.path(&program.name, end);
            let next = path.with_extension(format!("{end}.next"));
            // A run that was interrupted left this; nobody uses it.
            let _ = fs::remove_file(&next);
            write_new(&next, &text, mode)?;
            if path.exists() {
                let before = path.with_extension(format!("{end}.before"));
                fs::rename(&path, &before).map_err(TlsError::write(&before))?;
            }
            fs::rename(&next, &path).map_err(TlsError::write(&path))?;
        }
        Ok(())
    }

    /// Certificate and key as PEM.
    fn sign(&self, program: &Program) -> Result<(String, String), TlsError> {
        let logical = name_of(&self.cluster, &program.name);
        let names = [&[logical.clone()][..], &program.hosts].concat();
        let mut params = CertificateParams::new(names)?;
        params
            .distinguished_name
            .push(DnType::CommonName, logical.as_str());
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        if program.listens {
            params
                .extended_key_usages
                .push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        live(&mut params, PROGRAM_LIFE);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok((certificate, key.serialize_pem()))
    }

    fn path(&self, name: &str, end: &str) -> PathBuf {
        self.folder.join(format!("{name}.{end}"))
    }
}

/// The same every time: who issued is known by name and key alone.
fn parameters(cluster: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    let name = format!("Tandem authority of {cluster}");
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    live(&mut params, AUTHORITY_LIFE);
    params
}

/// Valid from yesterday, so that a clock that is behind believes it too.
fn live(params: &mut CertificateParams, life: Duration) {
    let now = SystemTime::now();
    params.not_before = (now - DAY).into();
    params.not_after = (now + life).into();
}

/// The two files of `name`: both, or none.
fn pair(folder: &Path, name: &str) -> Result<Option<(PathBuf, PathBuf)>, TlsError> {
    let [certificate, key] = ["crt", "key"].map(|end| folder.join(format!("{name}.{end}")));
    match (certificate.exists(), key.exists()) {
        (true, true) => Ok(Some((certificate, key))),
        (false, false) => Ok(None),
        (true, false) => Err(TlsError::Half {
            present: certificate,
            missing: key,
        }),
        (false, true) => Err(TlsError::Half {
            present: key,
            missing: certificate,
        }),
    }
}

/// Both files as text.
///
/// # Errors
/// If one cannot be read.
fn read_pair(certificate: &Path, key: &Path) -> Result<(String, String), TlsError> {
    let read = |path: &Path| fs::read_to_string(path).map_err(TlsError::read(path));
    Ok((read(certificate)?, read(key)?))
}

/// Writes a file that is not there yet, with its mode from the first moment.
fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), TlsError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(mode);
    let written = options.open(path).and_then(|mut file: File| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(TlsError::write(path))
}

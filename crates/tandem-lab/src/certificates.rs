//! A certificate authority of the lab's own, so that replication can verify names in full.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use crate::process::write_secret;
use crate::{Error, Result};

/// Signs server certificates; lives as long as one lab.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

/// A server's certificate and key, both as PEM text.
pub struct Signed {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

impl Authority {
    /// Makes a new authority.
    ///
    /// # Errors
    /// [`Error::Certificate`] if key or certificate cannot be made.
    pub fn new() -> Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "Tandem lab authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key)?.pem();
        Ok(Self {
            issuer: Issuer::new(params, key),
            certificate,
        })
    }

    /// The authority's own certificate: what a client needs for `verify-full`.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Writes the authority's certificate, for everybody to read.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn write(&self, path: &Path) -> Result<()> {
        std::fs::write(path, &self.certificate).map_err(Error::file("write", path))
    }

    /// A certificate for the server called `name`.
    ///
    /// # Errors
    /// [`Error::Certificate`] if `name` cannot stand in a certificate.
    pub fn sign(&self, name: &str) -> Result<Signed> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new([name.to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Signed {
            certificate,
            key: key.serialize_pem(),
        })
    }
}

impl Signed {
    /// Writes the certificate and, with mode 0600, the key.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn write(&self, certificate: &Path, key: &Path) -> Result<()> {
        std::fs::write(certificate, &self.certificate)
            .map_err(Error::file("write", certificate))?;
        write_secret(key, &self.key)
    }
}

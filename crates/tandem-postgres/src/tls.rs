//! TLS to a server whose authority is known: chain and name are verified, as libpq's `verify-full`.

use std::sync::Arc;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::error::Error;

/// A client that trusts the authorities in `ca_file` and nobody else.
pub(crate) fn trusting(ca_file: &str) -> Result<ClientConfig, Error> {
    let unusable = |problem: String| Error::Configuration {
        key: "postgres.login_ca_file".into(),
        problem: format!("{ca_file}: {problem}"),
    };
    let authorities =
        CertificateDer::pem_file_iter(ca_file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let authorities = authorities.map_err(|error| unusable(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots
            .add(authority)
            .map_err(|error| unusable(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(unusable(
            "holds no certificate; name the provider's bundle".into(),
        ));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has the default versions");
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

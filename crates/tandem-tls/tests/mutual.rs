//! Real listeners and clients on loopback: who is let in, who is refused, and what files must be.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use tandem_core::config::{Config, Tls};
use tandem_tls::{Authority, Credentials, Listener, Peer, TlsError, programs};
use tempfile::TempDir;
use tokio::net::TcpListener;

const EXAMPLE: &str = include_str!("../../../docs/examples/tandem.toml");

/// Generous: nothing here is about speed.
const BOUND: Duration = Duration::from_secs(30);

/// A cluster's certificates in a folder of their own.
struct Cluster {
    folder: TempDir,
    config: Config,
}

impl Cluster {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut config = Config::parse(EXAMPLE).expect("the example is complete");
        let path = |name: &str| folder.path().join(name).display().to_string();
        config.tls = Some(Tls {
            ca_file: path("ca.crt"),
            folder: folder.path().display().to_string(),
            client: "operator".into(),
        });
        let (authority, made) = Authority::open(folder.path(), &config.cluster).expect("made");
        assert!(made);
        for program in programs(&config) {
            assert!(authority.provide(&program).expect("made"));
        }
        Self { folder, config }
    }

    fn of(&self, program: &str) -> Credentials {
        let found = Credentials::of(&self.config, program).expect("good files");
        found.expect("not in plain mode")
    }

    fn path(&self, file: &str) -> std::path::PathBuf {
        self.folder.path().join(file)
    }

    /// Serves as `program` and returns the address.
    async fn serve(&self, program: &str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let address = listener.local_addr().expect("bound").to_string();
        let listener = Listener::new(listener, Some(&self.of(program))).expect("bound");
        let routes = Router::new().route("/v1/hello", get(async || "\"hello\""));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        address
    }
}

fn peer(name: &str, address: &str, credentials: Option<&Credentials>) -> Peer {
    Peer::new(name, address, credentials, BOUND).expect("a legal name")
}

#[tokio::test]
async fn only_the_clusters_own_programs_are_answered() {
    let (ours, theirs) = (Cluster::new(), Cluster::new());
    let address = ours.serve("aws-1").await;
    for program in ["aws-2", "gcp-gate-1", "operator"] {
        let friend = peer("aws-1", &address, Some(&ours.of(program)));
        let answer: String = friend.ask("/v1/hello").await.expect("an answer");
        assert_eq!(answer, "hello", "{program}");
        // A second question goes over the same connection.
        assert!(friend.ask::<String>("/v1/hello").await.is_ok());
    }
    let stranger = peer("aws-1", &address, Some(&theirs.of("operator")));
    assert!(
        stranger.get("/v1/hello").await.is_err(),
        "another authority"
    );
    let plain = peer("aws-1", &address, None);
    assert!(plain.get("/v1/hello").await.is_err(), "no TLS at all");
}

#[tokio::test]
async fn a_client_without_a_certificate_is_refused() {
    let ours = Cluster::new();
    let address = ours.serve("aws-1").await;
    let mut roots = rustls::RootCertStore::empty();
    let pem = fs::read(ours.path("ca.crt")).expect("made");
    use rustls::pki_types::pem::PemObject;
    roots
        .add(rustls::pki_types::CertificateDer::from_pem_slice(&pem).expect("a certificate"))
        .expect("an authority");
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider's")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    let stream = tokio::net::TcpStream::connect(&address)
        .await
        .expect("listens");
    let name = "aws-1.crm-dr.tandem".try_into().expect("a legal name");
    let answered = async {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        // In TLS 1.3 the client learns of its refusal with the first reading.
        let mut secured = connector.connect(name, stream).await?;
        secured
            .write_all(b"GET /v1/hello HTTP/1.1\r\nhost: aws-1\r\n\r\n")
            .await?;
        let mut byte = [0; 1];
        secured.read_exact(&mut byte).await.map(drop)
    };
    let error = answered.await.expect_err("refused");
    assert!(error.to_string().contains("ertificate"), "{error}");
}

#[tokio::test]
async fn a_program_cannot_pose_as_another() {
    let ours = Cluster::new();
    let address = ours.serve("aws-2").await;
    let person = ours.of("operator");
    let deceived = peer("aws-1", &address, Some(&person));
    assert!(deceived.get("/v1/hello").await.is_err());
    // The person's certificate is for asking only.
    let address = ours.serve("operator").await;
    let listening = peer("operator", &address, Some(&person));
    assert!(listening.get("/v1/hello").await.is_err());
}

#[test]
fn files_are_made_once_for_their_owner_only_and_renewed_by_name() {
    let ours = Cluster::new();
    let mode = |file: &str| {
        fs::metadata(ours.path(file))
            .expect("made")
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!((mode("aws-1.key"), mode("ca.key")), (0o600, 0o600));
    let read = |file: &str| fs::read_to_string(ours.path(file)).expect("made");
    let before = (read("aws-1.crt"), read("aws-1.key"));
    let (authority, made) = Authority::open(ours.folder.path(), "crm-dr").expect("loaded");
    assert!(!made);
    let programs = programs(&ours.config);
    for program in &programs {
        assert!(!authority.provide(program).expect("there already"));
    }
    assert_eq!(before, (read("aws-1.crt"), read("aws-1.key")));
    let wanted = programs.iter().find(|program| program.name == "aws-1");
    authority.renew(wanted.expect("named")).expect("renewed");
    assert_ne!(before.0, read("aws-1.crt"));
    assert_eq!(before.1, read("aws-1.key.before"));
    assert_eq!(mode("aws-1.key"), 0o600);
    ours.of("aws-1");
}

#[test]
fn bad_files_are_named_with_the_way_out() {
    let ours = Cluster::new();
    let told = || {
        let error = Credentials::of(&ours.config, "aws-1").expect_err("refused");
        error.to_string()
    };
    let key = ours.path("aws-1.key");
    let chmod = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("ours");
    };
    chmod(&key, 0o644);
    assert!(
        told().contains("has mode 0644; write `chmod 0600"),
        "{}",
        told()
    );
    chmod(&key, 0o640);
    ours.of("aws-1");
    fs::copy(ours.path("aws-2.key"), &key).expect("copied");
    chmod(&key, 0o600);
    assert!(told().contains("cannot be used together"), "{}", told());
    fs::write(&key, "nothing").expect("written");
    assert!(told().contains("holds no private key"), "{}", told());
    fs::remove_file(&key).expect("removed");
    assert!(told().contains("`tandem init certificates`"), "{}", told());
    let (authority, _) = Authority::open(ours.folder.path(), "crm-dr").expect("loaded");
    let wanted = programs(&ours.config);
    let wanted = wanted.iter().find(|program| program.name == "aws-1");
    let half = authority.provide(wanted.expect("named"));
    assert!(matches!(half, Err(TlsError::Half { .. })), "{half:?}");
    let other = Cluster::new();
    fs::copy(other.path("ca.key"), ours.path("ca.key")).expect("copied");
    let mixed = Authority::open(ours.folder.path(), "crm-dr").map(drop);
    assert!(matches!(mixed, Err(TlsError::Mismatch { .. })), "{mixed:?}");
}

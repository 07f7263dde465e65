//! Questions that only a live account can answer.
//!
//! Intuition: a checklist is worth what its evidence is worth. Each row asks
//! the cloud itself, read-only, through the tool that people have installed
//! and logged in (`aws`, `gcloud`, `curl`): no credentials of our own.
//! Invariant: [`ask::calls`] only lists and describes; [`judge::judge`] is a
//! pure function of the answers. A tool that is absent, a time-out or an
//! answer in another shape is "cannot tell", never "proven".
//! Refused: SDKs of three clouds inside the binary, for twenty questions.

pub mod ask;
pub mod judge;
pub mod shell;

pub use shell::Shell;

/// One question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Question {
    /// Is the Cloudflare token alive, and is the zone in the account?
    CloudflareAccount,
    /// May the token read what Tandem manages: pools, balancers, records, notifications?
    CloudflareRights,
    /// Who are we in AWS?
    AwsIdentity,
    /// May we make what the roots make?
    AwsRights,
    /// Do VPCs, addresses and VPN connections still fit?
    AwsQuotas,
    /// Is the certificate issued?
    AwsCertificate,
    /// Who are we in GCP?
    GcpIdentity,
    /// May we make what the roots make?
    GcpRights,
    /// Are the services switched on?
    GcpServices,
    /// Do the nodes fit?
    GcpQuotas,
    /// Does the VPC stand?
    AwsNetwork,
    /// Does EKS run?
    Eks,
    /// Does RDS run, and is it a primary?
    Rds,
    /// Does ElastiCache run?
    ElastiCache,
    /// Does the ALB run under its name?
    Alb,
    /// Does the network stand?
    GcpNetwork,
    /// Does GKE run?
    Gke,
    /// Does Cloud SQL run?
    CloudSql,
    /// Does Memorystore run?
    Memorystore,
    /// Is the reserved address in use by a forwarding rule?
    GcpBalancer,
    /// Are the four tunnels up, seen from AWS?
    AwsTunnels,
    /// Are the four tunnels up, seen from GCP?
    GcpTunnels,
    /// Are the four BGP sessions up and routes learnt?
    Bgp,
    /// Does a byte get through to the other cloud?
    Through,
    /// Does the load balancer stand with both pools?
    CloudflareBalancer,
    /// Does the service answer at its name?
    Health,
    /// Does the name resolve?
    DnsRecord,
}

/// How sure the answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The cloud says so.
    Proven,
    /// The cloud says otherwise.
    Failed,
    /// Nobody could say.
    Unknown,
}

/// An answer with what it rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// How sure.
    pub verdict: Verdict,
    /// What was seen.
    pub evidence: String,
    /// What to do if it is not proven.
    pub fix: String,
}

impl Answer {
    /// Seen.
    pub fn proven(evidence: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Proven,
            evidence: evidence.into(),
            fix: String::new(),
        }
    }

    /// Seen to be otherwise.
    pub fn failed(evidence: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Failed,
            evidence: evidence.into(),
            fix: fix.into(),
        }
    }

    /// Not seen.
    pub fn unknown(evidence: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Unknown,
            evidence: evidence.into(),
            fix: fix.into(),
        }
    }
}

/// The names that questions are asked about; empty where nothing is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// `aws_region`.
    pub aws_region: String,
    /// `cluster_name` of the AWS side.
    pub cluster: String,
    /// Output `vpc_id`.
    pub vpc_id: String,
    /// Output `alb_dns_name`.
    pub alb_dns_name: String,
    /// Output `rds_endpoint`, without a port.
    pub rds_host: String,
    /// Output `redis_primary_endpoint`.
    pub redis_host: String,
    /// The certificate.
    pub certificate_arn: String,
    /// `project_id`.
    pub project: String,
    /// `region`.
    pub gcp_region: String,
    /// `cluster_name` of the GCP side.
    pub gke: String,
    /// `network_name`.
    pub network: String,
    /// Output `vpn_gcp_router`.
    pub router: String,
    /// `cloud_sql_instance_name`.
    pub cloud_sql: String,
    /// Output `cloud_sql_private_ip`.
    pub cloud_sql_ip: String,
    /// `memorystore_instance_id`.
    pub memorystore: String,
    /// Output `lb_ip`.
    pub lb_ip: String,
    /// vCPUs that the GKE nodes need at most at the start.
    pub gke_vcpus: u64,
    /// Cloudflare's account.
    pub account_id: String,
    /// Cloudflare's zone.
    pub zone_id: String,
    /// The service's name.
    pub domain: String,
}

/// Whoever answers: the clouds' own tools, or a test's double.
pub trait Cloud: Sync {
    /// The answer to one question, in bounded time.
    fn ask(&self, question: Question, names: &Names) -> Answer;

    /// The tools that it asks through.
    fn tools(&self) -> &[&'static str] {
        &[]
    }
}

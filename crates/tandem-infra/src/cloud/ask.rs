//! Which read-only calls answer a question.

use super::{Names, Question};

const CLOUDFLARE: &str = "https://api.cloudflare.com/client/v4";

/// What an AWS principal must be allowed, one for each thing that the root makes.
const AWS_ACTIONS: [&str; 8] = [
    "ec2:CreateVpc",
    "ec2:CreateVpnConnection",
    "eks:CreateCluster",
    "rds:CreateDBInstance",
    "elasticache:CreateReplicationGroup",
    "elasticloadbalancing:CreateLoadBalancer",
    "iam:CreateRole",
    "secretsmanager:CreateSecret",
];

/// The same for GCP.
pub(super) const GCP_PERMISSIONS: [&str; 7] = [
    "compute.networks.create",
    "compute.vpnTunnels.create",
    "container.clusters.create",
    "cloudsql.instances.create",
    "redis.instances.create",
    "secretmanager.secrets.create",
    "servicenetworking.services.addPeering",
];

/// Services of GCP that must be on.
pub(super) const GCP_SERVICES: [&str; 6] = [
    "compute.googleapis.com",
    "container.googleapis.com",
    "redis.googleapis.com",
    "secretmanager.googleapis.com",
    "servicenetworking.googleapis.com",
    "sqladmin.googleapis.com",
];

/// AWS quotas: service, code, what it bounds, how many the roots need.
pub(super) const AWS_QUOTAS: [(&str, &str, &str, u64); 3] = [
    ("vpc", "L-F678F1CE", "VPCs", 1),
    ("ec2", "L-0263D0A3", "elastic addresses", 2),
    ("ec2", "L-3E6EC3A3", "VPN connections", 2),
];

/// One call of a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// `aws`, `gcloud`, `curl`, or `dial` for a TCP connection of our own.
    pub program: &'static str,
    /// Its arguments; never a secret.
    pub arguments: Vec<String>,
    /// A header that curl reads from its standard input, with the name of the
    /// secret that it holds.
    pub bearer: Option<Bearer>,
}

/// Whose token a call carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bearer {
    /// `CLOUDFLARE_API_TOKEN`.
    Cloudflare,
    /// What the call before printed.
    Previous,
}

fn call(program: &'static str, arguments: &[&str]) -> Call {
    Call {
        program,
        arguments: arguments.iter().map(|word| (*word).to_owned()).collect(),
        bearer: None,
    }
}

fn aws(names: &Names, arguments: &[&str]) -> Call {
    let mut words = arguments.to_vec();
    words.extend(["--region", &names.aws_region, "--output", "json"]);
    call("aws", &words)
}

fn gcloud(names: &Names, arguments: &[&str]) -> Call {
    let mut words = arguments.to_vec();
    words.extend(["--project", &names.project, "--format", "json", "--quiet"]);
    call("gcloud", &words)
}

fn cloudflare(path: &str) -> Call {
    let url = format!("{CLOUDFLARE}{path}");
    Call {
        bearer: Some(Bearer::Cloudflare),
        ..call("curl", &["-sS", "--max-time", "20", "-K", "-", &url])
    }
}

/// The calls, in order; `said` is what the calls so far printed (a later call
/// may need it). `None` when all are made.
pub fn next_call(question: Question, names: &Names, said: &[String]) -> Option<Call> {
    match (question, said.len()) {
        (Question::AwsRights, 1) => {
            let identity: serde_json::Value = serde_json::from_str(&said[0]).ok()?;
            let arn = identity.get("Arn")?.as_str()?;
            let mut words = vec![
                "iam",
                "simulate-principal-policy",
                "--policy-source-arn",
                arn,
            ];
            words.push("--action-names");
            words.extend(AWS_ACTIONS);
            Some(aws(names, &words))
        }
        (Question::GcpRights, 1) => Some(gcp_rights(names)),
        (_, made) => calls(question, names).into_iter().nth(made),
    }
}

fn gcp_rights(names: &Names) -> Call {
    let body = serde_json::json!({ "permissions": GCP_PERMISSIONS }).to_string();
    let url = format!(
        "https://cloudresourcemanager.googleapis.com/v1/projects/{}:testIamPermissions",
        names.project
    );
    let json = "Content-Type: application/json";
    let words = [
        "-sS",
        "--max-time",
        "20",
        "-K",
        "-",
        "-H",
        json,
        "-d",
        &body,
        &url,
    ];
    Call {
        bearer: Some(Bearer::Previous),
        ..call("curl", &words)
    }
}

/// The calls that need nothing of each other.
pub fn calls(question: Question, names: &Names) -> Vec<Call> {
    let n = names;
    let one = |call| vec![call];
    match question {
        Question::AwsIdentity | Question::AwsRights => one(aws(n, &["sts", "get-caller-identity"])),
        Question::AwsQuotas => aws_quotas(n),
        Question::AwsCertificate => one(aws(
            n,
            &[
                "acm",
                "describe-certificate",
                "--certificate-arn",
                &n.certificate_arn,
            ],
        )),
        Question::GcpIdentity => one(gcloud(n, &["auth", "list", "--filter=status:ACTIVE"])),
        Question::GcpRights => one(call("gcloud", &["auth", "print-access-token", "--quiet"])),
        Question::GcpServices => one(gcloud(n, &["services", "list", "--enabled"])),
        Question::GcpQuotas => one(gcloud(
            n,
            &["compute", "regions", "describe", &n.gcp_region],
        )),
        Question::CloudflareAccount | Question::CloudflareRights | Question::CloudflareBalancer => {
            of_cloudflare(question, n)
        }
        Question::Health | Question::DnsRecord | Question::Through => from_outside(question, n),
        _ => described(question, n),
    }
}

fn of_cloudflare(question: Question, n: &Names) -> Vec<Call> {
    let balancing =
        |what: &str| cloudflare(&format!("/accounts/{}/load_balancers/{what}", n.account_id));
    let balancers = cloudflare(&format!("/zones/{}/load_balancers", n.zone_id));
    match question {
        Question::CloudflareAccount => vec![
            cloudflare("/user/tokens/verify"),
            cloudflare(&format!("/zones/{}", n.zone_id)),
        ],
        Question::CloudflareRights => vec![
            balancing("pools"),
            balancing("monitors"),
            balancers,
            cloudflare(&format!("/zones/{}/dns_records?per_page=5", n.zone_id)),
            cloudflare(&format!("/accounts/{}/alerting/v3/policies", n.account_id)),
        ],
        _ => vec![balancers, balancing("pools")],
    }
}

/// What needs no account: the service as users meet it, and the link.
fn from_outside(question: Question, n: &Names) -> Vec<Call> {
    let curl = |arguments: &[&str]| {
        vec![call(
            "curl",
            &[&["-sS", "--max-time", "20"], arguments].concat(),
        )]
    };
    match question {
        Question::Health => {
            let written = r#"{"status":%{http_code},"cloud":"%header{x-cloud-provider}"}"#;
            let url = format!("https://{}/health", n.domain);
            curl(&["-I", "-o", "/dev/null", "-w", written, &url])
        }
        Question::DnsRecord => {
            let url = format!(
                "https://cloudflare-dns.com/dns-query?name={}&type=A",
                n.domain
            );
            curl(&["-H", "accept: application/dns-json", &url])
        }
        _ => vec![
            call("dial", &[&n.rds_host, "5432"]),
            call("dial", &[&n.cloud_sql_ip, "5432"]),
        ],
    }
}

fn aws_quotas(names: &Names) -> Vec<Call> {
    let quota = |&(service, code, _, _): &(&str, &str, &str, u64)| {
        let words = ["service-quotas", "get-service-quota"];
        aws(
            names,
            &[
                &words[..],
                &["--service-code", service, "--quota-code", code],
            ]
            .concat(),
        )
    };
    let mut calls: Vec<Call> = AWS_QUOTAS.iter().map(quota).collect();
    calls.push(aws(names, &["ec2", "describe-vpcs"]));
    calls.push(aws(names, &["ec2", "describe-addresses"]));
    calls.push(aws(names, &["ec2", "describe-vpn-connections"]));
    calls
}

/// Things that stand: one describing call each.
fn described(question: Question, n: &Names) -> Vec<Call> {
    let region = format!("--region={}", n.gcp_region);
    let tunnels = format!("Name=tag:Name,Values={}-vpn-tunnel-*", n.cluster);
    let of_network = format!("--filter=name~{}", n.network);
    vec![match question {
        Question::AwsNetwork => aws(n, &["ec2", "describe-vpcs", "--vpc-ids", &n.vpc_id]),
        Question::Eks => aws(n, &["eks", "describe-cluster", "--name", &n.cluster]),
        Question::Rds => aws(n, &["rds", "describe-db-instances"]),
        Question::ElastiCache => aws(n, &["elasticache", "describe-replication-groups"]),
        Question::Alb => aws(n, &["elbv2", "describe-load-balancers"]),
        Question::GcpNetwork => gcloud(n, &["compute", "networks", "describe", &n.network]),
        Question::Gke => gcloud(n, &["container", "clusters", "describe", &n.gke, &region]),
        Question::CloudSql => gcloud(n, &["sql", "instances", "describe", &n.cloud_sql]),
        Question::Memorystore => gcloud(
            n,
            &["redis", "instances", "describe", &n.memorystore, &region],
        ),
        Question::GcpBalancer => gcloud(n, &["compute", "forwarding-rules", "list", "--global"]),
        Question::AwsTunnels => aws(
            n,
            &["ec2", "describe-vpn-connections", "--filters", &tunnels],
        ),
        Question::GcpTunnels => gcloud(n, &["compute", "vpn-tunnels", "list", &of_network]),
        _ => return bgp(n),
    }]
}

fn bgp(names: &Names) -> Vec<Call> {
    let region = format!("--region={}", names.gcp_region);
    vec![gcloud(
        names,
        &["compute", "routers", "get-status", &names.router, &region],
    )]
}

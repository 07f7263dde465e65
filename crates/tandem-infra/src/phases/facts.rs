//! The names that the clouds are asked about: from the files of the roots and
//! the outputs of the phases.

use std::collections::BTreeSet;

use super::step::Root;
use super::wiring::{self, Outputs};
use crate::cloud::Names;
use crate::estate::Estate;
use crate::read::environment::Environment;

/// What only the environment of the process says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Given {
    /// `CLOUDFLARE_ACCOUNT_ID`.
    pub account_id: Option<String>,
    /// `CLOUDFLARE_ZONE_ID`.
    pub zone_id: Option<String>,
    /// `ACM_CERTIFICATE_ARN`.
    pub certificate_arn: Option<String>,
    /// Names of all variables that the environment sets (`TF_VAR_NAME`).
    pub variables: BTreeSet<String>,
}

/// Gathers them.
pub fn names(estate: &Estate, outputs: &Outputs, given: &Given) -> Names {
    let (aws, gcp, edge) = (&estate.aws, &estate.gcp, &estate.edge);
    let output = |root, name| wiring::text(outputs, root, name).unwrap_or_default();
    let host = |text: String| text.split(':').next().unwrap_or_default().to_owned();
    Names {
        aws_region: set(aws, "aws_region"),
        cluster: set(aws, "cluster_name"),
        vpc_id: output(Root::Aws, "vpc_id"),
        alb_dns_name: output(Root::Aws, "alb_dns_name"),
        rds_host: host(output(Root::Aws, "rds_endpoint")),
        redis_host: host(output(Root::Aws, "redis_primary_endpoint")),
        certificate_arn: first([
            output(Root::Certificates, "acm_certificate_arn"),
            given.certificate_arn.clone().unwrap_or_default(),
            set(aws, "acm_certificate_arn"),
        ]),
        project: set(gcp, "project_id"),
        gcp_region: set(gcp, "region"),
        gke: set(gcp, "cluster_name"),
        network: first([output(Root::Gcp, "network_name"), set(gcp, "network_name")]),
        router: output(Root::Aws, "vpn_gcp_router"),
        cloud_sql: set(gcp, "cloud_sql_instance_name"),
        cloud_sql_ip: output(Root::Gcp, "cloud_sql_private_ip"),
        memorystore: set(gcp, "memorystore_instance_id"),
        lb_ip: output(Root::Gcp, "lb_ip"),
        gke_vcpus: vcpus(gcp),
        account_id: first([
            given.account_id.clone().unwrap_or_default(),
            set(edge, "cloudflare_account_id"),
        ]),
        zone_id: first([
            given.zone_id.clone().unwrap_or_default(),
            set(edge, "cloudflare_zone_id"),
        ]),
        domain: domain(edge),
    }
}

fn set(environment: &Environment, key: &str) -> String {
    environment.text(key).unwrap_or_default()
}

fn first<const N: usize>(texts: [String; N]) -> String {
    texts
        .into_iter()
        .find(|text| !text.is_empty())
        .unwrap_or_default()
}

/// The name that the load balancer gets: the zone's apex, or a name below.
fn domain(edge: &Environment) -> String {
    let (domain, record) = (set(edge, "domain_name"), set(edge, "dns_record_name"));
    match record.as_str() {
        "" | "@" => domain,
        name if name.ends_with(&domain) => name.to_owned(),
        name => format!("{name}.{domain}"),
    }
}

/// vCPUs of the first GKE nodes: the number at the end of the machine type.
fn vcpus(gcp: &Environment) -> u64 {
    let machine = set(gcp, "node_pool_machine_type");
    let each: u64 = machine
        .rsplit('-')
        .next()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    each * gcp.count("node_pool_initial_count").unwrap_or(0)
}

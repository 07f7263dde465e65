//! Everything that would fail later, found before anything is applied, at once.
//!
//! Intuition: most faults of a first apply are in the files or in the right of
//! a token, and show one at a time, half an hour apart. Offline the rules of
//! `tandem check` find them ([`RULES`] are those that an apply would trip
//! over); online the clouds are asked read-only.
//! Invariant: nothing stops at the first fault, and nothing is changed.

mod tools;

use std::fmt;
use std::path::Path;

use serde::Serialize;

use crate::check::{self, Severity};
use crate::cloud::{Cloud, Question, Verdict};
use crate::estate::Estate;
use crate::keys;
use crate::phases::facts::{self, Given};
use crate::phases::wiring::{self, Outputs};
use crate::phases::{Kind, Root};
use crate::secret::{self, Secrets};

/// Rules of `tandem check` whose breach makes an apply fail, or makes it wrong
/// in a way that cannot be put right afterwards.
pub const RULES: [&str; 21] = [
    "file-syntax",
    "file-repeated-key",
    "file-not-literal",
    "file-undeclared",
    "file-kind",
    "secret-in-file",
    "cidr-overlap",
    "cidr-inside",
    "vpn-key-form",
    "vpn-network-id",
    "version-eks",
    "version-rds",
    "version-mismatch",
    "elasticache-token-form",
    "rds-password-form",
    "memorystore-read-replicas",
    "node-bounds",
    "outputs-missing",
    "detect-plan-minimum",
    "detect-probe-overlap",
    "terraform-owned-fields",
];

/// What preflight looks at.
pub struct Inputs<'a> {
    /// The files.
    pub estate: &'a Estate,
    /// The Terraform command.
    pub terraform: &'a str,
    /// Where the VPN keys are.
    pub keys: &'a Path,
    /// Secret variables.
    pub secrets: &'a Secrets,
    /// What the environment gave.
    pub given: &'a Given,
}

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Where: file, line and key, a tool, or a cloud.
    pub place: String,
    /// What is wrong.
    pub problem: String,
    /// What puts it right.
    pub fix: String,
    /// Whether it is a missing credential or right.
    #[serde(skip)]
    pub is_right: bool,
}

impl Fault {
    fn new(place: impl Into<String>, problem: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            problem: problem.into(),
            fix: fix.into(),
            is_right: false,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}\n    fix: {}", self.place, self.problem, self.fix)
    }
}

/// What was found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// Everything that is wrong.
    pub faults: Vec<Fault>,
    /// What will hurt but does not stop an apply.
    pub warnings: Vec<Fault>,
    /// What was seen to be right.
    pub proven: Vec<String>,
}

impl Report {
    /// Not authorised if nothing else is wrong; refused as usage otherwise.
    pub fn kind(&self) -> Kind {
        if self.faults.iter().all(|fault| fault.is_right) {
            Kind::Unauthorised
        } else {
            Kind::Usage
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "preflight: {} fault(s)", self.faults.len())?;
        for fault in &self.faults {
            writeln!(f, "  {fault}")?;
        }
        Ok(())
    }
}

/// Looks at everything; online only with `cloud`.
pub fn run(inputs: &Inputs<'_>, cloud: Option<&dyn Cloud>) -> Report {
    let mut report = Report::default();
    from_rules(inputs.estate, &mut report);
    unequal_halves(inputs.estate, &mut report);
    tools::check(
        inputs.terraform,
        cloud.map_or(&[], Cloud::tools),
        &mut report,
    );
    key_files(inputs.keys, &mut report);
    unset_variables(inputs, &mut report);
    if let Some(cloud) = cloud {
        ask(inputs, cloud, &mut report);
    }
    report
}

fn from_rules(estate: &Estate, report: &mut Report) {
    for finding in check::run(estate).findings() {
        // The driver wires the network's id; only a wrong one by hand is a fault.
        let wired = finding.id == "vpn-network-id" && !estate.aws.has("gcp_network_id");
        if finding.suppressed.is_some() || wired || !RULES.contains(&finding.id) {
            continue;
        }
        let line = finding
            .place
            .line
            .map(|line| format!(":{line}"))
            .unwrap_or_default();
        let place = format!("{}{line} ({})", finding.place.file, finding.place.key);
        let problem = format!("{} [{}]", finding.computed, finding.id);
        let fault = Fault::new(place, problem, &finding.remedy);
        if finding.severity == Severity::Error {
            report.faults.push(fault);
        } else {
            report.warnings.push(fault);
        }
    }
}

/// Both sides in one line: the smaller one must carry all when the other is lost.
fn unequal_halves(estate: &Estate, report: &mut Report) {
    let rules = ["capacity-database", "capacity-cache", "burstable-nodes"];
    for finding in check::run(estate).findings() {
        if finding.suppressed.is_none() && rules.contains(&finding.id) {
            let place = format!("{} ({})", finding.place.file, finding.place.key);
            report
                .warnings
                .push(Fault::new(place, &finding.computed, &finding.remedy));
        }
    }
}

fn key_files(folder: &Path, report: &mut Report) {
    for tunnel in 1..=keys::TUNNELS {
        let path = keys::file_of(folder, tunnel);
        if path.exists() {
            if let Err(error) = keys::check_file(&path) {
                report.faults.push(Fault::new(
                    path.display().to_string(),
                    error.to_string(),
                    "tandem infra keys",
                ));
            }
        } else if tunnel <= 2 {
            let fault = Fault::new(
                path.display().to_string(),
                "the key file is not there",
                "tandem infra keys",
            );
            report.faults.push(fault);
        }
    }
}

/// Variables that nobody gives a value; of secrets only the name is told.
fn unset_variables(inputs: &Inputs<'_>, report: &mut Report) {
    let estate = inputs.estate;
    let roots = [
        (Root::Aws, &estate.aws),
        (Root::Gcp, &estate.gcp),
        (Root::Global, &estate.edge),
    ];
    for (root, environment) in roots {
        for name in &environment.unset {
            let given =
                inputs.given.variables.contains(name) || inputs.secrets.find(name).is_some();
            if given || wiring::is_wired(root, name) {
                continue;
            }
            let secret = secret::is_secret_name(name);
            let fix = if secret {
                format!(
                    "export TF_VAR_{name}, or put it into a file {name} of the --secrets folder"
                )
            } else {
                format!("set {name} in terraform.tfvars, or export TF_VAR_{name}")
            };
            let place = format!("{} ({name})", environment.folder);
            report.faults.push(Fault {
                is_right: secret,
                ..Fault::new(place, "no value", fix)
            });
        }
    }
}

/// Questions of the first day, before anything stands.
const QUESTIONS: [(&str, Question); 9] = [
    ("cloudflare account", Question::CloudflareAccount),
    ("cloudflare rights", Question::CloudflareRights),
    ("aws identity", Question::AwsIdentity),
    ("aws rights", Question::AwsRights),
    ("aws quotas", Question::AwsQuotas),
    ("gcp identity", Question::GcpIdentity),
    ("gcp rights", Question::GcpRights),
    ("gcp services", Question::GcpServices),
    ("gcp quotas", Question::GcpQuotas),
];

fn ask(inputs: &Inputs<'_>, cloud: &dyn Cloud, report: &mut Report) {
    let names = facts::names(inputs.estate, &Outputs::new(), inputs.given);
    let mut questions = QUESTIONS.to_vec();
    // Without an ARN the root makes the certificate itself.
    if !names.certificate_arn.is_empty() {
        questions.push(("certificate", Question::AwsCertificate));
    }
    for (place, question) in questions {
        let answer = cloud.ask(question, &names);
        match answer.verdict {
            Verdict::Proven => report.proven.push(format!("{place}: {}", answer.evidence)),
            _ => report.faults.push(Fault {
                is_right: true,
                ..Fault::new(place, answer.evidence, answer.fix)
            }),
        }
    }
}

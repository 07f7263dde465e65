//! What the guide made by hand is taken over, and nothing of it is destroyed.
//!
//! The roots under `guide/` are what a person has who followed the guide. The same served providers
//! apply them and plan the real environments, because they remember what they made for imports.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};
use tandem_infra::import::{Matches, blocks, matches, replaced};
use tandem_terraform_check::harness::{self, Scratch, Setting};
use tandem_terraform_check::server::Providers;
use tandem_terraform_check::terraform::{self, Terraform};

/// What must be taken over: what holds data, and the networks below.
const KEPT: [&str; 14] = [
    "aws_db_instance",
    "aws_eks_cluster",
    "aws_elasticache_replication_group",
    "aws_lb",
    "aws_nat_gateway",
    "aws_subnet",
    "aws_vpc",
    "google_compute_network",
    "google_compute_subnetwork",
    "google_container_cluster",
    "google_redis_instance",
    "google_sql_database",
    "google_sql_database_instance",
    "google_sql_user",
];

/// A cloud after the guide, and the environment that takes it over.
struct Site {
    cloud: &'static str,
    terraform: Terraform,
    providers: Providers,
    scratch: Scratch,
    /// The guide's applied state.
    stands: Json,
}

impl Site {
    fn new(cloud: &'static str) -> Self {
        let terraform = Terraform::find().expect("a terraform");
        let providers = Providers::start().expect("providers");
        let scratch = Scratch::copy(&terraform::repository().join("terraform")).expect("a copy");
        let guide = scratch.path("guide");
        harness::copy(&fixture(cloud), &guide).expect("copied");
        scratch
            .init(&terraform, &providers, "guide")
            .expect("ready");
        let plain = Setting {
            name: "guide".into(),
            variables: String::new(),
        };
        harness::apply(&terraform, &providers, &guide, &plain).expect("the guide applies");
        let stands = harness::state(&terraform, &providers, &guide).expect("a state");
        Self {
            cloud,
            terraform,
            providers,
            scratch,
            stands,
        }
    }

    /// The environment with the documented values, ready to plan.
    fn environment(&self) -> PathBuf {
        let name = format!("environments/{}/dr", self.cloud);
        let folder = self.scratch.path(&name);
        let given = fixture(self.cloud).join("taken-over.tfvars");
        for (from, to) in [
            (
                folder.join("terraform.tfvars.example"),
                folder.join("terraform.tfvars"),
            ),
            (given, folder.join("taken-over.auto.tfvars")),
        ] {
            fs::copy(from, to).expect("copied");
        }
        self.scratch
            .init(&self.terraform, &self.providers, &name)
            .expect("ready");
        folder
    }

    fn run(&self, folder: &Path, arguments: &[&str]) -> String {
        let outcome = self.terraform.must(&self.providers, folder, arguments);
        outcome
            .unwrap_or_else(|error| panic!("{}: {error}", self.cloud))
            .output
    }

    fn plan(&self, folder: &Path, more: &[&str]) -> Json {
        let plan = ["plan", "-input=false", "-no-color", "-out=the.tfplan"];
        self.run(folder, &[&plan[..], more].concat());
        let shown = self.run(folder, &["show", "-json", "-no-color", "the.tfplan"]);
        let begin = shown.find('{').expect("JSON");
        serde_json::from_str(&shown[begin..]).expect("JSON")
    }

    /// Plans, matches and writes the blocks, as `tandem infra import` does.
    fn take_over(&self, folder: &Path, same_state: bool) -> Matches {
        let found = matches(&self.stands, &self.plan(folder, &[]));
        fs::write(folder.join("imports.tf"), blocks(&found, same_state)).expect("written");
        assert_eq!(found.left, [""; 0], "{}", self.cloud);
        found
    }

    /// Nothing is destroyed, and everything that counts is taken over in place.
    fn check(&self, plan: &Json, found: &Matches) {
        assert_eq!(lost(plan), [""; 0], "{}", self.cloud);
        let taken: BTreeSet<&str> = found.matched.iter().map(|one| one.from.as_str()).collect();
        let stands = tandem_infra::phases::terraform::resources(&self.stands);
        let kept = stands
            .iter()
            .filter(|row| KEPT.contains(&row["type"].as_str().expect("a type")));
        for row in kept {
            let address = row["address"].as_str().expect("an address");
            assert!(taken.contains(address), "{address} is not taken over");
        }
        let rows = plan["resource_changes"].as_array().expect("changes");
        for one in &found.matched {
            let row = rows.iter().find(|row| row["address"] == one.to.as_str());
            let row = row.unwrap_or_else(|| panic!("{} is not planned", one.to));
            let actions = &row["change"]["actions"];
            assert!(
                *actions == json!(["no-op"]) || *actions == json!(["update"]),
                "{}: {actions}",
                one.to
            );
        }
    }
}

fn fixture(cloud: &str) -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    tests.join("guide").join(cloud)
}

/// Both ways: in the guide's own state, and by import into a new one, which is then applied.
/// `harmless` variables lose nothing; each of the `wrong` is told with what it would cost.
fn taken_over(cloud: &'static str, harmless: &[&str], wrong: &[(&str, &str)]) {
    let site = Site::new(cloud);
    let folder = site.environment();
    let state = folder.join("terraform.tfstate");
    fs::copy(site.scratch.path("guide/terraform.tfstate"), &state).expect("copied");
    let found = site.take_over(&folder, true);
    site.check(&site.plan(&folder, &[]), &found);

    fs::remove_file(&state).expect("removed");
    fs::remove_file(folder.join("imports.tf")).expect("removed");
    let found = site.take_over(&folder, false);
    site.check(&site.plan(&folder, harmless), &found);
    let given: Vec<&str> = wrong.iter().map(|(given, _)| *given).collect();
    let told = lost(&site.plan(&folder, &given));
    for (_, telling) in wrong {
        let said = told.iter().any(|one| one.contains(telling));
        assert!(said, "{telling}: {told:#?}");
    }
    let apply = ["apply", "-input=false", "-no-color", "-auto-approve"];
    site.run(&folder, &apply);
    let again = site.plan(&folder, &[]);
    let changes = again["resource_changes"].as_array().expect("changes");
    let idle = json!(["no-op"]);
    let busy = changes.iter().find(|row| row["change"]["actions"] != idle);
    assert_eq!(busy, None);
}

fn lost(plan: &Json) -> Vec<String> {
    replaced(plan).iter().map(ToString::to_string).collect()
}

#[test]
fn aws_is_taken_over() {
    let other_keys = [
        "-var=rds_kms_key_arn=arn:aws:kms:ap-northeast-2:123456789012:key/other",
        "-var=elasticache_kms_key_arn=arn:aws:kms:ap-northeast-2:123456789012:key/other",
        "-var=eks_kms_key_arn=arn:aws:kms:ap-northeast-2:123456789012:key/other",
        "-var=admin_principal_arns={ ops = \"arn:aws:iam::123456789012:role/ops\" }",
    ];
    let wrong = [
        (
            "-var=elasticache_replication_group_id=other",
            "aws_elasticache_replication_group.this would be replaced because of replication_group_id; elasticache_replication_group_id set",
        ),
        (
            "-var=rds_storage_encrypted=false",
            "aws_db_instance.this would be replaced because of storage_encrypted; rds_storage_encrypted set",
        ),
        (
            "-var=alb_name=other",
            "aws_lb.this would be replaced because of name; alb_name set",
        ),
    ];
    taken_over("aws", &other_keys, &wrong);
}

#[test]
fn gcp_is_taken_over() {
    let wrong = [
        (
            "-var=control_plane_cidr=10.24.0.0/28",
            "google_container_cluster.this would be replaced because of private_cluster_config.master_ipv4_cidr_block; control_plane_cidr set",
        ),
        (
            "-var=memorystore_transit_encryption_mode=DISABLED",
            "google_redis_instance.this would be replaced because of transit_encryption_mode; memorystore_transit_encryption_mode set",
        ),
        (
            "-var=cloud_sql_instance_name=other",
            "google_sql_database_instance.this would be replaced because of name; cloud_sql_instance_name set",
        ),
    ];
    taken_over("gcp", &[], &wrong);
}

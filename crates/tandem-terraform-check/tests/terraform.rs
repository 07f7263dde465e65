//! The real terraform against the served providers: small configurations that must be refused or
//! pass, and what the infrastructure code itself must show.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};
use tandem_terraform_check::harness::{self, Setting};
use tandem_terraform_check::server::Providers;
use tandem_terraform_check::terraform::{self, Terraform};
use tandem_terraform_check::topology::{self, Estate};
use tandem_terraform_check::{Error, faults, mutation, names, reading, readme};

const HEAD: &str = r#"
terraform {
  required_providers {
    aws        = { source = "hashicorp/aws" }
    google     = { source = "hashicorp/google" }
    cloudflare = { source = "cloudflare/cloudflare" }
  }
}
"#;

struct Bench {
    terraform: Terraform,
    providers: Providers,
    folder: tempfile::TempDir,
}

impl Bench {
    fn new(configuration: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(
            folder.path().join("main.tf"),
            format!("{HEAD}{configuration}"),
        )
        .expect("written");
        Self {
            terraform: Terraform::find().expect("a terraform"),
            providers: Providers::start().expect("providers"),
            folder,
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn run(&self, arguments: &[&str]) -> (bool, String) {
        let outcome = self
            .terraform
            .run(&self.providers, self.path(), arguments)
            .expect("it runs");
        (outcome.succeeded(), outcome.output)
    }

    /// init and plan: what they refuse.
    fn refusal(&self) -> String {
        let (good, output) = self.run(&["init", "-no-color"]);
        if !good {
            return output;
        }
        let (good, output) = self.run(&["plan", "-no-color", "-input=false"]);
        assert!(!good, "accepted:\n{output}");
        // Terraform folds long lines.
        output.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

fn tree() -> PathBuf {
    terraform::repository().join("terraform")
}

#[test]
fn what_a_schema_knows_is_refused() {
    for (name, configuration, told) in [
        (
            "misspelt",
            r#"resource "aws_vpn_connection" "t" {
            customer_gateway_id  = "c"
            type                 = "ipsec.1"
            tunnel1_presharedkey = "x"
        }"#,
            "Unsupported argument",
        ),
        (
            "missing",
            r#"resource "aws_vpn_connection" "t" {
            customer_gateway_id = "c"
        }"#,
            "Missing required argument",
        ),
        (
            "wrong type",
            r#"resource "google_compute_router" "r" {
            name    = "r"
            network = "n"
            bgp {
              asn = "many"
            }
        }"#,
            "a number is required",
        ),
        (
            "block as argument",
            r#"resource "google_compute_router" "r" {
            name    = "r"
            network = "n"
            bgp     = { asn = 64514 }
        }"#,
            "Unsupported argument",
        ),
        (
            "names of the next major version",
            r#"resource "cloudflare_load_balancer" "l" {
            zone_id       = "z"
            name          = "n"
            default_pools = ["a"]
            fallback_pool = "a"
        }"#,
            "Unsupported argument",
        ),
        (
            "unknown type",
            r#"resource "aws_vpn_tunnel" "l" {}"#,
            "Invalid resource type",
        ),
        (
            "unknown attribute",
            r#"resource "aws_customer_gateway" "c" {
            bgp_asn    = 65000
            type       = "ipsec.1"
            ip_address = "203.0.113.1"
        }
        output "x" { value = aws_customer_gateway.c.public_ip }"#,
            "Unsupported attribute",
        ),
        (
            "read only",
            r#"resource "aws_customer_gateway" "c" {
            bgp_asn    = 65000
            type       = "ipsec.1"
            ip_address = "203.0.113.1"
            arn        = "x"
        }"#,
            "unconfigurable attribute",
        ),
        (
            "block twice",
            r#"resource "google_compute_router" "r" {
            name    = "r"
            network = "n"
            bgp {
              asn = 64514
            }
            bgp {
              asn = 64515
            }
        }"#,
            "Too many bgp blocks",
        ),
        (
            "missing in a block",
            r#"resource "google_sql_database_instance" "r" {
            database_version = "POSTGRES_15"
            settings {
              edition = "ENTERPRISE"
            }
        }"#,
            "Missing required argument",
        ),
        (
            "outside an enumeration",
            r#"resource "google_compute_external_vpn_gateway" "g" {
            name            = "x"
            redundancy_type = "FIVE_IPS_REDUNDANCY"
        }"#,
            "expected one of",
        ),
    ] {
        let output = Bench::new(configuration).refusal();
        assert!(output.contains(told), "{name}:\n{output}");
    }
}

#[test]
fn the_guides_values_are_refused_by_the_providers() {
    let bench = Bench::new(
        r#"
resource "aws_vpn_connection" "t" {
  customer_gateway_id   = "c"
  vpn_gateway_id        = "v"
  type                  = "ipsec.1"
  tunnel1_preshared_key = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA="
}
resource "aws_db_instance" "d" {
  instance_class      = "db.t3.large"
  skip_final_snapshot = false
}
resource "aws_eks_cluster" "e" {
  name     = "crm-dr"
  role_arn = "arn:aws:iam::123456789012:role/x"
  version  = "1.29"
  vpc_config {
    subnet_ids = ["a", "b"]
  }
}
"#,
    );
    let output = bench.refusal();
    for told in [
        "base64 ends in =",
        "final_snapshot_identifier",
        "in support",
    ] {
        assert!(output.contains(told), "{told}:\n{output}");
    }
    // A diagnostic leads to its line.
    assert!(
        output.contains("tunnel1_preshared_key = \"q83v") || output.contains("on main.tf line"),
        "{output}"
    );
}

#[test]
fn a_life_ends_where_it_began() {
    let bench = Bench::new(
        r#"
variable "address" { default = "203.0.113.1" }
resource "aws_customer_gateway" "c" {
  bgp_asn    = 65000
  type       = "ipsec.1"
  ip_address = var.address
}
resource "google_compute_ha_vpn_gateway" "g" {
  name    = "g"
  network = "n"
}
output "second" { value = google_compute_ha_vpn_gateway.g.vpn_interfaces[1].ip_address }
"#,
    );
    assert!(bench.run(&["init", "-no-color"]).0);
    let setting = Setting {
        name: "plain".into(),
        variables: String::new(),
    };
    let look = |state: &Json| {
        assert_eq!(
            state["values"]["outputs"]["second"]["value"],
            "203.0.113.11"
        );
        Ok(())
    };
    harness::round_trip(
        &bench.terraform,
        &bench.providers,
        bench.path(),
        &setting,
        look,
    )
    .expect("a whole life");
    harness::apply(&bench.terraform, &bench.providers, bench.path(), &setting).expect("applied");
    let (_, output) = bench.run(&["plan", "-no-color", "-var", "address=203.0.113.2"]);
    assert!(output.contains("forces replacement"), "{output}");
}

#[test]
fn a_function_call_in_tfvars_is_refused() {
    let bench = Bench::new("variable \"secrets\" {}\n");
    let text = "secrets = jsonencode({ DATABASE_URL = \"postgres://\" })\n";
    fs::write(bench.path().join("terraform.tfvars"), text).expect("written");
    let output = bench.refusal();
    assert!(output.contains("Function calls not allowed"), "{output}");
}

#[test]
fn a_repeated_variable_is_refused() {
    let bench = Bench::new("variable \"enable_vpn\" {}\n");
    fs::write(
        bench.path().join("terraform.tfvars"),
        "enable_vpn = false\nenable_vpn = true\n",
    )
    .expect("written");
    let output = bench.refusal();
    assert!(output.contains("Attribute redefined"), "{output}");
    // The right way: a second file, which is read later and wins.
    fs::write(
        bench.path().join("terraform.tfvars"),
        "enable_vpn = false\n",
    )
    .expect("written");
    fs::write(bench.path().join("vpn.auto.tfvars"), "enable_vpn = true\n").expect("written");
    assert!(bench.run(&["plan", "-no-color", "-input=false"]).0);
}

#[test]
fn every_name_of_the_guide_is_there() {
    let missing = names::check(&tree()).expect("readable");
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(names::count() > 150);
}

#[test]
fn every_root_is_described_read_and_of_the_versions_that_were_checked() {
    let roots = harness::roots(&tree()).expect("readable");
    assert!(roots.len() >= 15, "{roots:?}");
    for root in roots {
        let problems = reading::check(&tree().join(&root.name)).expect("readable");
        assert!(problems.is_empty(), "{}: {problems:#?}", root.name);
    }
}

#[test]
fn every_fault_of_the_guide_has_a_test() {
    let mut listed = faults::committed().expect("readable");
    let problems = faults::check(&terraform::repository(), &listed).expect("readable");
    assert!(problems.is_empty(), "{problems:#?}");
    listed[0].evidence[0].name = "no_such_run".into();
    assert_eq!(
        faults::check(&terraform::repository(), &listed)
            .expect("readable")
            .len(),
        1
    );
}

#[test]
fn no_line_is_broken_while_a_user_of_its_module_fails() {
    let tree = tempfile::tempdir().expect("a folder");
    let backend = "backend \"gcs\" {\n    bucket = \"b\"\n    prefix = \"e\"\n  }";
    let head =
        |more: &str| format!("terraform {{\n  required_version = \">= 1.5.0\"\n  {more}\n}}\n");
    for (path, text) in [
        (
            "modules/m/main.tf",
            head("") + "resource \"terraform_data\" \"d\" {\n  input = \"x\"\n}\n",
        ),
        (
            "environments/e/main.tf",
            head(backend) + "module \"m\" {\n  source = \"../../modules/m\"\n}\n",
        ),
        (
            "environments/e/tests/t.tftest.hcl",
            "run \"r\" {\n  assert {\n    condition     = path.module == \"\"\n    error_message = \"never so\"\n  }\n}\n".into(),
        ),
        ("modules/m/README.md", String::new()),
        ("environments/e/README.md", String::new()),
    ] {
        let path = tree.path().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("written");
    }
    let roots = harness::roots(tree.path()).expect("readable");
    readme::write(tree.path(), &roots).expect("written");
    let (terraform, providers) = (Terraform::find(), Providers::start());
    let (terraform, providers) = (
        terraform.expect("a terraform"),
        providers.expect("providers"),
    );
    let module = roots.iter().find(|root| root.name == "modules/m");
    let lines = mutation::of(tree.path(), module.expect("the module")).expect("readable");
    let lines = lines
        .into_iter()
        .filter(|one| one.was.contains("input"))
        .collect();
    let outcome = mutation::run(&terraform, &providers, tree.path(), lines, 1, |verdict| {
        panic!("broken: {verdict:?}")
    });
    let error = outcome.expect_err("the environment fails unbroken");
    assert!(matches!(error, Error::NotWhole { .. }), "{error}");
    assert!(
        error.to_string().contains("test of environments/e"),
        "{error}"
    );
}

/// Changes the first resource of a type that has this address part.
fn break_one(state: &mut Json, kind: &str, at: usize, pointer: &str, value: Json) {
    let address = {
        let found = topology::resources(state, kind);
        (*found.keys().nth(at).unwrap_or_else(|| panic!("no {kind}"))).to_owned()
    };
    let mut modules = vec![&mut state["values"]["root_module"]];
    while let Some(module) = modules.pop() {
        let Json::Object(parts) = module else {
            continue;
        };
        for (name, part) in parts {
            let Json::Array(elements) = part else {
                continue;
            };
            if name == "child_modules" {
                modules.extend(elements.iter_mut());
                continue;
            }
            for resource in elements {
                if resource["address"] == json!(address) {
                    let place = resource["values"].pointer_mut(pointer);
                    *place.unwrap_or_else(|| panic!("{address} has no {pointer}")) = value.clone();
                }
            }
        }
    }
}

/// Takes a source out of every rule that lets it in on a port.
fn close(state: &mut Json, port: u16, source: &str) {
    match state {
        Json::Object(parts) => {
            if parts.get("from_port") == Some(&json!(port)) && parts["cidr_ipv4"] == source {
                parts["cidr_ipv4"] = Json::Null;
            }
            let firewall = parts
                .get("allow")
                .is_some_and(|allow| allow.pointer("/0/ports/0") == Some(&json!(port.to_string())));
            if let (true, Some(Json::Array(sources))) = (firewall, parts.get_mut("source_ranges")) {
                sources.retain(|one| one != source);
            }
            for part in parts.values_mut() {
                close(part, port, source);
            }
        }
        Json::Array(elements) => {
            for element in elements {
                close(element, port, source);
            }
        }
        _ => {}
    }
}

/// Gives the member of a state another value of a setting.
fn listen(state: &mut Json, kind: &str, pointer: &str, port: u16, other: u16) {
    let boot = topology::resources(state, kind);
    let boot = boot.values().next().expect("a member").pointer(pointer);
    let boot = boot.and_then(Json::as_str).expect("its first boot");
    let changed = boot.replace(
        &format!("https://0.0.0.0:{port}"),
        &format!("https://0.0.0.0:{other}"),
    );
    assert_ne!(boot, changed);
    break_one(state, kind, 0, pointer, json!(changed));
}

fn copy(estate: &Estate) -> Estate {
    Estate {
        aws: estate.aws.clone(),
        gcp: estate.gcp.clone(),
        edge: estate.edge.clone(),
        witness: estate.witness.clone(),
    }
}

#[test]
fn the_estate_fits_together_and_each_break_is_found() {
    let terraform = Terraform::find().expect("a terraform");
    let providers = Providers::start().expect("providers");
    let estate = topology::build(&terraform, &providers, &tree()).expect("applied");
    assert_eq!(topology::check(&estate), [""; 0]);

    type Breaks = (&'static str, fn(&mut Estate));
    let breaks: &[Breaks] = &[
        ("not as (0,0)", |e| {
            break_one(
                &mut e.aws,
                "google_compute_vpn_tunnel",
                0,
                "/vpn_gateway_interface",
                json!(1),
            );
        }),
        ("keys of both sides differ", |e| {
            break_one(
                &mut e.aws,
                "google_compute_vpn_tunnel",
                1,
                "/shared_secret",
                json!("k11111111"),
            );
        }),
        ("which is no tunnel of AWS", |e| {
            break_one(
                &mut e.aws,
                "google_compute_external_vpn_gateway",
                0,
                "/interface/0/ip_address",
                json!("198.51.100.255"),
            );
        }),
        ("another interface of GCP's gateway", |e| {
            break_one(
                &mut e.aws,
                "aws_customer_gateway",
                0,
                "/ip_address",
                json!("203.0.113.77"),
            );
        }),
        ("not AWS's, mirrored", |e| {
            break_one(
                &mut e.aws,
                "google_compute_router_peer",
                2,
                "/ip_address",
                json!("169.254.11.1"),
            );
        }),
        ("its interface is not", |e| {
            break_one(
                &mut e.aws,
                "google_compute_router_interface",
                2,
                "/ip_range",
                json!("169.254.11.2/29"),
            );
        }),
        ("share an inside range", |e| {
            for end in ["/tunnel1_cgw_inside_address", "/tunnel2_cgw_inside_address"] {
                break_one(
                    &mut e.aws,
                    "aws_vpn_connection",
                    0,
                    end,
                    json!("169.254.10.2"),
                );
            }
        }),
        ("GCP expects", |e| {
            break_one(
                &mut e.aws,
                "google_compute_router_peer",
                3,
                "/peer_asn",
                json!(64513),
            );
        }),
        ("AWS expects", |e| {
            break_one(
                &mut e.aws,
                "aws_customer_gateway",
                1,
                "/bgp_asn",
                json!("65001"),
            );
        }),
        ("overlaps", |e| {
            break_one(
                &mut e.aws,
                "aws_vpc",
                0,
                "/cidr_block",
                json!("10.20.0.0/14"),
            );
        }),
        ("never hears of", |e| {
            break_one(
                &mut e.aws,
                "google_compute_router",
                0,
                "/bgp/0/advertised_ip_ranges",
                json!([]),
            );
        }),
        ("never hears of nodes", |e| {
            break_one(
                &mut e.aws,
                "google_compute_router",
                0,
                "/bgp/0/advertised_groups",
                json!([]),
            );
        }),
        ("not every private route table", |e| {
            break_one(
                &mut e.aws,
                "aws_vpn_gateway_route_propagation",
                0,
                "/route_table_id",
                json!("rtb-other"),
            );
        }),
        ("export_custom_routes", |e| {
            break_one(
                &mut e.gcp,
                "google_compute_network_peering_routes_config",
                0,
                "/export_custom_routes",
                json!(false),
            );
        }),
        ("RDS: rds.logical_replication", |e| {
            break_one(
                &mut e.aws,
                "aws_db_parameter_group",
                0,
                "/parameter",
                json!([]),
            );
        }),
        ("Cloud SQL: cloudsql.logical_decoding", |e| {
            break_one(
                &mut e.gcp,
                "google_sql_database_instance",
                0,
                "/settings/0/database_flags",
                json!([]),
            );
        }),
        ("one ordinary instance", |e| {
            break_one(
                &mut e.gcp,
                "google_sql_database_instance",
                0,
                "/master_instance_name",
                json!("other"),
            );
        }),
        ("the edge points at", |e| {
            break_one(
                &mut e.edge,
                "cloudflare_load_balancer_pool",
                0,
                "/origins/0/address",
                json!("203.0.113.200"),
            );
        }),
        ("fallback pool", |e| {
            break_one(
                &mut e.edge,
                "cloudflare_load_balancer",
                0,
                "/fallback_pool_id",
                json!("other"),
            );
        }),
        ("witness: the member does not listen", |e| {
            break_one(
                &mut e.witness,
                "aws_instance",
                0,
                "/user_data",
                json!("#cloud-config"),
            );
        }),
        ("aws: the member does not listen on 12379", |e| {
            listen(&mut e.aws, "aws_instance", "/user_data", 12_379, 2_379);
        }),
        ("gcp: the member does not listen on 12380", |e| {
            let boot = "/metadata/user-data";
            listen(&mut e.gcp, "google_compute_instance", boot, 12_380, 2_380);
        }),
        ("aws: gcp (10.21.0.0/16) is not let in on port 18400", |e| {
            close(&mut e.aws, 18_400, "10.21.0.0/16");
        }),
        ("aws: gcp (10.20.0.0/20) is not let in on port 12379", |e| {
            close(&mut e.aws, 12_379, "10.20.0.0/20");
        }),
        ("aws: gcp (10.20.0.0/20) is not let in on port 12380", |e| {
            close(&mut e.aws, 12_380, "10.20.0.0/20");
            close(&mut e.aws, 12_380, "198.51.100.2/32");
        }),
        ("gcp: aws (10.30.0.0/16) is not let in on port 18400", |e| {
            close(&mut e.gcp, 18_400, "10.30.0.0/16");
        }),
        ("gcp: aws (10.30.0.0/16) is not let in on port 12379", |e| {
            close(&mut e.gcp, 12_379, "10.30.0.0/16");
        }),
        ("gcp: aws (10.30.0.0/16) is not let in on port 12380", |e| {
            close(&mut e.gcp, 12_380, "10.30.0.0/16");
            close(&mut e.gcp, 12_380, "198.51.100.1/32");
        }),
        (
            "aws: witness (192.0.2.9/32) is not let in on port 12380",
            |e| {
                close(&mut e.aws, 12_380, "192.0.2.9/32");
            },
        ),
        (
            "gcp: witness (192.0.2.9/32) is not let in on port 12379",
            |e| {
                close(&mut e.gcp, 12_379, "192.0.2.9/32");
            },
        ),
        ("is not let in on port 18400", |e| {
            break_one(
                &mut e.witness,
                "aws_vpc_security_group_ingress_rule",
                0,
                "/cidr_ipv4",
                json!("192.0.2.10/32"),
            );
        }),
        ("no label of the project", |e| {
            break_one(
                &mut e.gcp,
                "google_sql_database_instance",
                0,
                "/settings/0/user_labels",
                json!({}),
            );
        }),
        ("alone", |e| {
            break_one(&mut e.aws, "aws_vpc", 0, "/tags", json!({"Name": "crm-dr"}));
        }),
        ("not every pool is a default", |e| {
            break_one(
                &mut e.edge,
                "cloudflare_load_balancer",
                0,
                "/default_pool_ids",
                json!([]),
            );
        }),
    ];
    for (told, harm) in breaks {
        let mut broken = copy(&estate);
        harm(&mut broken);
        let found = topology::check(&broken);
        assert!(
            found.iter().any(|finding| finding.contains(told)),
            "{told}: {found:#?}"
        );
    }
    let nothing = Estate {
        aws: Json::Null,
        gcp: Json::Null,
        edge: Json::Null,
        witness: Json::Null,
    };
    assert!(topology::check(&nothing).len() > 15);
}

//! Every line to the cent, every resource somewhere, every saving judged.

use rust_decimal::Decimal;
use tandem_infra::cost::catalog::Catalogue;
use tandem_infra::cost::compare::changes;
use tandem_infra::cost::render::{self, Frame};
use tandem_infra::cost::savings::savings;
use tandem_infra::cost::scenario::scenarios;
use tandem_infra::cost::usage::Usage;
use tandem_infra::cost::{self, Breakdown, LINES, LineId, Sources, Status};

use crate::support::{Copy, fixture, read};

const SETTLED: &str = "eks_support=standard,gke_nodes=total";

fn usd(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn guide(assume: &str) -> Breakdown {
    cost::breakdown(&read(&fixture("guide"), assume), &Sources::default())
}

fn monthly(breakdown: &Breakdown, id: LineId) -> Decimal {
    breakdown
        .lines
        .iter()
        .find(|line| line.id == id)
        .unwrap()
        .monthly
}

/// Line, what it really costs, what the guide says.
const TABLE: [(LineId, &str, u32); 14] = [
    (LineId::EksControl, "73.00", 73),
    (LineId::EksNodes, "768.32", 400),
    (LineId::Rds, "379.44", 300),
    (LineId::ElastiCache, "216.81", 150),
    (LineId::AwsVpn, "73.00", 36),
    (LineId::AwsNetwork, "123.01", 100),
    (LineId::GkeControl, "73.00", 73),
    (LineId::GkeNodes, "3044.14", 450),
    (LineId::CloudSql, "601.30", 200),
    (LineId::Memorystore, "768.69", 100),
    (LineId::GcpVpn, "219.00", 36),
    (LineId::GcpNetwork, "27.01", 100),
    (LineId::Cloudflare, "40.00", 50),
    (LineId::Transfer, "200.00", 200),
];

#[test]
fn every_line_is_right_to_the_cent() {
    let breakdown = guide(SETTLED);
    for (id, expected, guide) in TABLE {
        assert_eq!(monthly(&breakdown, id), usd(expected), "{id:?}");
        assert_eq!(id.info().guide_usd, Some(guide), "{id:?}");
    }
    assert_eq!(breakdown.total, usd("6606.72"));
    assert_eq!(TABLE.iter().map(|row| row.2).sum::<u32>(), 2268);
    assert!(breakdown.reasons.is_empty(), "{:?}", breakdown.reasons);
    assert!(!breakdown.incomplete);
    let memorystore = breakdown
        .lines
        .iter()
        .find(|line| line.id == LineId::Memorystore)
        .unwrap();
    assert_eq!(memorystore.band, (usd("512.46"), usd("972.36")));
}

#[test]
fn without_assumptions_the_true_figure_and_both_reasons() {
    let breakdown = guide("");
    assert_eq!(monthly(&breakdown, LineId::EksControl), usd("438.00"));
    assert_eq!(monthly(&breakdown, LineId::GkeNodes), usd("9132.42"));
    assert_eq!(breakdown.total, usd("13070.22"));
    let reasons: Vec<_> = breakdown
        .reasons
        .iter()
        .map(|reason| (reason.line, reason.text.as_str()))
        .collect();
    assert_eq!(reasons.len(), 2);
    assert!(reasons[0].0 == LineId::EksControl && reasons[0].1.contains("0.60 instead of 0.10"));
    assert!(reasons[1].0 == LineId::GkeNodes && reasons[1].1.contains("5 x 3 zones = 15 nodes"));
}

#[test]
fn every_line_is_explained_with_price_source_and_date() {
    let breakdown = guide(SETTLED);
    for line in &breakdown.lines {
        let text = render::explain(line, &breakdown);
        assert!(text.contains(line.id.info().formula), "{text}");
        for component in line
            .resources
            .iter()
            .flat_map(|resource| &resource.components)
        {
            let price = component.price.as_ref().unwrap();
            for part in [
                price.sku.clone(),
                price.source.clone(),
                price.date.to_string(),
                component.reckoning.clone(),
            ] {
                assert!(text.contains(&part), "`{part}` is not in {text}");
            }
        }
    }
    let error = cost::find_line(&breakdown, "gke-node")
        .unwrap_err()
        .to_string();
    assert!(error.contains("gke-nodes"), "{error}");
}

#[test]
fn no_resource_is_dropped() {
    let breakdown = guide(SETTLED);
    let all: Vec<_> = breakdown
        .lines
        .iter()
        .flat_map(|line| &line.resources)
        .collect();
    let count = |status| all.iter().filter(|priced| priced.status == status).count();
    let landed = [
        count(Status::Priced),
        count(Status::Free),
        count(Status::UsageBased),
        count(Status::Unknown),
    ];
    assert_eq!(landed.iter().sum::<usize>(), all.len());
    assert_eq!(landed, [25, 5, 1, 1]);
}

#[test]
fn a_part_without_a_price_says_so() {
    let breakdown = cost::breakdown(&read(&fixture("corrected"), ""), &Sources::default());
    assert!(breakdown.incomplete);
    let text = render::table(&breakdown, &[], &Frame::default());
    assert!(text.contains("AT LEAST"), "{text}");
    assert!(
        breakdown.lines.iter().any(|line| line.id == LineId::Other),
        "the witness is listed"
    );
}

#[test]
fn four_months_stand_side_by_side_with_what_the_survivor_carries() {
    let months = scenarios(&read(&fixture("guide"), SETTLED), &Sources::default());
    let totals: Vec<_> = months
        .iter()
        .map(|month| (month.name, month.total.to_string()))
        .collect();
    let expected = [
        ("normal 50:50", "6606.72"),
        ("AWS lost", "9655.97"),
        ("GCP lost", "7375.04"),
        ("drill day", "6706.97"),
    ];
    assert_eq!(
        totals,
        expected.map(|(name, total)| (name, total.to_owned()))
    );
    assert!(
        months[2]
            .capacity
            .contains("aws 16 vCPU, 160 GiB (10 nodes); 44 vCPU needed"),
        "{}",
        months[2].capacity
    );

    let months = scenarios(
        &read(
            &fixture("guide"),
            &format!("{SETTLED},lost_cloud_billed=no"),
        ),
        &Sources::default(),
    );
    assert_eq!(
        months[2].total,
        usd("2641.90"),
        "GCP bills nothing, EKS has 10 nodes"
    );
}

#[test]
fn savings_are_ranked_and_the_goal_has_a_veto() {
    let found = savings(&read(&fixture("guide"), SETTLED), &Sources::default());
    let saving = |name: &str| {
        found
            .iter()
            .find(|saving| saving.name.starts_with(name))
            .unwrap_or_else(|| panic!("no {name}"))
    };
    let rows = [
        ("GKE nodes n2-standard-4", "2185.60", "4421.12"),
        ("GKE nodes e2-standard-4", "2286.59", "4320.13"),
        ("GCE commitment, 1 year", "619.78", "5986.94"),
        ("GCE commitment, 3 years", "1275.20", "5331.52"),
        ("EKS nodes t4g.xlarge", "151.84", "6454.88"),
        ("Valkey", "43.36", "6563.36"),
    ];
    for (name, saves, total) in rows {
        assert_eq!(
            (saving(name).saves, saving(name).total),
            (usd(saves), usd(total)),
            "{name}"
        );
        assert!(saving(name).vetoes.is_empty(), "{name}");
    }
    assert!(
        saving("GKE nodes n2-standard-4")
            .remark
            .contains("gcp 80 -> 20")
    );
    for (name, rule) in [
        ("RDS in one zone", "database-multi-az"),
        ("Cloud SQL in one zone", "database-multi-az"),
        ("one NAT", "nat-per-zone"),
        ("one ElastiCache node", "cache-failover"),
    ] {
        assert_eq!(saving(name).vetoes, [rule], "{name}");
    }
    let open: Vec<_> = found
        .iter()
        .take_while(|saving| saving.vetoes.is_empty())
        .map(|saving| saving.saves)
        .collect();
    assert!(open.is_sorted_by(|a, b| a >= b) && open.len() < found.len());

    let found = savings(&read(&fixture("corrected"), ""), &Sources::default());
    let vetoes = |name: &str| {
        found
            .iter()
            .find(|saving| saving.name == name)
            .unwrap()
            .vetoes
            .clone()
    };
    assert!(vetoes("halve the GKE nodes").contains(&"capacity-cpu"));
    assert!(vetoes("no witness").contains(&"witness-missing"));
}

#[test]
fn usage_replaces_assumptions() {
    let usage = "version: 0.1
resource_type_default_usage:
  aws_nat_gateway: {monthly_data_processed_gb: 100}
  aws_lb: {new_connections: 100}
  aws_db_instance: {additional_backup_storage_gb: 50}
  google_compute_router_nat: {monthly_data_processed_gb: 10, assigned_vms: 40}
resource_usage:
  aws_data_transfer.internet: {monthly_outbound_internet_gb: 11240}
  google_container_node_pool.this: {nodes: 2}
";
    let sources = Sources {
        usage: Usage::parse(usage).unwrap(),
        ..Sources::default()
    };
    let breakdown = cost::breakdown(&read(&fixture("guide"), "eks_support=standard"), &sources);
    // 123.005 + 2 x 100 x 0.059 + 3 further LCU x 0.008 x 730.
    assert_eq!(monthly(&breakdown, LineId::AwsNetwork), usd("152.33"));
    assert_eq!(monthly(&breakdown, LineId::Rds), usd("384.19"));
    // Capped at 32 VMs: 0.0448 x 730 + 10 x 0.045 + 3.65 + 18.25.
    assert_eq!(monthly(&breakdown, LineId::GcpNetwork), usd("55.05"));
    assert_eq!(monthly(&breakdown, LineId::Transfer), usd("1412.24"));
    // Two a zone in three zones: 6 x 582.828166624 + 6 x 26.
    assert_eq!(monthly(&breakdown, LineId::GkeNodes), usd("3652.97"));
}

#[test]
fn a_catalogue_of_one_s_own_replaces_the_embedded_one() {
    let text = "provider,region,sku,unit,usd,source,date,confidence\naws,ap-northeast-2,eks.cluster.standard,hour,0.2,my bill,2020-01-01,high\n";
    let sources = Sources {
        catalogue: Catalogue::parse(text).unwrap(),
        ..Sources::default()
    };
    let breakdown = cost::breakdown(&read(&fixture("guide"), SETTLED), &sources);
    assert_eq!(monthly(&breakdown, LineId::EksControl), usd("146.00"));
    assert!(breakdown.stale && breakdown.incomplete);
}

#[test]
fn two_configurations_differ_where_they_differ() {
    let copy = Copy::of("guide");
    copy.replace(
        "environments/gcp/dr/terraform.tfvars",
        "n2-standard-16",
        "n2-standard-4",
    );
    copy.replace(
        "environments/aws/dr/terraform.tfvars",
        "enable_elasticache                     = true",
        "enable_elasticache = false",
    );
    let (before, after) = (
        guide(SETTLED),
        cost::breakdown(&read(copy.root(), SETTLED), &Sources::default()),
    );
    let changes = changes(&before, &after);
    let seen: Vec<_> = changes
        .iter()
        .map(|change| (change.mark(), change.id, change.difference()))
        .collect();
    assert_eq!(
        seen,
        [
            ('-', LineId::ElastiCache, usd("-216.81")),
            ('~', LineId::GkeNodes, usd("-2185.60"))
        ]
    );
    let text = render::changes(&changes, &before, &after);
    assert!(text.contains("6,606.72 ->   4,204.31  -2,402.41"), "{text}");
}

#[test]
fn every_format_carries_the_total() {
    let estate = read(&fixture("guide"), SETTLED);
    let (breakdown, months) = (guide(SETTLED), scenarios(&estate, &Sources::default()));
    let frame = Frame {
        krw: Some((usd("1300"), "2026-11-01".to_owned())),
        vat_percent: Some(10),
        today: "2026-11-22".to_owned(),
        catalogue: "embedded".to_owned(),
    };
    let table = render::table(&breakdown, &months, &frame);
    for words in [
        "6,606.72",
        "8,588,736 KRW at 1300",
        "VAT 10 %: 660.67",
        "STALE",
    ] {
        assert!(table.contains(words), "`{words}` is not in {table}");
    }
    assert!(
        render::markdown(&breakdown, &months, &frame)
            .contains("| **Total** | **6,606.72** | **2268** | |")
    );
    let html = render::html(&breakdown, &months, &frame);
    assert!(html.contains("<strong>6,606.72</strong>") && html.ends_with("</html>\n"));
    let csv = render::csv(&breakdown);
    let rows: Vec<_> = csv::Reader::from_reader(csv.as_bytes())
        .into_records()
        .collect::<Result<_, _>>()
        .unwrap();
    let sum: Decimal = rows
        .iter()
        .filter_map(|row| row[7].parse::<Decimal>().ok())
        .sum();
    assert!((sum - usd("6606.72")).abs() < usd("0.1"), "{sum}");
}

#[test]
fn the_json_has_infracost_s_fields() {
    let estate = read(&fixture("guide"), SETTLED);
    let json = render::json(
        &guide(SETTLED),
        &scenarios(&estate, &Sources::default()),
        &Frame::default(),
    );
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["schema"], "tandem.cost.v1");
    assert_eq!(
        (json["currency"].as_str(), json["totalMonthlyCost"].as_str()),
        (Some("USD"), Some("6606.72"))
    );
    assert_eq!(json["summary"]["totalDetectedResources"], 32);
    let resource = &json["projects"][0]["breakdown"]["resources"][0];
    for key in [
        "name",
        "resourceType",
        "monthlyCost",
        "hourlyCost",
        "costComponents",
    ] {
        assert!(!resource[key].is_null(), "{key}");
    }
    for key in [
        "name",
        "unit",
        "monthlyQuantity",
        "price",
        "monthlyCost",
        "usageBased",
        "priceNotFound",
    ] {
        assert!(!resource["costComponents"][0][key].is_null(), "{key}");
    }
    assert_eq!(json["scenarios"].as_array().unwrap().len(), 4);
}

#[test]
fn line_names_are_unique() {
    let mut names: Vec<_> = LINES.iter().map(|line| line.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), LINES.len());
}

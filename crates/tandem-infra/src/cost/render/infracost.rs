//! JSON with Infracost's field names where they exist, so that its comment
//! tools accept it; ours stand beside them.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::Serialize;

use super::{Frame, landed};
use crate::cost::price::{Component, HOURS};
use crate::cost::scenario::Scenario;
use crate::cost::{Breakdown, Line, Priced, Status, cents};

/// The schema of `-o json`; a change of meaning gets a new number.
pub const SCHEMA: &str = "tandem.cost.v1";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Json {
    schema: &'static str,
    version: &'static str,
    currency: &'static str,
    projects: Vec<Project>,
    total_hourly_cost: String,
    total_monthly_cost: String,
    time_generated: String,
    summary: Summary,
    lines: Vec<LineJson>,
    reasons: Vec<ReasonJson>,
    scenarios: Vec<ScenarioJson>,
    band: Band,
    stale: bool,
    incomplete: bool,
    catalogue: String,
    krw: Option<Krw>,
}

#[derive(Serialize)]
struct Project {
    name: &'static str,
    metadata: BTreeMap<String, String>,
    breakdown: ProjectBreakdown,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProjectBreakdown {
    resources: Vec<Resource>,
    total_hourly_cost: String,
    total_monthly_cost: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Resource {
    name: String,
    resource_type: String,
    metadata: BTreeMap<String, String>,
    status: Status,
    hourly_cost: String,
    monthly_cost: String,
    cost_components: Vec<CostComponent>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CostComponent {
    name: String,
    unit: String,
    hourly_quantity: String,
    monthly_quantity: String,
    price: String,
    hourly_cost: String,
    monthly_cost: String,
    usage_based: bool,
    price_not_found: bool,
    sku: Option<String>,
    source: Option<String>,
    date: Option<String>,
    confidence: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    total_detected_resources: usize,
    total_supported_resources: usize,
    total_unsupported_resources: usize,
    total_usage_based_resources: usize,
    total_no_price_resources: usize,
    unsupported_resource_counts: BTreeMap<String, usize>,
    no_price_resource_counts: BTreeMap<String, usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LineJson {
    name: &'static str,
    title: &'static str,
    cloud: &'static str,
    monthly_cost: String,
    band: Band,
    guide_monthly_cost: Option<u32>,
    confidence: &'static str,
    oldest_price: Option<String>,
    stale: bool,
    incomplete: bool,
}

#[derive(Serialize)]
struct ReasonJson {
    line: &'static str,
    text: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ScenarioJson {
    name: &'static str,
    monthly_cost: String,
    means: String,
    capacity: String,
}

#[derive(Serialize)]
struct Band {
    low: String,
    high: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Krw {
    rate: String,
    date: String,
    total_monthly_cost: String,
}

/// The answer as JSON of [`SCHEMA`].
pub fn json(breakdown: &Breakdown, scenarios: &[Scenario], frame: &Frame) -> String {
    let json = Json {
        schema: SCHEMA,
        version: "0.2",
        currency: "USD",
        projects: ["AWS", "GCP", "Cloudflare", "Transfer", "Other"]
            .map(|cloud| project(breakdown, cloud))
            .into(),
        total_hourly_cost: hourly(breakdown.total),
        total_monthly_cost: cents(breakdown.total).to_string(),
        time_generated: format!("{}T00:00:00Z", frame.today),
        summary: summary(breakdown),
        lines: breakdown.lines.iter().map(line).collect(),
        reasons: breakdown
            .reasons
            .iter()
            .map(|reason| ReasonJson {
                line: reason.line.info().name,
                text: reason.text.clone(),
            })
            .collect(),
        scenarios: scenarios.iter().map(scenario).collect(),
        band: band(breakdown.band),
        stale: breakdown.stale,
        incomplete: breakdown.incomplete,
        catalogue: frame.catalogue.clone(),
        krw: frame.krw.as_ref().map(|(rate, date)| Krw {
            rate: rate.normalize().to_string(),
            date: date.clone(),
            total_monthly_cost: (breakdown.total * rate).round().to_string(),
        }),
    };
    serde_json::to_string_pretty(&json).expect("plain structures always serialize")
}

fn hourly(monthly: Decimal) -> String {
    (monthly / Decimal::from(HOURS))
        .round_dp(6)
        .normalize()
        .to_string()
}

fn exact(usd: Decimal) -> String {
    usd.round_dp(6).normalize().to_string()
}

fn band((low, high): (Decimal, Decimal)) -> Band {
    Band {
        low: low.to_string(),
        high: high.to_string(),
    }
}

fn project(breakdown: &Breakdown, cloud: &'static str) -> Project {
    let lines = || {
        breakdown
            .lines
            .iter()
            .filter(|line| line.id.info().cloud == cloud)
    };
    let total: Decimal = lines().map(|line| line.monthly).sum();
    let resources = lines()
        .flat_map(|line| line.resources.iter().map(|priced| resource(priced, line)))
        .collect();
    let breakdown = ProjectBreakdown {
        resources,
        total_hourly_cost: hourly(total),
        total_monthly_cost: cents(total).to_string(),
    };
    Project {
        name: cloud,
        metadata: BTreeMap::new(),
        breakdown,
    }
}

fn resource(priced: &Priced, line: &Line) -> Resource {
    let monthly: Decimal = priced.components.iter().map(Component::monthly).sum();
    Resource {
        name: priced.item.address.clone(),
        resource_type: priced.item.kind.clone(),
        metadata: BTreeMap::from([("line".to_owned(), line.id.info().name.to_owned())]),
        status: priced.status,
        hourly_cost: hourly(monthly),
        monthly_cost: exact(monthly),
        cost_components: priced.components.iter().map(component).collect(),
    }
}

fn component(component: &Component) -> CostComponent {
    let price = component.price.as_ref();
    CostComponent {
        name: component.name.clone(),
        unit: component.unit.clone(),
        hourly_quantity: hourly(component.quantity),
        monthly_quantity: exact(component.quantity),
        price: price.map_or_else(|| "0".to_owned(), |price| price.usd.normalize().to_string()),
        hourly_cost: hourly(component.monthly()),
        monthly_cost: exact(component.monthly()),
        usage_based: component.usage_based,
        price_not_found: price.is_none(),
        sku: price.map(|price| price.sku.clone()),
        source: price.map(|price| price.source.clone()),
        date: price.map(|price| price.date.to_string()),
        confidence: price.map(|price| price.confidence.word()),
    }
}

fn summary(breakdown: &Breakdown) -> Summary {
    let [priced, free, usage, unknown] = landed(breakdown);
    let counts = |status: Status| {
        let mut counts = BTreeMap::new();
        let all = breakdown.lines.iter().flat_map(|line| &line.resources);
        for priced in all.filter(|priced| priced.status == status) {
            *counts.entry(priced.item.kind.clone()).or_insert(0) += 1;
        }
        counts
    };
    Summary {
        total_detected_resources: priced + free + usage + unknown,
        total_supported_resources: priced + free + usage,
        total_unsupported_resources: unknown,
        total_usage_based_resources: usage,
        total_no_price_resources: free,
        unsupported_resource_counts: counts(Status::Unknown),
        no_price_resource_counts: counts(Status::Free),
    }
}

fn line(line: &Line) -> LineJson {
    let info = line.id.info();
    LineJson {
        name: info.name,
        title: info.title,
        cloud: info.cloud,
        monthly_cost: line.monthly.to_string(),
        band: band(line.band),
        guide_monthly_cost: info.guide_usd,
        confidence: line.confidence.word(),
        oldest_price: line.oldest.map(|date| date.to_string()),
        stale: line.stale,
        incomplete: line.incomplete,
    }
}

fn scenario(scenario: &Scenario) -> ScenarioJson {
    ScenarioJson {
        name: scenario.name,
        monthly_cost: cents(scenario.total).to_string(),
        means: scenario.means.clone(),
        capacity: scenario.capacity.clone(),
    }
}

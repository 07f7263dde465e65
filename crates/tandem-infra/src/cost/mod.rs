//! What the installation really costs.
//!
//! Intuition: estate to items, items to components, components to lines. Each
//! step is a pure function, so a scenario, a saving or a comparison is the same
//! three steps over a changed estate.
//! Invariant: money is exact; a line is rounded once, to the cent, after
//! multiplication, and totals are sums of rounded lines. Every item lands in
//! priced, free, usage-based or unknown.

pub mod catalog;
pub mod compare;
pub mod items;
pub mod price;
pub mod render;
pub mod savings;
pub mod scenario;
pub mod usage;

use jiff::civil::Date;
use rust_decimal::{Decimal, RoundingStrategy};
use serde::Serialize;

use crate::estate::Estate;
use crate::versions::Support;
use catalog::{Catalogue, Confidence};
use items::{Item, Load, Part, items};
use price::{Component, Pricer, eks_support};
use usage::Usage;

/// The lines of the answer, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LineId {
    /// EKS control plane.
    EksControl,
    /// EKS nodes.
    EksNodes,
    /// RDS.
    Rds,
    /// ElastiCache.
    ElastiCache,
    /// AWS side of the VPN.
    AwsVpn,
    /// AWS network.
    AwsNetwork,
    /// GKE control plane.
    GkeControl,
    /// GKE nodes.
    GkeNodes,
    /// Cloud SQL.
    CloudSql,
    /// Memorystore.
    Memorystore,
    /// GCP side of the VPN.
    GcpVpn,
    /// GCP network.
    GcpNetwork,
    /// Cloudflare.
    Cloudflare,
    /// Data transfer.
    Transfer,
    /// Everything else.
    Other,
}

/// What is known about a line beside its price.
#[derive(Debug)]
pub struct LineInfo {
    /// The line.
    pub id: LineId,
    /// The name for `explain`.
    pub name: &'static str,
    /// The title.
    pub title: &'static str,
    /// The cloud it is summed under.
    pub cloud: &'static str,
    /// What the guide says, in USD a month.
    pub guide_usd: Option<u32>,
    /// How it is computed.
    pub formula: &'static str,
}

const fn line(
    id: LineId,
    name: &'static str,
    title: &'static str,
    cloud: &'static str,
    guide_usd: Option<u32>,
    formula: &'static str,
) -> LineInfo {
    LineInfo {
        id,
        name,
        title,
        cloud,
        guide_usd,
        formula,
    }
}

/// Every line there is.
pub const LINES: [LineInfo; 15] = [
    line(
        LineId::EksControl,
        "eks",
        "EKS control plane",
        "AWS",
        Some(73),
        "clusters x hourly x 730; extended support costs 0.60 instead of 0.10 an hour",
    ),
    line(
        LineId::EksNodes,
        "eks-nodes",
        "EKS nodes",
        "AWS",
        Some(400),
        "nodes x hourly x 730 + nodes x root disk GB x gp3",
    ),
    line(
        LineId::Rds,
        "rds",
        "RDS",
        "AWS",
        Some(300),
        "hourly (Multi-AZ) x 730 + GB x storage + backup above the allocated size",
    ),
    line(
        LineId::ElastiCache,
        "elasticache",
        "ElastiCache",
        "AWS",
        Some(150),
        "nodes x hourly x 730",
    ),
    line(
        LineId::AwsVpn,
        "aws-vpn",
        "AWS VPN",
        "AWS",
        Some(36),
        "connections x hourly x 730",
    ),
    line(
        LineId::AwsNetwork,
        "aws-network",
        "AWS network",
        "AWS",
        Some(100),
        "(NAT gateways + ALB + LCU + public IPv4) x hourly x 730 + NAT GB",
    ),
    line(
        LineId::GkeControl,
        "gke",
        "GKE fee",
        "GCP",
        Some(73),
        "clusters x hourly x 730; the free credit covers one zonal cluster only",
    ),
    line(
        LineId::GkeNodes,
        "gke-nodes",
        "GKE nodes",
        "GCP",
        Some(450),
        "count x zones if regional x full month with sustained use + disk GiB",
    ),
    line(
        LineId::CloudSql,
        "cloud-sql",
        "Cloud SQL",
        "GCP",
        Some(200),
        "(vCPU + GiB) x 2 if REGIONAL x 730 + SSD GiB",
    ),
    line(
        LineId::Memorystore,
        "memorystore",
        "Memorystore",
        "GCP",
        Some(100),
        "GB x (1 + replicas) x node price x 730",
    ),
    line(
        LineId::GcpVpn,
        "gcp-vpn",
        "GCP VPN",
        "GCP",
        Some(36),
        "tunnels x hourly x 730",
    ),
    line(
        LineId::GcpNetwork,
        "gcp-network",
        "GCP network",
        "GCP",
        Some(100),
        "min(VMs x 0.0014, 0.0448) x 730 + addresses + forwarding rules, + GiB",
    ),
    line(
        LineId::Cloudflare,
        "cloudflare",
        "Cloudflare",
        "Cloudflare",
        Some(50),
        "load balancing + endpoints above 2 + steering add-on + zone plan",
    ),
    line(
        LineId::Transfer,
        "transfer",
        "Transfer",
        "Transfer",
        Some(200),
        "GB from the usage file x price, else assumption transfer_usd",
    ),
    line(
        LineId::Other,
        "other",
        "Other",
        "Other",
        None,
        "what is free, billed by usage, or has no price rule",
    ),
];

impl LineId {
    /// What is known about it.
    pub fn info(self) -> &'static LineInfo {
        LINES
            .iter()
            .find(|line| line.id == self)
            .expect("every line has a row")
    }
}

/// Where a resource landed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Every component has a price.
    Priced,
    /// It costs nothing by itself.
    Free,
    /// It costs by usage that nobody stated.
    UsageBased,
    /// There is no price for it.
    Unknown,
}

/// One resource with its components.
#[derive(Debug, Clone)]
pub struct Priced {
    /// What it is.
    pub item: Item,
    /// Where it landed.
    pub status: Status,
    /// What it consists of.
    pub components: Vec<Component>,
}

/// One line of the answer.
#[derive(Debug, Clone)]
pub struct Line {
    /// Which.
    pub id: LineId,
    /// Its resources.
    pub resources: Vec<Priced>,
    /// USD a month, to the cent.
    pub monthly: Decimal,
    /// The least and the most that sources support, to the cent.
    pub band: (Decimal, Decimal),
    /// The least sure component.
    pub confidence: Confidence,
    /// Whether a component has no price, so that the line costs more than it says.
    pub incomplete: bool,
    /// The oldest price.
    pub oldest: Option<Date>,
    /// Whether the oldest price is too old.
    pub stale: bool,
}

/// Why a figure is not the one that people expect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The line.
    pub line: LineId,
    /// Why.
    pub text: String,
}

/// The whole answer.
#[derive(Debug, Clone)]
pub struct Breakdown {
    /// Lines with at least one resource.
    pub lines: Vec<Line>,
    /// What changes the figure, and how to settle it.
    pub reasons: Vec<Reason>,
    /// USD a month.
    pub total: Decimal,
    /// The least and the most that sources support.
    pub band: (Decimal, Decimal),
    /// Whether any line is stale.
    pub stale: bool,
    /// Whether a component of any line has no price.
    pub incomplete: bool,
}

/// What prices are taken from.
#[derive(Debug)]
pub struct Sources {
    /// Prices.
    pub catalogue: Catalogue,
    /// Usage.
    pub usage: Usage,
    /// A price older than so many days is stale.
    pub stale_days: u32,
}

impl Default for Sources {
    fn default() -> Self {
        Self {
            catalogue: Catalogue::embedded(),
            usage: Usage::default(),
            stale_days: STALE_DAYS,
        }
    }
}

/// Prices of node-based services change about once a year.
pub const STALE_DAYS: u32 = 365;

/// To the cent, halves away from zero, as bills do.
pub fn cents(usd: Decimal) -> Decimal {
    let mut rounded = usd.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero);
    rounded.rescale(2);
    rounded
}

/// Prices the estate as configured.
pub fn breakdown(estate: &Estate, sources: &Sources) -> Breakdown {
    loaded(estate, sources, Load::default())
}

/// Prices the estate with other node counts.
pub fn loaded(estate: &Estate, sources: &Sources, load: Load) -> Breakdown {
    let pricer = Pricer {
        catalogue: &sources.catalogue,
        usage: &sources.usage,
        estate,
    };
    let items = items(estate, load);
    let priced: Vec<Priced> = items
        .into_iter()
        .map(|item| priced(&pricer, item))
        .collect();
    let of_line = |info: &LineInfo| {
        priced
            .iter()
            .filter(|priced| priced.item.line == info.id)
            .cloned()
            .collect::<Vec<_>>()
    };
    let lines: Vec<Line> = LINES
        .iter()
        .map(|info| (info, of_line(info)))
        .filter(|(_, resources)| !resources.is_empty())
        .map(|(info, resources)| total_line(info.id, resources, estate.today, sources.stale_days))
        .collect();
    let reasons = reasons(estate, &priced, &sources.catalogue);
    Breakdown {
        total: lines.iter().map(|line| line.monthly).sum(),
        band: (
            lines.iter().map(|line| line.band.0).sum(),
            lines.iter().map(|line| line.band.1).sum(),
        ),
        stale: lines.iter().any(|line| line.stale),
        incomplete: lines.iter().any(|line| line.incomplete),
        lines,
        reasons,
    }
}

fn priced(pricer: &Pricer<'_>, item: Item) -> Priced {
    let components = pricer.components(&item);
    let status = match item.part {
        Part::Free => Status::Free,
        Part::UsageBased => Status::UsageBased,
        Part::Unknown => Status::Unknown,
        _ if components.is_empty() => Status::Free,
        _ if components.iter().any(|component| component.price.is_none()) => Status::Unknown,
        _ => Status::Priced,
    };
    Priced {
        item,
        status,
        components,
    }
}

fn total_line(id: LineId, resources: Vec<Priced>, today: Date, stale_days: u32) -> Line {
    let components = || resources.iter().flat_map(|resource| &resource.components);
    let prices = || components().filter_map(|component| component.price.as_ref());
    let oldest = prices().map(|price| price.date).min();
    Line {
        id,
        monthly: cents(components().map(Component::monthly).sum()),
        band: (
            cents(components().map(Component::low).sum()),
            cents(components().map(Component::high).sum()),
        ),
        confidence: prices()
            .map(|price| price.confidence)
            .min()
            .unwrap_or(Confidence::High),
        incomplete: components().any(|component| component.price.is_none()),
        oldest,
        stale: oldest.is_some_and(|date| age_days(date, today) > i64::from(stale_days)),
        resources,
    }
}

fn age_days(date: Date, today: Date) -> i64 {
    today
        .since(date)
        .map_or(0, |span| i64::from(span.get_days()))
}

fn reasons(estate: &Estate, priced: &[Priced], catalogue: &Catalogue) -> Vec<Reason> {
    let mut out = Vec::new();
    for priced in priced {
        match &priced.item.part {
            Part::EksCluster(version) => out.extend(eks_reason(estate, version)),
            Part::GkeNodes(kind, count, _, _) => {
                out.extend(gke_reason(estate, kind, *count, catalogue));
            }
            _ => {}
        }
    }
    out
}

fn eks_reason(estate: &Estate, version: &str) -> Option<Reason> {
    let text = match eks_support(estate, version) {
        (Support::Standard, _) => return None,
        (_, true) => format!(
            "EKS {version} is assumed to be in extended support: 0.60 instead of 0.10 USD an hour"
        ),
        (Support::Extended, false) => {
            format!(
                "EKS {version} is in extended support on {}: 0.60 instead of 0.10 USD an hour (+365.00); --assume eks_support=standard prices it as if it were not",
                estate.today
            )
        }
        (Support::Ended, false) => format!(
            "EKS {version} is past even extended support on {}: priced at its last price, 0.60 instead of 0.10 USD an hour (+365.00); it can no longer be chosen. --assume eks_support=standard prices a supported version",
            estate.today
        ),
    };
    Some(Reason {
        line: LineId::EksControl,
        text,
    })
}

fn gke_reason(estate: &Estate, kind: &str, count: u64, catalogue: &Catalogue) -> Option<Reason> {
    let stated = estate.gcp.has("node_locations")
        || estate.gcp.has("gke_location")
        || estate.gcp.planned.is_some();
    if stated || estate.assumed.word("gke_nodes") == "total" || estate.gke_factor() <= 1 {
        return None;
    }
    let zones = estate.gke_zones();
    let each = catalogue
        .find("gcp", &format!("gce.{kind}.full_month_with_sud"))
        .map_or(Decimal::ZERO, |price| price.usd);
    let extra = cents(each * Decimal::from(count - count / zones));
    let text = format!(
        "the cluster is regional (only `region` is given), so node_pool_initial_count is per zone: {} x {zones} zones = {count} nodes (+{extra} for the machines, disks and NAT on top). --assume gke_nodes=total reads the count as a total",
        count / zones
    );
    Some(Reason {
        line: LineId::GkeNodes,
        text,
    })
}

/// The line called `name` in an answer.
///
/// # Errors
/// If there is none, with the nearest name.
pub fn find_line<'a>(breakdown: &'a Breakdown, name: &str) -> Result<&'a Line, crate::Error> {
    breakdown
        .lines
        .iter()
        .find(|line| line.id.info().name == name)
        .ok_or_else(|| {
            let names: Vec<&str> = breakdown
                .lines
                .iter()
                .map(|line| line.id.info().name)
                .collect();
            let hint = format!("the lines are {}", names.join(", "));
            crate::Error::Unknown {
                asked: name.to_owned(),
                hint,
            }
        })
}

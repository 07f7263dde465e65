//! From a part to its cost components: one price rule a part.
//!
//! A month has 730 hours. Nothing is rounded here; a line rounds once, after
//! multiplication.

use rust_decimal::Decimal;

use super::catalog::{Catalogue, Price};
use super::items::{Item, Part};
use super::usage::Usage;
use crate::estate::Estate;
use crate::machine;
use crate::versions::{self, Support};

/// Hours of a month, as both providers bill.
pub const HOURS: u64 = 730;

/// One component of a resource's cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// What it is.
    pub name: String,
    /// The unit of the quantity.
    pub unit: String,
    /// How many units a month.
    pub quantity: Decimal,
    /// Where the quantity comes from (`5 nodes x 730 h`).
    pub reckoning: String,
    /// The price, if the catalogue has one.
    pub price: Option<Price>,
    /// Whether the quantity is usage.
    pub usage_based: bool,
}

impl Component {
    /// USD a month, not rounded; zero without a price.
    pub fn monthly(&self) -> Decimal {
        self.price
            .as_ref()
            .map_or(Decimal::ZERO, |price| price.usd * self.quantity)
    }

    /// The least that sources support.
    pub fn low(&self) -> Decimal {
        self.price.as_ref().map_or(Decimal::ZERO, |price| {
            price.low.unwrap_or(price.usd) * self.quantity
        })
    }

    /// The most that sources support.
    pub fn high(&self) -> Decimal {
        self.price.as_ref().map_or(Decimal::ZERO, |price| {
            price.high.unwrap_or(price.usd) * self.quantity
        })
    }
}

/// Prices parts from one catalogue.
pub struct Pricer<'a> {
    /// Prices.
    pub catalogue: &'a Catalogue,
    /// Usage.
    pub usage: &'a Usage,
    /// The installation, for assumptions and the day.
    pub estate: &'a Estate,
}

/// Which price of an EKS control plane applies, and why.
pub(super) fn eks_support(estate: &Estate, version: &str) -> (Support, bool) {
    match estate.assumed.word("eks_support") {
        "standard" => (Support::Standard, true),
        "extended" => (Support::Extended, true),
        _ => (
            versions::find("eks", version)
                .map_or(Support::Standard, |row| row.support(estate.today)),
            false,
        ),
    }
}

impl Pricer<'_> {
    /// The components of one item.
    pub fn components(&self, item: &Item) -> Vec<Component> {
        match &item.part {
            Part::EksCluster(version) => vec![self.eks_cluster(version)],
            Part::EksNodes(kind, count, disk) => self.eks_nodes(item, kind, *count, *disk),
            Part::Rds(class, multi_az, storage) => self.rds(item, class, *multi_az, *storage),
            Part::NatGateway => self.nat(item),
            Part::Alb(zones) => self.alb(item, *zones),
            Part::GkeNodes(kind, count, disk, disk_type) => {
                self.gke_nodes(item, kind, *count, *disk, disk_type)
            }
            Part::CloudSql(tier, regional, disk) => self.cloud_sql(item, tier, *regional, *disk),
            Part::Memorystore(tier, size, replicas) => {
                vec![self.memorystore(tier, *size, *replicas)]
            }
            Part::CloudNat(vms) => self.cloud_nat(item, *vms),
            Part::LoadBalancer(endpoints, policy, interval) => {
                self.load_balancer(item, *endpoints, policy, *interval)
            }
            Part::ZonePlan(plan) => self.zone_plan(plan),
            Part::Transfer => self.transfer(),
            simple => self.simple(simple).into_iter().collect(),
        }
    }

    /// Parts with one price and one count.
    fn simple(&self, part: &Part) -> Option<Component> {
        Some(match part {
            Part::ElastiCache(node, nodes, engine) => self.hourly(
                "cache nodes",
                "aws",
                &format!("elasticache.{engine}.{node}"),
                *nodes,
                "nodes",
            ),
            Part::VpnConnection => self.hourly(
                "VPN connection",
                "aws",
                "vpn.site_to_site.connection",
                1,
                "connection",
            ),
            Part::PublicIpv4 => self.hourly("public IPv4", "aws", "vpc.public_ipv4", 1, "address"),
            Part::Secret => self.monthly("secret", "aws", "secretsmanager.secret", 1, "secret"),
            Part::GkeCluster => self.hourly(
                "control plane",
                "gcp",
                "gke.cluster.management_fee",
                1,
                "cluster",
            ),
            Part::VpnTunnel => self.hourly("VPN tunnel", "gcp", "network.vpn_tunnel", 1, "tunnel"),
            Part::StaticIp => self.hourly(
                "static address",
                "gcp",
                "network.static_ip.vm_in_use",
                1,
                "address",
            ),
            Part::ForwardingRule => self.hourly(
                "forwarding rule",
                "gcp",
                "network.lb.forwarding_rules_first_5",
                1,
                "rule",
            ),
            _ => return None,
        })
    }

    fn component(
        &self,
        name: &str,
        provider: &str,
        sku: &str,
        quantity: Decimal,
        unit: &str,
        reckoning: String,
    ) -> Component {
        let price = self.catalogue.find(provider, sku).cloned();
        let unit = price.as_ref().map_or(unit, |price| &price.unit).to_owned();
        let name = if price.is_some() {
            name.to_owned()
        } else {
            format!("{name} (no price for {sku})")
        };
        Component {
            name,
            unit,
            quantity,
            reckoning,
            price,
            usage_based: false,
        }
    }

    /// `count` things for every hour of the month.
    fn hourly(&self, name: &str, provider: &str, sku: &str, count: u64, things: &str) -> Component {
        let quantity = Decimal::from(count) * Decimal::from(HOURS);
        self.component(
            name,
            provider,
            sku,
            quantity,
            "hour",
            format!("{count} {things} x {HOURS} h"),
        )
    }

    /// `count` things for the month.
    fn monthly(
        &self,
        name: &str,
        provider: &str,
        sku: &str,
        count: u64,
        things: &str,
    ) -> Component {
        self.component(
            name,
            provider,
            sku,
            Decimal::from(count),
            "month",
            format!("{count} {things}"),
        )
    }

    /// Usage that somebody stated; `None` if nobody did.
    fn used(
        &self,
        item: &Item,
        key: &str,
        name: &str,
        provider: &str,
        sku: &str,
    ) -> Option<Component> {
        let quantity = self.usage.value(&item.kind, &item.address, key)?;
        let component = self.component(
            name,
            provider,
            sku,
            quantity,
            "GB",
            format!("usage {key} = {quantity}"),
        );
        Some(Component {
            usage_based: true,
            ..component
        })
    }

    fn eks_cluster(&self, version: &str) -> Component {
        let (sku, name) = match eks_support(self.estate, version).0 {
            Support::Standard => ("eks.cluster.standard", "control plane, standard support"),
            Support::Extended | Support::Ended => (
                "eks.cluster.extended_support_total",
                "control plane, extended support",
            ),
        };
        self.hourly(name, "aws", sku, 1, "cluster")
    }

    fn eks_nodes(&self, item: &Item, kind: &str, count: u64, disk: u64) -> Vec<Component> {
        let stated = self.usage.value(&item.kind, &item.address, "instances");
        let count = stated
            .and_then(|count| count.trunc().try_into().ok())
            .unwrap_or(count);
        let disks = Decimal::from(count) * Decimal::from(disk);
        vec![
            self.hourly(
                kind,
                "aws",
                &format!("ec2.{kind}.linux.on_demand"),
                count,
                "nodes",
            ),
            self.component(
                "root disks (gp3)",
                "aws",
                "ebs.gp3.storage",
                disks,
                "GB-month",
                format!("{count} x {disk} GB"),
            ),
        ]
    }

    fn rds(&self, item: &Item, class: &str, multi_az: bool, storage: u64) -> Vec<Component> {
        let kind = if multi_az { "multi_az" } else { "single_az" };
        let mut out = vec![
            self.hourly(
                class,
                "aws",
                &format!("rds.postgres.{class}.{kind}"),
                1,
                "instance",
            ),
            self.component(
                "storage (gp3)",
                "aws",
                &format!("rds.postgres.gp3_storage.{kind}"),
                Decimal::from(storage),
                "GB-month",
                format!("{storage} GB"),
            ),
        ];
        out.extend(self.used(
            item,
            "additional_backup_storage_gb",
            "backup above the free amount",
            "aws",
            "rds.backup_over_free",
        ));
        out
    }

    fn nat(&self, item: &Item) -> Vec<Component> {
        let mut out = vec![self.hourly("NAT gateway", "aws", "vpc.nat_gateway", 1, "gateway")];
        out.extend(self.used(
            item,
            "monthly_data_processed_gb",
            "NAT data",
            "aws",
            "vpc.nat_gateway.data",
        ));
        out
    }

    fn alb(&self, item: &Item, zones: u64) -> Vec<Component> {
        let (units, reckoning) = self.lcu(item);
        let lcu = units * Decimal::from(HOURS);
        vec![
            self.hourly("load balancer", "aws", "elb.alb", 1, "balancer"),
            self.component(
                "capacity units (LCU)",
                "aws",
                "elb.alb.lcu",
                lcu,
                "LCU-hour",
                format!("{reckoning} x {HOURS} h"),
            ),
            self.hourly("public IPv4", "aws", "vpc.public_ipv4", zones, "addresses"),
        ]
    }

    /// LCU: the largest of new connections / 25, active / 3,000, GB an hour, rules / 1,000.
    fn lcu(&self, item: &Item) -> (Decimal, String) {
        let value = |key: &str| self.usage.value(&item.kind, &item.address, key);
        let dimensions = [
            value("new_connections").map(|n| n / Decimal::from(25)),
            value("active_connections").map(|n| n / Decimal::from(3_000)),
            value("processed_bytes_gb").map(|n| n / Decimal::from(HOURS)),
            value("rule_evaluations").map(|n| n / Decimal::from(1_000)),
        ];
        match dimensions.into_iter().flatten().max() {
            Some(units) => (units, format!("{} LCU from usage", units.round_dp(4))),
            None => (Decimal::ONE, "1 LCU assumed".to_owned()),
        }
    }

    fn gke_nodes(
        &self,
        item: &Item,
        kind: &str,
        count: u64,
        disk: u64,
        disk_type: &str,
    ) -> Vec<Component> {
        let stated = self.usage.value(&item.kind, &item.address, "nodes");
        let per_zone = stated.and_then(|nodes| u64::try_from(nodes.trunc()).ok());
        let count = per_zone.map_or(count, |nodes| {
            nodes
                .saturating_mul(self.estate.gke_factor())
                .min(crate::estate::COUNT_MAX)
        });
        let disks = Decimal::from(count) * Decimal::from(disk);
        let sku = format!("pd.{}", disk_type.trim_start_matches("pd-"));
        let name = format!("disks ({disk_type})");
        vec![
            self.gce(kind, count),
            self.component(
                &name,
                "gcp",
                &sku,
                disks,
                "GiB-month",
                format!("{count} x {disk} GiB"),
            ),
        ]
    }

    /// A full month of GCE: committed, with the automatic sustained-use discount, or by the hour.
    fn gce(&self, kind: &str, count: u64) -> Component {
        let commitment = self.estate.gcp.text("gce_commitment").unwrap_or_default();
        let committed = matches!(commitment.as_str(), "1y" | "3y")
            .then(|| format!("gce.{kind}.cud_{commitment}"));
        let monthly = [committed, Some(format!("gce.{kind}.full_month_with_sud"))];
        for sku in monthly.into_iter().flatten() {
            if self.catalogue.find("gcp", &sku).is_some() {
                return self.monthly(kind, "gcp", &sku, count, "nodes, full month");
            }
        }
        self.hourly(
            kind,
            "gcp",
            &format!("gce.{kind}.on_demand"),
            count,
            "nodes",
        )
    }

    fn cloud_sql(&self, item: &Item, tier: &str, regional: bool, disk: u64) -> Vec<Component> {
        let disks = Decimal::from(disk);
        let mut out = Vec::new();
        let sku = format!("cloudsql.postgres.{tier}.regional");
        if regional && self.catalogue.find("gcp", &sku).is_some() {
            out.push(self.hourly(tier, "gcp", &sku, 1, "instance"));
        } else {
            out.extend(self.cloud_sql_split(tier, regional));
        }
        let storage = if regional {
            "cloudsql.ssd.regional"
        } else {
            "pd.ssd"
        };
        out.push(self.component(
            "storage (SSD)",
            "gcp",
            storage,
            disks,
            "GiB-month",
            format!("{disk} GiB"),
        ));
        out.extend(self.used(
            item,
            "backup_storage_gb",
            "backups",
            "gcp",
            "cloudsql.backup",
        ));
        out
    }

    /// By vCPU and GiB, twice for a standby.
    fn cloud_sql_split(&self, tier: &str, regional: bool) -> Vec<Component> {
        let Some(size) = machine::cloud_sql(tier).filter(|_| tier.starts_with("db-custom-")) else {
            return vec![self.hourly(
                tier,
                "gcp",
                &format!("cloudsql.postgres.{tier}"),
                1,
                "instance",
            )];
        };
        let copies = if regional { 2 } else { 1 };
        let hours = Decimal::from(HOURS * copies);
        let memory = Decimal::from(size.memory_mib) / Decimal::from(1024);
        let cpu = format!("{} vCPU x {copies} x {HOURS} h", size.vcpu);
        let ram = format!("{} GiB x {copies} x {HOURS} h", memory.normalize());
        vec![
            self.component(
                "vCPU",
                "gcp",
                "cloudsql.postgres.vcpu.zonal",
                Decimal::from(size.vcpu) * hours,
                "vCPU-hour",
                cpu,
            ),
            self.component(
                "memory",
                "gcp",
                "cloudsql.postgres.ram.zonal",
                memory * hours,
                "GiB-hour",
                ram,
            ),
        ]
    }

    fn memorystore(&self, tier: &str, size: u64, replicas: u64) -> Component {
        let (sku, nodes) = match (tier, replicas) {
            ("STANDARD_HA", 0) => ("memorystore.redis.standard.m2", 1),
            ("STANDARD_HA", replicas) => {
                ("memorystore.redis.standard_node.m2", 1 + replicas.min(5))
            }
            _ => ("memorystore.redis.basic.m2", 1),
        };
        let quantity = Decimal::from(size) * Decimal::from(nodes) * Decimal::from(HOURS);
        let reckoning = if nodes == 1 {
            format!("{size} GB x {HOURS} h")
        } else {
            format!(
                "{size} GB x (1 primary + {} replicas) x {HOURS} h",
                nodes - 1
            )
        };
        self.component(
            &format!("Redis {tier}"),
            "gcp",
            sku,
            quantity,
            "GiB-hour",
            reckoning,
        )
    }

    fn cloud_nat(&self, item: &Item, vms: u64) -> Vec<Component> {
        let stated = self.usage.value(&item.kind, &item.address, "assigned_vms");
        let vms = stated
            .and_then(|count| count.trunc().try_into().ok())
            .unwrap_or(vms);
        // 0.0014 an hour and VM, capped at 32 VMs, where the gateway price is reached.
        let gateway = if vms >= 32 {
            self.hourly(
                "Cloud NAT, capped",
                "gcp",
                "network.cloud_nat.gateway_cap",
                1,
                "gateway",
            )
        } else {
            self.hourly("Cloud NAT", "gcp", "network.cloud_nat.per_vm", vms, "VMs")
        };
        let mut out = vec![gateway];
        out.extend(self.used(
            item,
            "monthly_data_processed_gb",
            "NAT data",
            "gcp",
            "network.cloud_nat.data",
        ));
        out
    }

    fn load_balancer(
        &self,
        item: &Item,
        endpoints: u64,
        policy: &str,
        interval: u64,
    ) -> Vec<Component> {
        let month = |name: &str, sku: &str, count: u64| {
            self.monthly(
                name,
                "cloudflare",
                &format!("load_balancing.{sku}"),
                count,
                "a month",
            )
        };
        let mut out = vec![month("load balancing, 2 endpoints", "base_2_endpoints", 1)];
        if endpoints > 2 {
            out.push(month("further endpoints", "extra_endpoint", endpoints - 2));
        }
        if !matches!(policy, "random" | "off" | "") {
            out.push(month(
                &format!("steering add-on ({policy})"),
                "geo_or_latency_steering",
                1,
            ));
        }
        if interval < 60 && matches!(self.estate.assumed.word("cloudflare_plan"), "free" | "pro") {
            out.push(month("15 s checks add-on", "health_check_15s", 1));
        }
        out.extend(self.used(
            item,
            "monthly_dns_queries_500k",
            "DNS queries above 500,000",
            "cloudflare",
            "load_balancing.dns_queries_over_500k",
        ));
        out
    }

    fn zone_plan(&self, plan: &str) -> Vec<Component> {
        match plan {
            "free" => Vec::new(),
            _ => vec![self.monthly(
                &format!("zone plan {plan}"),
                "cloudflare",
                &format!("zone.{plan}"),
                1,
                "zone",
            )],
        }
    }

    /// Stated GB at both clouds, else the assumption in USD.
    fn transfer(&self) -> Vec<Component> {
        let aws = self
            .usage
            .of_type("aws_data_transfer", "monthly_outbound_internet_gb");
        let gcp = self.usage.of_type(
            "google_compute_external_vpn_gateway",
            "monthly_egress_data_transfer_gb.asia",
        );
        let mut out = Vec::new();
        if let Some(gb) = aws {
            let first = gb.min(Decimal::from(10_240));
            let rest = (gb - first).max(Decimal::ZERO);
            out.push(self.component(
                "AWS to the internet, first 10 TB",
                "aws",
                "data.out.internet.first_10tb",
                first,
                "GB",
                format!("usage {gb} GB"),
            ));
            if !rest.is_zero() {
                out.push(self.component(
                    "AWS to the internet, next 40 TB",
                    "aws",
                    "data.out.internet.next_40tb",
                    rest,
                    "GB",
                    format!("usage {gb} GB"),
                ));
            }
        }
        if let Some(gb) = gcp {
            out.push(self.component(
                "GCP to AWS",
                "gcp",
                "data.out.internet.infracost_first_10tib",
                gb,
                "GiB",
                format!("usage {gb} GB"),
            ));
        }
        for component in &mut out {
            component.usage_based = true;
        }
        if out.is_empty() {
            vec![self.assumed_transfer()]
        } else {
            out
        }
    }

    fn assumed_transfer(&self) -> Component {
        let usd = self.estate.assumed.decimal("transfer_usd");
        let price = Price {
            provider: "assumption".to_owned(),
            region: "global".to_owned(),
            sku: "transfer_usd".to_owned(),
            unit: "USD".to_owned(),
            usd: Decimal::ONE,
            source: "assumption transfer_usd (the guide's figure: about 1.2 to 1.6 TB); a usage file replaces it".to_owned(),
            date: self.estate.today,
            confidence: super::catalog::Confidence::Low,
            low: None,
            high: None,
        };
        let reckoning = format!("assumed {usd} USD");
        Component {
            name: "data transfer".to_owned(),
            unit: "USD".to_owned(),
            quantity: usd,
            reckoning,
            price: Some(price),
            usage_based: true,
        }
    }
}

//! Cloudflare Load Balancing v4: monitor, pool, origin, load balancer.
//!
//! Names, units and defaults are those of Cloudflare's JSON, so that the same
//! text describes an object here and there. Only fields that are *enforced* are
//! read: a field that is accepted and ignored would be a promise not kept.
//! The rules between objects stand in [`super::rules`].

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

/// How the origins of a pool are probed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Monitor {
    /// The name pools refer to.
    pub id: String,
    /// The protocol of a probe.
    #[serde(rename = "type", default)]
    pub kind: MonitorKind,
    /// The method of a probe.
    #[serde(default)]
    pub method: MonitorMethod,
    /// The path of a probe.
    #[serde(default = "root_path")]
    pub path: String,
    /// The port of a probe; absent = the origin's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Seconds between probes.
    #[serde(default = "interval_default")]
    pub interval: u32,
    /// Seconds until a probe counts as failed.
    #[serde(default = "timeout_default")]
    pub timeout: u32,
    /// How often a probe that timed out is repeated at once.
    #[serde(default = "retries_default")]
    pub retries: u32,
    /// Good probes in a row before an origin that was down is up; 0 means 1.
    #[serde(default)]
    pub consecutive_up: u32,
    /// Bad probes in a row before an origin that was up is down; 0 means 1.
    #[serde(default)]
    pub consecutive_down: u32,
    /// Good status codes: `200`, `2xx`, or a list of such.
    pub expected_codes: ExpectedCodes,
    /// Text that must stand in the first 10 KB of the answer, in any case.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub expected_body: String,
    /// Headers of a probe.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub header: BTreeMap<String, Vec<String>>,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
}

impl Monitor {
    /// Every field that this model enforces.
    pub const FIELDS: &[&str] = &[
        "id",
        "type",
        "method",
        "path",
        "port",
        "interval",
        "timeout",
        "retries",
        "consecutive_up",
        "consecutive_down",
        "expected_codes",
        "expected_body",
        "header",
        "description",
    ];
}

/// Protocol of a probe.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MonitorKind {
    /// Plain HTTP.
    #[default]
    Http,
}

/// Method of a probe.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum MonitorMethod {
    /// The body is read and may be matched.
    #[default]
    Get,
    /// Status only.
    Head,
}

/// A set of status codes, written `200`, `2xx` or `200,204`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ExpectedCodes {
    text: String,
    ranges: Vec<(u16, u16)>,
}

/// Text that names no set of status codes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no status codes; write 200, 2xx or a list like 200,204")]
pub struct InvalidCodes(String);

impl ExpectedCodes {
    /// Whether `status` is in the set.
    pub fn contains(&self, status: u16) -> bool {
        self.ranges
            .iter()
            .any(|(first, last)| (*first..=*last).contains(&status))
    }
}

impl TryFrom<String> for ExpectedCodes {
    type Error = InvalidCodes;

    fn try_from(text: String) -> Result<Self, InvalidCodes> {
        let ranges: Option<Vec<_>> = text
            .split(',')
            .map(|part| code_range(part.trim()))
            .collect();
        match ranges {
            Some(ranges) => Ok(Self { text, ranges }),
            None => Err(InvalidCodes(text)),
        }
    }
}

impl From<ExpectedCodes> for String {
    fn from(codes: ExpectedCodes) -> Self {
        codes.text
    }
}

fn code_range(part: &str) -> Option<(u16, u16)> {
    if part.len() != 3 || !part.is_ascii() {
        return None;
    }
    let (class, rest) = part.split_at(1);
    let class: u16 = class.parse().ok().filter(|class| (1..=5).contains(class))?;
    if rest.eq_ignore_ascii_case("xx") {
        return Some((class * 100, class * 100 + 99));
    }
    let code: u16 = part.parse().ok()?;
    Some((code, code))
}

/// One cloud's origins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// The name load balancers refer to.
    pub id: String,
    /// For people.
    pub name: String,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Disabled: no traffic and no probes.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Fewer healthy origins than this: the pool is critical.
    #[serde(default = "one")]
    pub minimum_origins: usize,
    /// How its origins are probed; absent = health is ignored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitor: Option<String>,
    /// Who answers.
    pub origins: Vec<Origin>,
    /// Ours, not Cloudflare's: the value of `X-Cloud-Provider` in answers that
    /// the edge makes itself on behalf of this pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud: Option<String>,
}

impl Pool {
    /// Every field that this model enforces.
    pub const FIELDS: &[&str] = &[
        "id",
        "name",
        "description",
        "enabled",
        "minimum_origins",
        "monitor",
        "origins",
        "cloud",
    ];
}

/// One endpoint of a pool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// For people; unique in its pool.
    pub name: String,
    /// IP address.
    pub address: String,
    /// Disabled: no traffic and no probes.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Share within its pool, 0 to 1; 0 = no traffic but still probed.
    #[serde(default = "full_weight")]
    pub weight: f64,
    /// TCP port; 0 = the protocol's own (80).
    #[serde(default)]
    pub port: u16,
    /// `{"Host": ["..."]}` for probes of this origin.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub header: BTreeMap<String, Vec<String>>,
}

impl Origin {
    /// Every field that this model enforces.
    pub const FIELDS: &[&str] = &["name", "address", "enabled", "weight", "port", "header"];
}

/// Which pool gets which requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadBalancer {
    /// The host name it serves.
    pub name: String,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Pools in order of preference.
    pub default_pools: Vec<String>,
    /// The pool that gets the traffic when all others are critical.
    pub fallback_pool: String,
    /// How a pool is chosen.
    #[serde(default)]
    pub steering_policy: SteeringPolicy,
    /// Shares for `random`.
    #[serde(default)]
    pub random_steering: RandomSteering,
    /// Whether a failed request may be tried in another pool.
    #[serde(default)]
    pub adaptive_routing: AdaptiveRouting,
}

impl LoadBalancer {
    /// Every field that this model enforces.
    pub const FIELDS: &[&str] = &[
        "name",
        "description",
        "default_pools",
        "fallback_pool",
        "steering_policy",
        "random_steering",
        "adaptive_routing",
    ];
}

/// How a pool is chosen among the healthy ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SteeringPolicy {
    /// The first healthy pool of the list.
    #[default]
    #[serde(alias = "")]
    Off,
    /// By weight and chance.
    Random,
}

/// Shares of pools, 0 to 1. They need not add up to 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomSteering {
    /// The share of a pool without one of its own.
    #[serde(default = "full_weight")]
    pub default_weight: f64,
    /// Shares by pool.
    #[serde(default)]
    pub pool_weights: BTreeMap<String, f64>,
}

impl Default for RandomSteering {
    fn default() -> Self {
        Self {
            default_weight: full_weight(),
            pool_weights: BTreeMap::new(),
        }
    }
}

/// What may happen to a request beyond its first pool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdaptiveRouting {
    /// A failed request may be tried in another pool.
    #[serde(default)]
    pub failover_across_pools: bool,
}

fn root_path() -> String {
    "/".to_string()
}

fn interval_default() -> u32 {
    60
}

fn timeout_default() -> u32 {
    5
}

fn retries_default() -> u32 {
    2
}

fn yes() -> bool {
    true
}

fn one() -> usize {
    1
}

fn full_weight() -> f64 {
    1.0
}

#[cfg(test)]
pub(in crate::traffic) mod tests {
    use super::*;
    use serde_json::{Value, json};

    pub(in crate::traffic) fn objects() -> (Vec<Monitor>, Vec<Pool>, LoadBalancer) {
        let monitors = json!([{"id": "health", "expected_codes": "200", "path": "/health"}]);
        let pools = json!([
            {"id": "aws", "name": "aws", "monitor": "health", "cloud": "AWS",
             "origins": [{"name": "aws-1", "address": "127.0.0.1", "port": 8080}]},
            {"id": "gcp", "name": "gcp",
             "origins": [{"name": "gcp-1", "address": "::1", "weight": 0.5}]},
        ]);
        let balancer = json!({
            "name": "crm.example.com", "default_pools": ["aws", "gcp"], "fallback_pool": "aws",
            "steering_policy": "random",
            "random_steering": {"pool_weights": {"aws": 0.5, "gcp": 0.5}},
            "adaptive_routing": {"failover_across_pools": true},
        });
        let read = "legal";
        (
            serde_json::from_value(monitors).expect(read),
            serde_json::from_value(pools).expect(read),
            serde_json::from_value(balancer).expect(read),
        )
    }

    #[test]
    fn defaults_are_cloudflares() {
        let (monitors, pools, balancer) = objects();
        assert_eq!(balancer.fallback_pool, "aws");
        let monitor = &monitors[0];
        assert_eq!(
            (monitor.interval, monitor.timeout, monitor.retries),
            (60, 5, 2)
        );
        assert!(pools[0].enabled && pools[0].minimum_origins == 1);
        assert!(pools[1].origins[0].enabled);
    }

    #[test]
    fn field_lists_name_every_field_and_no_other() {
        let (monitors, pools, balancer) = objects();
        let mut monitor = monitors[0].clone();
        (monitor.port, monitor.expected_body) = (Some(1), "x".into());
        monitor.description = "x".into();
        monitor.header.insert("Host".into(), Vec::new());
        let mut pool = pools[0].clone();
        pool.description = "x".into();
        let mut origin = pool.origins[0].clone();
        origin.header.insert("Host".into(), Vec::new());
        let mut balancer = balancer;
        balancer.description = "x".into();
        let keys = |value: Value| -> Vec<String> {
            value
                .as_object()
                .expect("an object")
                .keys()
                .cloned()
                .collect()
        };
        let sorted = |fields: &[&str]| -> Vec<String> {
            let mut fields: Vec<String> = fields.iter().map(ToString::to_string).collect();
            fields.sort();
            fields
        };
        let value = |object| -> Value { object };
        for (object, fields) in [
            (value(json!(monitor)), Monitor::FIELDS),
            (value(json!(pool)), Pool::FIELDS),
            (value(json!(origin)), Origin::FIELDS),
            (value(json!(balancer)), LoadBalancer::FIELDS),
        ] {
            assert_eq!(keys(object), sorted(fields));
        }
    }

    #[test]
    fn fields_that_are_not_enforced_are_refused() {
        let affinity = json!({"name": "x", "default_pools": [], "fallback_pool": "x",
            "session_affinity": "cookie"});
        let refused = serde_json::from_value::<LoadBalancer>(affinity).expect_err("refused");
        assert!(
            refused
                .to_string()
                .contains("unknown field `session_affinity`"),
            "{refused}"
        );
        let tcp = json!({"id": "x", "type": "tcp", "expected_codes": "200"});
        assert!(serde_json::from_value::<Monitor>(tcp).is_err());
    }

    #[test]
    fn expected_codes_are_codes_classes_and_lists() {
        let codes = |text: &str| ExpectedCodes::try_from(text.to_string());
        for (text, good, bad) in [
            ("200", 200, 201),
            ("2xx", 299, 300),
            ("2XX", 200, 199),
            ("200, 3xx", 301, 204),
        ] {
            let set = codes(text).expect(text);
            assert!(set.contains(good) && !set.contains(bad), "{text}");
            assert_eq!(String::from(set), text);
        }
        for text in ["", "2x", "6xx", "2000", "200,", "ok!", "äx"] {
            assert!(codes(text).is_err(), "{text}");
        }
    }
}

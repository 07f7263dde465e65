//! `edge.json`: Cloudflare's objects, and what an edge of our own adds to them.
//!
//! All faults are told at once: unknown keys and wrong shapes object by object,
//! then the rules between the objects. A field that Cloudflare has and this edge
//! does not enforce is refused, never ignored.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tandem_core::config::{Fault, Faults};
use tandem_core::traffic::model::{LoadBalancer, Monitor, Origin, Pool};
use tandem_core::traffic::rules::check;

/// Everything an edge needs to know.
#[derive(Debug, Clone)]
pub struct EdgeConfig {
    /// Where clients connect.
    pub listen: SocketAddr,
    /// Where the admin API listens; loopback only.
    pub admin_listen: SocketAddr,
    /// Worker threads.
    pub threads: usize,
    /// Probe timing finer than Cloudflare's seconds.
    pub probes: Probes,
    /// Whether a refused connection takes an origin out at once.
    pub passive_ejection: bool,
    /// The header of a probe's answer that says `works` or `fails` of writes; requests that may
    /// write then prefer origins where they work. Absent: no difference is made.
    pub writes_header: Option<String>,
    /// Bounds of every wait for an origin.
    pub timeouts: Timeouts,
    /// How origins are probed.
    pub monitors: Vec<Monitor>,
    /// The clouds.
    pub pools: Vec<Pool>,
    /// Who gets which requests.
    pub load_balancer: LoadBalancer,
}

/// Probe timing that overrides the monitors' seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probes {
    /// Milliseconds between probes of one origin.
    pub interval_ms: Option<u64>,
    /// Milliseconds until a probe counts as failed.
    pub timeout_ms: Option<u64>,
}

impl Probes {
    /// Time between the beginnings of two probes.
    pub(crate) fn interval(&self, monitor: &Monitor) -> Duration {
        let seconds = Duration::from_secs(u64::from(monitor.interval));
        self.interval_ms.map_or(seconds, Duration::from_millis)
    }

    /// The deadline of one whole probe.
    pub(crate) fn timeout(&self, monitor: &Monitor) -> Duration {
        let seconds = Duration::from_secs(u64::from(monitor.timeout));
        self.timeout_ms.map_or(seconds, Duration::from_millis)
    }
}

/// Bounds of every wait for an origin, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// For a connection.
    pub connect_ms: u64,
    /// For the next byte of an answer, and for the origin to take the next byte
    /// of a request. Longer than an application parks a write.
    pub answer_ms: u64,
    /// The same for a request that may be tried elsewhere: a silent origin must
    /// not use up the client's patience.
    pub safe_answer_ms: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect_ms: 300,
            answer_ms: 15_000,
            safe_answer_ms: 1_000,
        }
    }
}

/// Fields of Cloudflare's objects that this edge does not enforce.
const CLOUDFLARE_ONLY: &[&str] = &[
    "allow_insecure",
    "check_regions",
    "country_pools",
    "disabled_at",
    "flatten_cname",
    "follow_redirects",
    "latitude",
    "load_shedding",
    "location_strategy",
    "longitude",
    "monitor_group",
    "networks",
    "notification_email",
    "notification_filter",
    "origin_steering",
    "pop_pools",
    "probe_zone",
    "proxied",
    "region_pools",
    "rules",
    "session_affinity",
    "session_affinity_attributes",
    "session_affinity_ttl",
    "ttl",
    "virtual_network_id",
];

const FIELDS: &[&str] = &[
    "listen",
    "admin_listen",
    "threads",
    "probes",
    "passive_ejection",
    "writes_header",
    "timeouts",
    "monitors",
    "pools",
    "load_balancer",
];

impl EdgeConfig {
    /// Reads the text of an `edge.json`.
    pub fn parse(text: &str) -> Result<Self, Faults> {
        let top: Map<String, Value> = serde_json::from_str(text).map_err(|error| {
            let fix = "write one JSON object".to_owned();
            Faults(vec![Fault {
                key: String::new(),
                problem: error.to_string(),
                fix,
            }])
        })?;
        let mut reader = Reader { faults: Vec::new() };
        let config = reader.config(top);
        match config {
            Some(config) if reader.faults.is_empty() => Ok(config),
            _ => Err(Faults(reader.faults)),
        }
    }
}

struct Reader {
    faults: Vec<Fault>,
}

impl Reader {
    /// Reads every part before giving up on any.
    fn config(&mut self, mut top: Map<String, Value>) -> Option<EdgeConfig> {
        self.known("", &mut top, FIELDS);
        let listen = self.required(&mut top, "listen");
        let admin_listen = self.required(&mut top, "admin_listen");
        let threads = self.optional(&mut top, "threads", 2);
        let probes = self.optional(&mut top, "probes", Probes::default());
        let passive_ejection = self.optional(&mut top, "passive_ejection", true);
        let writes_header = self.optional(&mut top, "writes_header", None);
        let timeouts = self.optional(&mut top, "timeouts", Timeouts::default());
        let monitors = self.list(&mut top, "monitors", Monitor::FIELDS);
        let pools = self.list(&mut top, "pools", Pool::FIELDS);
        let load_balancer = self.balancer(&mut top);
        let config = EdgeConfig {
            listen: listen?,
            admin_listen: admin_listen?,
            threads: threads?,
            probes: probes?,
            passive_ejection: passive_ejection?,
            writes_header: writes_header?,
            timeouts: timeouts?,
            monitors: monitors?,
            pools: pools?,
            load_balancer: load_balancer?,
        };
        self.faults.extend(check(
            &config.monitors,
            &config.pools,
            &config.load_balancer,
        ));
        self.rules(&config);
        Some(config)
    }

    fn balancer(&mut self, top: &mut Map<String, Value>) -> Option<LoadBalancer> {
        if let Some(Value::Object(balancer)) = top.get_mut("load_balancer") {
            self.known("load_balancer", balancer, LoadBalancer::FIELDS);
        }
        self.required(top, "load_balancer")
    }

    /// The rules that only an edge of our own has.
    fn rules(&mut self, config: &EdgeConfig) {
        let loopback = config.admin_listen.ip().is_loopback();
        let header = config.writes_header.as_deref().unwrap_or("x");
        self.unless(
            reqwest::header::HeaderName::from_bytes(header.as_bytes()).is_ok(),
            "writes_header",
            "no name of a header",
            "write a name like x-writes",
        );
        self.unless(
            loopback,
            "admin_listen",
            "not a loopback address",
            "write 127.0.0.1:port",
        );
        let threads = (1..=16).contains(&config.threads);
        self.unless(threads, "threads", "out of range", "write 1 to 16");
        let times = config.timeouts;
        let positive = times.connect_ms > 0 && times.safe_answer_ms > 0;
        let ordered = times.safe_answer_ms <= times.answer_ms && times.answer_ms <= 600_000;
        let fix = "write 1 or more, safe_answer_ms <= answer_ms <= 600000";
        self.unless(
            positive && ordered,
            "timeouts",
            "out of range or order",
            fix,
        );
        for monitor in &config.monitors {
            let (interval, timeout) = (
                config.probes.interval(monitor),
                config.probes.timeout(monitor),
            );
            let good = !timeout.is_zero() && timeout < interval;
            let problem = format!("{timeout:?} in {interval:?} for monitor `{}`", monitor.id);
            self.unless(
                good,
                "probes",
                &problem,
                "write 0 < timeout_ms < interval_ms",
            );
        }
        for (at, pool) in config.pools.iter().enumerate() {
            let key = format!("pools[{at}].cloud");
            self.unless(pool.cloud.is_some(), &key, "missing", "write AWS or GCP");
        }
    }

    fn list<T: DeserializeOwned>(
        &mut self,
        top: &mut Map<String, Value>,
        name: &str,
        fields: &[&str],
    ) -> Option<Vec<T>> {
        let Some(Value::Array(objects)) = top.remove(name) else {
            self.fault(name, "missing or no list", "write a list of objects");
            return None;
        };
        let read =
            |(at, object): (usize, Value)| self.object(&format!("{name}[{at}]"), object, fields);
        // Every object is read, so that the faults of all are told.
        let objects: Vec<Option<T>> = objects.into_iter().enumerate().map(read).collect();
        objects.into_iter().collect()
    }

    fn object<T: DeserializeOwned>(
        &mut self,
        at: &str,
        mut object: Value,
        fields: &[&str],
    ) -> Option<T> {
        if let Some(object) = object.as_object_mut() {
            self.known(at, object, fields);
        }
        let origins = object.get_mut("origins").and_then(Value::as_array_mut);
        for (index, origin) in origins.into_iter().flatten().enumerate() {
            if let Some(origin) = origin.as_object_mut() {
                self.known(&format!("{at}.origins[{index}]"), origin, Origin::FIELDS);
            }
        }
        self.value(at, object)
    }

    /// Takes unknown keys out, with a fault for each.
    fn known(&mut self, at: &str, object: &mut Map<String, Value>, fields: &[&str]) {
        let unknown = |key: &&String| !fields.contains(&key.as_str());
        let unknown: Vec<String> = object.keys().filter(unknown).cloned().collect();
        for key in unknown {
            object.remove(&key);
            let path = if at.is_empty() {
                key.clone()
            } else {
                format!("{at}.{key}")
            };
            let problem = match CLOUDFLARE_ONLY.contains(&key.as_str()) {
                true => "known to Cloudflare, but not enforced by this edge",
                false => "unknown",
            };
            let fix = format!("remove it; known here: {}", fields.join(", "));
            self.fault(&path, problem, &fix);
        }
    }

    fn required<T: DeserializeOwned>(
        &mut self,
        top: &mut Map<String, Value>,
        name: &str,
    ) -> Option<T> {
        match top.remove(name) {
            Some(value) => self.value(name, value),
            None => {
                self.fault(name, "missing", "write it");
                None
            }
        }
    }

    fn optional<T: DeserializeOwned>(
        &mut self,
        top: &mut Map<String, Value>,
        name: &str,
        default: T,
    ) -> Option<T> {
        match top.remove(name) {
            Some(value) => self.value(name, value),
            None => Some(default),
        }
    }

    fn value<T: DeserializeOwned>(&mut self, at: &str, value: Value) -> Option<T> {
        let read = serde_json::from_value(value);
        read.map_err(|error| self.fault(at, &error.to_string(), "see the example in README.md"))
            .ok()
    }

    fn unless(&mut self, good: bool, key: &str, problem: &str, fix: &str) {
        if !good {
            self.fault(key, problem, fix);
        }
    }

    fn fault(&mut self, key: &str, problem: &str, fix: &str) {
        let (key, problem, fix) = (key.to_owned(), problem.to_owned(), fix.to_owned());
        self.faults.push(Fault { key, problem, fix });
    }
}

/// Where an origin listens.
pub(crate) fn address(origin: &Origin) -> SocketAddr {
    let ip: IpAddr = origin
        .address
        .parse()
        .expect("the configuration was checked");
    // Port 0 is Cloudflare's "the protocol's own".
    SocketAddr::new(ip, if origin.port == 0 { 80 } else { origin.port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_readme_is_read() {
        let readme = include_str!("../README.md");
        let start = readme.find("```json").expect("an example") + "```json".len();
        let text = &readme[start..][..readme[start..].find("```").expect("its end")];
        let config = EdgeConfig::parse(text).expect("without fault");
        assert_eq!(config.pools.len(), 2);
        let monitor = &config.monitors[0];
        assert_eq!(config.probes.interval(monitor), Duration::from_millis(250));
        assert_eq!(config.load_balancer.fallback_pool, "aws");
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let text = r#"{"listen": "nowhere", "admin_listen": "10.0.0.1:1", "speed": 9,
            "monitors": [{"id": "m", "expected_codes": "9xx"}],
            "pools": [{"id": "aws", "name": "aws", "check_regions": [],
                       "origins": [{"name": "a", "address": "127.0.0.1", "colour": "red"}]}],
            "load_balancer": {"name": "x", "default_pools": ["aws"], "fallback_pool": "aws",
                              "session_affinity": "cookie", "steering_policy": "geo"}}"#;
        let faults = EdgeConfig::parse(text).expect_err("faults").0;
        let keys: Vec<&str> = faults.iter().map(|fault| fault.key.as_str()).collect();
        let expected = [
            "speed",
            "listen",
            "monitors[0]",
            "pools[0].check_regions",
            "pools[0].origins[0].colour",
            "load_balancer.session_affinity",
            "load_balancer",
        ];
        assert_eq!(keys, expected);
        assert!(faults[3].problem.contains("Cloudflare"));
    }

    #[test]
    fn rules_of_our_own_are_checked() {
        let text = r#"{"listen": "127.0.0.1:1", "admin_listen": "10.0.0.1:1", "threads": 0,
            "probes": {"interval_ms": 100, "timeout_ms": 100}, "timeouts": {"answer_ms": 1},
            "monitors": [{"id": "m", "expected_codes": "200"}],
            "pools": [{"id": "aws", "name": "aws",
                       "origins": [{"name": "a", "address": "127.0.0.1"}]}],
            "load_balancer": {"name": "x", "default_pools": ["aws"], "fallback_pool": "gcp"}}"#;
        let faults = EdgeConfig::parse(text).expect_err("faults").0;
        let keys: Vec<&str> = faults.iter().map(|fault| fault.key.as_str()).collect();
        let expected = [
            "load_balancer.fallback_pool",
            "admin_listen",
            "threads",
            "timeouts",
            "probes",
            "pools[0].cloud",
        ];
        assert_eq!(keys, expected);
    }
}

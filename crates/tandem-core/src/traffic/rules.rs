//! The rules between monitors, pools and load balancer.
//!
//! [`check`] tells every broken rule at once, by key path and with the fix: a
//! person who repairs a file wants to do it in one go.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::config::Fault;
use crate::traffic::model::{LoadBalancer, Monitor, MonitorMethod, Origin, Pool};

/// Every broken rule between the objects, by key path.
pub fn check(monitors: &[Monitor], pools: &[Pool], balancer: &LoadBalancer) -> Vec<Fault> {
    let mut faults = Faulty(Vec::new());
    for (at, monitor) in monitors.iter().enumerate() {
        faults.monitor(&format!("monitors[{at}]"), monitor);
    }
    faults.unique("monitors", monitors.iter().map(|monitor| &monitor.id));
    for (at, pool) in pools.iter().enumerate() {
        faults.pool(&format!("pools[{at}]"), pool, monitors);
    }
    faults.unique("pools", pools.iter().map(|pool| &pool.id));
    faults.balancer(pools, balancer);
    faults.0
}

/// Collects faults, one method per kind of object.
struct Faulty(Vec<Fault>);

impl Faulty {
    fn add(&mut self, key: String, problem: String, fix: &str) {
        self.0.push(Fault {
            key,
            problem,
            fix: fix.to_string(),
        });
    }

    fn unless(&mut self, good: bool, key: String, problem: String, fix: &str) {
        if !good {
            self.add(key, problem, fix);
        }
    }

    fn unique<'a>(&mut self, list: &str, names: impl Iterator<Item = &'a String>) {
        let mut seen = Vec::new();
        for name in names {
            if seen.contains(&name) {
                let problem = format!("`{name}` is there twice");
                self.add(list.to_string(), problem, "give each its own name");
            }
            seen.push(name);
        }
    }

    fn monitor(&mut self, at: &str, monitor: &Monitor) {
        let (interval, timeout) = (monitor.interval, monitor.timeout);
        self.unless(
            (1..=3600).contains(&interval),
            format!("{at}.interval"),
            format!("{interval} s"),
            "write 1 to 3600",
        );
        self.unless(
            timeout >= 1 && timeout < interval.max(2),
            format!("{at}.timeout"),
            format!("{timeout} s with an interval of {interval} s"),
            "write at least 1 and less than interval",
        );
        self.unless(
            monitor.retries <= 5,
            format!("{at}.retries"),
            monitor.retries.to_string(),
            "write 0 to 5",
        );
        self.unless(
            monitor.path.starts_with('/'),
            format!("{at}.path"),
            format!("`{}`", monitor.path),
            "begin with /",
        );
        let matched = monitor.expected_body.is_empty() || monitor.method == MonitorMethod::Get;
        self.unless(
            matched,
            format!("{at}.expected_body"),
            "an answer to HEAD has no body".to_string(),
            "use method GET, or leave expected_body out",
        );
    }

    fn pool(&mut self, at: &str, pool: &Pool, monitors: &[Monitor]) {
        let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        self.unless(
            !pool.name.is_empty() && pool.name.bytes().all(legal),
            format!("{at}.name"),
            format!("`{}`", pool.name),
            "use letters, digits, hyphens and underscores",
        );
        self.unless(
            (1..=pool.origins.len().max(1)).contains(&pool.minimum_origins),
            format!("{at}.minimum_origins"),
            format!("{} of {} origins", pool.minimum_origins, pool.origins.len()),
            "write 1 to the number of origins",
        );
        if let Some(wanted) = &pool.monitor {
            let known = monitors.iter().any(|monitor| monitor.id == *wanted);
            let problem = format!("there is no monitor `{wanted}`");
            self.unless(
                known,
                format!("{at}.monitor"),
                problem,
                "name one of monitors[].id",
            );
        }
        let cloud = pool.cloud.as_deref().unwrap_or("none");
        self.unless(
            !cloud.is_empty() && cloud.bytes().all(legal),
            format!("{at}.cloud"),
            format!("`{cloud}`"),
            "write AWS or GCP",
        );
        self.unless(
            !pool.origins.is_empty(),
            format!("{at}.origins"),
            "no origin".to_string(),
            "name at least one",
        );
        self.unique(
            &format!("{at}.origins"),
            pool.origins.iter().map(|origin| &origin.name),
        );
        for (index, origin) in pool.origins.iter().enumerate() {
            self.origin(&format!("{at}.origins[{index}]"), origin);
        }
    }

    fn origin(&mut self, at: &str, origin: &Origin) {
        let parsed: Result<core::net::IpAddr, _> = origin.address.parse();
        self.unless(
            parsed.is_ok(),
            format!("{at}.address"),
            format!("`{}` is no IP address", origin.address),
            "write an IP address; names are not resolved",
        );
        self.weight(format!("{at}.weight"), origin.weight);
    }

    fn weight(&mut self, key: String, weight: f64) {
        let good = (0.0..=1.0).contains(&weight);
        self.unless(good, key, weight.to_string(), "write 0 to 1");
    }

    fn balancer(&mut self, pools: &[Pool], balancer: &LoadBalancer) {
        let at = "load_balancer";
        self.unless(
            !balancer.default_pools.is_empty(),
            format!("{at}.default_pools"),
            "no pool".to_string(),
            "name at least one",
        );
        self.unique(
            &format!("{at}.default_pools"),
            balancer.default_pools.iter(),
        );
        let steering = &balancer.random_steering;
        let named = balancer
            .default_pools
            .iter()
            .map(|id| ("default_pools", id));
        let named = named.chain([("fallback_pool", &balancer.fallback_pool)]);
        let weighed = steering.pool_weights.keys();
        for (key, id) in named.chain(weighed.map(|id| ("random_steering.pool_weights", id))) {
            let known = pools.iter().any(|pool| pool.id == *id);
            let problem = format!("there is no pool `{id}`");
            self.unless(
                known,
                format!("{at}.{key}"),
                problem,
                "name one of pools[].id",
            );
        }
        let key = format!("{at}.random_steering");
        self.weight(format!("{key}.default_weight"), steering.default_weight);
        for (id, weight) in &steering.pool_weights {
            self.weight(format!("{key}.pool_weights.{id}"), *weight);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::model::tests::objects;

    #[test]
    fn the_example_is_without_fault() {
        let (monitors, pools, balancer) = objects();
        assert_eq!(check(&monitors, &pools, &balancer), []);
    }

    #[test]
    fn all_broken_rules_are_told_at_once() {
        let (mut monitors, mut pools, mut balancer) = objects();
        monitors[0].interval = 0;
        monitors[0].timeout = 9;
        monitors[0].path = "health".into();
        pools[0].minimum_origins = 2;
        pools[0].origins[0].address = "example.com".into();
        pools[1].monitor = Some("other".into());
        pools[1].origins[0].weight = 2.0;
        pools[1].id = "aws".into();
        balancer.random_steering.default_weight = f64::NAN;
        let faults = check(&monitors, &pools, &balancer);
        let keys: Vec<&str> = faults.iter().map(|fault| fault.key.as_str()).collect();
        assert_eq!(
            keys,
            [
                "monitors[0].interval",
                "monitors[0].timeout",
                "monitors[0].path",
                "pools[0].minimum_origins",
                "pools[0].origins[0].address",
                "pools[1].monitor",
                "pools[1].origins[0].weight",
                "pools",
                "load_balancer.default_pools",
                "load_balancer.random_steering.pool_weights",
                "load_balancer.random_steering.default_weight",
            ]
        );
    }
}

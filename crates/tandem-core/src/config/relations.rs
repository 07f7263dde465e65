//! What must hold between the values of one file.
//!
//! Each relation reads the good values by path and says nothing if one of them is missing or
//! bad: that fault is reported already. So a typing error in one section never hides a broken
//! relation in another.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use core::net::SocketAddr;
use core::time::Duration;

use super::AuthorityPolicy;
use super::kind::Given;
use super::reader::{Reading, Value};

/// Checks every relation; faults go to `reading`.
pub(super) fn check(reading: &mut Reading<'_>) {
    renewal(reading);
    detection(reading);
    exposure(reading);
    sites(reading);
    roles(reading);
    certificates(reading);
    names(reading);
    addresses(reading);
    listeners(reading);
    transport(reading);
    tokens(reading);
}

impl Reading<'_> {
    fn whole(&self, path: &str) -> Option<u64> {
        match self.values.get(path)?.given {
            Given::Whole(number) => Some(number),
            _ => None,
        }
    }

    fn text(&self, path: &str) -> Option<&str> {
        self.values.get(path)?.as_text()
    }

    fn line_of(&self, path: &str) -> Option<usize> {
        self.values.get(path).and_then(|value| value.line)
    }

    fn broken(&mut self, path: &str, problem: String, fix: String) {
        let line = self.line_of(path);
        self.fault(line, path, problem, fix);
    }

    /// Paths and texts whose register path is one of `patterns`, in the order of the file.
    fn texts(&self, patterns: &[&str]) -> alloc::vec::Vec<(String, String)> {
        let chosen = |value: &Value| patterns.contains(&value.key.path);
        let mut found: alloc::vec::Vec<_> = self
            .values
            .iter()
            .filter(|(_, value)| chosen(value))
            .collect();
        found.sort_by_key(|(_, value)| value.line);
        let owned =
            |(path, value): (&String, &Value)| Some((path.clone(), value.as_text()?.to_string()));
        found.into_iter().filter_map(owned).collect()
    }

    fn site_names(&self) -> BTreeSet<String> {
        let inside = self
            .values
            .keys()
            .filter_map(|path| path.strip_prefix("sites."));
        inside
            .filter_map(|rest| rest.split_once('.'))
            .map(|(name, _)| name.to_string())
            .collect()
    }
}

impl Value {
    fn as_text(&self) -> Option<&str> {
        match &self.given {
            Given::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// After one lost call there must be time for a second one before the right to write ends.
fn renewal(reading: &mut Reading<'_>) -> Option<()> {
    let at = |name: &str| reading.whole(&format!("policy.authority.{name}"));
    let policy = AuthorityPolicy {
        ttl_ms: at("ttl_ms")?,
        renew_ms: at("renew_ms")?,
        call_timeout_ms: at("call_timeout_ms")?,
        cut_ms: at("cut_ms")?,
        drift_per_mille: at("drift_per_mille")?,
    };
    let needed = policy.renew() + 2 * policy.call_timeout();
    let hold = policy.hold();
    if needed > hold {
        let problem = format!(
            "renew_ms + 2 * call_timeout_ms is {}, but a renewal holds for {} only (ttl * (1 - drift) - cut)",
            millis(needed),
            millis(hold)
        );
        let fix = String::from("raise ttl_ms, or lower renew_ms, call_timeout_ms or cut_ms");
        reading.broken("policy.authority.ttl_ms", problem, fix);
    }
    Some(())
}

fn millis(span: Duration) -> String {
    format!("{} ms", span.as_millis())
}

/// Probes must not pile up, and the verdict must be there when the right to write ends.
fn detection(reading: &mut Reading<'_>) -> Option<()> {
    let probe = reading.whole("policy.detection.probe_ms")?;
    if let Some(timeout) = reading
        .whole("policy.detection.timeout_ms")
        .filter(|timeout| *timeout >= probe)
    {
        let problem = format!(
            "{timeout} ms is not below probe_ms, which is {probe} ms: probes would pile up"
        );
        reading.broken(
            "policy.detection.timeout_ms",
            problem,
            format!("write less than {probe}"),
        );
    }
    let failures = reading.whole("policy.detection.failures")?;
    let ttl = reading.whole("policy.authority.ttl_ms")?;
    let needed = failures * probe;
    if needed >= ttl {
        let problem = format!(
            "failures * probe_ms is {needed} ms, not below policy.authority.ttl_ms, which is {ttl} ms"
        );
        let fix = String::from(
            "lower failures or probe_ms, so that the verdict is ready when the right to write ends",
        );
        reading.broken("policy.detection.failures", problem, fix);
    }
    Some(())
}

/// The bound must be reachable in normal operation, and must keep the promise.
fn exposure(reading: &mut Reading<'_>) -> Option<()> {
    let path = "policy.exposure.bound_ms";
    let bound = reading.whole(path)?;
    if let Some(rpo) = reading
        .whole("policy.targets.rpo_s")
        .filter(|rpo| bound > rpo * 1000)
    {
        let problem =
            format!("{bound} ms is more than policy.targets.rpo_s promises, which is {rpo} s");
        reading.broken(
            path,
            problem,
            format!("write at most {}, or promise less", rpo * 1000),
        );
    }
    let heartbeat = reading.whole("policy.exposure.heartbeat_ms")?;
    let renew = reading.whole("policy.authority.renew_ms")?;
    let age = 2 * heartbeat + renew;
    if bound <= age {
        let problem = format!(
            "{bound} ms is not above 2 * heartbeat_ms + policy.authority.renew_ms, which is {age} ms: a healthy cluster would stop its writes"
        );
        reading.broken(
            path,
            problem,
            format!("write more than {age}, or lower heartbeat_ms"),
        );
    }
    Some(())
}

/// Two sites and a third place, all with names of their own.
fn sites(reading: &mut Reading<'_>) -> Option<()> {
    let names = reading.site_names();
    let listed = names
        .iter()
        .map(String::as_str)
        .collect::<alloc::vec::Vec<_>>()
        .join(", ");
    if names.len() > 2 || names.len() == 1 {
        let problem = format!(
            "there must be exactly two sites, here are {}: {listed}",
            names.len()
        );
        let fix = "write one [sites.NAME] for each of the two clouds; the third place is [witness]";
        reading.fault(None, "sites", problem, fix);
    }
    if let Some(first) = reading
        .text("policy.first_primary")
        .filter(|first| !names.contains(*first))
    {
        let problem = format!("`{first}` is no site of this file");
        reading.broken(
            "policy.first_primary",
            problem,
            format!("write one of: {listed}"),
        );
    }
    let witness = reading
        .text("witness.name")
        .filter(|name| names.contains(*name))?
        .to_string();
    let fix = String::from("give the third place a name of its own, like \"witness\"");
    reading.broken(
        "witness.name",
        format!("`{witness}` is a site already"),
        fix,
    );
    Some(())
}

/// The guard tells roles apart by name; who owns tables can switch the guard off.
fn roles(reading: &mut Reading<'_>) -> Option<()> {
    let application = reading.text("database.application_role")?.to_string();
    for other in ["database.agent_role", "database.replication_role"] {
        if reading.text(other) == Some(&application) {
            let problem = format!(
                "`{application}` is the application's role too, so the guard could not tell them apart"
            );
            reading.broken(other, problem, String::from("use a role of its own"));
        }
    }
    let powerful = reading.texts(&["database.owner_role", "sites.*.postgres.admin_role"]);
    let (path, _) = powerful
        .into_iter()
        .find(|(_, role)| *role == application)?;
    if reading.text("policy.mode") == Some("automatic") {
        let problem = format!(
            "`automatic` is not possible while applications log in as `{application}`, which is {path} too and could pass the guard"
        );
        let fix = String::from("write \"confirm\", or give applications a role that owns nothing");
        reading.broken("policy.mode", problem, fix);
    }
    Some(())
}

fn certificates(reading: &mut Reading<'_>) {
    for (path, mode) in reading.texts(&["sites.*.postgres.replication_sslmode"]) {
        let section = path.rsplit_once('.').map_or("", |(section, _)| section);
        let ca_file = format!("{section}.ca_file");
        if mode == "verify-full" && !reading.values.contains_key(&ca_file) {
            let fix = "add `ca_file = ...` with the authority's certificate, or choose \"require\" knowingly";
            let line = reading.line_of(&path);
            reading.fault(line, &ca_file, "`verify-full` needs it", fix);
        }
    }
}

/// Reports every text that stands at an earlier path of the same list already.
fn unique(reading: &mut Reading<'_>, patterns: &[&str], fix: &str) {
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for (path, text) in reading.texts(patterns) {
        match seen.get(&text) {
            Some(earlier) => {
                let problem = format!("`{text}` is {earlier} already");
                reading.broken(&path, problem, fix.to_string());
            }
            None => _ = seen.insert(text, path),
        }
    }
}

fn names(reading: &mut Reading<'_>) {
    let patterns = [
        "sites.*.agents[].name",
        "sites.*.gates[].name",
        "witness.agents[].name",
    ];
    unique(
        reading,
        &patterns,
        "give each agent and each gate a name of its own",
    );
}

/// A promise of "every agent" counts each once, so each must be reached at its own address.
fn addresses(reading: &mut Reading<'_>) {
    let patterns = ["sites.*.agents[].address", "witness.agents[].address"];
    unique(
        reading,
        &patterns,
        "write where this agent itself is reached",
    );
}

/// No two listeners of one place at the same address. `0.0.0.0` is compared within one process
/// only: in one site several machines may each listen on all of their own addresses.
fn listeners(reading: &mut Reading<'_>) {
    let patterns = [
        "sites.*.agents[].listen",
        "sites.*.agents[].relay_listen",
        "sites.*.gates[].rw_listen",
        "sites.*.gates[].ro_listen",
        "sites.*.gates[].peer_listen",
        "sites.*.gates[].admin_listen",
        "witness.agents[].listen",
    ];
    let mut seen: BTreeMap<(String, SocketAddr), String> = BTreeMap::new();
    for (path, text) in reading.texts(&patterns) {
        let Ok(address) = text.parse::<SocketAddr>() else {
            continue;
        };
        let place = place_of(&path, address).to_string();
        match seen.get(&(place.clone(), address)) {
            Some(earlier) => {
                let problem = format!("`{text}` is {earlier} already");
                reading.broken(
                    &path,
                    problem,
                    String::from("give each listener of a place its own port"),
                );
            }
            None => _ = seen.insert((place, address), path),
        }
    }
}

/// The part of a path within which addresses must differ.
fn place_of(path: &str, address: SocketAddr) -> &str {
    let process = path.rsplit_once('.').map_or(path, |(process, _)| process);
    if address.ip().is_unspecified() {
        return process;
    }
    process.rsplit_once('.').map_or(process, |(place, _)| place)
}

/// TLS is for all or for none: etcd's addresses say which, and tokens never travel in the clear.
fn transport(reading: &mut Reading<'_>) {
    let secured = reading.values.contains_key("tls.client");
    for (path, url) in reading.texts(&["sites.*.store", "witness.store"]) {
        match (secured, url.strip_prefix("http://")) {
            (true, Some(rest)) => {
                let fix = format!("write `https://{rest}`, and start etcd with client-cert-auth");
                let problem = "[tls] is there, so etcd must speak TLS too";
                reading.broken(&path, problem.into(), fix);
            }
            (false, None) => {
                let problem = "`https` needs the certificates of [tls]";
                let fix = "add [tls], or write `http://` on one machine only";
                reading.broken(&path, problem.into(), fix.into());
            }
            _ => {}
        }
    }
    let listens = reading.texts(&["sites.*.agents[].listen", "witness.agents[].listen"]);
    let open = |text: &str| {
        text.parse::<SocketAddr>()
            .is_ok_and(|address| !address.ip().is_loopback())
    };
    let named = reading.texts(&["access.tokens[].name"]);
    if let (false, Some((path, _)), true) = (
        secured,
        named.first(),
        listens.iter().any(|(_, text)| open(text)),
    ) {
        let problem = "without [tls] tokens would travel in the clear, since agents listen beyond this machine";
        let fix = "add [tls]; `tandem init certificates` makes its files";
        reading.broken(path, problem.into(), fix.into());
    }
}

/// A name is what history shows, and a file is one person's.
fn tokens(reading: &mut Reading<'_>) {
    let fix = "give each person a name and a file of their own";
    unique(reading, &["access.tokens[].name"], fix);
    unique(reading, &["access.tokens[].hash_file"], fix);
}

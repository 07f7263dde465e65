//! `GET /metrics`: what an alert needs, in Prometheus' text form.

use std::fmt::Write;
use std::sync::atomic::Ordering;

use tandem_core::planner::SiteHealth;

use crate::api::status_of;
use crate::state::Shared;
use crate::status::Status;

/// All metrics of this agent.
pub(crate) fn render(shared: &Shared) -> String {
    let status = status_of(shared);
    let mut text = Text(String::new());
    show_right(&mut text, &status);
    show_sites(&mut text, &status);
    show_counters(&mut text, shared);
    text.0
}

fn show_right(text: &mut Text, status: &Status) {
    let site = format!("site=\"{}\"", status.site);
    text.gauge(
        "tandem_epoch",
        "highest epoch this agent knows",
        &site,
        status.epoch.0,
    );
    text.gauge(
        "tandem_remaining_milliseconds",
        "how long write sessions may go on at this site",
        &site,
        status.remaining_ms,
    );
    if let Some(authority) = &status.authority {
        text.gauge(
            "tandem_store_fresh",
            "the record was read within two renewal periods",
            &site,
            u64::from(authority.fresh),
        );
    }
    if let Some(age) = status
        .exposure
        .as_ref()
        .and_then(|exposure| exposure.age_ms)
    {
        text.gauge(
            "tandem_exposure_milliseconds",
            "age of the newest heartbeat applied at the peer",
            &site,
            age,
        );
    }
    text.gauge(
        "tandem_relay_open",
        "the relay lets replication through",
        &site,
        u64::from(status.relay_open),
    );
}

fn show_sites(text: &mut Text, status: &Status) {
    text.head(
        "tandem_site_reached",
        "gauge",
        "1 if this agent reaches the site's agents, 0 if not",
    );
    for (site, health) in &status.observations {
        if *health != SiteHealth::Unknown {
            let reached = u64::from(*health == SiteHealth::Up);
            text.sample(
                "tandem_site_reached",
                &format!("observed=\"{site}\""),
                reached,
            );
        }
    }
}

fn show_counters(text: &mut Text, shared: &Shared) {
    let counters = &shared.counters;
    for (name, help, counter) in [
        (
            "tandem_renewals_total",
            "renewals of the right that committed",
            &counters.renewals,
        ),
        (
            "tandem_store_failures_total",
            "calls about the record without an answer",
            &counters.store_failures,
        ),
        (
            "tandem_database_failures_total",
            "calls to the own database that failed",
            &counters.database_failures,
        ),
        (
            "tandem_statuses_published_total",
            "statuses published to the store",
            &counters.published,
        ),
    ] {
        text.head(name, "counter", help);
        text.sample(name, "", counter.load(Ordering::Relaxed));
    }
}

/// Prometheus' text form in the making.
struct Text(String);

impl Text {
    fn gauge(&mut self, name: &str, help: &str, labels: &str, value: u64) {
        self.head(name, "gauge", help);
        self.sample(name, labels, value);
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}").expect("a string takes all");
    }

    fn sample(&mut self, name: &str, labels: &str, value: u64) {
        let labels = if labels.is_empty() {
            String::new()
        } else {
            format!("{{{labels}}}")
        };
        writeln!(self.0, "{name}{labels} {value}").expect("a string takes all");
    }
}

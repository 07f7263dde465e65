//! The second half of the page: why it happened, under which circumstances, and
//! what it does not prove.

use std::fmt::Write as _;
use std::time::Duration;

use super::html::relative;
use super::markup::{Page, escape};
use super::report::{Decision, Report};

/// What the words mean, for readers who were not there.
const GLOSSARY: [(&str, &str); 11] = [
    (
        "acknowledged write",
        "a write that a client saw answered 2xx within 2 s of its intended time",
    ),
    (
        "epoch",
        "a counter of the right to write; it rises with every takeover and travels with every row",
    ),
    (
        "exposure",
        "how much acknowledged work may be missing on the other site; bounded before any automatic takeover",
    ),
    ("fenced", "unable to acknowledge writes"),
    (
        "guard",
        "triggers inside PostgreSQL that refuse application writes where the right to write is absent",
    ),
    (
        "gate",
        "the local endpoint through which applications reach PostgreSQL",
    ),
    (
        "origin",
        "site/epoch, written into each row by the database that took it",
    ),
    ("read gap", "the longest window without one successful read"),
    (
        "RPO",
        "newest surviving write against newest acknowledged one, in seconds; the count is listed beside it",
    ),
    (
        "RTO",
        "T7 - T1: from the first failed request until 99 % succeed and it stays so to the end",
    ),
    (
        "witness",
        "a third place without data: a vote and a vantage",
    ),
];

pub(super) fn decisions(html: &mut Page, report: &Report) {
    if report.decisions.is_empty() {
        return;
    }
    html.heading("What agents decided, and why");
    let near: Vec<&Decision> = report.decisions.iter().collect();
    let rows: Vec<Vec<String>> = near
        .iter()
        .map(|decision| {
            let down: Vec<&str> = decision
                .down
                .iter()
                .map(tandem_core::model::SiteId::as_str)
                .collect();
            vec![
                relative(report, decision.at),
                format!("<code>{}</code>", escape(&decision.agent)),
                format!(
                    "{}<br><span class=\"soft\">{}</span>",
                    decision.epoch,
                    escape(&decision.role)
                ),
                if down.is_empty() {
                    "all".to_owned()
                } else {
                    format!("not {}", escape(&down.join(", ")))
                },
                reason(decision),
            ]
        })
        .collect();
    html.table(
        &["#heard at", "agent", "#epoch", "reaches", "reason"],
        &rows,
    );
}

pub(super) fn journal(html: &mut Page, report: &Report) {
    if report.journal.is_empty() {
        return;
    }
    let rows: Vec<Vec<String>> = report
        .journal
        .iter()
        .map(|entry| {
            let at = jiff::Timestamp::from_second(i64::try_from(entry.at).unwrap_or_default());
            let at = at
                .map(|at| at.strftime("%H:%M:%S").to_string())
                .unwrap_or_default();
            vec![
                at,
                format!("<code>{}</code>", escape(&entry.agent)),
                entry.epoch.to_string(),
                escape(&entry.text),
            ]
        })
        .collect();
    html.raw(&format!(
        "<details><summary>The journal that agents keep in the store: {} entries</summary>",
        rows.len()
    ));
    html.table(&["UTC", "agent", "#epoch", "written down"], &rows);
    html.raw("</details>");
}

fn reason(decision: &Decision) -> String {
    let mut text = format!(
        "<code>{}</code> {}",
        escape(&decision.code),
        escape(&decision.en)
    );
    write!(
        text,
        "<br><span class=\"soft\" lang=\"ko\">{}</span>",
        escape(&decision.ko)
    )
    .expect("a string takes everything");
    if !decision.rules.is_empty() {
        text.push_str("<ul class=\"rules\">");
        for rule in &decision.rules {
            let name = serde_json::to_value(rule.rule)
                .ok()
                .and_then(|name| name.as_str().map(str::to_owned))
                .unwrap_or_default();
            let (class, sign) = if rule.passed {
                ("ok", "&#10003;")
            } else {
                ("no", "&#10007;")
            };
            write!(
                text,
                "<li><span class=\"{class}\">{sign}</span> {}</li>",
                escape(&name)
            )
            .expect("a string takes everything");
        }
        text.push_str("</ul>");
    }
    text
}

pub(super) fn circumstances(html: &mut Page, report: &Report) {
    html.heading("Circumstances");
    let run = &report.run;
    let machine = &report.machine;
    let gib =
        Duration::from_micros(machine.memory_bytes).as_secs_f64() * 1e6 / 1024.0 / 1024.0 / 1024.0;
    let mut rows = vec![
        vec![
            "repeat it with".to_owned(),
            format!("<code>{}</code>", escape(&run.command)),
        ],
        vec![
            "load".to_owned(),
            format!(
                "{} requests/s, {} % writes, open loop, seed {}",
                report.drill.load.rate_per_s, report.drill.load.write_percent, run.seed
            ),
        ],
        vec![
            "network".to_owned(),
            format!("<b>{}</b>: {}", run.network, escape(&run.links)),
        ],
        vec![
            "machine".to_owned(),
            format!(
                "{} cores, {gib:.1} GiB, {}, load before {:.2}",
                machine.cores,
                escape(&machine.cpu),
                machine.load_before
            ),
        ],
        vec![
            "the clients themselves".to_owned(),
            format!(
                "{:.2} s of processor time; sent at most {:.1} ms (p99 {:.1} ms) after the intended time",
                report.client.cpu_s, report.client.late_max_ms, report.client.late_p99_ms
            ),
        ],
        vec![
            "from, to".to_owned(),
            format!("{} to {}", escape(&run.started), escape(&run.finished)),
        ],
    ];
    rows.extend(
        report
            .versions
            .iter()
            .map(|(name, version)| vec![escape(name), escape(version)]),
    );
    html.table(&["", ""], &rows);
    failures(html, report);
    for (name, text) in &report.configuration {
        html.raw(&format!("<details><summary>Configuration {}</summary><div class=\"card\"><pre>{}</pre></div></details>", escape(name), escape(text)));
    }
}

fn failures(html: &mut Page, report: &Report) {
    if report.failures.is_empty() {
        return;
    }
    let rows: Vec<Vec<String>> = report
        .failures
        .iter()
        .map(|(words, count)| vec![count.to_string(), escape(words)])
        .collect();
    html.raw("<details><summary>Failures in the clients' words</summary>");
    html.table(&["#requests", "failure"], &rows);
    html.raw("</details>");
}

pub(super) fn limits(html: &mut Page, report: &Report) {
    html.heading("What this run does not prove");
    html.raw("<ul>");
    for limit in &report.unproven {
        html.raw(&format!("<li>{}</li>", escape(limit)));
    }
    html.raw("</ul><h2>Words</h2><dl>");
    for (word, meaning) in GLOSSARY {
        html.raw(&format!("<dt>{word}</dt><dd>{meaning}</dd>"));
    }
    html.raw("</dl>");
}

//! `report.html`: one self-contained page that answers, in this order: did it
//! pass, how long, what was lost, what happened, why, and what it does not prove.
//!
//! Written by hand and not by a template engine: the page is a list of small
//! functions over the report, and the compiler checks every field.

use std::fmt::Write as _;
use std::time::Duration;

use tandem_core::drill::verdict::{Judged, Result as Outcome};
use tandem_core::drill::{Aftermath, Measure};
use tandem_core::model::Mono;

use super::picture;
use super::report::{Decision, Report};

const STYLE: &str = include_str!("style.css");

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

/// The whole page.
pub fn page(report: &Report) -> String {
    let mut html = Page::default();
    let title = format!("Drill {}: {}", report.drill.id, report.verdict.result);
    html.raw("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">");
    html.raw(&format!(
        "<title>{}</title><style>{STYLE}</style></head><body><main>",
        escape(&title)
    ));
    head(&mut html, report);
    banner(&mut html, report);
    tiles(&mut html, report);
    pictures(&mut html, report);
    conditions(&mut html, report);
    oracle(&mut html, report);
    faults(&mut html, report);
    findings(&mut html, report);
    decisions(&mut html, report);
    journal(&mut html, report);
    circumstances(&mut html, report);
    limits(&mut html, report);
    html.raw("</main></body></html>\n");
    html.0
}

/// Text that cannot be taken for markup.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

/// Markup under construction. Cells are escaped unless they are `raw`.
#[derive(Default)]
struct Page(String);

impl Page {
    fn raw(&mut self, markup: &str) {
        self.0.push_str(markup);
    }

    fn heading(&mut self, text: &str) {
        write!(self.0, "<h2>{}</h2>", escape(text)).expect("a string takes everything");
    }

    fn paragraph(&mut self, class: &str, text: &str) {
        write!(self.0, "<p class=\"{class}\">{}</p>", escape(text))
            .expect("a string takes everything");
    }

    /// A table; a heading that starts with `#` is a column of numbers. Cells are
    /// markup already.
    fn table(&mut self, headings: &[&str], rows: &[Vec<String>]) {
        let class = |heading: &str| {
            if heading.starts_with('#') {
                " class=\"n\""
            } else {
                ""
            }
        };
        self.raw("<div class=\"card\"><table><thead><tr>");
        for heading in headings {
            let text = escape(heading.trim_start_matches('#'));
            self.raw(&format!("<th{}>{text}</th>", class(heading)));
        }
        self.raw("</tr></thead><tbody>");
        for row in rows {
            self.raw("<tr>");
            for (heading, cell) in headings.iter().zip(row) {
                self.raw(&format!("<td{}>{cell}</td>", class(heading)));
            }
            self.raw("</tr>");
        }
        self.raw("</tbody></table></div>");
    }
}

fn head(html: &mut Page, report: &Report) {
    let drill = &report.drill;
    html.raw(&format!("<p class=\"soft\">Tandem drill report &middot; <code>{}</code> &middot; run {} &middot; {}</p>", escape(&drill.id), report.run.number, escape(&report.run.started)));
    html.raw(&format!("<h1>{}</h1>", escape(&drill.title)));
    html.raw(&format!(
        "<p><b>Hypothesis.</b> {}</p>",
        escape(&drill.hypothesis)
    ));
    if let Some(past) = &drill.past {
        html.paragraph(
            "soft",
            &format!("Behind it: {past}. Blast radius: {}.", drill.blast_radius),
        );
    }
}

fn banner(html: &mut Page, report: &Report) {
    let verdict = &report.verdict;
    let failed: Vec<&str> = verdict
        .conditions
        .iter()
        .filter(|c| !c.holds)
        .map(|c| c.measure.name())
        .collect();
    let (sign, text) = match verdict.result {
        Outcome::Passed => (
            "&#10003; Passed",
            format!("All {} conditions hold.", verdict.conditions.len()),
        ),
        Outcome::Failed => ("&#10007; Failed", format!("Broken: {}.", failed.join(", "))),
        Outcome::Aborted => (
            "&#9632; Aborted",
            verdict.aborted.clone().unwrap_or_default(),
        ),
    };
    html.raw(&format!(
        "<div class=\"banner {}\"><strong>{sign}</strong><p>{}</p></div>",
        verdict.result,
        escape(&text)
    ));
}

fn tiles(html: &mut Page, report: &Report) {
    let expect = report.drill.expect;
    let oracle = &report.oracle;
    let figure = |measure: Measure, digits: usize| {
        report
            .values
            .get(&measure)
            .map_or("not measured".to_owned(), |value| {
                format!("{value:.digits$}")
            })
    };
    let seconds = |measure| format!("{} s", figure(measure, 2));
    let found = format!(
        "{} of {} missing found again",
        oracle.missing_found(),
        oracle.missing.len()
    );
    let tiles = [
        (
            seconds(Measure::WriteRto),
            format!("write RTO (T6 - T0), objective {} s", expect.rto_s),
        ),
        (seconds(Measure::Rto), "RTO (T7 - T1)".to_owned()),
        (seconds(Measure::ReadGap), "longest read gap".to_owned()),
        (
            seconds(Measure::Rpo),
            format!("RPO, objective {} s", expect.rpo_s),
        ),
        (
            oracle.missing_unexplained().to_string(),
            format!("writes lost without trace ({found})"),
        ),
        (
            figure(Measure::Requests, 0),
            format!(
                "requests, {} failed, p95 {} ms",
                figure(Measure::FailedRequests, 0),
                figure(Measure::P95, 1)
            ),
        ),
    ];
    html.raw("<div class=\"tiles\">");
    for (value, text) in tiles {
        html.raw(&format!(
            "<div class=\"tile\"><b>{}</b><span>{}</span></div>",
            escape(&value),
            escape(&text)
        ));
    }
    html.raw("</div>");
}

fn pictures(html: &mut Page, report: &Report) {
    let timeline = picture::timeline(report);
    if !timeline.is_empty() {
        html.heading("What happened when");
        html.raw(&format!("<div class=\"card\">{timeline}</div>"));
        html.paragraph("soft", "T0, T1, T6 and T7 are what outside clients saw; T2 to T5 come from the agents' own words, asked every 0.1 s, and only cut the time into phases.");
    }
    html.heading("What clients saw");
    html.raw("<div class=\"legend\"><span><i style=\"background:var(--a)\"></i>AWS</span><span><i style=\"background:var(--b)\"></i>GCP</span><span><i style=\"background:var(--bad)\"></i>failed (no 2xx within 2 s of the intended time)</span></div>");
    for (name, writes) in [("Reads per second", false), ("Writes per second", true)] {
        html.raw(&format!(
            "<div class=\"card\"><b>{name}</b>{}</div><p></p>",
            picture::curves(report, writes)
        ));
    }
    html.paragraph("soft", "By intended time, seconds from T0. The clients are an open loop: a stalled service does not slow them.");
}

fn conditions(html: &mut Page, report: &Report) {
    if report.verdict.conditions.is_empty() {
        return;
    }
    html.heading("Conditions");
    let rows: Vec<Vec<String>> = report.verdict.conditions.iter().map(condition).collect();
    html.table(
        &[
            "",
            "figure",
            "#value",
            "#must",
            "#median of many",
            "meaning",
        ],
        &rows,
    );
    if (report.run.patience - 1.0).abs() > f64::EPSILON {
        html.paragraph(
            "soft",
            &format!(
                "Bounds on time were multiplied by {} in this run; bounds on loss never are.",
                report.run.patience
            ),
        );
    }
}

fn condition(judged: &Judged) -> Vec<String> {
    let measure = judged.measure;
    let value = judged.value.map_or("not measured".to_owned(), |value| {
        number(value, measure.unit())
    });
    let meaning = measure.meaning();
    let why = judged
        .why
        .as_ref()
        .map(|why| format!("<br><span class=\"soft\">{}</span>", escape(why)));
    vec![
        mark(judged.holds),
        format!("<code>{}</code>", measure.name()),
        value,
        escape(&judged.bound.to_string()),
        judged
            .goal
            .map_or(String::new(), |goal| escape(&goal.to_string())),
        format!("{}{}", escape(meaning), why.unwrap_or_default()),
    ]
}

fn number(value: f64, unit: &str) -> String {
    let digits = if unit.is_empty() { 0 } else { 3 };
    let unit = unit.split(' ').next().unwrap_or_default();
    format!("{value:.digits$} {unit}").trim_end().to_owned()
}

fn mark(holds: bool) -> String {
    let (class, sign) = if holds {
        ("ok", "&#10003; holds")
    } else {
        ("no", "&#10007; broken")
    };
    format!("<span class=\"{class}\">{sign}</span>")
}

fn oracle(html: &mut Page, report: &Report) {
    let oracle = &report.oracle;
    html.heading("Every acknowledged write");
    let rows: Vec<Vec<String>> = oracle
        .by_origin
        .iter()
        .map(|(origin, count)| {
            let cells = [count.acknowledged, count.present, count.missing];
            let mut row = vec![format!("<code>{origin}</code>")];
            row.extend(cells.iter().map(u64::to_string));
            row
        })
        .collect();
    html.table(
        &[
            "acknowledged by (site/epoch)",
            "#acknowledged",
            "#in the surviving database",
            "#missing there",
        ],
        &rows,
    );
    let text = format!(
        "{} writes were intended: {} acknowledged, {} refused, {} without an answer in time (of these and the refused, {} are in the database, which is allowed). Of the missing, {} were found on the returned site and {} were not. {} numbers stand there twice, {} rows nobody sent, {} acknowledgements came from an epoch that was over.",
        oracle.writes,
        oracle.acknowledged,
        oracle.refused,
        oracle.unknown,
        oracle.present_unacknowledged,
        oracle.missing_found(),
        oracle.missing_unexplained(),
        oracle.duplicated.len(),
        oracle.foreign.len(),
        oracle.violations.len()
    );
    html.paragraph("", &text);
    missing(html, report);
}

fn missing(html: &mut Page, report: &Report) {
    if report.oracle.missing.is_empty() {
        return;
    }
    let rows: Vec<Vec<String>> = report
        .oracle
        .missing
        .iter()
        .map(|missing| {
            let origin = missing
                .origin
                .map(|origin| origin.to_string())
                .unwrap_or_default();
            let found = if missing.found {
                "<span class=\"ok\">&#10003; found</span>"
            } else {
                "<span class=\"no\">&#10007; not found</span>"
            };
            vec![
                missing.number.to_string(),
                format!("<code>{origin}</code>"),
                relative(report, missing.acknowledged_at),
                found.to_owned(),
            ]
        })
        .collect();
    html.raw(&format!("<details><summary>The ledger: {} acknowledged writes that the survivor never got</summary>", rows.len()));
    html.table(
        &[
            "#number",
            "acknowledged by",
            "#acknowledged at",
            "on the returned site",
        ],
        &rows,
    );
    html.raw("</details>");
}

/// Seconds from T0, or from the start of the load without a fault.
fn relative(report: &Report, at: Mono) -> String {
    let zero = report.timing.marks.t0.unwrap_or(report.started);
    let (sign, span) = if at >= zero {
        ("+", at.since(zero))
    } else {
        ("-", zero.since(at))
    };
    format!("{sign}{:.3} s", span.as_secs_f64())
}

fn faults(html: &mut Page, report: &Report) {
    if report.injected.is_empty() {
        return;
    }
    html.heading("Injected faults");
    let rows: Vec<Vec<String>> = report
        .injected
        .iter()
        .map(|injected| {
            let took = injected.window.length().as_secs_f64() * 1_000.0;
            vec![
                relative(report, injected.window.from),
                escape(&injected.action.to_string()),
                format!("{took:.1} ms"),
            ]
        })
        .collect();
    html.table(&["#at", "fault", "#carried out in"], &rows);
}

fn findings(html: &mut Page, report: &Report) {
    if report.findings.is_empty() {
        return;
    }
    html.heading("After the load");
    let rows: Vec<Vec<String>> = report
        .findings
        .iter()
        .map(|finding| {
            vec![
                mark(finding.held),
                escape(&asked(&finding.check)),
                escape(&finding.detail),
            ]
        })
        .collect();
    html.table(&["", "looked at", "seen"], &rows);
}

fn asked(check: &Aftermath) -> String {
    match check {
        Aftermath::StartSite { site } => format!("{site} is started again"),
        Aftermath::ExpectFenced { site } => format!("{site} comes back without the right to write"),
        Aftermath::ExpectRefusedDirect { site } => {
            format!("{site}'s database refuses the application's direct write")
        }
        Aftermath::ExpectRefusedAtGate { site } => {
            format!("{site}'s gates refuse forwarded write sessions")
        }
        Aftermath::ExpectForwarded { site, to } => {
            format!("a write through {site}'s gate is taken by {to}")
        }
        Aftermath::FindMissing { site } => {
            format!("missing acknowledged writes are looked for on {site}")
        }
    }
}

fn decisions(html: &mut Page, report: &Report) {
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

fn journal(html: &mut Page, report: &Report) {
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

fn circumstances(html: &mut Page, report: &Report) {
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
        vec!["links".to_owned(), escape(&run.links)],
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

fn limits(html: &mut Page, report: &Report) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(
            escape("<a href='x'>\"&"),
            "&lt;a href=&#39;x&#39;&gt;&quot;&amp;"
        );
    }

    #[test]
    fn numbers_carry_their_unit_and_counts_have_no_fraction() {
        assert_eq!(number(0.0, ""), "0");
        assert_eq!(number(1.5, "s of writes"), "1.500 s");
        assert_eq!(number(12.34, "ms"), "12.340 ms");
    }
}

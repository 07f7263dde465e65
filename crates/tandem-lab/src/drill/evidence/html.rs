//! `report.html`: one self-contained page that answers, in this order: did it
//! pass, how long, what was lost, what happened, why, and what it does not prove.
//!
//! Written by hand and not by a template engine: the page is a list of small
//! functions over the report, and the compiler checks every field.

use tandem_core::drill::observed::Told;
use tandem_core::drill::timing::Window;
use tandem_core::drill::verdict::{Judged, Result as Outcome};
use tandem_core::drill::{Aftermath, Measure, Moved};
use tandem_core::model::Mono;

use super::background::{circumstances, decisions, journal, limits};
use super::doors;
use super::markup::{Page, escape};
use super::picture;
use super::report::Report;

const STYLE: &str = include_str!("style.css");

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
    doors::section(&mut html, report);
    faults(&mut html, report);
    moves(&mut html, report);
    findings(&mut html, report);
    decisions(&mut html, report);
    journal(&mut html, report);
    circumstances(&mut html, report);
    limits(&mut html, report);
    html.raw("</main></body></html>\n");
    html.0
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
pub(super) fn relative(report: &Report, at: Mono) -> String {
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
                injected.told.as_ref().map_or(String::new(), told),
            ]
        })
        .collect();
    html.table(&["#at", "fault", "#carried out in", "answer"], &rows);
}

fn told(told: &Told) -> String {
    let sign = if told.as_expected { "" } else { "&#10007; " };
    format!("{sign}{}", escape(&told.said))
}

fn moves(html: &mut Page, report: &Report) {
    if report.moves.is_empty() {
        return;
    }
    html.heading("Moves that a person asked for");
    let row = |moved: &Moved| {
        let span = |window: Window| format!("{:.3} s", window.length().as_secs_f64());
        let pause = moved.pause;
        vec![
            escape(&moved.action.to_string()),
            relative(report, moved.asked.from),
            span(moved.asked),
            pause.map_or("not measured".to_owned(), span),
            pause.map_or(String::new(), |pause| relative(report, pause.from)),
        ]
    };
    let rows: Vec<Vec<String>> = report.moves.iter().map(row).collect();
    let columns = ["move", "#asked", "#until told", "#writes paused", "#from"];
    html.table(&columns, &rows);
    html.paragraph("soft", "The pause is the longest time between two acknowledged writes of outside clients, from the asking to the next move or the end of the load.");
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
        Aftermath::HealSite { site } => format!("every link of {site} is mended"),
        Aftermath::ExpectStoreRefused {} => "every agent refuses the store".to_owned(),
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
        Aftermath::Sql { site, .. } => format!("statements at {site}"),
        Aftermath::ExpectReplicating { from, to } => format!("{to} follows {from} again"),
        Aftermath::ExpectRule { site, .. } => {
            format!("an agent of {site} named what stood in the way")
        }
        Aftermath::ExpectRow { site, .. } => format!("a query at {site} gives what it must"),
        Aftermath::ExpectSaid { command, .. } => format!("tandem {} says so", command.join(" ")),
        Aftermath::ExpectSequencesPast { site, of } => {
            format!("every sequence of {site} is past what {of} issued")
        }
        Aftermath::ExpectWholeTransaction { site } => {
            format!("{site} has the large transaction wholly or not at all")
        }
        Aftermath::FindMissing { site } => {
            format!("missing acknowledged writes are looked for on {site}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_carry_their_unit_and_counts_have_no_fraction() {
        assert_eq!(number(0.0, ""), "0");
        assert_eq!(number(1.5, "s of writes"), "1.500 s");
        assert_eq!(number(12.34, "ms"), "12.340 ms");
    }
}

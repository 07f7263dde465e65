//! CSV, Markdown and HTML.

use std::fmt::Write as _;

use super::{Frame, clouds, footer, money};
use crate::cost::price::Component;
use crate::cost::scenario::Scenario;
use crate::cost::{Breakdown, Line, Priced};

const COLUMNS: usize = 11;

/// One row a component, for a spreadsheet.
pub fn csv(breakdown: &Breakdown) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let head: [&str; COLUMNS] = [
        "line",
        "resource",
        "status",
        "component",
        "unit",
        "monthlyQuantity",
        "price",
        "monthlyCost",
        "confidence",
        "date",
        "source",
    ];
    writer.write_record(head).expect("writing to memory");
    for line in &breakdown.lines {
        for priced in &line.resources {
            for row in rows(line.id.info().title, priced) {
                writer.write_record(&row).expect("writing to memory");
            }
        }
    }
    String::from_utf8(writer.into_inner().expect("writing to memory")).expect("all fields are text")
}

fn rows(line: &str, priced: &Priced) -> Vec<Vec<String>> {
    let start = vec![
        line.to_owned(),
        priced.item.address.clone(),
        format!("{:?}", priced.status),
    ];
    if priced.components.is_empty() {
        let mut row = start;
        row.resize(COLUMNS, String::new());
        return vec![row];
    }
    priced
        .components
        .iter()
        .map(|component| start.iter().cloned().chain(cells(component)).collect())
        .collect()
}

fn cells(component: &Component) -> Vec<String> {
    let quantity = component.quantity.normalize().to_string();
    let mut cells = vec![component.name.clone(), component.unit.clone(), quantity];
    if let Some(price) = &component.price {
        cells.push(price.usd.normalize().to_string());
        cells.push(component.monthly().round_dp(6).normalize().to_string());
        cells.push(price.confidence.word().to_owned());
        cells.push(price.date.to_string());
        cells.push(price.source.clone());
    }
    cells.resize(COLUMNS - 3, String::new());
    cells
}

fn mark(line: &Line) -> &'static str {
    match (line.incomplete, line.stale) {
        (true, _) => " (at least: a part has no price)",
        (false, true) => " (stale)",
        (false, false) => "",
    }
}

/// For a pull request or a page.
pub fn markdown(breakdown: &Breakdown, scenarios: &[Scenario], frame: &Frame) -> String {
    let mut out =
        String::from("| line | USD a month | guide | confidence |\n|---|---:|---:|---|\n");
    for line in breakdown
        .lines
        .iter()
        .filter(|line| line.id.info().guide_usd.is_some())
    {
        let info = line.id.info();
        let stale = mark(line);
        let _ = writeln!(
            out,
            "| {} | {} | {} | {}{stale} |",
            info.title,
            money(line.monthly),
            info.guide_usd.unwrap_or(0),
            line.confidence.word()
        );
    }
    for (cloud, sum, guide) in clouds(breakdown)
        .into_iter()
        .filter(|(cloud, _, _)| matches!(*cloud, "AWS" | "GCP"))
    {
        let _ = writeln!(out, "| *{cloud} sum* | *{}* | *{guide}* | |", money(sum));
    }
    let guide: u32 = clouds(breakdown).iter().map(|(_, _, guide)| guide).sum();
    let _ = writeln!(
        out,
        "| **Total** | **{}** | **{guide}** | |\n",
        money(breakdown.total)
    );
    for text in footer(breakdown, frame) {
        let _ = writeln!(out, "- {text}");
    }
    for reason in &breakdown.reasons {
        let _ = writeln!(out, "- **{}**: {}", reason.line.info().title, reason.text);
    }
    let _ = writeln!(
        out,
        "\n| scenario | USD a month | survivor | what differs |\n|---|---:|---|---|"
    );
    for scenario in scenarios {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} |",
            scenario.name,
            money(scenario.total),
            scenario.capacity,
            scenario.means
        );
    }
    out
}

/// One self-contained page.
pub fn html(breakdown: &Breakdown, scenarios: &[Scenario], frame: &Frame) -> String {
    let mut out = String::from(HTML_HEAD);
    for line in breakdown
        .lines
        .iter()
        .filter(|line| line.id.info().guide_usd.is_some())
    {
        let info = line.id.info();
        let stale = mark(line);
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\">{}</th><td class=\"n\">{}</td><td class=\"n\">{}</td><td>{}{stale}</td></tr>",
            escaped(info.title),
            money(line.monthly),
            info.guide_usd.unwrap_or(0),
            line.confidence.word()
        );
    }
    let guide: u32 = clouds(breakdown).iter().map(|(_, _, guide)| guide).sum();
    let _ = writeln!(
        out,
        "<tr><th scope=\"row\">Total</th><td class=\"n\"><strong>{}</strong></td><td class=\"n\">{guide}</td><td></td></tr>\n</tbody></table>\n<ul>",
        money(breakdown.total)
    );
    for text in footer(breakdown, frame) {
        let _ = writeln!(out, "<li>{}</li>", escaped(&text));
    }
    for reason in &breakdown.reasons {
        let _ = writeln!(
            out,
            "<li><strong>{}</strong>: {}</li>",
            escaped(reason.line.info().title),
            escaped(&reason.text)
        );
    }
    out.push_str("</ul>\n<table><caption>Four months side by side</caption>\n<thead><tr><th scope=\"col\">scenario</th><th scope=\"col\">USD a month</th><th scope=\"col\">survivor</th><th scope=\"col\">what differs</th></tr></thead>\n<tbody>\n");
    for scenario in scenarios {
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\">{}</th><td class=\"n\">{}</td><td>{}</td><td>{}</td></tr>",
            scenario.name,
            money(scenario.total),
            escaped(&scenario.capacity),
            escaped(&scenario.means)
        );
    }
    out.push_str("</tbody></table>\n</body></html>\n");
    out
}

const HTML_HEAD: &str = "<!doctype html>
<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Monthly cost</title>
<style>body{font-family:system-ui,sans-serif;margin:2rem}table{border-collapse:collapse;margin:1rem 0}th,td{padding:.3rem .8rem;border-bottom:1px solid #999;text-align:left}.n{text-align:right;font-variant-numeric:tabular-nums}</style>
</head><body>
<h1>Monthly cost</h1>
<table><caption>By line, in USD</caption>
<thead><tr><th scope=\"col\">line</th><th scope=\"col\">USD a month</th><th scope=\"col\">guide</th><th scope=\"col\">confidence</th></tr></thead>
<tbody>
";

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

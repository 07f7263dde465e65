//! Plain text for a terminal.

use std::fmt::Write as _;

use rust_decimal::Decimal;

use super::{Frame, clouds, footer, money};
use crate::cost::compare::Change;
use crate::cost::savings::Saving;
use crate::cost::scenario::Scenario;
use crate::cost::{Breakdown, Line, LineInfo, Status};

/// Lines, sums, reasons and the four months.
pub fn table(breakdown: &Breakdown, scenarios: &[Scenario], frame: &Frame) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{:<20} {:>10} {:>8}  {:<10} explain",
        "line", "USD/month", "guide", "confidence"
    );
    let mut cloud = "";
    for line in breakdown
        .lines
        .iter()
        .filter(|line| line.id.info().guide_usd.is_some())
    {
        let info = line.id.info();
        if cloud != info.cloud {
            sum_row(&mut out, breakdown, cloud);
            cloud = info.cloud;
        }
        line_row(&mut out, line, info);
    }
    sum_row(&mut out, breakdown, cloud);
    let guide: u32 = clouds(breakdown).iter().map(|(_, _, guide)| guide).sum();
    let floor = if breakdown.incomplete {
        "  AT LEAST: a part has no price, see explain"
    } else {
        ""
    };
    let _ = writeln!(
        out,
        "{:<20} {:>10} {:>8}{floor}",
        "TOTAL",
        money(breakdown.total),
        guide
    );
    for text in footer(breakdown, frame) {
        let _ = writeln!(out, "  {text}");
    }
    without_price(&mut out, breakdown);
    reasons(&mut out, breakdown);
    months(&mut out, scenarios);
    out
}

fn line_row(out: &mut String, line: &Line, info: &LineInfo) {
    let stale = if line.stale { "*" } else { "" };
    let guide = info.guide_usd.unwrap_or(0);
    let confidence = if line.incomplete {
        "AT LEAST".to_owned()
    } else {
        format!("{}{stale}", line.confidence.word())
    };
    let _ = writeln!(
        out,
        "{:<20} {:>10} {guide:>8}  {confidence:<10} {}",
        info.title,
        money(line.monthly),
        info.name
    );
}

/// The sum of a cloud with more than one line.
fn sum_row(out: &mut String, breakdown: &Breakdown, cloud: &str) {
    let lines = breakdown
        .lines
        .iter()
        .filter(|line| line.id.info().cloud == cloud)
        .count();
    if let Some((_, sum, guide)) = clouds(breakdown)
        .into_iter()
        .find(|(name, _, _)| *name == cloud)
        .filter(|_| lines > 1)
    {
        let _ = writeln!(
            out,
            "{:<20} {:>10} {guide:>8}\n",
            format!("{cloud} sum"),
            money(sum)
        );
    }
}

fn without_price(out: &mut String, breakdown: &Breakdown) {
    for (status, heading) in [
        (Status::Unknown, "without a price"),
        (Status::UsageBased, "by usage that is not stated"),
    ] {
        let resources = breakdown.lines.iter().flat_map(|line| &line.resources);
        let names: Vec<&str> = resources
            .filter(|priced| priced.status == status)
            .map(|priced| priced.item.address.as_str())
            .collect();
        if !names.is_empty() {
            let _ = writeln!(out, "  {heading}: {}", names.join(", "));
        }
    }
}

fn reasons(out: &mut String, breakdown: &Breakdown) {
    if !breakdown.reasons.is_empty() {
        let _ = writeln!(out, "\nwhy this differs from what the files seem to say");
    }
    for reason in &breakdown.reasons {
        let _ = writeln!(out, "  {}: {}", reason.line.info().title, reason.text);
    }
}

fn months(out: &mut String, scenarios: &[Scenario]) {
    let Some(normal) = scenarios.first() else {
        return;
    };
    let _ = writeln!(
        out,
        "\nfour months side by side\n{:<12} {:>10} {:>11}  survivor, and what differs",
        "scenario", "USD/month", "difference"
    );
    for scenario in scenarios {
        let more = scenario.total - normal.total;
        let sign = if more > Decimal::ZERO { "+" } else { "" };
        let _ = writeln!(
            out,
            "{:<12} {:>10} {:>11}  {}",
            scenario.name,
            money(scenario.total),
            format!("{sign}{}", money(more)),
            scenario.capacity
        );
        let _ = writeln!(out, "{:36} {}", "", scenario.means);
    }
}

/// One line in full: every component with price, source, date and confidence.
pub fn explain(line: &Line, breakdown: &Breakdown) -> String {
    let info = line.id.info();
    let mut out = format!(
        "{} ({}): {} USD a month",
        info.title,
        info.name,
        money(line.monthly)
    );
    if line.band.0 != line.band.1 {
        let _ = write!(
            out,
            ", range {} to {}",
            money(line.band.0),
            money(line.band.1)
        );
    }
    let _ = writeln!(out, "\n  formula  {}", info.formula);
    if let Some(guide) = info.guide_usd {
        let _ = writeln!(
            out,
            "  guide    {guide} USD; the difference is {} USD",
            money(line.monthly - Decimal::from(guide))
        );
    }
    for reason in breakdown
        .reasons
        .iter()
        .filter(|reason| reason.line == line.id)
    {
        let _ = writeln!(out, "  because  {}", reason.text);
    }
    for priced in &line.resources {
        let _ = writeln!(out, "\n  {}", priced.item.address);
        match priced.status {
            Status::Free => out.push_str("    free by itself\n"),
            Status::UsageBased => {
                out.push_str("    billed by usage; no usage is stated (--usage FILE)\n");
            }
            Status::Unknown if priced.components.is_empty() => {
                out.push_str("    no price rule; add it by hand\n");
            }
            _ => {}
        }
        for component in &priced.components {
            component_rows(&mut out, component);
        }
    }
    out
}

fn component_rows(out: &mut String, component: &crate::cost::price::Component) {
    let Some(price) = &component.price else {
        let _ = writeln!(
            out,
            "    {}: {} {}; not in the sum",
            component.name,
            component.quantity.normalize(),
            component.unit
        );
        return;
    };
    let exact = component.monthly().round_dp(6).normalize();
    let _ = writeln!(
        out,
        "    {}: {} = {} {} x {} USD = {exact} USD",
        component.name,
        component.reckoning,
        component.quantity.normalize(),
        component.unit,
        price.usd.normalize()
    );
    let _ = writeln!(
        out,
        "      {} {} {}; {}, {} confidence",
        price.provider,
        price.region,
        price.sku,
        price.date,
        price.confidence.word()
    );
    let _ = writeln!(out, "      {}", price.source);
}

/// What differs between two configurations.
pub fn changes(changes: &[Change], before: &Breakdown, after: &Breakdown) -> String {
    let shown = |usd: Option<Decimal>| usd.map_or_else(|| "-".to_owned(), money);
    let mut out = String::new();
    for change in changes {
        let sign = if change.difference() > Decimal::ZERO {
            "+"
        } else {
            ""
        };
        let _ = writeln!(
            out,
            "{} {:<20} {:>10} -> {:>10}  {sign}{}",
            change.mark(),
            change.id.info().title,
            shown(change.before),
            shown(change.after),
            money(change.difference())
        );
    }
    let more = after.total - before.total;
    let sign = if more > Decimal::ZERO { "+" } else { "" };
    let _ = writeln!(
        out,
        "  {:<20} {:>10} -> {:>10}  {sign}{}",
        "TOTAL",
        money(before.total),
        money(after.total),
        money(more)
    );
    for (side, breakdown) in [("before", before), ("after", after)]
        .into_iter()
        .filter(|(_, breakdown)| breakdown.incomplete)
    {
        let lines: Vec<&str> = breakdown
            .lines
            .iter()
            .filter(|line| line.incomplete)
            .map(|line| line.id.info().title)
            .collect();
        let _ = writeln!(
            out,
            "  {side}: at least; no price for a part of {}",
            lines.join(", ")
        );
    }
    out
}

/// Savings, the good ones first, the vetoed ones with their rules.
pub fn savings(savings: &[Saving]) -> String {
    let mut out = format!(
        "{:<40} {:>10} {:>10}  verdict\n",
        "change", "saves", "new total"
    );
    for saving in savings {
        let verdict = if saving.vetoes.is_empty() {
            "possible".to_owned()
        } else {
            format!("VETO: breaks {}", saving.vetoes.join(", "))
        };
        let _ = writeln!(
            out,
            "{:<40} {:>10} {:>10}  {verdict}",
            saving.name,
            money(saving.saves),
            money(saving.total)
        );
        let _ = writeln!(out, "{:62}  {}", "", saving.remark);
    }
    out.push_str("\nEach saving is priced alone; they do not add up.\n");
    out
}

//! The answer as people and programs read it.

mod document;
mod infracost;
mod table;

pub use document::{csv, html, markdown};
pub use infracost::{SCHEMA, json};
pub use table::{changes, explain, savings, table};

use std::fmt::Write as _;

use rust_decimal::Decimal;

use super::{Breakdown, Status, cents};

/// What surrounds the figures.
#[derive(Debug, Clone, Default)]
pub struct Frame {
    /// Korean won a dollar, and the day of the rate.
    pub krw: Option<(Decimal, String)>,
    /// Value-added tax in percent, shown apart.
    pub vat_percent: Option<u32>,
    /// The day of the answer.
    pub today: String,
    /// Where prices come from.
    pub catalogue: String,
}

/// `6,606.72`.
fn money(usd: Decimal) -> String {
    grouped(&cents(usd).to_string())
}

/// `8,588,736` won, rounded to the won.
fn won(usd: Decimal, rate: Decimal) -> String {
    grouped(&(usd * rate).round().to_string())
}

fn grouped(number: &str) -> String {
    let (sign, digits) = number
        .strip_prefix('-')
        .map_or(("", number), |digits| ("-", digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let mut out = String::from(sign);
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if !fraction.is_empty() {
        let _ = write!(out, ".{fraction}");
    }
    out
}

/// How many resources landed where: priced, free, usage-based, unknown.
fn landed(breakdown: &Breakdown) -> [usize; 4] {
    let all = || breakdown.lines.iter().flat_map(|line| &line.resources);
    let count = |status: Status| all().filter(|priced| priced.status == status).count();
    [
        count(Status::Priced),
        count(Status::Free),
        count(Status::UsageBased),
        count(Status::Unknown),
    ]
}

/// The clouds in the order of the table, each with its sum and the guide's.
fn clouds(breakdown: &Breakdown) -> Vec<(&'static str, Decimal, u32)> {
    let mut out: Vec<(&'static str, Decimal, u32)> = Vec::new();
    for line in &breakdown.lines {
        let info = line.id.info();
        let guide = info.guide_usd.unwrap_or(0);
        match out.iter_mut().find(|(cloud, _, _)| *cloud == info.cloud) {
            Some((_, sum, guide_sum)) => {
                *sum += line.monthly;
                *guide_sum += guide;
            }
            None => out.push((info.cloud, line.monthly, guide)),
        }
    }
    out
}

/// The lines below a total: band, won, tax, age, what is not in it.
fn footer(breakdown: &Breakdown, frame: &Frame) -> Vec<String> {
    let mut out = vec![format!(
        "range {} to {} USD by what sources support",
        money(breakdown.band.0),
        money(breakdown.band.1)
    )];
    if let Some((rate, date)) = &frame.krw {
        out.push(format!(
            "{} KRW at {} KRW/USD ({date})",
            won(breakdown.total, *rate),
            rate.normalize()
        ));
    }
    if let Some(percent) = frame.vat_percent {
        let tax = breakdown.total * Decimal::from(percent) / Decimal::from(100);
        out.push(format!("VAT {percent} %: {} USD on top", money(tax)));
    }
    let [priced, free, usage, unknown] = landed(breakdown);
    out.push(format!("{} resources: {priced} priced, {free} free, {usage} by usage not stated, {unknown} without a price", priced + free + usage + unknown));
    let age = if breakdown.stale {
        "; STALE: prices older than the limit are marked *"
    } else {
        ""
    };
    out.push(format!(
        "USD a month of 730 h, without tax; prices {}, as of {}{age}",
        frame.catalogue, frame.today
    ));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (usd, shown) in [
            ("0", "0.00"),
            ("1234567.5", "1,234,567.50"),
            ("-123.005", "-123.01"),
            ("999.994", "999.99"),
        ] {
            assert_eq!(money(usd.parse().unwrap()), shown);
        }
    }
}

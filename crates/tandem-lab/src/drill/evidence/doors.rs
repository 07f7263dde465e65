//! What clients inside the sites were told, for readers and for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use tandem_core::drill::{Inside, Outcome, Request};

use super::html::relative;
use super::markup::{Page, escape};
use super::report::{Acknowledged, DoorTold, Report};
use super::{COLUMNS, line};

/// Sums up `inside`, door by door.
pub fn doors(inside: &[Inside]) -> Vec<DoorTold> {
    let mut told: BTreeMap<&str, DoorTold> = BTreeMap::new();
    for Inside {
        process,
        door,
        request,
    } in inside
    {
        let told = told.entry(process).or_insert_with(|| DoorTold {
            process: process.clone(),
            door: *door,
            refused: 0,
            unknown: 0,
            acknowledged: BTreeMap::new(),
        });
        match request.outcome() {
            Outcome::Succeeded => told.acknowledge(request),
            Outcome::Refused(_) => told.refused += 1,
            Outcome::Unknown => told.unknown += 1,
        }
    }
    told.into_values().collect()
}

impl DoorTold {
    fn acknowledge(&mut self, request: &Request) {
        let (Some(origin), Some(sent)) = (request.origin, request.sent) else {
            return;
        };
        let answered = request.ended();
        let found = self.acknowledged.entry(origin).or_insert(Acknowledged {
            count: 0,
            first_sent: sent,
            last_sent: sent,
            last_answered: answered,
        });
        found.count += 1;
        found.first_sent = found.first_sent.min(sent);
        found.last_sent = found.last_sent.max(sent);
        found.last_answered = found.last_answered.max(answered);
    }
}

/// The doors as a table: who acknowledged what, from when to when.
pub(super) fn section(html: &mut Page, report: &Report) {
    if report.doors.is_empty() {
        return;
    }
    html.heading("Clients inside the sites");
    html.paragraph(
        "soft",
        "They write at every door of each site, whatever is cut. A door of an old epoch that takes a write sent after the first acknowledgement of a newer one would be a second writer.",
    );
    let rows: Vec<Vec<String>> = report
        .doors
        .iter()
        .flat_map(|told| rows(report, told))
        .collect();
    let headings = [
        "door",
        "acknowledged by",
        "#acknowledged",
        "#first sent",
        "#last sent",
        "#last answered",
        "#refused",
        "#no answer",
    ];
    html.table(&headings, &rows);
}

fn rows(report: &Report, told: &DoorTold) -> Vec<Vec<String>> {
    let name = escape(&format!("{} ({})", told.process, told.door));
    let ends = [told.refused.to_string(), told.unknown.to_string()];
    let row = |middle: [String; 5], ends: [String; 2]| {
        let cells = [name.clone()].into_iter().chain(middle).chain(ends);
        cells.collect::<Vec<_>>()
    };
    if told.acknowledged.is_empty() {
        return vec![row(std::array::from_fn(|_| "-".to_owned()), ends)];
    }
    let mut ends = Some(ends);
    let acknowledged = told.acknowledged.iter().map(|(origin, found)| {
        let at = |moment| relative(report, moment);
        let middle = [
            format!("<code>{origin}</code>"),
            found.count.to_string(),
            at(found.first_sent),
            at(found.last_sent),
            at(found.last_answered),
        ];
        row(middle, ends.take().unwrap_or_default())
    });
    acknowledged.collect()
}

/// As the table of all requests, with process and door in front.
pub(super) fn csv(inside: &[Inside]) -> String {
    let mut text = format!("process,door,{COLUMNS}\n");
    for Inside {
        process,
        door,
        request,
    } in inside
    {
        writeln!(text, "{process},{door},{}", line(request))
            .expect("writing into a string cannot fail");
    }
    text
}

//! A report as people read it and as programs read it.

use std::fmt::Write as _;

use serde::Serialize;

use super::{Finding, Report, Rule, Said, Severity, Topic};
use crate::estate::Estate;

/// The schema of `-o json`; a change of meaning gets a new number.
pub const SCHEMA: &str = "tandem.check.v1";

/// How the table looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Look {
    /// With ANSI colours.
    pub colour: bool,
    /// With rules that hold, and their numbers.
    pub all: bool,
}

/// The table: groups, a line for a rule that holds, five for a finding.
pub fn table(estate: &Estate, report: &Report, look: Look) -> String {
    let mut out = String::new();
    let mut topic = None;
    for (rule, said) in &report.rules {
        if !shown(said, look) {
            continue;
        }
        if topic != Some(rule.topic) {
            topic = Some(rule.topic);
            let heading = rule.topic.heading();
            let gap = if out.is_empty() { "" } else { "\n" };
            let _ = writeln!(out, "{gap}{heading}\n{}", "-".repeat(heading.len()));
        }
        line(&mut out, rule, said, look);
    }
    summary(&mut out, estate, report);
    out
}

fn shown(said: &Said, look: Look) -> bool {
    match said {
        Said::Findings(_) => true,
        Said::Holds(_) | Said::Missing(_) => look.all,
    }
}

fn line(out: &mut String, rule: &Rule, said: &Said, look: Look) {
    match said {
        Said::Holds(numbers) => {
            let _ = writeln!(out, "{} {}: {numbers}", paint(look, "32", "ok"), rule.title);
        }
        Said::Missing(what) => {
            let _ = writeln!(
                out,
                "{} {}: not known: {what}",
                paint(look, "2", "--"),
                rule.title
            );
        }
        Said::Findings(findings) => findings
            .iter()
            .for_each(|finding| block(out, finding, look)),
    }
}

fn block(out: &mut String, finding: &Finding, look: Look) {
    let (word, colour) = match (&finding.suppressed, finding.severity) {
        (Some(_), _) => ("accepted", "2"),
        (None, Severity::Error) => ("error", "31"),
        (None, Severity::Warning) => ("warning", "33"),
        (None, Severity::Info) => ("info", "36"),
    };
    let _ = writeln!(out, "{} {}", paint(look, colour, word), finding.id);
    let _ = writeln!(out, "    must      {}: {}", finding.title, finding.promised);
    let _ = writeln!(out, "    but       {}", finding.computed);
    let _ = writeln!(out, "    where     {}", where_line(finding));
    match &finding.suppressed {
        Some(accepted) => {
            let _ = writeln!(
                out,
                "    accepted  {} (until {})",
                accepted.reason, accepted.until
            );
        }
        None => {
            let _ = writeln!(out, "    do        {}", finding.remedy);
        }
    }
}

fn where_line(finding: &Finding) -> String {
    let line = finding
        .place
        .line
        .map_or_else(String::new, |line| format!(":{line}"));
    match (finding.place.file.is_empty(), finding.place.key.is_empty()) {
        (true, _) => finding.place.key.clone(),
        (false, true) => format!("{}{line}", finding.place.file),
        (false, false) => format!("{}{line}  {}", finding.place.file, finding.place.key),
    }
}

fn paint(look: Look, colour: &str, word: &str) -> String {
    if look.colour {
        format!("\x1b[{colour}m{word}\x1b[0m")
    } else {
        word.to_owned()
    }
}

fn summary(out: &mut String, estate: &Estate, report: &Report) {
    let holds = report
        .rules
        .iter()
        .filter(|(_, said)| matches!(said, Said::Holds(_)))
        .count();
    let missing = report
        .rules
        .iter()
        .filter(|(_, said)| matches!(said, Said::Missing(_)))
        .count();
    let accepted = report
        .findings()
        .filter(|finding| finding.suppressed.is_some())
        .count();
    let gap = if out.is_empty() { "" } else { "\n" };
    let _ = writeln!(
        out,
        "{gap}{} errors, {} warnings, {} notes{}; {holds} rules hold, {missing} cannot tell (--all shows them)",
        report.count(Severity::Error),
        report.count(Severity::Warning),
        report.count(Severity::Info),
        if accepted > 0 {
            format!(", {accepted} accepted")
        } else {
            String::new()
        },
    );
    let promises = &estate.promises;
    let _ = writeln!(
        out,
        "measured against {}: {} available, detection {} s, recovery {} s, loss {} s; as of {}",
        promises.source,
        promises.availability,
        promises.detect_s,
        promises.rto_s,
        promises.rpo_s,
        estate.today
    );
    if report.findings().next().is_some() {
        let _ = writeln!(
            out,
            "`tandem check explain ID` gives formula and source of a rule"
        );
    }
}

#[derive(Serialize)]
struct Json<'a> {
    schema: &'static str,
    as_of: String,
    promises: PromisesJson<'a>,
    findings: Vec<&'a Finding>,
    rules: Vec<RuleJson<'a>>,
    summary: Summary,
}

#[derive(Serialize)]
struct PromisesJson<'a> {
    availability: String,
    detect_s: u64,
    rto_s: u64,
    rpo_s: u64,
    source: &'a str,
}

#[derive(Serialize)]
struct RuleJson<'a> {
    id: &'a str,
    topic: Topic,
    result: &'static str,
    detail: Option<&'a str>,
}

#[derive(Serialize)]
struct Summary {
    errors: usize,
    warnings: usize,
    infos: usize,
    exit_code: u8,
}

/// The report as JSON of [`SCHEMA`].
pub fn json(estate: &Estate, report: &Report) -> String {
    let rule = |(rule, said): &'_ (&'static Rule, Said)| match said {
        Said::Holds(_) => (rule.id, rule.topic, "holds"),
        Said::Missing(_) => (rule.id, rule.topic, "unknown"),
        Said::Findings(_) => (rule.id, rule.topic, "broken"),
    };
    let rules = report.rules.iter().map(|entry| {
        let (id, topic, result) = rule(entry);
        let detail = match &entry.1 {
            Said::Holds(text) | Said::Missing(text) => Some(text.as_str()),
            Said::Findings(_) => None,
        };
        RuleJson {
            id,
            topic,
            result,
            detail,
        }
    });
    let promises = &estate.promises;
    let json = Json {
        schema: SCHEMA,
        as_of: estate.today.to_string(),
        promises: PromisesJson {
            availability: promises.availability.to_string(),
            detect_s: promises.detect_s,
            rto_s: promises.rto_s,
            rpo_s: promises.rpo_s,
            source: &promises.source,
        },
        findings: report.findings().collect(),
        rules: rules.collect(),
        summary: Summary {
            errors: report.count(Severity::Error),
            warnings: report.count(Severity::Warning),
            infos: report.count(Severity::Info),
            exit_code: report.exit_code(),
        },
    };
    serde_json::to_string_pretty(&json).expect("plain structures always serialize")
}

/// One rule in full.
pub fn explain(rule: &Rule) -> String {
    let severity = format!("{:?}", rule.severity).to_lowercase();
    format!(
        "{} ({severity}, {})\n\n  must hold  {}\n  because    {}\n  formula    {}\n  source     {}\n  remedy     {}\n",
        rule.id,
        rule.topic.heading(),
        rule.title,
        rule.why,
        rule.formula,
        rule.source,
        rule.remedy
    )
}

/// One line a rule.
pub fn list(rules: &[&Rule]) -> String {
    let width = rules.iter().map(|rule| rule.id.len()).max().unwrap_or(0);
    rules.iter().fold(String::new(), |mut out, rule| {
        let _ = writeln!(out, "{:width$}  {}", rule.id, rule.title);
        out
    })
}

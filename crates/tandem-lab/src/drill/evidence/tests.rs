//! A made-up failover through the whole evidence: files, JSON and page.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tandem_core::drill::curves::buckets;
use tandem_core::drill::observed::{Injected, Observed};
use tandem_core::drill::schedule::timetable;
use tandem_core::drill::timing::{AgentMarks, Window};
use tandem_core::drill::{Door, Drill, Kind, Origin, Request, Row, Verdict};
use tandem_core::model::{Epoch, Mono, SiteId};

use super::*;

const FAULT: u64 = 15_000;
const WRITABLE: u64 = 21_400;

fn site(name: &str) -> SiteId {
    name.parse().expect("a site")
}

fn ms(at: u64) -> Mono {
    Mono(at * 1_000)
}

/// A cloud dies at 15 s; reads fail for a moment, writes until 21.4 s.
fn requests(drill: &Drill) -> Vec<Request> {
    let span = drill.before() + drill.after();
    timetable(drill.load, span, 7)
        .map(|due| {
            let intended = Mono(0).after(due.offset);
            let at = intended.0 / 1_000;
            let aws = at < FAULT && due.draw % 2 == 0;
            let fails = match due.kind {
                Kind::Write => (FAULT..WRITABLE - 1_500).contains(&at),
                _ => (FAULT..FAULT + 600).contains(&at) && due.draw % 2 == 0,
            };
            let slow = due.kind == Kind::Write && (WRITABLE - 1_500..WRITABLE).contains(&at);
            let took = if slow {
                (WRITABLE - at) * 1_000
            } else {
                3_000 + due.draw % 4_000
            };
            let origin = if at < FAULT {
                Origin {
                    epoch: Epoch(1),
                    site: site("aws"),
                }
            } else {
                Origin {
                    epoch: Epoch(2),
                    site: site("gcp"),
                }
            };
            Request {
                number: due.number,
                kind: due.kind,
                intended,
                sent: Some(intended),
                answered: (!fails).then(|| intended.after(Duration::from_micros(took))),
                status: (!fails).then_some(if due.kind == Kind::Write { 201 } else { 200 }),
                cloud: (!fails).then_some(site(if aws { "aws" } else { "gcp" })),
                origin: (!fails && due.kind == Kind::Write).then_some(origin),
                failure: fails.then(|| "no answer in time".to_owned()),
                patience_ms: None,
            }
        })
        .collect()
}

fn observed(drill: &Drill) -> Observed {
    let requests = requests(drill);
    let lost = |r: &&Request| (FAULT - 200..FAULT).contains(&(r.intended.0 / 1_000));
    let acked = || requests.iter().filter(|r| r.acknowledged());
    let found: BTreeSet<u64> = acked().filter(lost).map(|r| r.number).collect();
    let rows = acked()
        .filter(|r| !lost(r))
        .map(|r| Row {
            number: r.number,
            origin: r.origin,
        })
        .collect();
    Observed {
        ended: ms(55_000),
        injected: vec![Injected {
            action: drill.steps[0].action.clone(),
            window: Window {
                from: ms(FAULT),
                to: ms(FAULT + 40),
            },
            told: None,
        }],
        agents: AgentMarks {
            suspected: Some(ms(FAULT + 1_600)),
            decided: Some(ms(FAULT + 1_800)),
            fenced: Some(ms(FAULT + 6_100)),
            writable: Some(ms(FAULT + 6_350)),
        },
        rows,
        found,
        requests,
        ..Observed::default()
    }
}

/// Two writes at one gate: one taken, one refused.
fn inside() -> Vec<Inside> {
    let request = |number, status| Request {
        number,
        kind: Kind::Write,
        intended: ms(10),
        sent: Some(ms(10)),
        answered: Some(ms(12)),
        status: Some(status),
        cloud: None,
        origin: (status == 201).then(|| "aws/1".parse().expect("an origin")),
        failure: None,
        patience_ms: Some(60_000),
    };
    let at = |request| Inside {
        process: "aws.gate-1".into(),
        door: Door::Gate,
        request,
    };
    vec![at(request(1, 201)), at(request(2, 503))]
}

#[test]
fn doors_are_summed_up_by_who_acknowledged() {
    let told = doors(&inside());
    assert_eq!((told.len(), told[0].refused, told[0].unknown), (1, 1, 0));
    let acknowledged = told[0].acknowledged.values().next().expect("one origin");
    assert_eq!(
        (acknowledged.count, acknowledged.last_answered),
        (1, ms(12))
    );
    let page = page(&report().0);
    assert!(page.contains("aws.gate-1 (gate)"));
}

fn report() -> (Report, Vec<Request>) {
    let drill =
        Drill::parse(include_str!("../../../../../drills/aws-outage.toml")).expect("a drill");
    let observed = observed(&drill);
    let values = observed.values(&drill);
    let report = Report {
        schema: SCHEMA.to_owned(),
        verdict: Verdict::judge(&drill, &values, 1.0),
        values,
        timing: observed.timing(),
        oracle: observed.oracle(),
        injected: observed.injected.clone(),
        moves: observed.moves(),
        findings: vec![],
        doors: doors(&inside()),
        decisions: vec![Decision {
            at: ms(FAULT + 1_800),
            agent: "gcp.agent-1".into(),
            site: site("gcp"),
            epoch: Epoch(1),
            role: "replica".into(),
            down: vec![site("aws")],
            code: "TDM-1205".into(),
            en: "aws is lost; its right to write ends in 4.2 s at the latest".into(),
            ko: "주 사이트 연결 끊김: aws. 늦어도 4.2초 뒤 쓰기 권한이 끝납니다".into(),
            rules: serde_json::from_str(r#"[{"rule":"witness-agrees","passed":true},{"rule":"right-expired","passed":false}]"#).expect("rules"),
        }],
        journal: vec![],
        writers: vec![],
        started: observed.started,
        ended: observed.ended,
        bucket_ms: 500,
        buckets: buckets(&observed.requests, observed.started, observed.ended, Duration::from_millis(500)),
        failures: BTreeMap::from([("<script>alert(1)</script>".to_owned(), 3)]),
        client: Client::default(),
        versions: BTreeMap::from([("PostgreSQL".to_owned(), "15".to_owned())]),
        configuration: BTreeMap::from([("aws".to_owned(), "version = 1".to_owned())]),
        machine: Machine::default(),
        run: Run { number: 1, patience: 1.0, ..Run::default() },
        unproven: vec!["real cloud API times".to_owned()],
        drill,
    };
    (report, observed.requests)
}

#[test]
fn a_report_survives_its_files() {
    let folder = tempfile::tempdir().expect("a folder");
    assert_eq!(read(folder.path()).expect("readable"), None);
    let (report, requests) = report();
    write(folder.path(), &report, &requests, &inside()).expect("written");
    assert_eq!(
        read(folder.path()).expect("readable").as_ref(),
        Some(&report)
    );
    let csv = std::fs::read_to_string(folder.path().join(REQUESTS_CSV)).expect("written");
    assert_eq!(csv.lines().count(), requests.len() + 1);
    let csv = std::fs::read_to_string(folder.path().join(INSIDE_CSV)).expect("written");
    assert_eq!(csv.lines().count(), inside().len() + 1);
    assert!(csv.contains("aws.gate-1,gate,1,write,"), "{csv}");
}

#[test]
fn the_page_is_self_contained_and_safe() {
    let (report, _) = report();
    let html = page(&report);
    for asset in ["<link", "src=", "url(http", "@import", "<script"] {
        assert!(!html.contains(asset), "{asset}");
    }
    assert!(html.contains("&lt;script&gt;"));
    for told in [
        "T7",
        "write RTO",
        "gcp/2",
        "kill everything of aws",
        "witness-agrees",
        "real cloud API times",
    ] {
        assert!(html.contains(told), "{told}");
    }
}

#[test]
fn the_made_up_failover_has_the_figures_that_were_made_up() {
    let (report, _) = report();
    let rto = report.timing.write_rto.expect("measured").as_secs_f64();
    assert!((6.3..6.5).contains(&rto), "{rto}");
    assert!(report.oracle.missing.len() > 5 && report.oracle.missing_unexplained() == 0);
    let phases = report.timing.phases;
    assert_eq!(phases.detect, Some(Duration::from_millis(1_600)));
    assert_eq!(phases.fence, Some(Duration::from_millis(4_300)));
}

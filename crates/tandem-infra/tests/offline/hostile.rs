//! 10,000 mutated HCL, TOML, JSON and CSV files, and YAML beside them: one clear error each, never a panic, bounded memory.
//!
//! Mutations are seeded, so a failing one repeats: the message names its number.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use tandem_core::config::Config;
use tandem_infra::check::suppress::Settings;
use tandem_infra::check::{self, render};
use tandem_infra::cost::catalog::Catalogue;
use tandem_infra::cost::render::{Frame, table};
use tandem_infra::cost::usage::Usage;
use tandem_infra::cost::{self, Sources};
use tandem_infra::estate::Estate;
use tandem_infra::read::{FaultKind, hcl, plan};
use tandem_infra::slo::Rates;

use crate::support::{Copy, fixture, today};

/// Files of each kind.
const EACH: u64 = 2_500;

struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) % bound.max(1) as u64).unwrap()
    }
}

/// Pieces that break grammars, types and ranges.
const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    "\"",
    "\\",
    "${",
    "%{",
    "<<EOT\n",
    "=",
    ",",
    "\n",
    "\r",
    "\0",
    "é",
    "\u{202e}",
    "#",
    "//",
    "/*",
    "-1",
    "99999999999999999999999999999999",
    "1e308",
    "1e-308",
    "0x",
    "nan",
    "null",
    "true",
    "jsonencode(",
    "var.x",
    "...",
    "\t",
    "\u{feff}",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    "{a={a={a={a={a={a={a={a={a={a={a={a={",
    "\"\"\"",
    "'''",
    "- - - ",
    "&a *a",
    "!!!!!!!!",
];

/// One to four edits: cut, copy, swap, insert, overwrite, cut off.
fn mutated(text: &str, number: u64) -> String {
    let mut draw = Draw(number);
    let mut chars: Vec<char> = text.chars().collect();
    for _ in 0..=draw.below(3) {
        let (a, b) = (draw.below(chars.len()), draw.below(chars.len()));
        let (from, to) = (a.min(b), a.max(b).min(a.min(b) + 200));
        match draw.below(6) {
            0 => drop(chars.drain(from..to)),
            1 => {
                let piece: Vec<char> = chars[from..to].to_vec();
                chars.splice(from..from, piece);
            }
            2 => chars.swap(a, b),
            3 => drop(chars.splice(from..from, PIECES[draw.below(PIECES.len())].chars())),
            4 => drop(chars.splice(
                from..to.min(from + 3),
                PIECES[draw.below(PIECES.len())].chars(),
            )),
            _ => chars.truncate(a.max(1)),
        }
        if chars.is_empty() {
            chars.push('x');
        }
    }
    chars.into_iter().collect()
}

/// Runs `answer` over mutations; each must answer with nothing or with one
/// error that says something in a bounded space.
fn survive(kind: &str, original: &str, answer: impl Fn(&str) -> Option<String>) -> u64 {
    let mut refused = 0;
    for number in 0..EACH {
        let text = mutated(original, number);
        let said = catch_unwind(AssertUnwindSafe(|| answer(&text)));
        let said = said.unwrap_or_else(|_| panic!("{kind} mutation {number} panics:\n{text}"));
        if let Some(error) = said {
            refused += 1;
            assert!(
                !error.trim().is_empty() && error.len() < 16 * 1024,
                "{kind} mutation {number}: {error}"
            );
        }
    }
    assert!(
        refused > EACH / 20,
        "{kind}: only {refused} refused, the mutations are too tame"
    );
    refused
}

fn original(file: &str) -> String {
    fs::read_to_string(fixture(file)).unwrap()
}

#[test]
fn hcl_files() {
    let text = original("guide/environments/global/cloudflare-lb/main.tf")
        + &original("guide/environments/aws/dr/terraform.tfvars");
    survive("HCL", &text, |text| {
        hcl::read(text)
            .1
            .map(|fault| format!("line {}: {}", fault.line, fault.problem))
    });
}

#[test]
fn toml_files() {
    let text = original("corrected/tandem.toml");
    survive("TOML", &text, |text| {
        Config::parse(text).err().map(|faults| faults.to_string())
    });
    let text = "edge_per_year = 0.3\n[repair]\nmedian_minutes = 45.0\nsigma = 1.0\n";
    for number in 0..EACH / 4 {
        let _ = Rates::parse(&mutated(text, number));
        let _ = Settings::parse(
            &mutated(&original("corrected/tandem-check.toml"), number),
            Path::new("x"),
        );
    }
}

#[test]
fn json_files() {
    let text = r#"{"format_version":"1.2","variables":{"a":{"value":5}},"planned_values":{"root_module":{"resources":[{"address":"a.b","mode":"managed","type":"google_redis_instance","values":{"tier":"STANDARD_HA","memory_size_gb":10,"replica_count":2}}],"child_modules":[{"resources":[{"address":"c.d","mode":"managed","type":"aws_lb","values":{"subnets":["x","y"]}}]}]}}}"#;
    survive("JSON", text, |text| {
        plan::read(text, "plan.json")
            .err()
            .map(|fault| format!("{}: {}", fault.place, fault.problem))
    });
}

#[test]
fn csv_files() {
    let text =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("data/prices.csv")).unwrap();
    survive("CSV", &text, |text| {
        Catalogue::parse(text).err().map(|error| error.to_string())
    });
}

#[test]
fn yaml_files() {
    let text = "version: 0.1\nresource_type_default_usage:\n  aws_nat_gateway:\n    monthly_data_processed_gb: 100\nresource_usage:\n  aws_lb.alb[*]:\n    new_connections: 50\n";
    survive("YAML", text, |text| {
        Usage::parse(text).err().map(|error| error.to_string())
    });
}

/// Whole installations with mutated files: every rule and every price still
/// answers, and a file is reported as unreadable at most once.
#[test]
fn whole_installations() {
    let files = [
        "environments/aws/dr/terraform.tfvars",
        "environments/gcp/dr/terraform.tfvars",
        "environments/global/cloudflare-lb/main.tf",
        "environments/gcp/dr/variables.tf",
    ];
    let copy = Copy::of("guide");
    for number in 0..200 {
        let file = files[usize::try_from(number).unwrap() % files.len()];
        copy.write(file, &mutated(&original(&format!("guide/{file}")), number));
        let run = || {
            let estate = Estate::read(copy.root(), None, Settings::default(), today()).unwrap();
            let report = check::run(&estate);
            let breakdown = cost::breakdown(&estate, &Sources::default());
            let months = cost::scenario::scenarios(&estate, &Sources::default());
            let printed = render::table(&estate, &report, render::Look::default())
                + &table(&breakdown, &months, &Frame::default());
            let syntax = |name: &str| {
                estate
                    .environments()
                    .into_iter()
                    .flat_map(|(_, found)| &found.faults)
                    .filter(|fault| fault.kind == FaultKind::Syntax && fault.place.file == name)
                    .count()
            };
            (printed.len(), syntax(file))
        };
        let (length, syntax) = catch_unwind(AssertUnwindSafe(run))
            .unwrap_or_else(|_| panic!("{file} mutation {number} panics"));
        assert!(
            length < 200_000 && syntax <= 1,
            "{file} mutation {number}: {length} bytes, {syntax} syntax faults"
        );
        copy.write(file, &original(&format!("guide/{file}")));
    }
}

#[test]
fn large_and_deep_files_are_refused_quickly() {
    let copy = Copy::of("guide");
    let file = "environments/gcp/dr/terraform.tfvars";
    let deep = format!("a = {}1{}\n", "[".repeat(100_000), "]".repeat(100_000));
    let many = "x = 1\n".repeat(100_000);
    for text in [
        deep,
        "a = \"".to_owned() + &"x".repeat(3 << 20) + "\"\n",
        many,
        "!".repeat(500_000),
        "${".repeat(200_000),
    ] {
        copy.write(file, &text);
        let estate = Estate::read(copy.root(), None, Settings::default(), today()).unwrap();
        assert!(!estate.gcp.faults.is_empty());
        let _ = check::run(&estate);
    }
    let deep = "[".repeat(1_000_000);
    assert!(plan::read(&deep, "plan.json").is_err());
    assert!(Usage::parse(&deep).is_err());
    assert!(Rates::parse(&format!("a = {deep}")).is_err());
    assert!(Usage::parse(&billion_laughs()).is_err());
}

/// Aliases of aliases: a kilobyte that expands to gigabytes.
fn billion_laughs() -> String {
    let mut text = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for level in 1..12 {
        let before = vec![format!("*a{}", level - 1); 10].join(",");
        text += &format!("a{level}: &a{level} [{before}]\n");
    }
    text
}

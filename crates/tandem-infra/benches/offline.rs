//! How long the offline answers take: `cargo bench -p tandem-infra --profile dev`.
//!
//! Prints the median of 50 runs from files to text; no threshold, so that a
//! busy machine fails nothing.

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use jiff::civil::date;
use tandem_infra::check::suppress::Settings;
use tandem_infra::check::{self, render};
use tandem_infra::cost::{self, Sources};
use tandem_infra::estate::Estate;
use tandem_infra::slo::{Rates, simulate};

const RUNS: usize = 50;

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/guide");
    let read = || {
        Estate::read(&root, None, Settings::default(), date(2026, 11, 22))
            .expect("the fixture reads")
    };
    print("check, files to table", || {
        let estate = read();
        black_box(render::table(
            &estate,
            &check::run(&estate),
            render::Look::default(),
        ));
    });
    print("cost, files to table with four scenarios", || {
        let (estate, sources) = (read(), Sources::default());
        let breakdown = cost::breakdown(&estate, &sources);
        let months = cost::scenario::scenarios(&estate, &sources);
        black_box(cost::render::table(
            &breakdown,
            &months,
            &cost::render::Frame::default(),
        ));
    });
    print("savings, files to table", || {
        black_box(cost::savings::savings(&read(), &Sources::default()));
    });
    print("slo simulate, 40,000 years", || {
        black_box(simulate(&Rates::default(), 40_000, 1));
    });
}

fn print(name: &str, mut run: impl FnMut()) {
    let mut times: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed()
        })
        .collect();
    times.sort();
    println!(
        "{name:<45} median {:>8.2?}, slowest {:>8.2?}",
        times[RUNS / 2],
        times[RUNS - 1]
    );
}

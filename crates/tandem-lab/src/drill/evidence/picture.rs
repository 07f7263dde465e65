//! Pictures as inline SVG: the timeline and the curves.
//!
//! Every picture has a title for screen readers, colours come from the page's
//! variables (so that dark pages get dark pictures), and no meaning rests on
//! colour alone: failures are also hatched and lie on top.

use std::fmt::Write as _;

use tandem_core::drill::Timing;
use tandem_core::drill::curves::Bucket;
use tandem_core::model::Mono;

use super::markup::escape;
use super::report::Report;

/// Width of every picture in its own units; it scales with the page.
const WIDTH: f64 = 960.0;
/// Room for labels on the left.
const LEFT: f64 = 56.0;
/// Room on the right.
const RIGHT: f64 = 16.0;
/// Height of one curve's plot.
const PLOT: f64 = 150.0;

/// Maps moments to x.
struct Axis {
    from: u64,
    to: u64,
    zero: u64,
}

impl Axis {
    fn new(from: Mono, to: Mono, zero: Mono) -> Self {
        Self {
            from: from.0,
            to: to.0.max(from.0 + 1),
            zero: zero.0,
        }
    }

    fn x(&self, at: Mono) -> f64 {
        let share =
            seconds(at.0.clamp(self.from, self.to) - self.from) / seconds(self.to - self.from);
        LEFT + share * (WIDTH - LEFT - RIGHT)
    }

    /// Whole numbers of seconds from the zero, few enough to read.
    fn ticks(&self) -> Vec<(f64, String)> {
        let span = seconds(self.to - self.from);
        let step = [0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 300.0]
            .into_iter()
            .find(|step| span / step <= 12.0);
        let step = step.unwrap_or(3_600.0);
        let offset = |at: u64| {
            if at >= self.zero {
                seconds(at - self.zero)
            } else {
                -seconds(self.zero - at)
            }
        };
        let mut tick = (offset(self.from) / step).ceil() * step;
        let mut ticks = Vec::new();
        while tick <= offset(self.to) + 1e-9 {
            let share = (tick - offset(self.from)) / span;
            let text = if step < 1.0 {
                format!("{tick:.1} s")
            } else {
                format!("{tick:.0} s")
            };
            ticks.push((
                LEFT + share * (WIDTH - LEFT - RIGHT),
                text.replace("-0 s", "0 s"),
            ));
            tick += step;
        }
        ticks
    }
}

fn seconds(micros: u64) -> f64 {
    std::time::Duration::from_micros(micros).as_secs_f64()
}

/// T0 to T7 with the phases between them, zoomed to the failover.
pub(super) fn timeline(report: &Report) -> String {
    let timing = &report.timing;
    let Some(t0) = timing.marks.t0 else {
        return String::new();
    };
    let marks = marks(timing);
    let last = marks.iter().map(|(_, at, _)| *at).max().unwrap_or(t0);
    let room = std::time::Duration::from_micros((last.0.saturating_sub(t0.0) / 8).max(200_000));
    let axis = Axis::new(t0.before(room), last.after(room), t0);
    let mut svg = open(236.0, "Timeline of the failover, T0 to T7");
    grid(&mut svg, &axis, 20.0, 196.0);
    gap_bar(&mut svg, timing, &axis);
    phase_bars(&mut svg, timing, &axis);
    mark_flags(&mut svg, &marks, &axis, t0);
    svg + "</svg>"
}

fn marks(timing: &Timing) -> Vec<(&'static str, Mono, &'static str)> {
    let m = timing.marks;
    let all = [
        ("T0", m.t0, "fault injected"),
        ("T1", m.t1, "first failed request"),
        ("T2", m.t2, "suspicion"),
        ("T3", m.t3, "decision"),
        ("T4", m.t4, "old side fenced"),
        ("T5", m.t5, "new side writable"),
        ("T6", m.t6, "first write again"),
        ("T7", m.t7, "99 % succeed from here on"),
    ];
    all.into_iter()
        .filter_map(|(name, at, what)| Some((name, at?, what)))
        .collect()
}

fn gap_bar(svg: &mut String, timing: &Timing, axis: &Axis) {
    let within = |at: Mono| (axis.from..=axis.to).contains(&at.0);
    if let Some(gap) = timing
        .read_gap
        .filter(|gap| within(gap.from) || within(gap.to))
    {
        let name = format!("read gap {:.2} s", gap.length().as_secs_f64());
        bar(svg, axis, gap.from, gap.to, 176.0, "gap", &name);
    }
}

fn phase_bars(svg: &mut String, timing: &Timing, axis: &Axis) {
    let m = timing.marks;
    let phases = [
        ("detect", m.t0, m.t2),
        ("decide", m.t2, m.t3),
        ("fence", m.t3, m.t4),
        ("promote", m.t4, m.t5),
        ("route", m.t5, m.t7),
    ];
    for (index, (name, from, to)) in phases.into_iter().enumerate() {
        if let (Some(from), Some(to)) = (from, to) {
            let text = format!("{name} {:.2} s", to.since(from).as_secs_f64());
            bar(
                svg,
                axis,
                from,
                to,
                152.0,
                &format!("phase p{index}"),
                &text,
            );
        }
    }
}

/// A bar with its name inside, if it fits, and always in its title.
fn bar(svg: &mut String, axis: &Axis, from: Mono, to: Mono, y: f64, class: &str, text: &str) {
    let (x, end) = (axis.x(from), axis.x(to));
    let width = (end - x).max(2.0);
    put(
        svg,
        format_args!(
            "<g><title>{0}</title><rect class=\"{class}\" x=\"{x:.1}\" y=\"{y}\" width=\"{width:.1}\" height=\"18\" rx=\"3\"/>",
            escape(text)
        ),
    );
    let fits = width > 7.0 * f64::from(u16::try_from(text.len()).unwrap_or(u16::MAX));
    // The gap stands alone in its row, so that its name may stand beside it.
    let place = match (fits, class) {
        (true, _) => Some(("in", x + 5.0)),
        (false, "gap") => Some(("beside", x + width + 5.0)),
        (false, _) => None,
    };
    if let Some((look, at)) = place {
        let text = escape(text);
        put(
            svg,
            format_args!(
                "<text class=\"{look}\" x=\"{at:.1}\" y=\"{:.1}\">{text}</text>",
                y + 13.0
            ),
        );
    }
    svg.push_str("</g>");
}

/// Flags on four levels, so that marks close to each other stay readable; all
/// lines first, so that none runs through a name.
fn mark_flags(svg: &mut String, marks: &[(&str, Mono, &str)], axis: &Axis, t0: Mono) {
    let level = |index: usize| 30.0 + 28.0 * f64::from(u8::try_from(index % 4).unwrap_or(0));
    for (index, (_, at, _)) in marks.iter().enumerate() {
        let (x, y) = (axis.x(*at), level(index) - 4.0);
        put(
            svg,
            format_args!(
                "<line class=\"mark\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{y:.1}\" y2=\"196\"/>"
            ),
        );
        put(
            svg,
            format_args!("<circle class=\"dot\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\"/>"),
        );
    }
    for (index, (name, at, what)) in marks.iter().enumerate() {
        let (x, y) = (axis.x(*at), level(index));
        let late = x > WIDTH * 0.72;
        let (anchor, shift) = if late { ("end", -7.0) } else { ("start", 7.0) };
        let (x, span) = (x + shift, at.since(t0).as_secs_f64());
        put(
            svg,
            format_args!(
                "<text class=\"flag\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\"><tspan class=\"b\">{name}</tspan> {what} +{span:.2} s</text>"
            ),
        );
    }
}

/// Successful and failed requests of one kind over time, stacked by cloud.
pub(super) fn curves(report: &Report, writes: bool) -> String {
    let name = if writes {
        "Writes per second"
    } else {
        "Reads per second"
    };
    let zero = report.timing.marks.t0.unwrap_or(report.started);
    let end = report
        .started
        .after(std::time::Duration::from_millis(report.bucket_ms) * length(&report.buckets));
    let axis = Axis::new(report.started, end, zero);
    let per_second =
        1_000.0 / f64::from(u32::try_from(report.bucket_ms.max(1)).unwrap_or(u32::MAX));
    let stacks: Vec<Vec<(String, f64)>> = report
        .buckets
        .iter()
        .map(|bucket| stack(bucket, writes, per_second))
        .collect();
    let top = stacks
        .iter()
        .map(|stack| stack.iter().map(|(_, height)| height).sum::<f64>())
        .fold(1.0, f64::max);
    let mut svg = open(PLOT + 44.0, name);
    svg.push_str("<defs><pattern id=\"hatch\" width=\"5\" height=\"5\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\"><rect width=\"5\" height=\"5\" class=\"failed\"/><line x1=\"0\" y1=\"0\" x2=\"0\" y2=\"5\" class=\"hatch\"/></pattern></defs>");
    grid(&mut svg, &axis, 16.0, PLOT + 16.0);
    scale(&mut svg, top);
    for (index, stack) in stacks.iter().enumerate() {
        column(&mut svg, report, &axis, index, stack, top);
    }
    fault_lines(&mut svg, report, &axis);
    svg + "</svg>"
}

fn length(buckets: &[Bucket]) -> u32 {
    u32::try_from(buckets.len().max(1)).unwrap_or(u32::MAX)
}

fn stack(bucket: &Bucket, writes: bool, per_second: f64) -> Vec<(String, f64)> {
    let (good, failed) = if writes {
        (&bucket.writes, bucket.writes_failed)
    } else {
        (&bucket.reads, bucket.reads_failed)
    };
    let mut stack: Vec<(String, f64)> = good
        .iter()
        .map(|(cloud, count)| (cloud.clone(), f64::from(*count) * per_second))
        .collect();
    stack.push(("failed".to_owned(), f64::from(failed) * per_second));
    stack.retain(|(_, height)| *height > 0.0);
    stack
}

fn column(
    svg: &mut String,
    report: &Report,
    axis: &Axis,
    index: usize,
    stack: &[(String, f64)],
    top: f64,
) {
    let width = std::time::Duration::from_millis(report.bucket_ms);
    let from = report
        .started
        .after(width * u32::try_from(index).unwrap_or(u32::MAX));
    let (x, end) = (axis.x(from), axis.x(from.after(width)));
    let told: Vec<String> = stack
        .iter()
        .map(|(name, height)| format!("{name} {height:.0}/s"))
        .collect();
    put(
        svg,
        format_args!("<g><title>{}</title>", escape(&told.join(", "))),
    );
    let mut y = 16.0 + PLOT;
    for (name, value) in stack {
        let height = value / top * PLOT;
        y -= height;
        let class = match name.as_str() {
            "failed" => "failed-fill",
            "aws" => "site a",
            "gcp" => "site b",
            _ => "site c",
        };
        put(
            svg,
            format_args!(
                "<rect class=\"{class}\" x=\"{x:.2}\" y=\"{y:.2}\" width=\"{:.2}\" height=\"{height:.2}\"/>",
                (end - x - 0.6).max(0.4)
            ),
        );
    }
    svg.push_str("</g>");
}

fn fault_lines(svg: &mut String, report: &Report, axis: &Axis) {
    for (index, injected) in report.injected.iter().enumerate() {
        let x = axis.x(injected.window.from);
        put(
            svg,
            format_args!(
                "<g><title>{}</title><line class=\"fault\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"6\" y2=\"{:.1}\"/>",
                escape(&injected.action.to_string()),
                16.0 + PLOT
            ),
        );
        if index == 0 {
            put(
                svg,
                format_args!(
                    "<text class=\"flag\" x=\"{:.1}\" y=\"13\">T0</text>",
                    x + 4.0
                ),
            );
        }
        svg.push_str("</g>");
    }
}

fn scale(svg: &mut String, top: f64) {
    for share in [0.0, 0.5, 1.0] {
        let y = 16.0 + PLOT * (1.0 - share);
        put(
            svg,
            format_args!(
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{:.0}</text>",
                WIDTH - RIGHT,
                LEFT - 6.0,
                y + 4.0,
                top * share
            ),
        );
    }
}

fn grid(svg: &mut String, axis: &Axis, top: f64, bottom: f64) {
    for (x, text) in axis.ticks() {
        put(
            svg,
            format_args!(
                "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{top}\" y2=\"{bottom}\"/><text class=\"tick\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{text}</text>",
                bottom + 16.0
            ),
        );
    }
}

fn open(height: f64, title: &str) -> String {
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{0}\"><title>{0}</title>",
        escape(title)
    )
}

fn put(svg: &mut String, text: std::fmt::Arguments<'_>) {
    svg.write_fmt(text)
        .expect("writing into a string cannot fail");
}

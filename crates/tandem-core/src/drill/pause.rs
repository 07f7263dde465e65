//! How long writes stood still around a person's move, as clients saw it.
//!
//! Intuition: clients know nothing of fences and epochs; they know when the last answer came and
//! when the next one did. The pause of a move is the longest time between two acknowledged writes
//! from the moment it was asked for until the next move, or the end of the load.
//! Invariant: nothing is left out. A pause that has another cause counts too, and writes that
//! never came back pause until the end.
//! Refused: the controller's own marks, which end before a client's session has found its way.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::action::Action;
use super::measure::Measure;
use super::observed::{Injected, Observed, Values};
use super::timing::Window;
use crate::model::Mono;

/// One move, and what clients saw of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// What was asked for.
    pub action: Action,
    /// Asked for, and done as the person was told.
    pub asked: Window,
    /// The longest time between two acknowledged writes; absent if none was acknowledged before.
    pub pause: Option<Window>,
}

impl Observed {
    /// Every move of a person, in order.
    pub fn moves(&self) -> Vec<Moved> {
        let moves: Vec<&Injected> = self
            .injected
            .iter()
            .filter(|i| i.action.is_move())
            .collect();
        let answers = self.acknowledged_at();
        let ends = moves.iter().skip(1).map(|next| next.window.from);
        let ends = ends.chain([self.ended]);
        let moved = |(injected, end): (&&Injected, Mono)| {
            let span = Window {
                from: injected.window.from,
                to: end,
            };
            Moved {
                action: injected.action.clone(),
                asked: injected.window,
                pause: longest_gap(&answers, span),
            }
        };
        moves.iter().zip(ends).map(moved).collect()
    }

    /// When outside clients heard that a write was done, sorted.
    fn acknowledged_at(&self) -> Vec<Mono> {
        let acknowledged = self.requests.iter().filter(|r| r.acknowledged());
        let mut answers: Vec<Mono> = acknowledged.filter_map(|r| r.answered).collect();
        answers.sort_unstable();
        answers
    }

    pub(super) fn move_values(&self, values: &mut Values) {
        let in_time = |injected: &Injected| injected.window.to <= self.ended;
        let well = |injected: &Injected| {
            let told = injected.told.as_ref();
            told.is_none_or(|told| told.as_expected && in_time(injected))
        };
        let failed = self.injected.iter().filter(|injected| !well(injected));
        values.count(Measure::StepsFailed, failed.count());
        let pauses = self.moves().into_iter().map(|moved| moved.pause);
        // One move without a pause that could be measured leaves the figure out, and so the
        // condition broken.
        let Some(pauses) = pauses.collect::<Option<Vec<Window>>>() else {
            return;
        };
        let seconds = |window: &Window| window.length().as_secs_f64();
        let longest = pauses.iter().max_by_key(|window| window.length());
        values.set(Measure::WritePause, longest.map(seconds));
        values.set(Measure::WritePauseFirst, pauses.first().map(seconds));
        values.set(Measure::WritePauseLast, pauses.last().map(seconds));
    }
}

/// The longest time between two neighbours of `answers` that reaches into `span`. The last answer
/// counts up to the end of the span.
fn longest_gap(answers: &[Mono], span: Window) -> Option<Window> {
    let first = answers.iter().rposition(|at| *at <= span.from)?;
    let inside = answers[first..].iter().copied();
    let inside = inside.take_while(|at| *at < span.to).chain([span.to]);
    let inside: Vec<Mono> = inside.collect();
    let gaps = inside.windows(2).map(|pair| Window {
        from: pair[0],
        to: pair[1],
    });
    gaps.max_by_key(|gap| gap.length())
}

#[cfg(test)]
mod tests {
    use super::super::observed::Told;
    use super::super::transcript::Transcript;
    use super::*;
    use alloc::string::String;
    use alloc::vec;

    fn switchover(at_ms: u64, to: &str) -> Injected {
        let at = Mono(at_ms * 1_000);
        Injected {
            action: Action::Switchover {
                to: to.parse().unwrap(),
                wait: true,
                expect: super::super::action::Wanted::Done,
            },
            window: Window { from: at, to: at },
            told: Some(Told {
                as_expected: true,
                said: String::new(),
            }),
        }
    }

    fn observe(text: &str, injected: Vec<Injected>) -> Observed {
        let history = Transcript::read(text);
        Observed {
            ended: history.end,
            requests: history.requests,
            injected,
            ..Observed::default()
        }
    }

    fn pauses_ms(observed: &Observed) -> Vec<Option<u128>> {
        let pause = |moved: Moved| moved.pause.map(|pause| pause.length().as_millis());
        observed.moves().into_iter().map(pause).collect()
    }

    #[test]
    fn the_pause_of_a_move_is_the_longest_gap_until_the_next_move() {
        let text = "write 0    .. 10   201 aws/1
                    write 90   .. 95   201 aws/1
                    write 200  .. 720  201 gcp/2
                    read  300  .. 301  200 aws
                    write 950  .. 990  503
                    write 1100 .. 1110 201 gcp/2
                    write 1200 .. 2610 201 aws/3
                    end 2700";
        let moves = vec![switchover(100, "gcp"), switchover(1_150, "aws")];
        let observed = observe(text, moves);
        assert_eq!(pauses_ms(&observed), [Some(625), Some(1_500)]);
        let mut values = Values::default();
        observed.move_values(&mut values);
        assert_eq!(values.taken(Measure::WritePause), Some(1.5));
        assert_eq!(values.taken(Measure::WritePauseFirst), Some(0.625));
        assert_eq!(values.taken(Measure::StepsFailed), Some(0.0));
    }

    #[test]
    fn writes_that_never_come_back_pause_until_the_end() {
        let text = "write 0 .. 10 201 aws/1\nend 5000";
        let mut observed = observe(text, vec![switchover(100, "gcp")]);
        assert_eq!(pauses_ms(&observed), [Some(4_990)]);
        observed.requests.clear();
        assert_eq!(pauses_ms(&observed), [None]);
    }

    #[test]
    fn a_step_that_ends_after_the_load_has_failed() {
        let mut late = switchover(100, "gcp");
        late.window.to = Mono(9_000_000);
        let observed = observe("write 0 .. 10 201 aws/1\nend 5000", vec![late]);
        let mut values = Values::default();
        observed.move_values(&mut values);
        assert_eq!(values.taken(Measure::StepsFailed), Some(1.0));
    }
}

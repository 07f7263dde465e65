//! What must hold after every event, judged from outside, with all clocks and all secrets known.
//!
//! | id | checked here as |
//! |---|---|
//! | I1 | an acknowledgement leaves a gate only while no gate of the other site is open, and no epoch after a newer one was acknowledged |
//! | I2 | a transaction commits in no older epoch than one that committed before it; record, guard and heartbeat never go back |
//! | I3 | never does every gate of both sites believe that it must not serve |
//! | I4 | a claim only after the other site's right has ended, within the exposure, with every rule true in fact, or accepted by name |
//! | I5 | the target of a switchover holds every acknowledged write |
//! | I6 | a site opens only as the last open one, or as the replica of the last open one |
//! | I7, I8, I9 | after healing, writes are acknowledged again within a bound, or a report says which person must act |
//! | I10 | never a second automatic promotion in the window that nobody acknowledged |

use tandem_core::model::Epoch;

use crate::clock::At;

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which invariant.
    pub invariant: &'static str,
    /// When, in true time.
    pub at: At,
    /// What was seen.
    pub what: String,
}

/// What the judge remembers.
#[derive(Debug, Clone, Default)]
pub struct Oracle {
    /// The first broken promise; the run ends with it.
    pub violation: Option<Violation>,
    /// The newest acknowledged epoch and its site.
    pub acknowledged: Option<(Epoch, usize)>,
    /// The newest epoch in which a client's transaction committed.
    pub committed: Option<(Epoch, usize)>,
    /// Acknowledgements so far.
    pub acknowledgements: u32,
    /// When the last acknowledgement left.
    pub last_acknowledged: At,
    /// When automatic promotions were committed.
    pub claims: Vec<At>,
    /// Whether the present claim's loss was accepted by a person.
    pub accepted: bool,
    /// Whether the present claim follows a fence.
    pub fenced: bool,
    /// Whether the present claim was automatic and out of a bounded exposure.
    pub bounded: bool,
    /// Since when every gate of both sites sends its clients away.
    pub nowhere_since: Option<At>,
}

impl Oracle {
    /// Notes the first broken promise.
    pub fn fail(&mut self, invariant: &'static str, at: At, what: String) {
        if self.violation.is_none() {
            self.violation = Some(Violation {
                invariant,
                at,
                what,
            });
        }
    }
}

macro_rules! reached {
    ($($(#[doc = $doc:literal])* $field:ident $name:literal),* $(,)?) => {
        /// What happened in a run: a world in which nothing is ever taken over proves nothing.
        #[derive(Debug, Clone, Copy, Default)]
        pub struct Reached { $($(#[doc = $doc])* pub $field: u64,)* }

        impl Reached {
            /// Adds to each count whether it happened in `other`.
            pub fn add(&mut self, other: &Self) {
                $(self.$field += u64::from(other.$field > 0);)*
            }

            /// Each count with its name.
            pub fn counts(&self) -> Vec<(&'static str, u64)> {
                vec![$(($name, self.$field)),*]
            }

            /// Adds up, where a run has several parts.
            pub fn sum(&mut self, other: &Self) {
                $(self.$field += other.$field;)*
            }
        }
    };
}

reached! {
    /// A site claimed the other's right by itself.
    claims "claim",
    /// A site claimed because a person asked.
    asked "asked-claim",
    /// A site took its own right back.
    reclaims "reclaim",
    /// The other site opened.
    takeovers "takeover",
    /// A source fenced itself.
    fences "fence",
    /// A target opened after a fence.
    switchovers "switchover",
    /// Acknowledged writes were lost within what was allowed.
    losses "loss-within-bound",
    /// The primary went on without its peer.
    unbounded "unbounded",
    /// The exposure came back to bounded.
    bounded "bounded-again",
    /// A round of promises was complete.
    promises "failsafe",
    /// An old primary was reinstated.
    reinstated "reinstate",
    /// An old primary that had lost nothing followed again by itself.
    reattached "reattach",
    /// The store was rebuilt.
    rebuilt "rebuild",
    /// A reading was refused.
    refused "store-refused",
    /// A site opened in a third epoch or later.
    third "third-epoch",
}

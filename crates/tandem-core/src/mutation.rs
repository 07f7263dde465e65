//! Safety rules that can be taken away one at a time, to see that somebody notices.
//!
//! Intuition: a fire drill for the simulator. A rule whose absence nothing catches is either
//! needless or unwatched, and both are worth knowing.
//!
//! Invariant: without the feature `mutations` every rule stands, at no cost. With it, what is
//! taken away counts for the present thread only.
//! Refused: patches of the source. They rot; these hooks are compiled with what they remove.

macro_rules! mutations {
    ($($(#[doc = $doc:literal])* $rule:ident $name:literal),* $(,)?) => {
        /// One safety rule that is taken away.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Mutation { $($(#[doc = $doc])* $rule,)* }

        impl Mutation {
            /// Every mutation.
            pub const ALL: &[Self] = &[$(Self::$rule),*];

            /// Its name on the command line.
            pub fn name(self) -> &'static str {
                match self { $(Self::$rule => $name),* }
            }

            /// What it takes away.
            pub fn about(self) -> &'static str {
                match self { $(Self::$rule => concat!($($doc),*)),* }
            }
        }
    };
}

mutations! {
    /// A reading renews the right, as an etcd lease's keep-alive would.
    ReadingRenews "reading-renews",
    /// The holder counts from the arrival of the answer, not from before the sending.
    HoldFromArrival "hold-from-arrival",
    /// The holder leaves no room for two clocks that differ, nor for cutting sessions.
    NoMargin "no-margin",
    /// The taker counts from the sending of its question (C1).
    CountFromAsking "count-from-asking",
    /// One step of the count may be as long as a clock says (C13).
    StepUnbounded "step-unbounded",
    /// A site is taken over before its right has ended.
    ClaimBeforeExpiry "claim-before-expiry",
    /// A restarted agent acts in its first ttl (C6, C7).
    NoStartWait "no-start-wait",
    /// A store that is behind the agent's memory is believed.
    BelieveOlderStore "believe-older-store",
    /// A store with another identity is believed (C11).
    BelieveStranger "believe-stranger",
    /// The right goes on although the record moved to another site or epoch.
    HoldOutlivesRecord "hold-outlives-record",
    /// Gates open while the right is only claimed.
    ServeWhileClaimed "serve-while-claimed",
    /// Any site may take back a claim, not only the last open one (C9).
    AnybodyReclaims "anybody-reclaims",
    /// An old primary takes part again without having been reinstated.
    ForgetFence "forget-fence",
    /// Promotion whatever the exposure.
    ExposureUnchecked "exposure-unchecked",
    /// The primary acknowledges however old the newest applied heartbeat is.
    ServeBeyondBound "serve-beyond-bound",
    /// The age of a heartbeat counts from when its arrival was learned.
    AgeFromReport "age-from-report",
    /// Heartbeats of an earlier epoch prove the present one.
    BeatsOfAnyEpoch "beats-of-any-epoch",
    /// `bounded` is written while a gate may still be open without bound.
    BoundAtOnce "bound-at-once",
    /// Promotion while tables are being copied.
    TablesUnchecked "tables-unchecked",
    /// Promotion although the tables differ.
    SchemasUnchecked "schemas-unchecked",
    /// Promotion although the witness still reaches the site.
    WitnessUnasked "witness-unasked",
    /// Promotion in a mode that asks a person first.
    ModeUnchecked "mode-unchecked",
    /// A second promotion within the window.
    NoAntiFlap "no-anti-flap",
    /// The record says `open` before boundary, sequences and reverse slot stand.
    OpenUnprepared "open-unprepared",
    /// A gate takes an answer of an older epoch.
    GateTakesOldEpoch "gate-takes-old-epoch",
    /// A gate keeps a deadline across epochs.
    GateMixesEpochs "gate-mixes-epochs",
    /// A gate counts from the arrival of the answer.
    GateCountsFromArrival "gate-counts-from-arrival",
    /// A gate lets answers pass after its deadline.
    GateIgnoresDeadline "gate-ignores-deadline",
    /// A session lives on under a later right than its own.
    SessionsOutliveTerms "sessions-outlive-terms",
    /// A remote session goes to the other site's database, past that site's gate.
    RemoteSessionsGoDirect "remote-sessions-go-direct",
    /// The database has no guard.
    NoGuard "no-guard",
    /// A guard survives a restart of its server.
    GuardSurvivesRestart "guard-survives-restart",
    /// A guard that was closed for good opens again in its epoch (C3).
    GuardReopens "guard-reopens",
    /// A guard takes an older epoch.
    GuardArmsOldEpoch "guard-arms-old-epoch",
    /// An agent that knows an older epoch receives on beside a preparation for a newer one.
    ReceiveForOldEpoch "receive-for-old-epoch",
    /// Transactions compare the revision only, not the exact value (C12).
    StoreComparesRevisionOnly "store-compares-revision-only",
    /// Nothing is kept on disk.
    MemoryNotOnDisk "memory-not-on-disk",
    /// A rebuilt record is `open` at once (C11).
    RebuildOpens "rebuild-opens",
    /// One agent's promise is enough (C4).
    OnePromiseIsEnough "one-promise-is-enough",
    /// A promised right counts from the promise's arrival (C5).
    PromiseFromArrival "promise-from-arrival",
    /// A promise does not forbid claiming.
    PromiseForgotten "promise-forgotten",
    /// A promise forbids claiming, but not the step from `claimed` to `open` (C6).
    PromiseAllowsOpening "promise-allows-opening",
    /// An agent promises for an epoch below the highest that it knows (C7).
    PromiseForOldEpoch "promise-for-old-epoch",
    /// An agent without its incarnation in the store claims all the same (C4).
    ForgottenTwinMayClaim "forgotten-twin-may-claim",
    /// A fence is acted on although its epoch was not read as `open` since the last promise (C8).
    FenceWithoutOpen "fence-without-open",
    /// `fenced` is published before a full ttl was counted on `switching` (C2).
    FenceAtOnce "fence-at-once",
    /// The target opens before it applied the barrier.
    BarrierUnchecked "barrier-unchecked",
}

#[cfg(feature = "mutations")]
mod active {
    extern crate std;

    use super::Mutation;
    use core::cell::Cell;

    std::thread_local! {
        static ACTIVE: Cell<Option<Mutation>> = const { Cell::new(None) };
    }

    /// Takes `mutation` away for this thread, or gives every rule back.
    pub fn activate(mutation: Option<Mutation>) {
        ACTIVE.with(|active| active.set(mutation));
    }

    /// Whether `mutation` was taken away.
    #[inline]
    pub fn is(mutation: Mutation) -> bool {
        ACTIVE.with(|active| active.get() == Some(mutation))
    }
}

#[cfg(feature = "mutations")]
pub use active::{activate, is};

/// Whether `mutation` was taken away: never in this build.
#[cfg(not(feature = "mutations"))]
#[inline(always)]
pub const fn is(_mutation: Mutation) -> bool {
    false
}

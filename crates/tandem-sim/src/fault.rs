//! What goes wrong: every kind of fault, and a plan of them drawn from a seed.
//!
//! A plan uses only a few kinds, drawn first ("swarm"), and its faults stand close together in
//! time, since most holes need two or three faults within one ttl. It is drawn from a stream of
//! its own: leaving a fault out changes none of the others.

use crate::clock::{At, MS, SECOND};
use crate::random::Random;

macro_rules! kinds {
    ($($(#[doc = $doc:literal])* $kind:ident $name:literal $weight:literal),* $(,)?) => {
        /// A kind of fault.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kind { $($(#[doc = $doc])* $kind,)* }

        impl Kind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// Its name on the command line and in transcripts.
            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => $name),* }
            }

            /// What it does.
            pub fn about(self) -> &'static str {
                match self { $(Self::$kind => concat!($($doc),*)),* }
            }

            fn weight(self) -> u64 {
                match self { $(Self::$kind => $weight),* }
            }
        }
    };
}

kinds! {
    /// An agent is killed and starts again with its disk.
    AgentCrash "agent-crash" 6,
    /// An agent is killed and starts again without its disk.
    AgentForgets "agent-forgets" 3,
    /// An agent is stopped (SIGSTOP) and goes on.
    AgentFrozen "agent-frozen" 5,
    /// Both agents of a site are killed; the site serves on.
    AgentsDead "agents-dead" 5,
    /// An agent's disk takes no writes.
    DiskFull "disk-full" 2,
    /// A gate is killed and starts again.
    GateCrash "gate-crash" 3,
    /// A gate is stopped and goes on.
    GateFrozen "gate-frozen" 4,
    /// A gate's last check and its write are as far apart as the policy's `cut` allows.
    GateSlow "gate-slow" 5,
    /// A database is killed and starts again.
    DatabaseCrash "database-crash" 4,
    /// A database stays dead while its agents live.
    DatabaseDead "database-dead" 4,
    /// A database is stopped and goes on; statements that waited may still take effect.
    DatabaseFrozen "database-frozen" 4,
    /// A database refuses to be prepared for opening.
    PrepareBroken "prepare-broken" 2,
    /// A transaction stays open for seconds.
    LongTransaction "long-transaction" 4,
    /// A whole site loses power.
    SiteDown "site-down" 6,
    /// A site is alive and cut off from everybody but its clients.
    SiteIsolated "site-isolated" 8,
    /// The link between the sites is cut.
    VpnCut "vpn-cut" 6,
    /// A link passes one way only.
    OneWay "one-way-cut" 5,
    /// One agent is cut off from one place.
    AgentCut "agent-cut" 4,
    /// A site is cut off from the witness.
    WitnessCut "witness-cut" 3,
    /// The witness is down.
    WitnessDown "witness-down" 3,
    /// A link is slow, up to a second and a half.
    SlowLink "slow-link" 4,
    /// A link loses messages.
    LossyLink "lossy-link" 4,
    /// A link comes and goes.
    FlappingLink "flapping-link" 3,
    /// Messages to the store arrive twice.
    Duplicates "duplicate-messages" 3,
    /// The store elects another leader.
    LeaderChange "leader-change" 4,
    /// The store is led from the replica's site.
    LeaderAway "leader-at-replica" 3,
    /// A member of the store is down.
    MemberDown "member-down" 3,
    /// The store has no majority.
    MajorityDown "majority-down" 4,
    /// The store makes changes and loses the answers.
    LostReplies "lost-replies" 5,
    /// Questions to the store are answered after their caller gave up.
    LateCommits "late-commits" 5,
    /// The store is restored from an older copy; nobody told the agents.
    StoreRestored "store-restored" 2,
    /// The store is lost and a person rebuilds it under a new identity.
    StoreRebuilt "store-rebuilt" 2,
    /// An agent's clock runs one per cent fast or slow.
    ClockDrift "clock-drift" 4,
    /// An agent's clock jumps seconds ahead, once in an incident.
    ClockJump "clock-jump" 3,
    /// A machine is suspended: its agent, gate and clocks see the time pass at once.
    Suspended "suspended" 3,
    /// Applying is slow.
    SlowApply "slow-apply" 3,
    /// The apply worker sits in a transaction whose end does not come.
    HalfTransaction "half-transaction" 3,
    /// The slot lost what the replica still needs.
    SlotLost "slot-lost" 2,
    /// The tables of the two sites differ.
    SchemaDiffers "schema-differs" 2,
    /// A table is being copied anew.
    CopyRuns "copy-runs" 2,
    /// Statements take up to a second and a half.
    SlowDatabase "slow-database" 4,
    /// An agent plans seldom and late.
    SlowAgent "slow-agent" 3,
    /// A person asks for a switchover, sometimes twice, sometimes to the wrong site.
    Switchover "person-switchover" 8,
    /// A person asks for a failover.
    Failover "person-failover" 3,
    /// A person pauses automation for a while.
    Pause "person-pause" 2,
    /// A person acknowledges the last promotion.
    Acknowledge "person-acknowledges" 2,
    /// A person approves a promotion.
    Approve "person-approves" 2,
    /// A person reinstates the old primary as soon as that is possible.
    Reinstate "person-reinstates" 6,
}

/// One planned fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Its number in the whole plan; stays the same when others are left out.
    pub number: u8,
    /// What goes wrong.
    pub kind: Kind,
    /// When it begins.
    pub at: At,
    /// When it ends.
    pub until: At,
    /// A choice among targets.
    pub a: u8,
    /// Another choice.
    pub b: u8,
}

/// The most faults in one plan.
pub const FAULTS_MAX: u64 = 9;

/// Draws a plan of faults for `seed`, all of them begun before `horizon`.
pub fn draw(seed: u64, horizon: At, ttl: At) -> Vec<Fault> {
    let mut random = Random::new(seed, 1);
    let kinds = swarm(&mut random);
    let count = 1 + random.below(FAULTS_MAX);
    let mut moment = random.between(SECOND, horizon / 3);
    let mut faults = Vec::with_capacity(usize::try_from(count).expect("a few"));
    let lead = random.chance(550).then(|| lead(moment, ttl, &mut random));
    faults.extend(lead);
    if random.chance(300) {
        let person = Fault {
            number: 1,
            kind: Kind::Reinstate,
            at: moment,
            until: moment + ttl,
            a: 0,
            b: 0,
        };
        faults.push(person);
    }
    for number in 2..count + 2 {
        moment = next_moment(moment, horizon, ttl, &mut random);
        let kind = random.pick(&kinds);
        let length = match random.below(6) {
            0 => random.between(50 * MS, SECOND),
            1 => random.between(SECOND, ttl),
            2 => random.between(ttl / 2, ttl + 2 * SECOND),
            _ => random.between(ttl, 4 * ttl),
        };
        faults.push(Fault {
            number: u8::try_from(number).expect("a few"),
            kind,
            at: moment,
            until: moment + length,
            a: byte(&mut random),
            b: byte(&mut random),
        });
    }
    faults
}

/// A fault that begins most stories: the primary is lost for long enough, or is asked to leave.
fn lead(at: At, ttl: At, random: &mut Random) -> Fault {
    let kind = random.pick(&[
        Kind::SiteDown,
        Kind::SiteDown,
        Kind::SiteIsolated,
        Kind::SiteIsolated,
        Kind::Switchover,
        Kind::MajorityDown,
    ]);
    let length = random.between(ttl, 4 * ttl);
    // Site 0 is the first primary; a switchover goes to the other one.
    let b = if kind == Kind::Switchover {
        1
    } else {
        byte(random)
    };
    Fault {
        number: 0,
        kind,
        at,
        until: at + length,
        a: 0,
        b,
    }
}

fn byte(random: &mut Random) -> u8 {
    u8::try_from(random.below(256)).expect("below 256")
}

/// Three to seven kinds that this plan may use.
fn swarm(random: &mut Random) -> Vec<Kind> {
    let total: u64 = Kind::ALL.iter().map(|kind| kind.weight()).sum();
    let count = random.between(2, 7);
    let draw = |random: &mut Random| {
        let mut left = random.below(total);
        let chosen = Kind::ALL.iter().find(|kind| {
            let found = left < kind.weight();
            left = left.saturating_sub(kind.weight());
            found
        });
        *chosen.expect("the weights sum up to the total")
    };
    (0..count).map(|_| draw(random)).collect()
}

/// Most faults follow another one at once, or about one ttl later.
fn next_moment(last: At, horizon: At, ttl: At, random: &mut Random) -> At {
    let next = match random.below(8) {
        0 => last,
        1 | 2 => last + random.below(300 * MS),
        3 => last + random.below(2 * SECOND),
        4 | 5 => last + ttl - SECOND + random.below(2 * SECOND),
        6 => last + random.below(2 * ttl),
        _ => random.between(SECOND, horizon),
    };
    if next < horizon {
        next
    } else {
        random.between(SECOND, horizon)
    }
}

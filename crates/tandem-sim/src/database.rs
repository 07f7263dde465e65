//! A site's PostgreSQL, as far as authority, guard and replication can notice it.
//!
//! Like the real one: the guard's lease ends by the server's wall clock, by a restart and for
//! good when it is closed; logical replication applies whole transactions in commit order, may
//! sit inside a half-received one, and goes on applying what it has received after the link was
//! cut; a preparation is journaled and safe to repeat; a site that opened never receives again.
//! Unlike it: no disk, no locks, no DDL; a statement takes effect at one instant.

use tandem_core::database::{
    DatabaseSeen, GuardSeen, Heartbeat, Prepared, SlotSeen, SubscriptionSeen,
};
use tandem_core::model::{Epoch, Lsn, Mono, SiteId};
use tandem_core::planner::Action;

use crate::clock::{At, Clock};

/// The longest list of journaled preparations that is kept; older epochs never matter again.
const JOURNAL_MAX: usize = 8;

/// Why a statement did nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SqlError {
    /// The database moved on to a newer epoch.
    StaleEpoch,
    /// The guard was closed for good in this epoch.
    GuardClosed,
    /// It still receives from the other site.
    StillReceiving,
    /// Some tables have not been copied.
    NotReady,
    /// It was open since it stopped receiving.
    Diverged,
    /// There is nothing to do it with.
    Refused,
}

/// One committed change in this site's own log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Entry {
    /// A client's write, by its number.
    Write(u32),
    /// A heartbeat.
    Beat(Epoch, u64),
}

/// The guard's lease row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The epoch it was armed or closed for.
    pub epoch: Epoch,
    /// When it ends, by the server's clock.
    pub ends: Mono,
    /// The server's life in which it was armed.
    pub started: u16,
    /// Closed for good in this epoch.
    pub closed: bool,
}

/// The subscription that feeds this site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Subscription {
    /// Not disabled.
    pub enabled: bool,
    /// How much of the other site's log has arrived here.
    pub received: usize,
    /// How much of it is applied.
    pub applied: usize,
    /// The worker sits inside a transaction whose end has not arrived.
    pub half: bool,
    /// Tables whose copy has finished, of [`TABLES`].
    pub ready: u32,
}

/// Tables in the subscription.
pub const TABLES: u32 = 3;

/// The slot that the other site reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Slot {
    /// Where it begins in this site's log.
    pub from: usize,
    /// The server removed what it needs.
    pub lost: bool,
}

/// One journaled preparation for opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Preparation {
    /// The epoch.
    pub epoch: Epoch,
    /// How much of the other site's log was applied.
    pub boundary: usize,
    /// Finished.
    pub done: bool,
}

/// A site's database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    /// It runs.
    pub alive: bool,
    /// Stops that overlap: it answers nothing while there is one.
    pub frozen: u8,
    /// Rises with each start.
    pub life: u16,
    /// Its wall clock.
    pub clock: Clock,
    /// Its own committed changes.
    pub log: Vec<Entry>,
    /// The writes that it holds, own and received, one bit each.
    pub rows: Vec<u64>,
    /// The guard's lease.
    pub lease: Lease,
    /// Its own last heartbeat.
    pub beat: (Epoch, u64),
    /// What feeds it.
    pub subscription: Option<Subscription>,
    /// What it feeds.
    pub slot: Option<Slot>,
    /// The other site's newest heartbeat here.
    pub applied: Option<Heartbeat>,
    /// Preparations, oldest first.
    pub journal: Vec<Preparation>,
    /// The shape of its tables.
    pub schema: u8,
    /// Preparations fail, as with too few rights or no disk.
    pub broken: u8,
}

impl Database {
    /// A database that runs and feeds nobody.
    pub fn new(clock: Clock) -> Self {
        let lease = Lease {
            epoch: Epoch(0),
            ends: Mono(0),
            started: 0,
            closed: false,
        };
        Self {
            alive: true,
            frozen: 0,
            life: 1,
            clock,
            log: Vec::new(),
            rows: Vec::new(),
            lease,
            beat: (Epoch(0), 0),
            subscription: None,
            slot: None,
            applied: None,
            journal: Vec::new(),
            schema: 0,
            broken: 0,
        }
    }

    /// Whether it answers at all.
    pub fn answers(&self) -> bool {
        self.alive && self.frozen == 0
    }

    /// How long application writes still pass, by its own clock.
    pub fn guard_left(&self, at: At) -> u64 {
        let restarted = self.lease.started != self.life && !off!(GuardSurvivesRestart);
        if self.lease.closed || restarted {
            return 0;
        }
        self.lease.ends.0.saturating_sub(self.clock.now(at).0)
    }

    /// Whether an application's transaction may commit.
    pub fn admits(&self, at: At) -> bool {
        self.answers() && (self.guard_left(at) > 0 || off!(NoGuard))
    }

    /// Commits a client's write, if the guard lets it pass.
    pub fn commit(&mut self, write: u32, at: At) -> Option<Epoch> {
        if !self.admits(at) {
            return None;
        }
        self.store_write(write);
        Some(self.lease.epoch)
    }

    /// Writes what has passed the guard.
    pub fn store_write(&mut self, write: u32) {
        self.log.push(Entry::Write(write));
        self.hold(write);
    }

    fn hold(&mut self, write: u32) {
        let word = (write / 64) as usize;
        if self.rows.len() <= word {
            self.rows.resize(word + 1, 0);
        }
        self.rows[word] |= 1 << (write % 64);
    }

    /// Whether it holds a write.
    pub fn holds(&self, write: u32) -> bool {
        let word = self.rows.get((write / 64) as usize);
        word.is_some_and(|word| word >> (write % 64) & 1 == 1)
    }

    /// Arms the guard until `ends` of its own clock.
    pub fn arm(&mut self, epoch: Epoch, ends: Mono) -> Result<(), SqlError> {
        let same = self.lease.epoch == epoch;
        if self.lease.epoch > epoch && !off!(GuardArmsOldEpoch) {
            return Err(SqlError::StaleEpoch);
        }
        if same && self.lease.closed && !off!(GuardReopens) {
            return Err(SqlError::GuardClosed);
        }
        if !same && self.subscription.is_some_and(|found| found.enabled) {
            return Err(SqlError::StillReceiving);
        }
        let ends = if same {
            self.lease.ends.max(ends)
        } else {
            ends
        };
        self.lease = Lease {
            epoch,
            ends,
            started: self.life,
            closed: false,
        };
        Ok(())
    }

    /// Closes the guard for good in `epoch` and every older one.
    pub fn close(&mut self, epoch: Epoch) -> Result<(), SqlError> {
        if self.lease.epoch > epoch {
            return Err(SqlError::StaleEpoch);
        }
        self.lease = Lease {
            epoch,
            ends: Mono(0),
            started: self.lease.started,
            closed: true,
        };
        Ok(())
    }

    /// Writes the next heartbeat and returns its number.
    pub fn beat(&mut self, epoch: Epoch) -> Result<u64, SqlError> {
        if self.beat.0 > epoch {
            return Err(SqlError::StaleEpoch);
        }
        self.beat = (epoch, self.beat.1 + 1);
        self.log.push(Entry::Beat(epoch, self.beat.1));
        Ok(self.beat.1)
    }

    /// Ends receiving; what has arrived and is not applied is dropped.
    pub fn stop_receiving(&mut self) {
        if let Some(found) = &mut self.subscription {
            found.enabled = false;
            found.received = found.applied;
            found.half = false;
        }
    }

    /// Receives again for an agent that knows `epoch`, unless this site was open since it stopped,
    /// or is being prepared for a newer one.
    pub fn resume_receiving(&mut self, epoch: Epoch) -> Result<(), SqlError> {
        let newer = self.journal.iter().any(|step| step.epoch > epoch);
        if newer && !off!(ReceiveForOldEpoch) {
            return Err(SqlError::StaleEpoch);
        }
        let diverged = self.is_diverged();
        let Some(found) = &mut self.subscription else {
            return Ok(());
        };
        if found.enabled {
            return Ok(());
        }
        if diverged {
            return Err(SqlError::Diverged);
        }
        // A preparation that never opened is forgotten: its boundary is no longer true.
        for step in &mut self.journal {
            step.done = false;
            step.boundary = usize::MAX;
        }
        found.enabled = true;
        Ok(())
    }

    /// Stops, records the boundary, makes the way back.
    pub fn prepare(&mut self, epoch: Epoch, own: bool) -> Result<(), SqlError> {
        if self.broken > 0 {
            return Err(SqlError::Refused);
        }
        if self.journal.iter().any(|step| step.epoch > epoch) {
            return Err(SqlError::StaleEpoch);
        }
        let known = self
            .journal
            .last()
            .copied()
            .filter(|step| step.epoch == epoch);
        if known.is_some_and(|step| step.done) {
            return Ok(());
        }
        let mut boundary = 0;
        if !own {
            boundary = self.boundary(known)?;
            self.slot = Some(Slot {
                from: self.log.len(),
                lost: false,
            });
        }
        if known.is_some() {
            self.journal.pop();
        } else if self.journal.len() == JOURNAL_MAX {
            self.journal.remove(0);
        }
        self.journal.push(Preparation {
            epoch,
            boundary,
            done: true,
        });
        Ok(())
    }

    fn boundary(&mut self, known: Option<Preparation>) -> Result<usize, SqlError> {
        self.stop_receiving();
        if let Some(step) = known.filter(|step| step.boundary != usize::MAX) {
            return Ok(step.boundary);
        }
        let found = self.subscription.ok_or(SqlError::Refused)?;
        if found.ready < TABLES {
            return Err(SqlError::NotReady);
        }
        Ok(found.applied)
    }

    /// What an effect of an agent of the site `own` does; a guard is armed until `ends` of the
    /// server's clock. Returns a heartbeat's number, or 0.
    pub fn carry_out(&mut self, action: &Action, own: SiteId, ends: Mono) -> Result<u64, SqlError> {
        match action {
            Action::ArmGuard { epoch, .. } => self.arm(*epoch, ends)?,
            Action::CloseGuard { epoch } => self.close(*epoch)?,
            Action::Beat { epoch } | Action::Barrier { epoch } => return self.beat(*epoch),
            Action::Receive { epoch } => self.resume_receiving(*epoch)?,
            Action::StopReceiving => self.stop_receiving(),
            Action::Prepare { epoch, from } => self.prepare(*epoch, *from == own)?,
            _ => {}
        }
        Ok(0)
    }

    /// Whether it was open since it last followed the other site.
    pub fn is_diverged(&self) -> bool {
        let opened = self.lease.epoch;
        self.journal.iter().any(|step| opened >= step.epoch)
    }

    /// Follows the site that `survivor` is in, from the slot that waits there, if that site holds
    /// everything of this one; a database that may be open, or saw a newer epoch, is left alone.
    pub fn follow(&mut self, survivor: &Self, epoch: Epoch, at: At) -> Result<(), SqlError> {
        let newest = self.journal.iter().map(|step| step.epoch).max();
        if self.lease.epoch.max(newest.unwrap_or_default()) > epoch {
            return Err(SqlError::StaleEpoch);
        }
        let lost = |entry: &Entry| matches!(entry, Entry::Write(write) if !survivor.holds(*write));
        let waiting = survivor.slot.filter(|slot| !slot.lost);
        let fed = self.subscription.is_some() && !self.is_diverged();
        let (false, Some(slot), 0) = (fed, waiting, self.guard_left(at)) else {
            return Err(SqlError::Refused);
        };
        if self.log.iter().any(lost) {
            return Err(SqlError::Diverged);
        }
        self.follow_from(slot.from);
        Ok(())
    }

    /// A replica of the other site, whose log it has up to `position`.
    pub fn follow_from(&mut self, position: usize) {
        self.journal.clear();
        self.slot = None;
        self.applied = None;
        self.subscription = Some(Subscription {
            enabled: true,
            received: position,
            applied: position,
            half: false,
            ready: TABLES,
        });
    }

    /// The newest finished preparation.
    pub fn prepared(&self) -> Option<Preparation> {
        self.journal.iter().rev().find(|step| step.done).copied()
    }

    /// What an agent sees.
    pub fn observe(&self, at: At, worker: bool, peer_reads: bool) -> DatabaseSeen {
        let guard = GuardSeen {
            epoch: self.lease.epoch,
            remaining_ms: self.guard_left(at) / 1000,
        };
        let subscription = self.subscription.map(|found| SubscriptionSeen {
            enabled: found.enabled,
            worker: found.enabled && worker,
            tables_ready: found.ready,
            tables_total: TABLES,
            origin: Some(Lsn(found.applied as u64)),
            received: (found.received == found.applied).then_some(Lsn(found.applied as u64)),
            apply_errors: 0,
        });
        let slot = self.slot.map(|slot| SlotSeen {
            active: peer_reads && !slot.lost,
            lost: slot.lost,
            behind_bytes: 0,
            headroom_bytes: None,
        });
        let prepared = self.prepared().map(|step| Prepared {
            epoch: step.epoch,
            boundary: Lsn(step.boundary as u64),
        });
        DatabaseSeen {
            guard: Some(guard),
            subscription,
            slot,
            applied: self.applied,
            schema_hash: Some(schema_hash(self.schema)),
            prepared,
            diverged: self.is_diverged(),
            ..DatabaseSeen::default()
        }
    }

    /// Takes what is new in `source`'s log if the two are `linked`, then applies up to
    /// `apply_max` of what has arrived.
    pub fn replicate(&mut self, source: &Self, linked: bool, from: SiteId, apply_max: usize) {
        let Some(mut found) = self.subscription else {
            return;
        };
        if linked && found.enabled {
            found.received = found.received.max(source.log.len());
        }
        let until = found.received.min(found.applied + apply_max);
        if !found.half && found.enabled && found.applied < until {
            for entry in &source.log[found.applied..until] {
                self.apply(*entry, from);
            }
            found.applied = until;
        }
        self.subscription = Some(found);
    }

    fn apply(&mut self, entry: Entry, from: SiteId) {
        match entry {
            Entry::Write(write) => self.hold(write),
            Entry::Beat(epoch, seq) => {
                self.applied = Some(Heartbeat {
                    site: from,
                    epoch,
                    seq,
                });
            }
        }
    }

    /// The server is gone.
    pub fn stop(&mut self) {
        self.alive = false;
        // A worker's received and unapplied changes live in memory only.
        if let Some(found) = &mut self.subscription {
            found.received = found.applied;
            found.half = false;
        }
    }

    /// The server starts: every lease of its earlier life has ended.
    pub fn start(&mut self) {
        self.alive = true;
        self.life += 1;
    }
}

fn schema_hash(shape: u8) -> String {
    if shape == 0 { "same" } else { "other" }.into()
}

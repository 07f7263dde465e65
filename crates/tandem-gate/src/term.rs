//! A term: one right to write, as the sessions that live under it see it.
//!
//! Intuition: a session belongs to the right under which it was opened, not to
//! "the present right". So a gate that was frozen over a whole failover and back
//! finds its old sessions under a term that has ended, whatever is open by then.
//! Invariant: an ended term never opens again; its deadline stays at zero.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tandem_core::model::{Epoch, Mono, SiteId};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use tandem_core::gate::Why;

/// One right to write.
#[derive(Debug)]
pub struct Term {
    epoch: Epoch,
    deadline: AtomicU64,
    ended: AtomicBool,
    over: CancellationToken,
}

impl Term {
    /// A term of `epoch` that lasts until `deadline`, unless that is moved.
    pub fn until(epoch: Epoch, deadline: Mono) -> Arc<Self> {
        Arc::new(Self {
            epoch,
            deadline: AtomicU64::new(deadline.0),
            ended: AtomicBool::new(false),
            over: CancellationToken::new(),
        })
    }

    /// A term without a deadline: reads, and sessions whose end another gate decides.
    pub fn unlimited(epoch: Epoch) -> Arc<Self> {
        Self::until(epoch, Mono(u64::MAX))
    }

    /// The epoch of the right.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Whether something may pass at `now`.
    pub fn allows(&self, now: Mono) -> bool {
        now.0 < self.deadline.load(Ordering::Acquire)
    }

    /// Moves the deadline, unless the term has ended. Called by the keeper alone.
    pub(crate) fn move_to(&self, deadline: Mono) {
        if !self.ended.load(Ordering::Acquire) {
            self.deadline.store(deadline.0, Ordering::Release);
        }
    }

    /// Ends the term and wakes its sessions. Called by the keeper alone.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.deadline.store(0, Ordering::Release);
        self.over.cancel();
    }

    /// Ready once the term has ended.
    pub(crate) fn over(&self) -> WaitForCancellationFutureOwned {
        self.over.clone().cancelled_owned()
    }
}

/// Where a new write session goes.
#[derive(Debug, Clone)]
pub enum Route {
    /// To the local database.
    Here(Arc<Term>),
    /// To the other site's gates.
    Peer(SiteId, Arc<Term>),
    /// It waits.
    Nowhere(Why),
}

impl Route {
    /// Whether both lead to the same place under the same term.
    pub(crate) fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Here(a), Self::Here(b)) => Arc::ptr_eq(a, b),
            (Self::Peer(s, a), Self::Peer(t, b)) => s == t && Arc::ptr_eq(a, b),
            (Self::Nowhere(a), Self::Nowhere(b)) => a == b,
            _ => false,
        }
    }
}

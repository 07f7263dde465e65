//! Who is connected and what was counted: for status answers and metrics only.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::protocol::dialogue::Activity;

/// The port a session came in by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Port {
    /// Write sessions of this site's applications.
    Rw = 0,
    /// Read sessions of this site's applications.
    Ro = 1,
    /// Write sessions brought by the other site's gates; never forwarded again.
    Peer = 2,
}

impl Port {
    /// Every port, in the order of its number.
    pub const ALL: [Self; 3] = [Self::Rw, Self::Ro, Self::Peer];

    /// The name in status answers, metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rw => "rw",
            Self::Ro => "ro",
            Self::Peer => "peer",
        }
    }
}

/// Things that are counted; each is a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Event {
    /// A session reached a database or a peer gate.
    Opened = 0,
    /// A new session had to wait.
    Held = 1,
    /// A new session was refused.
    Refused = 2,
    /// A session was cut because its right to write had ended.
    CutRight = 3,
    /// A session was cut because the gate stops.
    CutStop = 4,
    /// The server leg ended first.
    ServerLost = 5,
    /// A stream could not be followed.
    Malformed = 6,
    /// A cancel request was passed on.
    Cancelled = 7,
}

impl Event {
    /// Every event, in the order of its number.
    pub const ALL: [Self; 8] = [
        Self::Opened,
        Self::Held,
        Self::Refused,
        Self::CutRight,
        Self::CutStop,
        Self::ServerLost,
        Self::Malformed,
        Self::Cancelled,
    ];

    /// The name in status answers and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Held => "held",
            Self::Refused => "refused",
            Self::CutRight => "cut_right",
            Self::CutStop => "cut_stop",
            Self::ServerLost => "server_lost",
            Self::Malformed => "malformed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// One session, as others see it.
#[derive(Debug)]
struct Card {
    port: Port,
    activity: AtomicU8,
}

/// Who is connected and what was counted.
#[derive(Debug, Default)]
pub struct Roster {
    cards: Mutex<HashMap<u64, Arc<Card>>>,
    next: AtomicU64,
    events: [AtomicU64; Event::ALL.len()],
    held: AtomicUsize,
}

impl Roster {
    /// Enters a session; it leaves when the entry is dropped.
    pub(crate) fn enter(self: &Arc<Self>, port: Port) -> Entry {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let card = Arc::new(Card {
            port,
            activity: AtomicU8::new(Activity::Opening as u8),
        });
        self.cards().insert(id, Arc::clone(&card));
        Entry {
            roster: Arc::clone(self),
            id,
            card,
        }
    }

    /// Counts `event`.
    pub(crate) fn count(&self, event: Event) {
        self.events[event as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How often `event` was counted.
    pub fn counted(&self, event: Event) -> u64 {
        self.events[event as usize].load(Ordering::Relaxed)
    }

    /// How many sessions wait for a server leg now.
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// A place among the waiting sessions, if fewer than `max` wait; given back when dropped.
    pub(crate) fn hold(self: &Arc<Self>, max: usize) -> Option<Held> {
        let grow = |held| (held < max).then_some(held + 1);
        self.held
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, grow)
            .ok()?;
        self.count(Event::Held);
        Some(Held(Arc::clone(self)))
    }

    /// How many sessions of each port do what.
    pub fn sessions(&self) -> [[usize; Activity::ALL.len()]; Port::ALL.len()] {
        let mut table = [[0; Activity::ALL.len()]; Port::ALL.len()];
        for card in self.cards().values() {
            table[card.port as usize][usize::from(card.activity.load(Ordering::Relaxed))] += 1;
        }
        table
    }

    fn cards(&self) -> MutexGuard<'_, HashMap<u64, Arc<Card>>> {
        self.cards
            .lock()
            .expect("nothing panics while it holds the cards")
    }
}

/// A session's place in the roster.
#[derive(Debug)]
pub(crate) struct Entry {
    roster: Arc<Roster>,
    id: u64,
    card: Arc<Card>,
}

impl Entry {
    pub(crate) fn show(&self, activity: Activity) {
        self.card.activity.store(activity as u8, Ordering::Relaxed);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.roster.cards().remove(&self.id);
    }
}

/// A place among the waiting sessions.
#[derive(Debug)]
pub(crate) struct Held(Arc<Roster>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_places_are_bounded_and_given_back() {
        let roster = Arc::new(Roster::default());
        let first = roster.hold(2).unwrap();
        let _second = roster.hold(2).unwrap();
        assert!(roster.hold(2).is_none());
        drop(first);
        assert!(roster.hold(2).is_some());
        assert_eq!((roster.held(), roster.counted(Event::Held)), (1, 3));
    }

    #[test]
    fn sessions_show_what_they_do_until_they_leave() {
        let roster = Arc::new(Roster::default());
        let entry = roster.enter(Port::Ro);
        entry.show(Activity::Failed);
        assert_eq!(roster.sessions()[Port::Ro as usize], [0, 0, 0, 0, 1]);
        drop(entry);
        assert_eq!(roster.sessions(), <[[usize; 5]; 3]>::default());
    }
}

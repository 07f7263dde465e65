//! People: requests with and without sense, reinstating, rebuilding a lost store.

use std::sync::Arc;
use std::time::Duration;

use tandem_core::authority::{LastOpen, Phase};
use tandem_core::model::Epoch;
use tandem_core::planner::RequestKind;

use super::World;
use crate::clock::SECOND;
use crate::database::{Database, Slot};
use crate::event::Event;
use crate::fault::{Fault, Kind};
use crate::store;

impl World {
    /// A person writes a request into the book, if the store can be reached from anywhere.
    pub(crate) fn person_asks(&mut self, fault: &Fault, begins: bool) {
        if fault.kind == Kind::Reinstate {
            self.troubles.reinstate |= begins;
            return;
        }
        // A double click; the second may come much later and find another world.
        let again = fault.b >= 128;
        if !begins && !again {
            return;
        }
        let to = self.sites[usize::from(fault.b % 2)];
        let (kind, life) = match fault.kind {
            Kind::Switchover => (RequestKind::Switchover { to }, 30),
            Kind::Failover => {
                let accept_loss = fault.a.is_multiple_of(2);
                (RequestKind::Failover { to, accept_loss }, 30)
            }
            Kind::Pause => (RequestKind::Pause, 20),
            Kind::Acknowledge => (RequestKind::Acknowledge, 3600),
            _ => (RequestKind::Approve, 60),
        };
        let leader = self.store.leader;
        if !self.store.serves(leader, &self.network, self.at) {
            return;
        }
        let epoch = self.store.state.record.epoch;
        let said = ("kim".into(), "a drill".into());
        let now = self.wall_ms();
        let book = Arc::make_mut(&mut self.store.state.book);
        let life = Duration::from_secs(life);
        if let Err(refused) = book.add(kind, said, epoch, now, life) {
            return self.note(|_| "kim".into(), |_| format!("is refused: {refused}"));
        }
        self.store.state.revision += 1;
        self.note(
            |_| "kim".into(),
            |_| format!("asks for {kind:?} out of epoch {epoch}"),
        );
    }

    /// Once a second somebody looks whether there is something to do.
    pub(crate) fn person(&mut self) {
        if self.random.chance(150) && !self.troubles.store_void {
            self.store.snapshot = Some(self.store.state.clone());
        }
        if self.troubles.rebuild {
            self.rebuild();
        }
        if self.troubles.reinstate {
            self.reinstate();
        }
        self.push(SECOND, Event::Person);
    }

    /// Makes an old primary a replica of the present one: its own tail is set aside. A database that
    /// has seen a newer epoch than the record is none: then the store is an old copy.
    fn reinstate(&mut self) {
        let record = Arc::clone(&self.store.state.record);
        if record.phase != Phase::Open {
            return;
        }
        let primary = usize::from(record.site != self.sites[0]);
        let old = Self::other(primary);
        let linked = self.network.linked(primary, old);
        let both = self.databases.iter().all(Database::answers);
        let fed = self.databases[old].subscription.is_some() && !self.databases[old].is_diverged();
        let open = self.databases[old].guard_left(self.at) > 0;
        let armed = self.databases[primary].lease.epoch == record.epoch;
        let newer = self.databases[old].lease.epoch > record.epoch;
        if !linked || !both || fed || open || !armed || newer {
            return;
        }
        let end = self.databases[primary].log.len();
        let rows = self.databases[primary].rows.clone();
        self.databases[primary].slot = Some(Slot {
            from: end,
            lost: false,
        });
        self.databases[primary].subscription = None;
        let database = &mut self.databases[old];
        database.rows = rows;
        database.follow_from(end);
        self.troubles.reinstate = false;
        self.reached.reinstated += 1;
        self.note(
            |_| "kim".into(),
            |world| format!("reinstates {}", world.sites[old]),
        );
    }

    /// The store was lost. A person stops the agents, finds the site that was open last from both
    /// databases, writes a new record under a new identity in phase `claimed`, and starts the
    /// agents without their memory of the old store (design section 4, rule 4).
    fn rebuild(&mut self) {
        let both = self.databases.iter().all(Database::answers);
        if !both || self.store.down.iter().any(|down| *down > 0) {
            return;
        }
        for index in 0..self.agents.len() {
            self.stop_agent(index);
        }
        let [one, two] = [0, 1].map(|site| self.databases[site].lease.epoch);
        let site = usize::from(two > one);
        let highest = self.highest_epoch();
        self.lives_of_store += 1;
        let name = self.sites[site];
        let last_open = LastOpen {
            site: name,
            epoch: one.max(two),
        };
        let record = store::rebuilt(self.lives_of_store, last_open, highest);
        let state = &mut self.store.state;
        state.revision = 10;
        state.record_revision = 10;
        state.record = Arc::new(record);
        state.statuses = [const { None }; 5];
        state.incarnations = [const { None }; 5];
        self.store.snapshot = None;
        self.troubles.rebuild = false;
        self.reached.rebuilt += 1;
        self.troubles.store_void = false;
        self.note(
            |_| "kim".into(),
            |_| format!("rebuilds the store: {name} claims epoch {}", highest.next()),
        );
        for index in 0..self.agents.len() {
            self.agents[index].disk = None;
            self.start_agent(index);
        }
    }

    fn highest_epoch(&self) -> Epoch {
        let disks = self.agents.iter().filter_map(|agent| agent.disk.as_ref());
        let seen = disks.map(|memory| memory.epoch);
        let armed = self.databases.iter().flat_map(|database| {
            let prepared = database.journal.last().map(|step| step.epoch);
            [Some(database.lease.epoch), prepared].into_iter().flatten()
        });
        seen.chain(armed).max().unwrap_or_default()
    }
}

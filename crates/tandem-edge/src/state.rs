//! What probes, requests and the admin API share.
//!
//! Changes go through one lock; requests only read the [`Standing`] that the
//! last change left behind.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tandem_core::traffic::health::{Change, Failure, Health, Status, Thresholds};
use tandem_core::traffic::model::{LoadBalancer, Monitor, Pool};
use tandem_core::traffic::steering::{Choice, PoolState, Standing, Target, Why, Writes};

use crate::clock;
use crate::config::{self, EdgeConfig};
use crate::metrics::Metrics;

/// Where random numbers come from; tests bring their own.
pub type Chance = Arc<dyn Fn() -> u64 + Send + Sync>;

/// The edge's memory.
pub(crate) struct State {
    changing: Mutex<Changing>,
    standing: ArcSwap<Standing>,
    places: Vec<Place>,
    chance: Chance,
    /// Counters.
    pub(crate) metrics: Metrics,
    /// How it was configured.
    pub(crate) config: EdgeConfig,
}

/// What never changes about a pool.
struct Place {
    cloud: String,
    addresses: Vec<SocketAddr>,
}

/// What probes and people change.
struct Changing {
    pools: Vec<Pool>,
    balancer: LoadBalancer,
    health: Vec<Vec<Seen>>,
}

/// An origin's health and its last round trip.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Seen {
    /// What is believed.
    pub(crate) health: Health,
    /// How long the last good probe took.
    pub(crate) round_trip: Option<Duration>,
    /// What it last said about writes.
    pub(crate) writes: Writes,
}

/// A good answer to a probe.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer {
    /// How long it took.
    pub(crate) round_trip: Duration,
    /// What it said about writes.
    pub(crate) writes: Writes,
}

impl State {
    /// Nothing is known of any origin yet.
    pub(crate) fn new(config: EdgeConfig, chance: Chance) -> Self {
        let pools = &config.pools;
        let seen = |pool: &Pool| vec![Seen::default(); pool.origins.len()];
        let changing = Changing {
            pools: pools.clone(),
            balancer: config.load_balancer.clone(),
            health: pools.iter().map(seen).collect(),
        };
        Self {
            standing: ArcSwap::from_pointee(changing.standing()),
            changing: Mutex::new(changing),
            places: pools.iter().map(Place::of).collect(),
            chance,
            metrics: Metrics::new(pools.iter().map(|pool| pool.id.clone()).collect()),
            config,
        }
    }

    /// The next origin of a request that failed at all of `tried`. `safe`: it only reads.
    pub(crate) fn choose(&self, tried: &[Target], safe: bool) -> Option<Choice> {
        let (standing, chance) = (self.standing.load(), (self.chance)());
        match safe {
            true => standing.choose(tried, chance),
            false => standing.choose_writer(tried, chance),
        }
    }

    /// Whether a healthy origin could be asked after all of `tried` failed.
    pub(crate) fn healthy_elsewhere(&self, tried: &[Target]) -> bool {
        // Which one does not matter here, so that no chance is used up.
        let next = self.standing.load().choose(tried, 0);
        next.is_some_and(|next| next.why == Why::Steered)
    }

    /// Where an origin listens.
    pub(crate) fn address(&self, target: Target) -> SocketAddr {
        self.places[target.pool].addresses[target.origin]
    }

    /// The cloud that answers for `pool`; without a pool, the fallback's.
    pub(crate) fn cloud(&self, pool: Option<usize>) -> &str {
        let fallback = &self.config.load_balancer.fallback_pool;
        let position = || {
            self.config
                .pools
                .iter()
                .position(|pool| pool.id == *fallback)
        };
        pool.or_else(position)
            .map_or("none", |pool| &self.places[pool].cloud)
    }

    /// The monitor of a pool, if it has one and takes part.
    pub(crate) fn monitor(&self, target: Target) -> Option<&Monitor> {
        let changing = self.changing();
        let pool = &changing.pools[target.pool];
        if !pool.enabled || !pool.origins[target.origin].enabled {
            return None;
        }
        let id = pool.monitor.as_ref()?;
        self.config
            .monitors
            .iter()
            .find(|monitor| monitor.id == *id)
    }

    /// Takes in the result of a probe that began at `began`.
    pub(crate) fn note_probe(
        &self,
        target: Target,
        began: tandem_core::model::Mono,
        result: Result<Answer, Failure>,
        thresholds: Thresholds,
    ) {
        let mut changing = self.changing();
        let seen = &mut changing.health[target.pool][target.origin];
        seen.round_trip = result.ok().map(|answer| answer.round_trip);
        let change = seen
            .health
            .handle_probe(began, result.map(drop), thresholds);
        let said = result.map_or(seen.writes, |answer| answer.writes);
        let before = std::mem::replace(&mut seen.writes, said);
        if before != said {
            self.publish_writes(&changing, target, said);
        }
        self.publish(&changing, target, change);
    }

    /// Takes in that a request was refused a connection.
    pub(crate) fn note_refused(&self, target: Target) {
        let mut changing = self.changing();
        // Without probes nothing would ever bring the origin back.
        if changing.pools[target.pool].monitor.is_none() {
            return;
        }
        let seen = &mut changing.health[target.pool][target.origin];
        let change = seen.health.handle_refused(clock::now());
        self.publish(&changing, target, change);
    }

    /// Lets a pool take part or not. `None` if there is no such pool.
    pub(crate) fn enable_pool(&self, id: &str, enabled: bool) -> Option<()> {
        let mut changing = self.changing();
        let at = changing.pools.iter().position(|pool| pool.id == id)?;
        if changing.pools[at].enabled != enabled {
            changing.pools[at].enabled = enabled;
            // Nobody probed it meanwhile: what was believed is worth nothing.
            changing.health[at].fill(Seen::default());
            tracing::info!(pool = id, enabled, "pool switched by the admin API");
        }
        self.standing.store(Arc::new(changing.standing()));
        Some(())
    }

    /// The pools as they are now, with what is believed of their origins.
    pub(crate) fn pools(&self) -> Vec<(Pool, PoolState, Vec<Seen>)> {
        let changing = self.changing();
        let standing = changing.standing();
        let pools = changing.pools.iter().zip(&changing.health).enumerate();
        pools
            .map(|(at, (pool, seen))| (pool.clone(), standing.pool_state(at), seen.clone()))
            .collect()
    }

    fn publish_writes(&self, changing: &Changing, target: Target, writes: Writes) {
        let pool = &changing.pools[target.pool];
        let origin = &pool.origins[target.origin].name;
        tracing::info!(
            pool = pool.id,
            origin,
            ?writes,
            "an origin's word about writes changed"
        );
        self.standing.store(Arc::new(changing.standing()));
    }

    fn publish(&self, changing: &Changing, target: Target, change: Option<Change>) {
        let Some(change) = change else { return };
        let standing = changing.standing();
        let pool = &changing.pools[target.pool];
        let seen = &changing.health[target.pool][target.origin];
        let why = seen.health.failure().map(|failure| failure.to_string());
        tracing::info!(
            pool = pool.id,
            origin = pool.origins[target.origin].name,
            before = ?change.before,
            after = ?change.after,
            pool_state = ?standing.pool_state(target.pool),
            why,
            "origin health changed"
        );
        if change.after == Status::Unhealthy {
            self.metrics.count_ejection(target.pool);
        }
        self.standing.store(Arc::new(standing));
    }

    fn changing(&self) -> MutexGuard<'_, Changing> {
        // Each change is one assignment; a panic elsewhere leaves none half done.
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    fn of(pool: &Pool) -> Self {
        Self {
            cloud: pool.cloud.clone().expect("the configuration was checked"),
            addresses: pool.origins.iter().map(config::address).collect(),
        }
    }
}

impl Changing {
    fn standing(&self) -> Standing {
        let plain = |seen: &Vec<Seen>| seen.iter().map(|seen| seen.health).collect();
        let health: Vec<Vec<Health>> = self.health.iter().map(plain).collect();
        let said = |seen: &Vec<Seen>| seen.iter().map(|seen| seen.writes).collect();
        let writes: Vec<Vec<Writes>> = self.health.iter().map(said).collect();
        Standing::new(&self.balancer, &self.pools, &health).with_writes(&writes)
    }
}

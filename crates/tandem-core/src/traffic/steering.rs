//! From health to an origin: which one gets this request?
//!
//! A [`Standing`] is a small picture of all pools, made when something changes
//! and read by every request. Chance comes in as a number.
//! Invariant: an enabled origin is found whenever there is one that was not
//! tried yet and steering may leave the pool; a pool without health gets
//! traffic only as the fallback, or when every other way was tried.
//! A second try goes to another *pool* first: what broke the first origin most
//! likely broke its neighbours.
//! Requests that may write prefer origins that say that writes work there. It is a preference
//! only: where nobody says so, they are steered like all others, so that this can never leave a
//! request without an origin.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::traffic::health::{Health, Status};
use crate::traffic::model::{LoadBalancer, Pool, SteeringPolicy};

/// An origin, as positions in the lists of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Target {
    /// Position among the pools.
    pub pool: usize,
    /// Position among the pool's origins.
    pub origin: usize,
}

/// Why a pool was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It is healthy.
    Steered,
    /// No pool is healthy; this is the fallback.
    Fallback,
    /// Neither healthy nor the fallback, but everything better was tried.
    LastResort,
}

/// What an origin says about writes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Writes {
    /// Nothing, or it was not asked.
    #[default]
    Unknown,
    /// They work there.
    Work,
    /// They do not.
    Fail,
}

/// The answer to "where to?".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// The origin.
    pub target: Target,
    /// Why its pool.
    pub why: Why,
}

/// How a pool does, in Cloudflare's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolState {
    /// All enabled origins are up.
    Healthy,
    /// Some are down, still at least `minimum_origins` up.
    Degraded,
    /// Fewer than `minimum_origins` up.
    Critical,
    /// Takes no part.
    Disabled,
}

/// One pool in a [`Standing`].
#[derive(Debug, Clone, PartialEq)]
struct PoolStanding {
    state: PoolState,
    weight: f64,
    origins: Vec<OriginStanding>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct OriginStanding {
    enabled: bool,
    up: bool,
    weight: f64,
}

/// All that a choice needs to know.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    pools: Vec<PoolStanding>,
    /// Positions of the default pools, in order.
    order: Vec<usize>,
    fallback: Option<usize>,
    policy: SteeringPolicy,
    across_pools: bool,
    /// The same picture with only those up that say that writes work; absent if nobody does.
    writers: Option<Box<Standing>>,
}

impl Standing {
    /// The picture of `pools` with the health of each origin, in the same order.
    ///
    /// # Panics
    /// If `health` has another shape than `pools`.
    pub fn new(balancer: &LoadBalancer, pools: &[Pool], health: &[Vec<Health>]) -> Self {
        assert_eq!(pools.len(), health.len(), "one list of health per pool");
        let position = |id: &str| pools.iter().position(|pool| pool.id == id);
        let standings = pools.iter().zip(health);
        Self {
            pools: standings
                .map(|(pool, health)| stand(balancer, pool, health))
                .collect(),
            order: balancer
                .default_pools
                .iter()
                .filter_map(|id| position(id))
                .collect(),
            fallback: position(&balancer.fallback_pool),
            policy: balancer.steering_policy,
            across_pools: balancer.adaptive_routing.failover_across_pools,
            writers: None,
        }
    }

    /// Adds what each origin says about writes, in the same order.
    ///
    /// # Panics
    /// If `writes` has another shape than the pools.
    #[must_use]
    pub fn with_writes(mut self, writes: &[Vec<Writes>]) -> Self {
        assert_eq!(self.pools.len(), writes.len(), "one list of words per pool");
        let mut writers = self.clone();
        for (pool, said) in writers.pools.iter_mut().zip(writes) {
            pool.keep_writers(said);
        }
        let any = writers.order.iter().any(|pool| writers.healthy(*pool));
        self.writers = any.then(|| Box::new(writers));
        self
    }

    /// As [`Self::choose`], for a request that may write: an origin where writes work, while
    /// there is one that was not tried.
    pub fn choose_writer(&self, tried: &[Target], chance: u64) -> Option<Choice> {
        let writers = self.writers.as_ref();
        let choice = writers.and_then(|writers| writers.choose(tried, chance));
        choice
            .filter(|choice| choice.why == Why::Steered)
            .or_else(|| self.choose(tried, chance))
    }

    /// How the pool at position `pool` does.
    pub fn pool_state(&self, pool: usize) -> PoolState {
        self.pools[pool].state
    }

    /// The next origin for a request that failed at all of `tried`. `None` if
    /// there is none left, or steering may not leave the pool.
    pub fn choose(&self, tried: &[Target], chance: u64) -> Option<Choice> {
        let [pool_chance, origin_chance] = halves(chance);
        let here = tried.first().map(|first| first.pool);
        if let Some(pool) = here.filter(|_| !self.across_pools) {
            let why = self.why(pool);
            return self.origin_of(pool, tried, origin_chance, why != Why::Steered, why);
        }
        let fresh = |pool: &usize| tried.iter().all(|target| target.pool != *pool);
        let other = self.steer(pool_chance, |pool| fresh(&pool));
        let again = || self.steer(pool_chance, |pool| self.untried(pool, tried, false));
        if let Some(pool) = other.or_else(again) {
            return self.origin_of(pool, tried, origin_chance, false, Why::Steered);
        }
        let mut rest = self.fallback.into_iter().chain(self.order.iter().copied());
        let pool = rest.find(|pool| self.untried(*pool, tried, true))?;
        self.origin_of(pool, tried, origin_chance, true, self.why(pool))
    }

    fn why(&self, pool: usize) -> Why {
        match self.healthy(pool) {
            true => Why::Steered,
            false if self.fallback == Some(pool) => Why::Fallback,
            false => Why::LastResort,
        }
    }

    fn healthy(&self, pool: usize) -> bool {
        matches!(
            self.pools[pool].state,
            PoolState::Healthy | PoolState::Degraded
        )
    }

    /// One of the healthy default pools that `admits`, by the policy.
    fn steer(&self, chance: u32, admits: impl Fn(usize) -> bool) -> Option<usize> {
        let mut able = self
            .order
            .iter()
            .copied()
            .filter(|p| self.healthy(*p) && admits(*p));
        match self.policy {
            SteeringPolicy::Off => able.next(),
            SteeringPolicy::Random => {
                let able: Vec<usize> = able.collect();
                draw(&able, |pool| self.pools[*pool].weight, chance).copied()
            }
        }
    }

    /// Whether the pool has an origin left to try. `any`: even one that is down.
    fn untried(&self, pool: usize, tried: &[Target], any: bool) -> bool {
        !self.able_origins(pool, tried, any).is_empty()
    }

    fn able_origins(&self, pool: usize, tried: &[Target], any: bool) -> Vec<usize> {
        let standing = &self.pools[pool];
        if standing.state == PoolState::Disabled {
            return Vec::new();
        }
        let able = |(_, origin): &(usize, &OriginStanding)| origin.enabled && (any || origin.up);
        let origins = standing.origins.iter().enumerate().filter(able);
        origins
            .map(|(origin, _)| origin)
            .filter(|origin| {
                !tried.contains(&Target {
                    pool,
                    origin: *origin,
                })
            })
            .collect()
    }

    /// An origin of `pool`: one that is up if there is one, else any if `any`.
    fn origin_of(
        &self,
        pool: usize,
        tried: &[Target],
        chance: u32,
        any: bool,
        why: Why,
    ) -> Option<Choice> {
        let mut able = self.able_origins(pool, tried, false);
        if able.is_empty() && any {
            able = self.able_origins(pool, tried, true);
        }
        let origins = &self.pools[pool].origins;
        let origin = *draw(&able, |origin| origins[*origin].weight, chance)?;
        Some(Choice {
            target: Target { pool, origin },
            why,
        })
    }
}

impl PoolStanding {
    fn keep_writers(&mut self, said: &[Writes]) {
        assert_eq!(self.origins.len(), said.len(), "one word per origin");
        for (origin, said) in self.origins.iter_mut().zip(said) {
            origin.up &= *said == Writes::Work;
        }
        let any = self
            .origins
            .iter()
            .any(|origin| origin.enabled && origin.up);
        if !any && self.state != PoolState::Disabled {
            self.state = PoolState::Critical;
        }
    }
}

fn stand(balancer: &LoadBalancer, pool: &Pool, health: &[Health]) -> PoolStanding {
    assert_eq!(pool.origins.len(), health.len(), "one health per origin");
    let origins: Vec<OriginStanding> = pool
        .origins
        .iter()
        .zip(health)
        .map(|(origin, health)| OriginStanding {
            enabled: origin.enabled,
            up: pool.monitor.is_none() || health.status() == Status::Healthy,
            weight: origin.weight,
        })
        .collect();
    let steering = &balancer.random_steering;
    let weight = steering.pool_weights.get(&pool.id).copied();
    PoolStanding {
        state: pool_state(pool, &origins),
        weight: weight.unwrap_or(steering.default_weight),
        origins,
    }
}

fn pool_state(pool: &Pool, origins: &[OriginStanding]) -> PoolState {
    let enabled = origins.iter().filter(|origin| origin.enabled);
    let up = enabled.clone().filter(|origin| origin.up).count();
    match () {
        () if !pool.enabled => PoolState::Disabled,
        () if up < pool.minimum_origins.max(1) => PoolState::Critical,
        () if up < enabled.count() => PoolState::Degraded,
        () => PoolState::Healthy,
    }
}

/// Two independent numbers out of one.
fn halves(chance: u64) -> [u32; 2] {
    let bytes = chance.to_le_bytes();
    let [a, b, c, d, e, f, g, h] = bytes;
    [
        u32::from_le_bytes([a, b, c, d]),
        u32::from_le_bytes([e, f, g, h]),
    ]
}

/// One of `items` by weight. If all weights are zero, each is as likely: a
/// request that arrived must go somewhere.
fn draw<T>(items: &[T], weight: impl Fn(&T) -> f64, chance: u32) -> Option<&T> {
    let positive = |item: &T| {
        let weight = weight(item);
        if weight > 0.0 { weight } else { 0.0 }
    };
    let total: f64 = items.iter().map(positive).sum();
    let point = f64::from(chance) / (f64::from(u32::MAX) + 1.0);
    if total <= 0.0 || !total.is_finite() {
        let count = u64::try_from(items.len()).expect("a length fits");
        let index = usize::try_from((u64::from(chance) * count) >> 32).expect("below a length");
        return items.get(index);
    }
    let mut left = point * total;
    let mut last = None;
    for item in items.iter().filter(|item| positive(item) > 0.0) {
        let weight = positive(item);
        if left < weight {
            return Some(item);
        }
        left -= weight;
        last = Some(item);
    }
    // Rounding may leave a crumb after the last one.
    last
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Mono;
    use crate::traffic::health::Failure;
    use crate::traffic::model::{AdaptiveRouting, Origin, RandomSteering};
    use alloc::collections::BTreeMap;
    use alloc::format;
    use alloc::string::{String, ToString};
    use alloc::vec;
    use proptest::prelude::*;

    /// `HH/xu/-H`: pools by slash, origins by letter: up, down, unknown, disabled.
    /// A pool in brackets is disabled.
    fn world(picture: &str) -> (LoadBalancer, Vec<Pool>, Vec<Vec<Health>>) {
        let (mut pools, mut health) = (Vec::new(), Vec::new());
        for (at, letters) in picture.split('/').enumerate() {
            let enabled = !letters.starts_with('[');
            let letters: Vec<char> = letters.chars().filter(|c| !"[]".contains(*c)).collect();
            pools.push(pool(at, enabled, &letters));
            health.push(letters.iter().map(|letter| health_of(*letter)).collect());
        }
        let ids: Vec<String> = pools.iter().map(|pool| pool.id.clone()).collect();
        let balancer = LoadBalancer {
            name: "test".to_string(),
            description: String::new(),
            fallback_pool: ids[0].clone(),
            default_pools: ids,
            steering_policy: SteeringPolicy::Random,
            random_steering: RandomSteering::default(),
            adaptive_routing: AdaptiveRouting {
                failover_across_pools: true,
            },
        };
        (balancer, pools, health)
    }

    fn pool(at: usize, enabled: bool, letters: &[char]) -> Pool {
        let origin = |(index, letter): (usize, &char)| Origin {
            name: format!("{at}-{index}"),
            address: "127.0.0.1".to_string(),
            enabled: *letter != '-',
            weight: 1.0,
            port: 1,
            header: BTreeMap::new(),
        };
        Pool {
            id: at.to_string(),
            name: at.to_string(),
            description: String::new(),
            enabled,
            minimum_origins: 1,
            monitor: Some("m".to_string()),
            origins: letters.iter().enumerate().map(origin).collect(),
            cloud: None,
        }
    }

    fn health_of(letter: char) -> Health {
        let mut health = Health::default();
        let monitor: crate::traffic::model::Monitor =
            serde_json::from_str(r#"{"id":"m","expected_codes":"200"}"#).expect("legal");
        let thresholds = crate::traffic::health::Thresholds::of(&monitor);
        match letter {
            'H' => health.handle_probe(Mono(1), Ok(()), thresholds),
            'x' => health.handle_probe(Mono(1), Err(Failure::Timeout), thresholds),
            _ => None,
        };
        health
    }

    fn standing(picture: &str) -> Standing {
        let (balancer, pools, health) = world(picture);
        Standing::new(&balancer, &pools, &health)
    }

    /// Follows a request that fails everywhere, chance always `chance`.
    fn path(standing: &Standing, chance: u64) -> Vec<(usize, usize, Why)> {
        let mut tried = Vec::new();
        let mut steps = Vec::new();
        while let Some(choice) = standing.choose(&tried, chance) {
            tried.push(choice.target);
            steps.push((choice.target.pool, choice.target.origin, choice.why));
        }
        steps
    }

    #[test]
    fn a_failing_request_goes_round_all_origins_once() {
        use Why::{Fallback, LastResort, Steered};
        for (picture, expected) in [
            (
                "HH/HH",
                vec![
                    (0, 0, Steered),
                    (1, 0, Steered),
                    (0, 1, Steered),
                    (1, 1, Steered),
                ],
            ),
            ("x/H", vec![(1, 0, Steered), (0, 0, Fallback)]),
            ("H/x", vec![(0, 0, Steered), (1, 0, LastResort)]),
            ("x/x", vec![(0, 0, Fallback), (1, 0, LastResort)]),
            ("u/u", vec![(0, 0, Fallback), (1, 0, LastResort)]),
            (
                "xH/x",
                vec![(0, 1, Steered), (0, 0, Steered), (1, 0, LastResort)],
            ),
            ("[H]/x", vec![(1, 0, LastResort)]),
            ("[H]/[H]", vec![]),
            ("-/-", vec![]),
            ("-H/-x", vec![(0, 1, Steered), (1, 1, LastResort)]),
        ] {
            assert_eq!(path(&standing(picture), 0), expected, "{picture}");
        }
    }

    #[test]
    fn without_failover_across_pools_a_retry_stays_at_home() {
        let (mut balancer, pools, health) = world("HH/HH");
        balancer.adaptive_routing.failover_across_pools = false;
        let standing = Standing::new(&balancer, &pools, &health);
        assert_eq!(
            path(&standing, 0),
            [(0, 0, Why::Steered), (0, 1, Why::Steered)]
        );
    }

    /// `W` works, `f` fails, `?` says nothing; as `standing` otherwise.
    fn heard(picture: &str, words: &str) -> Standing {
        let word = |letter| match letter {
            'W' => Writes::Work,
            'f' => Writes::Fail,
            _ => Writes::Unknown,
        };
        let words: Vec<Vec<Writes>> = words
            .split('/')
            .map(|pool| pool.chars().map(word).collect())
            .collect();
        standing(picture).with_writes(&words)
    }

    #[test]
    fn writes_go_where_they_work_while_somebody_says_so() {
        use Why::{Fallback, Steered};
        for (picture, words, expected) in [
            // As everybody else, where all say the same or nobody says anything.
            ("H/H", "W/W", (0, 0, Steered)),
            ("H/H", "?/?", (0, 0, Steered)),
            ("H/H", "f/f", (0, 0, Steered)),
            // To the one that can; a dead one's word is worth nothing.
            ("H/H", "f/W", (1, 0, Steered)),
            ("HH/H", "fW/f", (0, 1, Steered)),
            ("H/x", "f/W", (0, 0, Steered)),
            ("[H]/H", "W/f", (1, 0, Steered)),
            ("x/x", "W/W", (0, 0, Fallback)),
        ] {
            let choice = heard(picture, words)
                .choose_writer(&[], 0)
                .expect("an origin");
            let Target { pool, origin } = choice.target;
            assert_eq!((pool, origin, choice.why), expected, "{picture} {words}");
        }
    }

    #[test]
    fn a_write_that_was_not_sent_goes_on_to_those_who_cannot_say() {
        let standing = heard("H/H", "f/W");
        let first = Target { pool: 1, origin: 0 };
        let second = standing.choose_writer(&[first], 0).expect("another");
        assert_eq!((second.target.pool, second.why), (0, Why::Steered));
        let all = [first, second.target];
        assert_eq!(standing.choose_writer(&all, 0), None);
        assert_eq!(
            standing.choose(&[], 0).map(|c| c.target.pool),
            Some(0),
            "reads as ever"
        );
    }

    #[test]
    fn off_takes_the_first_healthy_pool() {
        let (mut balancer, pools, health) = world("x/H/H");
        balancer.steering_policy = SteeringPolicy::Off;
        let standing = Standing::new(&balancer, &pools, &health);
        for chance in [0, 1 << 31, u64::MAX] {
            assert_eq!(standing.choose(&[], chance).map(|c| c.target.pool), Some(1));
        }
    }

    #[test]
    fn fewer_than_minimum_origins_make_a_pool_critical() {
        let (balancer, mut pools, health) = world("Hx/H");
        assert_eq!(
            Standing::new(&balancer, &pools, &health).pool_state(0),
            PoolState::Degraded
        );
        pools[0].minimum_origins = 2;
        let standing = Standing::new(&balancer, &pools, &health);
        assert_eq!(standing.pool_state(0), PoolState::Critical);
        assert_eq!(standing.choose(&[], 0).map(|c| c.target.pool), Some(1));
    }

    #[test]
    fn without_a_monitor_health_is_ignored() {
        let (balancer, mut pools, health) = world("x/H");
        pools[0].monitor = None;
        let standing = Standing::new(&balancer, &pools, &health);
        assert_eq!(standing.pool_state(0), PoolState::Healthy);
    }

    #[test]
    fn shares_follow_weights() {
        let (mut balancer, pools, health) = world("H/H/H");
        let weights = [("0", 0.5), ("1", 0.25), ("2", 0.0)];
        let weights = weights.map(|(id, weight)| (id.to_string(), weight));
        balancer.random_steering.pool_weights = BTreeMap::from(weights);
        let standing = Standing::new(&balancer, &pools, &health);
        let mut counts = [0; 3];
        for step in 0..3_000_u64 {
            let chance = (2 * step + 1) * (1 << 32) / 6_000;
            counts[standing.choose(&[], chance).expect("healthy").target.pool] += 1;
        }
        assert_eq!(counts, [2_000, 1_000, 0]);
    }

    proptest! {
        #[test]
        fn a_choice_is_always_possible_and_never_absurd(
            picture in "[Hxu-]{1,3}(/[Hxu-]{1,3}){0,2}",
            weights in proptest::collection::vec(prop_oneof![Just(0.0), 0.0..1.0], 9),
            random: bool, chance: u64,
        ) {
            let (mut balancer, mut pools, health) = world(&picture);
            let mut weights = weights.into_iter().cycle();
            let mut weight = || weights.next().expect("endless");
            if !random { balancer.steering_policy = SteeringPolicy::Off; }
            for pool in &mut pools {
                balancer.random_steering.pool_weights.insert(pool.id.clone(), weight());
                for origin in &mut pool.origins { origin.weight = weight(); }
            }
            let standing = Standing::new(&balancer, &pools, &health);
            let steps = path(&standing, chance);
            let enabled = picture.chars().filter(|c| "Hxu".contains(*c)).count();
            prop_assert_eq!(steps.len(), enabled, "every enabled origin, once");
            if picture.contains('H') {
                let (pool, origin, why) = steps[0];
                prop_assert_eq!(why, Why::Steered);
                prop_assert_eq!(health[pool][origin].status(), Status::Healthy);
            }
        }
    }
}

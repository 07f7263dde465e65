//! Traffic: which cloud gets the next request, and what may be tried again.
//!
//! The nouns are Cloudflare's (monitor, pool, origin, load balancer), so that
//! one model speaks to Cloudflare and to our own edge. Five parts, each pure:
//! the [`model`] and its [`rules`], the [`health`] of one origin, [`steering`] from
//! health to an origin, and [`retry`].
//!
//! Invariant: traffic never stops because of us. If no pool is healthy, the
//! fallback pool gets the requests whatever its health.

pub mod health;
pub mod model;
pub mod retry;
pub mod rules;
pub mod steering;

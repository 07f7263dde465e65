//! Requests over time in equal buckets, for pictures.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::history::{Kind, Request};
use crate::model::Mono;

/// One bucket: what was *intended* in it, and how that ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Bucket {
    /// Successful reads (and HEADs) by the site that answered.
    pub reads: BTreeMap<String, u32>,
    /// Successful writes by the site that answered.
    pub writes: BTreeMap<String, u32>,
    /// Failed reads.
    pub reads_failed: u32,
    /// Failed writes.
    pub writes_failed: u32,
    /// 95th percentile of the successful answers, in milliseconds.
    pub p95_ms: Option<f64>,
}

/// The name for an answer without `X-Cloud-Provider`.
pub const NO_CLOUD: &str = "unnamed";

/// Sorts `requests` into buckets of `width` from `started` to `ended`.
pub fn buckets(requests: &[Request], started: Mono, ended: Mono, width: Duration) -> Vec<Bucket> {
    let step = u64::try_from(width.as_micros()).unwrap_or(u64::MAX).max(1);
    let index =
        |at: Mono| usize::try_from(at.0.saturating_sub(started.0) / step).unwrap_or(usize::MAX);
    let last = index(Mono(ended.0.saturating_sub(1).max(started.0)));
    let mut buckets = alloc::vec![Bucket::default(); last + 1];
    let mut latencies: Vec<Vec<Duration>> = alloc::vec![Vec::new(); last + 1];
    for request in requests {
        let at = index(request.intended).min(last);
        count(&mut buckets[at], request);
        latencies[at].extend(request.latency());
    }
    for (bucket, latencies) in buckets.iter_mut().zip(&mut latencies) {
        bucket.p95_ms = quantile(latencies, 950).map(|span| span.as_secs_f64() * 1_000.0);
    }
    buckets
}

fn count(bucket: &mut Bucket, request: &Request) {
    let cloud = request.cloud.map_or_else(
        || String::from(NO_CLOUD),
        |site| String::from(site.as_str()),
    );
    match (request.kind == Kind::Write, request.succeeded()) {
        (true, true) => *bucket.writes.entry(cloud).or_default() += 1,
        (false, true) => *bucket.reads.entry(cloud).or_default() += 1,
        (true, false) => bucket.writes_failed += 1,
        (false, false) => bucket.reads_failed += 1,
    }
}

/// The value below or at which `per_mille` thousandths of `values` lie (nearest rank).
pub fn quantile<T: Ord + Copy>(values: &mut [T], per_mille: usize) -> Option<T> {
    values.sort_unstable();
    let rank = (values.len() * per_mille).div_ceil(1_000).max(1);
    values.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::super::transcript::Transcript;
    use super::*;

    #[test]
    fn requests_land_in_the_bucket_of_their_intended_time() {
        let history = Transcript::read(
            "read  0    .. 5    200 aws
             write 999  .. 1500 201 gcp/1
             write 1000 .. -    lost
             read  1001 .. 1002 503 aws
             read  1999 .. 2100 200 gcp",
        );
        let buckets = buckets(
            &history.requests,
            Mono(0),
            Mono(2_000_000),
            Duration::from_secs(1),
        );
        assert_eq!(buckets.len(), 2);
        assert_eq!((buckets[0].reads["aws"], buckets[0].writes["gcp"]), (1, 1));
        assert_eq!(
            (
                buckets[1].writes_failed,
                buckets[1].reads_failed,
                buckets[1].reads["gcp"]
            ),
            (1, 1, 1)
        );
        assert_eq!(buckets[0].p95_ms, Some(501.0));
    }

    #[test]
    fn quantiles_are_values_that_were_measured() {
        assert_eq!(quantile::<u32>(&mut [], 500), None);
        assert_eq!(quantile(&mut [3, 1, 2], 500), Some(2));
        assert_eq!(quantile(&mut (1..=100).collect::<Vec<_>>(), 950), Some(95));
        assert_eq!(
            quantile(&mut (1..=100).collect::<Vec<_>>(), 1_000),
            Some(100)
        );
    }
}

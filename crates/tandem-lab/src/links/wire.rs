//! One direction between two places, shared by all connections on it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::Instant;

/// How a wire is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cut {
    /// Silently: nothing arrives and nobody is told.
    Drop,
    /// Loudly: connections are reset, and new ones too.
    Reset,
}

/// What a wire does to bytes. The default is a perfect wire.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// How long a byte travels.
    #[serde(rename = "delay_us", with = "micros")]
    pub delay: Duration,
    /// How much a delay varies, up or down.
    #[serde(rename = "jitter_us", with = "micros")]
    pub jitter: Duration,
    /// Bytes per second that fit through, of all connections together.
    pub bytes_per_second: Option<u64>,
    /// Whether it is cut.
    pub cut: Option<Cut>,
}

mod micros {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(span: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(u64::try_from(span.as_micros()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_micros)
    }
}

/// One direction between two places.
#[derive(Debug)]
pub struct Wire {
    shape: watch::Sender<Shape>,
    /// When everything accepted so far has left a wire of limited capacity.
    free_at: Mutex<Instant>,
}

impl Wire {
    /// A wire of this shape.
    pub fn new(shape: Shape) -> Self {
        Self {
            shape: watch::Sender::new(shape),
            free_at: Mutex::new(Instant::now()),
        }
    }

    /// What it does at present.
    pub fn shape(&self) -> Shape {
        *self.shape.borrow()
    }

    /// Changes what it does, for running connections too.
    pub fn change(&self, change: impl FnOnce(&mut Shape)) {
        self.shape.send_modify(change);
    }

    /// Whether bytes get through.
    pub(super) fn is_open(&self) -> bool {
        self.shape.borrow().cut.is_none()
    }

    /// Whether connections are reset.
    pub(super) fn is_reset(&self) -> bool {
        self.shape.borrow().cut == Some(Cut::Reset)
    }

    /// Returns when bytes get through.
    pub(super) async fn open(&self) {
        self.until(|shape| shape.cut.is_none()).await;
    }

    /// Returns when connections are to be reset.
    pub(super) async fn reset(&self) {
        self.until(|shape| shape.cut == Some(Cut::Reset)).await;
    }

    async fn until(&self, wanted: impl FnMut(&Shape) -> bool) {
        let mut changes = self.shape.subscribe();
        // The sender lives in `self`, so the wait cannot fail.
        let _ = changes.wait_for(wanted).await;
    }

    /// Takes room for `length` bytes; they have left at the moment returned.
    pub(super) fn reserve(&self, length: usize) -> Instant {
        let now = Instant::now();
        let Some(rate) = self.shape().bytes_per_second else {
            return now;
        };
        let micros = u64::try_from(length)
            .unwrap_or(u64::MAX)
            .saturating_mul(1_000_000)
            / rate.max(1);
        let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        *free_at = (*free_at).max(now) + Duration::from_micros(micros);
        *free_at
    }
}

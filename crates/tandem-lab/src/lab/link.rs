//! The two wires between two places, in one hand.

use std::sync::Arc;
use std::time::Duration;

use crate::links::{Cut, Net, Place, Shape, Wire};
use crate::{Error, Result};

/// The link between two places, named `aws-gcp`. A one-way command acts from the first to the
/// second.
#[derive(Debug, Clone)]
pub struct Link {
    ends: (Place, Place),
    there: Arc<Wire>,
    back: Arc<Wire>,
}

impl Link {
    pub(crate) fn find(net: &Net, name: &str) -> Result<Self> {
        let ends = name
            .split_once('-')
            .and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
        match ends {
            Some((from, to)) if net.joins(from, to) => Ok(Self {
                ends: (from, to),
                there: Arc::clone(net.wire(from, to)),
                back: Arc::clone(net.wire(to, from)),
            }),
            _ => Err(Error::Refused(vec![format!(
                "there is no link `{name}`; write two of aws, gcp, witness and outside with a hyphen between"
            )])),
        }
    }

    /// Cuts both directions.
    pub fn cut(&self, cut: Cut) {
        self.both(|wire| wire.change(|shape| shape.cut = Some(cut)));
    }

    /// Cuts the way from the first place to the second.
    pub fn cut_one_way(&self, cut: Cut) {
        self.there.change(|shape| shape.cut = Some(cut));
    }

    /// Cuts the way to one of the two places.
    ///
    /// # Errors
    /// [`Error::Refused`] if it is neither.
    pub fn cut_towards(&self, place: Place, cut: Cut) -> Result<()> {
        let (from, to) = self.ends;
        let wire = match place {
            end if end == to => &self.there,
            end if end == from => &self.back,
            _ => {
                let problem = format!("`{place}` is no end of the link {from}-{to}");
                return Err(Error::Refused(vec![problem]));
            }
        };
        wire.change(|shape| shape.cut = Some(cut));
        Ok(())
    }

    /// Mends both directions; delay and capacity stay.
    pub fn heal(&self) {
        self.both(|wire| wire.change(|shape| shape.cut = None));
    }

    /// What the way from the first place to the second does at present.
    pub fn shape(&self) -> Shape {
        self.there.shape()
    }

    /// Sets how long a byte travels each way, and how much that varies.
    pub fn delay(&self, delay: Duration, jitter: Duration) {
        self.both(|wire| wire.change(|shape| (shape.delay, shape.jitter) = (delay, jitter)));
    }

    /// Sets how many bytes per second fit through each way; `None`: all.
    pub fn capacity(&self, bytes_per_second: Option<u64>) {
        self.both(|wire| wire.change(|shape| shape.bytes_per_second = bytes_per_second));
    }

    fn both(&self, act: impl Fn(&Wire)) {
        act(&self.there);
        act(&self.back);
    }
}

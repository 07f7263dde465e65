//! The two ways between two places, in one hand.

use std::time::Duration;

use super::network::Network;
use crate::links::{Cut, Place, Shape};
use crate::{Error, Result};

/// The link between two places, named `aws-gcp`. A one-way command acts from the first to the
/// second. Every change fails with [`Error::Refused`] or [`Error::Network`] if the network
/// cannot do it; one of both ways may then be changed already.
#[derive(Debug, Clone, Copy)]
pub struct Link<'lab> {
    network: &'lab Network,
    ends: (Place, Place),
}

impl<'lab> Link<'lab> {
    pub(super) fn find(network: &'lab Network, name: &str) -> Result<Self> {
        let ends = name
            .split_once('-')
            .and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
        match ends {
            Some((from, to)) if network.joins(from, to) => Ok(Self {
                network,
                ends: (from, to),
            }),
            _ => Err(Error::Refused(vec![format!(
                "there is no link `{name}`; write two of aws, gcp, witness and outside with a hyphen between"
            )])),
        }
    }

    /// Cuts both directions.
    ///
    /// # Errors
    /// See [`Link`].
    pub fn cut(&self, cut: Cut) -> Result<()> {
        self.both(|shape| shape.cut = Some(cut))
    }

    /// Cuts the way from the first place to the second.
    ///
    /// # Errors
    /// See [`Link`].
    pub fn cut_one_way(&self, cut: Cut) -> Result<()> {
        self.network
            .change(self.ends, |shape| shape.cut = Some(cut))
    }

    /// Cuts the way to one of the two places.
    ///
    /// # Errors
    /// [`Error::Refused`] if it is neither; see [`Link`].
    pub fn cut_towards(&self, place: Place, cut: Cut) -> Result<()> {
        let (from, to) = self.ends;
        let way = match place {
            end if end == to => (from, to),
            end if end == from => (to, from),
            _ => {
                let problem = format!("`{place}` is no end of the link {from}-{to}");
                return Err(Error::Refused(vec![problem]));
            }
        };
        self.network.change(way, |shape| shape.cut = Some(cut))
    }

    /// Mends both directions; delay and capacity stay.
    ///
    /// # Errors
    /// See [`Link`].
    pub fn heal(&self) -> Result<()> {
        self.both(|shape| shape.cut = None)
    }

    /// What the way from the first place to the second does at present.
    pub fn shape(&self) -> Shape {
        let found = self.network.shapes();
        let there = found.iter().find(|(from, to, _)| (*from, *to) == self.ends);
        there.map_or_else(Shape::default, |(_, _, shape)| *shape)
    }

    /// Sets how long a byte travels each way, and how much that varies.
    ///
    /// # Errors
    /// See [`Link`].
    pub fn delay(&self, delay: Duration, jitter: Duration) -> Result<()> {
        self.both(|shape| (shape.delay, shape.jitter) = (delay, jitter))
    }

    /// Sets how many bytes per second fit through each way; `None`: all.
    ///
    /// # Errors
    /// See [`Link`].
    pub fn capacity(&self, bytes_per_second: Option<u64>) -> Result<()> {
        self.both(|shape| shape.bytes_per_second = bytes_per_second)
    }

    fn both(&self, act: impl Fn(&mut Shape)) -> Result<()> {
        let (from, to) = self.ends;
        self.network.change((from, to), &act)?;
        self.network.change((to, from), &act)
    }
}

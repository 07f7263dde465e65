//! What a person with an axe does to a lab, beyond single processes and links.
//!
//! Cut a place from everybody and mend it, choose the store's leader, bring the store back from
//! old disks, start a process with another clock. The machine itself is never touched: its own
//! clock and its own network stay as they are.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::try_join_all;

use super::layout::{place, witness};
use super::template::copy;
use super::unit::{Body, Kind, Unit};
use super::{Lab, ready, strike_units};
use crate::links::{Cut, Place};
use crate::{Error, Result};

impl Lab {
    /// Cuts a place from everybody else. What is inside lives on, with its clients.
    ///
    /// # Errors
    /// [`Error::Refused`] if there is no such place.
    pub fn isolate(&self, site: &str, cut: Cut) -> Result<()> {
        self.bend_around(site, Some(cut))
    }

    /// Mends every link of a place; delay and capacity stay.
    ///
    /// # Errors
    /// [`Error::Refused`] if there is no such place.
    pub fn heal_site(&self, site: &str) -> Result<()> {
        self.bend_around(site, None)
    }

    fn bend_around(&self, site: &str, cut: Option<Cut>) -> Result<()> {
        let at = self.member(site)?;
        let ways = self.network.shapes().into_iter();
        let touching = ways.filter(|(from, to, _)| *from == at || *to == at);
        for (from, to, _) in touching {
            self.network.change((from, to), |shape| shape.cut = cut)?;
        }
        Ok(())
    }

    /// Makes the store's member at a place the leader.
    ///
    /// # Errors
    /// [`Error::Refused`] if there is no such place; [`Error::TooLate`] if it does not lead.
    pub async fn move_leader(&self, to: &str) -> Result<()> {
        ready::leads(&self.layout, self.member(to)?).await
    }

    /// Copies the disk of every member of the store, one after the other, as a cloud's disk
    /// snapshots do: the member stands still for a moment, and knows of nothing.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Died`] if the copying fails.
    pub async fn copy_stores(&self) -> Result<()> {
        for unit in self.stores() {
            let (data, kept) = self.disk_of(&unit);
            if kept.exists() {
                fs::remove_dir_all(&kept).map_err(Error::file("remove", &kept))?;
            }
            let body = unit.lock().await;
            body.process().freeze()?;
            let copied = copy(&self.layout, &data, &kept).await;
            body.process().thaw()?;
            copied?;
        }
        Ok(())
    }

    /// Kills every member of the store and starts it on the disk that was copied.
    ///
    /// # Errors
    /// [`Error::Refused`] if no disk was copied; [`Error::TooLate`] if a member does not start.
    pub async fn restore_stores(&self) -> Result<()> {
        let stores = self.stores();
        if !stores.iter().all(|unit| self.disk_of(unit).1.exists()) {
            let problem = "no disks of the store were copied; copy them first";
            return Err(Error::Refused(vec![problem.into()]));
        }
        strike_units(&stores).await?;
        for unit in &stores {
            let (data, kept) = self.disk_of(unit);
            fs::remove_dir_all(&data).map_err(Error::file("remove", &data))?;
            copy(&self.layout, &kept, &data).await?;
        }
        try_join_all(stores.iter().map(|unit| self.start_unit(unit))).await?;
        Ok(())
    }

    /// Starts one of our own processes anew, in a time namespace whose clocks since boot are
    /// `ahead_s` seconds ahead of the machine's. The next ordinary start has the machine's again.
    ///
    /// # Errors
    /// [`Error::Refused`] for a server; [`Error::Died`] where the system allows no time namespace.
    pub async fn restart_with_clock(&self, process: &str, ahead_s: i64) -> Result<()> {
        let unit = self.unit(process)?;
        let mut body = unit.lock().await;
        body.stop().await?;
        match &mut *body {
            Body::Own(own) => own.start_with_clock(ahead_s).await?,
            _ => {
                let problem = format!("`{process}` is none of our own; name an agent or a gate");
                return Err(Error::Refused(vec![problem]));
            }
        }
        self.note(unit.slot.at, unit.slot.kind, body.process())
    }

    /// A site or the witness.
    fn member(&self, name: &str) -> Result<Place> {
        let found = self.layout.members().find(|place| place.as_str() == name);
        found.ok_or_else(|| {
            let known = [place("aws"), place("gcp"), witness()].map(|place| place.to_string());
            let known = known.join(", ");
            Error::Refused(vec![format!("there is no place `{name}`; use {known}")])
        })
    }

    fn stores(&self) -> Vec<Arc<Unit>> {
        let stores = |unit: &&Arc<Unit>| unit.slot.kind == Kind::Store;
        self.units.values().filter(stores).cloned().collect()
    }

    /// A member's disk, and where its copy lies.
    fn disk_of(&self, unit: &Unit) -> (PathBuf, PathBuf) {
        let folder = |end: &str| self.layout.memory.join(format!("{}.{end}", unit.slot.at));
        (folder("etcd"), folder("etcd-copy"))
    }
}

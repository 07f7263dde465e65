//! Places as network namespaces: what a lab looks like to the kernel's own network.
//!
//! Every place is a namespace with one address; every two are joined by a veth pair, so
//! that each way between two places has a device and a queue of its own. What leaves a
//! place is delayed and throttled there (`tc`), what reaches one is dropped or refused there
//! (`nft`), and the lab itself stands in one more namespace with a private wire to each place.
//!
//! **Invariant:** nothing outside these namespaces is changed, and their names carry the
//! lab's base port: no setting, firewall rule, route or device of the machine.
//!
//! **Refused:** a router in the middle. All ways out of a place would share one device, and
//! a delay for one pair alone would need classes and filters in front of its queue.

mod script;
mod stand;
mod tool;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::links::{Place, Shape};
use crate::process::{Host, namespace_file};
use crate::{Error, Result};

pub use stand::{Entrance, Stand};
use tool::{run, run_in, said_by};

/// How long the last processes of a dead lab may take to disappear.
const LEFT_BOUND: Duration = Duration::from_secs(5);
/// How often they are looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Where a process of `place` stands in the lab with this base port.
pub(crate) fn host(base_port: u16, place: Place) -> Host {
    Host {
        address: script::address(place),
        namespace: Some(script::name(base_port, place)),
    }
}

/// The namespaces of one lab. Dropping it removes them.
#[derive(Debug)]
pub(crate) struct Namespaces {
    base_port: u16,
    places: Vec<Place>,
    stand: Stand,
    shapes: Mutex<BTreeMap<(Place, Place), Shape>>,
}

impl Namespaces {
    /// Makes a namespace for each of `places` and joins every two of them by perfect wires.
    pub(crate) fn build(base_port: u16, places: &[Place], stand: &Stand) -> Result<Self> {
        remove_left(base_port, places)?;
        let pairs = script::ways(places).map(|pair| (pair, Shape::default()));
        let built = Self {
            base_port,
            places: places.to_vec(),
            stand: stand.clone(),
            shapes: Mutex::new(pairs.collect()),
        };
        for place in places {
            run(
                "make a namespace",
                "ip",
                &["netns", "add", &built.name(*place)],
                "",
            )?;
        }
        let joined = script::joined(base_port, places);
        run("join the places", "ip", &["-batch", "-"], &joined)?;
        let own = script::observer(places);
        run("join the places to the lab", "ip", &["-batch", "-"], &own)?;
        for place in places {
            let furnished = script::furnished(*place, places);
            let args = ["-n", &built.name(*place), "-batch", "-"];
            run("set up a place's network", "ip", &args, &furnished)?;
        }
        Ok(built)
    }

    /// Lets the lab reach what listens on `port` of the loopback of `place`.
    pub(crate) fn open_inner_door(&self, place: Place, port: u16) -> Result<()> {
        let (name, setting) = (self.name(place), script::INNER_DOOR_SETTING);
        run_in(&name, "let loopback answer", "sh", &["-c", setting], "")?;
        let rules = script::inner_door(port);
        run_in(&name, "open a door", "nft", &["-f", "-"], &rules)
    }

    fn name(&self, place: Place) -> String {
        script::name(self.base_port, place)
    }

    /// Whether there is a wire between the two.
    pub(crate) fn joins(&self, from: Place, to: Place) -> bool {
        self.lock().contains_key(&(from, to))
    }

    /// Every way with what it does.
    pub(crate) fn shapes(&self) -> Vec<(Place, Place, Shape)> {
        let shapes = self.lock();
        let all = shapes.iter();
        all.map(|((from, to), shape)| (*from, *to, *shape))
            .collect()
    }

    /// Changes what one way does; nothing changes if the kernel refuses.
    pub(crate) fn change(
        &self,
        (from, to): (Place, Place),
        change: impl FnOnce(&mut Shape),
    ) -> Result<()> {
        let mut shapes = self.lock();
        let Some(shape) = shapes.get_mut(&(from, to)) else {
            return Ok(());
        };
        let mut wanted = *shape;
        change(&mut wanted);
        self.stand.expect(&wanted)?;
        self.queue((from, to), shape, &wanted)?;
        if wanted.cut != shape.cut {
            let rules = script::cut_rules(from, wanted.cut);
            run_in(
                &self.name(to),
                "cut or mend a link",
                "nft",
                &["-f", "-"],
                &rules,
            )?;
        }
        *shape = wanted;
        Ok(())
    }

    /// What leaves `from` for `to` waits in a queue of this shape from now on.
    fn queue(&self, (from, to): (Place, Place), now: &Shape, wanted: &Shape) -> Result<()> {
        let [before, after] =
            [now, wanted].map(|shape| script::queue(shape, self.stand.can_delay()));
        if before == after {
            return Ok(());
        }
        let verb = if after.is_some() { "replace" } else { "del" };
        let (namespace, device) = (self.name(from), to.to_string());
        let mut args = vec!["-n", &namespace, "qdisc", verb, "dev", &device, "root"];
        args.extend(after.iter().flatten().map(String::as_str));
        run("shape a link", "tc", &args, "")
    }

    /// Removes everything; the processes inside must be gone. Twice is as good as once.
    pub(crate) fn remove(&self) -> Result<()> {
        remove_all(self.base_port, &self.places)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(Place, Place), Shape>> {
        self.shapes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        // What stays is removed by the next start of the same base port.
        let _ = self.remove();
    }
}

/// Removes what a dead lab left.
///
/// # Errors
/// [`Error::Refused`] if a process lives in there: its lab runs, in another folder.
pub(crate) fn remove_left(base_port: u16, places: &[Place]) -> Result<()> {
    let deadline = Instant::now() + LEFT_BOUND;
    for name in places.iter().map(|place| script::name(base_port, *place)) {
        while namespace_file(&name).exists() && is_inhabited(&name) {
            if Instant::now() >= deadline {
                return Err(Error::Refused(vec![format!(
                    "processes run in the network namespace {name}; choose another --base-port, or see `ip netns pids {name}`"
                )]));
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }
    for name in stand::left(base_port) {
        run("remove a name", "ip", &["netns", "del", &name], "")?;
    }
    remove_all(base_port, places)
}

fn is_inhabited(name: &str) -> bool {
    said_by("ip", &["netns", "pids", name]).is_some_and(|pids| !pids.trim().is_empty())
}

fn remove_all(base_port: u16, places: &[Place]) -> Result<()> {
    for place in places {
        let name = script::name(base_port, *place);
        if !namespace_file(&name).exists() {
            continue;
        }
        // With one end of a wire the other goes too: ours at once, theirs a moment later.
        let _ = said_by("ip", &["-n", &name, "link", "del", script::OBSERVER]);
        run("remove a namespace", "ip", &["netns", "del", &name], "")?;
    }
    Ok(())
}

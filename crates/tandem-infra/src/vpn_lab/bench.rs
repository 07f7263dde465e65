//! One bench: eight charons, two routers, two hosts, four underlays.
//!
//! ```text
//! wa (host) - ra (BIRD, vti0..3)        rg (BIRD, vti0..3) - wg (host)
//!              a0..a3 (charon) == one veth each == g0..g3 (charon)
//! ```
//! A charon makes its tunnel device in its own namespace; it is then moved into
//! the router's, where it is a route-based tunnel. charon keeps the open file.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use super::compare::parse;
use super::config::{self, Side};
use super::diagnose::{Seen, SeenTunnel};
use super::halves::{Half, Halves, TUNNELS};
use super::net::{Failure, Net, run, wait_until};

const CHARON: &str = "/usr/sbin/charon-systemd";
const SWANCTL: &str = "/usr/sbin/swanctl";
const BIRD: &str = "/usr/sbin/bird";
const BIRDC: &str = "/usr/sbin/birdc";

/// The plugin that carries ESP without the kernel's help.
const PLUGINS: [&str; 2] = [
    "/usr/lib/ipsec/plugins/libstrongswan-kernel-libipsec.so",
    "/usr/lib/strongswan/plugins/libstrongswan-kernel-libipsec.so",
];

/// A daemon is ready in a fraction of a second; a busy machine gets longer.
const DAEMON_LIMIT: Duration = Duration::from_secs(20);

/// Why no bench can be built here, if so.
pub fn obstacle() -> Option<String> {
    for program in [CHARON, SWANCTL, BIRD, BIRDC] {
        if !Path::new(program).is_file() {
            return Some(format!(
                "{program} is not installed (scripts/vpn-lab-packages installs it)"
            ));
        }
    }
    if !PLUGINS.iter().any(|plugin| Path::new(plugin).is_file()) {
        return Some(
            "strongSwan's plugin kernel-libipsec is not installed (libcharon-extra-plugins)"
                .to_owned(),
        );
    }
    let tun = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/net/tun");
    if let Err(error) = tun {
        return Some(format!("/dev/net/tun cannot be opened: {error}"));
    }
    let name = format!("vltry{}", std::process::id());
    if let Err(error) = run(&["ip", "netns", "add", &name]) {
        return Some(format!(
            "no network namespace can be made ({error}); as root, or under unshare -Urnm"
        ));
    }
    let _ = run(&["ip", "netns", "del", &name]);
    None
}

/// A running bench.
pub struct Bench {
    net: Net,
    aws: Half,
    gcp: Half,
    // Dropped last: the daemons' files.
    _folder: tempfile::TempDir,
}

fn end_name(side: Side, tunnel: u8) -> String {
    format!("{}{tunnel}", side.letter())
}

fn router_name(side: Side) -> String {
    format!("r{}", side.letter())
}

fn host_name(side: Side) -> String {
    format!("w{}", side.letter())
}

const SIDES: [Side; 2] = [Side::Aws, Side::Gcp];

impl Bench {
    /// Builds everything and starts every daemon; does not wait for tunnels.
    ///
    /// # Errors
    /// With the first command that failed; what was made is taken away.
    pub fn build(halves: &Halves, number: u32) -> Result<Self, Failure> {
        let folder = tempfile::Builder::new()
            .prefix("vpnlab")
            .tempdir()
            .map_err(|error| error.to_string())?;
        let tag = format!("vl{}x{number}", std::process::id() % 100_000);
        let mut bench = Self {
            net: Net::new(&tag, folder.path()),
            aws: halves.aws.clone(),
            gcp: halves.gcp.clone(),
            _folder: folder,
        };
        for side in SIDES {
            bench.host_and_router(side)?;
        }
        for tunnel in 0..TUNNELS {
            bench.underlay(tunnel)?;
        }
        bench.ends()?;
        for side in SIDES {
            bench.router(side)?;
        }
        Ok(bench)
    }

    fn half(&self, side: Side) -> &Half {
        match side {
            Side::Aws => &self.aws,
            Side::Gcp => &self.gcp,
        }
    }

    /// A host with an address in every range, and the router that it uses.
    fn host_and_router(&mut self, side: Side) -> Result<(), Failure> {
        let (host, router) = (host_name(side), router_name(side));
        self.net.add(&host)?;
        self.net.add(&router)?;
        self.net.pair((&router, "lan"), (&host, "lan"))?;
        self.net.ip(&router, "addr add 192.0.2.1/30 dev lan")?;
        self.net.ip(&host, "addr add 192.0.2.2/30 dev lan")?;
        self.net.ip(&host, "route add default via 192.0.2.1")?;
        for range in &self.half(side).networks {
            self.net.ip(
                &host,
                &format!("addr add {}/32 dev lan", host_address(range)),
            )?;
            self.net
                .ip(&router, &format!("route add {range} dev lan"))?;
        }
        let settings = [
            "net.ipv4.ip_forward=1",
            "net.ipv4.fib_multipath_hash_policy=1",
            "net.ipv4.conf.all.rp_filter=0",
        ];
        for setting in settings {
            self.net.inside(&router, &["sysctl", "-qw", setting])?;
        }
        Ok(())
    }

    /// The two ends of one tunnel and the "internet" between them. Each has a
    /// wire of its own, so two ends of one GCP interface can share an address.
    fn underlay(&mut self, tunnel: u8) -> Result<(), Failure> {
        let names = SIDES.map(|side| end_name(side, tunnel));
        for name in &names {
            self.net.add(name)?;
        }
        self.net.pair((&names[0], "wire"), (&names[1], "wire"))?;
        for (side, name) in SIDES.into_iter().zip(&names) {
            let Some(end) = self.half(side).ends.get(&tunnel) else {
                return Err(format!("tunnel {tunnel} has one end only"));
            };
            self.net
                .ip(name, &format!("addr add {}/32 dev wire", end.outside))?;
            self.net.ip(name, "route add default dev wire")?;
        }
        Ok(())
    }

    fn ends(&mut self) -> Result<(), Failure> {
        let all = || {
            SIDES
                .into_iter()
                .flat_map(|side| (0..TUNNELS).map(move |tunnel| (side, tunnel)))
        };
        for (side, tunnel) in all() {
            let name = end_name(side, tunnel);
            let folder = self.net.folder(&name).display().to_string();
            self.net
                .write(&name, "strongswan.conf", &config::strongswan(&folder))?;
            self.net.write(
                &name,
                "swanctl.conf",
                &config::swanctl(side, &self.half(side).ends[&tunnel]),
            )?;
            let settings = format!("{folder}/strongswan.conf");
            self.net
                .start(&name, &[CHARON], &[("STRONGSWAN_CONF", &settings)])?;
        }
        for (side, tunnel) in all() {
            self.move_tunnel(side, tunnel)?;
        }
        // Those who wait first, then those who begin.
        for (side, tunnel) in all() {
            self.load(side, tunnel)?;
        }
        Ok(())
    }

    fn load(&self, side: Side, tunnel: u8) -> Result<(), Failure> {
        let folder = self
            .net
            .folder(&end_name(side, tunnel))
            .display()
            .to_string();
        let (file, socket) = (
            format!("{folder}/swanctl.conf"),
            format!("unix://{folder}/vici"),
        );
        let loaded = run(&[SWANCTL, "--load-all", "--file", &file, "--uri", &socket]);
        loaded.map(|_| ())
    }

    /// charon's tunnel device goes to the router. The stand-in keeps the name,
    /// because charon adds a route by that name for every SA.
    fn move_tunnel(&self, side: Side, tunnel: u8) -> Result<(), Failure> {
        let (name, router) = (end_name(side, tunnel), router_name(side));
        let ready = || {
            let socket = self.net.folder(&name).join("vici");
            socket.exists() && self.net.ip(&name, "link show ipsec0").is_ok()
        };
        if !wait_until(DAEMON_LIMIT, ready) {
            return Err(format!(
                "{name}: charon does not start: {}",
                self.net.read(&name, "output")
            ));
        }
        let device = format!("vti{tunnel}");
        let inside = self.half(side).ends[&tunnel].inside;
        self.net.ip(&name, "link set ipsec0 down")?;
        self.net.ip(
            &name,
            &format!(
                "link set ipsec0 netns {} name {device}",
                self.net.name(&router)
            ),
        )?;
        self.net
            .ip(&router, &format!("addr add {inside}/30 dev {device}"))?;
        self.net
            .ip(&router, &format!("link set {device} mtu 1400 up"))?;
        self.net
            .ip(&name, "link add ipsec0 type veth peer name decoy")?;
        self.net.ip(&name, "link set ipsec0 up")?;
        self.net.ip(&name, "link set decoy up")
    }

    fn router(&mut self, side: Side) -> Result<(), Failure> {
        let name = router_name(side);
        let folder = self.net.folder(&name).display().to_string();
        self.net
            .write(&name, "bird.conf", &config::bird(self.half(side), &folder))?;
        let (file, control) = (format!("{folder}/bird.conf"), format!("{folder}/ctl"));
        self.net
            .start(&name, &[BIRD, "-f", "-c", &file, "-s", &control], &[])
    }

    /// What everything shows now.
    pub fn look(&self) -> Seen {
        let sessions = SIDES.map(|side| self.sessions(side));
        let tunnels = (0..TUNNELS).map(|tunnel| {
            let ends = SIDES.map(|side| self.look_at_end(side, tunnel));
            let seen = SeenTunnel {
                ike_up: ends.iter().all(|end| end.0),
                data_up: ends.iter().all(|end| end.1),
                bgp_up: sessions.iter().all(|up| up.contains(&tunnel)),
                logs: ends.map(|end| end.2).concat(),
            };
            (tunnel, seen)
        });
        Seen {
            tunnels: tunnels.collect(),
            routers: SIDES
                .map(|side| self.net.read(&router_name(side), "bird.log"))
                .concat(),
            at_aws: self.learnt(Side::Aws),
            at_gcp: self.learnt(Side::Gcp),
        }
    }

    /// Whether the IKE SA and the SA for data stand at one end, and its log.
    fn look_at_end(&self, side: Side, tunnel: u8) -> (bool, bool, String) {
        let name = end_name(side, tunnel);
        let socket = format!("unix://{}/vici", self.net.folder(&name).display());
        let listed = run(&[SWANCTL, "--list-sas", "--uri", &socket]).unwrap_or_default();
        (
            listed.contains("ESTABLISHED"),
            listed.contains("INSTALLED"),
            self.net.read(&name, "charon.log"),
        )
    }

    /// The tunnels whose BGP session is established at one side.
    pub fn sessions(&self, side: Side) -> BTreeSet<u8> {
        let control = self
            .net
            .folder(&router_name(side))
            .join("ctl")
            .display()
            .to_string();
        let listed = run(&[BIRDC, "-s", &control, "show", "protocols"]).unwrap_or_default();
        let up = listed
            .lines()
            .filter(|line| line.contains("BGP") && line.contains("Established"));
        up.filter_map(|line| {
            line.strip_prefix('t')?
                .split_whitespace()
                .next()?
                .parse()
                .ok()
        })
        .collect()
    }

    /// How many of the eight BGP ends are up.
    pub fn sessions_up(&self) -> usize {
        SIDES.iter().map(|side| self.sessions(*side).len()).sum()
    }

    fn routes(&self, side: Side) -> String {
        self.net
            .ask_ip(&router_name(side), "-o route show proto bird")
            .unwrap_or_default()
    }

    fn learnt(&self, side: Side) -> BTreeSet<String> {
        let routes = self.routes(side);
        routes
            .lines()
            .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
            .collect()
    }

    /// Whether a router still sends through one of these tunnels.
    pub fn uses(&self, side: Side, tunnels: &[u8]) -> bool {
        let routes = self.routes(side);
        tunnels.iter().any(|tunnel| {
            let device = format!("vti{tunnel}");
            routes.split_whitespace().any(|word| word == device)
        })
    }

    /// Pairs of ranges that do not answer, in both directions; empty is good.
    pub fn silent_pairs(&self) -> Vec<String> {
        let directions = [(Side::Aws, Side::Gcp), (Side::Gcp, Side::Aws)];
        let mut silent = Vec::new();
        for (from, to) in directions {
            for source in &self.half(from).networks {
                for target in &self.half(to).networks {
                    let (source, target) = (host_address(source), host_address(target));
                    let words = [
                        "ping", "-c", "3", "-i", "0.02", "-W", "1", "-q", "-I", &source, &target,
                    ];
                    if self.net.inside(&host_name(from), &words).is_err() {
                        silent.push(format!("{source} -> {target}"));
                    }
                }
            }
        }
        silent
    }

    /// Sends ten packets into each tunnel's device and returns how many ESP
    /// packets more its own wire then carried: with one charon for all tunnels,
    /// some wires would carry none.
    ///
    /// # Errors
    /// If a ping is not answered.
    pub fn counters(&self) -> Result<Vec<u64>, Failure> {
        let router = router_name(Side::Aws);
        let mut carried = Vec::new();
        for tunnel in 0..TUNNELS {
            let before = self.sent(tunnel)?;
            let peer = self.aws.ends[&tunnel].peer_inside.to_string();
            let device = format!("vti{tunnel}");
            let words = [
                "ping", "-c", "10", "-i", "0.01", "-W", "1", "-q", "-I", &device, &peer,
            ];
            self.net.inside(&router, &words)?;
            carried.push(self.sent(tunnel)?.saturating_sub(before));
        }
        Ok(carried)
    }

    /// Packets that the wire of AWS's end has sent.
    fn sent(&self, tunnel: u8) -> Result<u64, Failure> {
        let text = self
            .net
            .ask_ip(&end_name(Side::Aws, tunnel), "-s -j link show wire")?;
        let json: serde_json::Value =
            serde_json::from_str(&text).map_err(|error| error.to_string())?;
        json.pointer("/0/stats64/tx/packets")
            .and_then(serde_json::Value::as_u64)
            .ok_or_else(|| "no counter".to_owned())
    }

    /// Swallows everything of these tunnels without a word, as a lost path does.
    ///
    /// # Errors
    /// If nft refuses.
    pub fn black_hole(&self, tunnels: &[u8]) -> Result<(), Failure> {
        for tunnel in tunnels {
            let name = end_name(Side::Aws, *tunnel);
            let rules = "table inet hole {\n chain in { type filter hook input priority 0; policy drop; }\n \
                chain out { type filter hook output priority 0; policy drop; }\n}\n";
            self.net.write(&name, "hole.nft", rules)?;
            let file = self
                .net
                .folder(&name)
                .join("hole.nft")
                .display()
                .to_string();
            self.net.inside(&name, &["nft", "-f", &file])?;
        }
        Ok(())
    }

    /// Lets them through again.
    ///
    /// # Errors
    /// If nft refuses.
    pub fn heal(&self, tunnels: &[u8]) -> Result<(), Failure> {
        for tunnel in tunnels {
            self.net.inside(
                &end_name(Side::Aws, *tunnel),
                &["nft", "delete", "table", "inet", "hole"],
            )?;
        }
        Ok(())
    }
}

/// The eleventh address of a range, where the host of the bench lives.
fn host_address(range: &str) -> String {
    let first = parse(range).map_or(0, |(first, _)| first);
    std::net::Ipv4Addr::from(first + 10).to_string()
}

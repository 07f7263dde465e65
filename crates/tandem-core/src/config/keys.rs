//! The register of every key of `tandem.toml`.
//!
//! One line a key: what it means, what it may be and why. The reader checks files against it,
//! `tandem config explain` prints it and the reference page is generated from it, so the three
//! cannot disagree.
//!
//! Invariant: a key that is not here does not exist; a test compares the register with the
//! types. Refused: reading the rules off serde's attributes, which know neither bounds nor
//! reasons and stop at the first fault.

use super::kind::Kind;

/// One key: what it means, what it may be, and why.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Where it stands: `*` is the name of a site, `[]` each member of a list of tables.
    pub path: &'static str,
    /// What the value may be.
    pub kind: Kind,
    /// Whether it must be there.
    pub need: Need,
    /// What it means, one sentence without its full stop.
    pub meaning: &'static str,
    /// Why the bounds are where they are, or what breaks if the value moves.
    pub why: &'static str,
}

/// Whether a key must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// The file is refused without it. Every knob of safety is of this sort: nobody should
    /// promise a bound without having read it.
    Required,
    /// Left out, it counts as this TOML value.
    Default(&'static str),
    /// May be left out; then there is no value.
    Optional,
    /// Must not be there; the key exists at other places of the same sort.
    Absent,
}

impl Key {
    /// The path without the last part; empty at the top.
    pub fn parent(&self) -> &'static str {
        self.path.rsplit_once('.').map_or("", |(parent, _)| parent)
    }

    /// The last part of the path, without the `[]` of lists.
    pub fn name(&self) -> &'static str {
        let last = self
            .path
            .rsplit_once('.')
            .map_or(self.path, |(_, last)| last);
        last.trim_end_matches("[]")
    }

    /// The unit of a number, which is part of its name.
    pub fn unit(&self) -> &'static str {
        let name = self.name();
        let units = [
            ("_ms", "milliseconds"),
            ("_per_mille", "thousandths"),
            ("_percent", "percent"),
            ("_s", "seconds"),
        ];
        let unit = units.iter().find(|(suffix, _)| name.ends_with(suffix));
        unit.map_or("", |(_, unit)| unit)
    }

    /// Whether it holds other keys instead of a value.
    pub fn is_section(&self) -> bool {
        matches!(self.kind, Kind::Table | Kind::Sites | Kind::Tables { .. })
    }

    /// The path below which its own keys stand.
    pub(super) fn is_child_of(&self, section: &str) -> bool {
        let parent = self.parent();
        parent == section || parent.strip_suffix("[]") == Some(section)
    }
}

/// The key with exactly this path, where `*` and `[]` stand for names and numbers.
pub fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

/// The keys that a person may mean by `text`: a path (`sites.aws.store` is one too), a section
/// with all its keys, or any part of a path by its name alone.
pub fn matching(text: &str) -> impl Iterator<Item = &'static Key> {
    KEYS.iter().filter(move |key| {
        let mut parts = key.path.split('.');
        let below = text
            .split('.')
            .all(|wanted| parts.next().is_some_and(|part| fits(part, wanted)));
        below
            || key
                .path
                .split('.')
                .any(|part| part.trim_end_matches("[]") == text)
    })
}

fn fits(part: &str, wanted: &str) -> bool {
    let bare = |text: &str| text.split('[').next().map_or(0, str::len);
    part == "*" || part[..bare(part)] == wanted[..bare(wanted)]
}

const fn section(path: &'static str, meaning: &'static str) -> Key {
    Key {
        path,
        kind: Kind::Table,
        need: Need::Required,
        meaning,
        why: "",
    }
}

const fn key(path: &'static str, kind: Kind, meaning: &'static str, why: &'static str) -> Key {
    Key {
        path,
        kind,
        need: Need::Required,
        meaning,
        why,
    }
}

impl Key {
    const fn or(self, value: &'static str) -> Self {
        Self {
            need: Need::Default(value),
            ..self
        }
    }

    const fn optional(self) -> Self {
        Self {
            need: Need::Optional,
            ..self
        }
    }

    const fn forbidden(self) -> Self {
        Self {
            need: Need::Absent,
            ..self
        }
    }
}

const fn whole(min: u64, max: u64) -> Kind {
    Kind::Whole { min, max }
}

const DAY_S: u64 = 86_400;

const AGENT_NAME: &str = "Name of the agent, unique in the cluster";
const AGENT_NAME_WHY: &str =
    "status keys and promises carry it; two agents with one name would overwrite each other";
const AGENT_LISTEN: &str = "Where the agent's HTTP API listens";
const LISTEN_WHY: &str =
    "an IP address, so that nothing listens where nobody meant it; on one machine use 127.0.0.1";
const AGENT_ADDRESS: &str = "Where others reach the agent's HTTP API, as seen from this place";
const ADDRESS_WHY: &str =
    "differs from the listen address wherever a link, a tunnel or a service stands between";
const STATE_DIR: &str = "Folder for what the agent must remember across restarts";
const STATE_DIR_WHY: &str = "it holds the highest epoch seen; without it a restored, older store could not be told from the right one";
const STORE: &str = "The member of the coordination store (etcd) at this site";
const STORE_WHY: &str = "agents use all three members, their own site's first";
const PASSWORD_WHY: &str =
    "a path, never the secret itself: files can be mounted, rotated and kept out of logs";

/// Every key, in the order of the reference page.
pub static KEYS: &[Key] = &[
    key("version", whole(1, 1), "Version of the file's shape", "this build reads version 1 only; a later shape gets the next number"),
    key("cluster", Kind::Label, "The cluster's name, typed to confirm dangerous commands", "it is part of every key in the store, so it must stand there unescaped"),
    section("policy", "What Tandem may do and what it promises"),
    key("policy.mode", Kind::Choice(&["observe", "confirm", "automatic"]), "How far Tandem may go by itself: watch, ask a named person before each promotion, or promote when every safety rule passes", "start with `observe`; go on when its log names the decisions you would have made"),
    key("policy.first_primary", Kind::Site, "The site that `tandem init` names as the first writer", "only used to create the authority record; later the record says who may write"),
    section("policy.authority", "The time-limited right to write"),
    key("policy.authority.ttl_ms", whole(1_000, 600_000), "How long a renewal of the right to write holds; the other site counts as long before it takes over", "it is most of the recovery time after a failure; below 1 s ordinary pauses of a machine would end it. Usual: 6000"),
    key("policy.authority.renew_ms", whole(100, 60_000), "How often the holder renews", "several renewals must fit into a ttl, so that a lost one does not matter. Usual: 1000"),
    key("policy.authority.call_timeout_ms", whole(50, 60_000), "How long one call to the store may take", "a call that may take longer would use up the time for the next attempt. Usual: 1000"),
    key("policy.authority.cut_ms", whole(50, 60_000), "Time that the gates need to cut every write session at the deadline", "kept back from the ttl, so that the last byte leaves before the other site may open. Usual: 500"),
    key("policy.authority.drift_per_mille", whole(1, 500), "The error between the clocks of two machines", "the holder's ttl is shortened by it; good clocks differ by less than 1, virtual machines by more. Usual: 20 (2 %)"),
    section("policy.exposure", "How much acknowledged work may be unreplicated"),
    key("policy.exposure.bound_ms", whole(500, 600_000), "The oldest heartbeat known as applied at the peer with which the primary still acknowledges writes", "what a failover can lose at most; smaller values stop writes on shorter interruptions. Usual: 4000"),
    key("policy.exposure.heartbeat_ms", whole(50, 60_000), "How often the primary writes a heartbeat", "each is one small transaction, and the age of the newest is only known to this step. Usual: 500"),
    section("policy.detection", "When an observer says that a site is lost"),
    key("policy.detection.probe_ms", whole(50, 60_000), "Time between probes of a site", "detection takes probe times failures; it should be ready when the right to write ends").or("1000"),
    key("policy.detection.timeout_ms", whole(10, 60_000), "How long one probe may take", "below the time between probes, so that probes never pile up").or("800"),
    key("policy.detection.failures", whole(1, 100), "Failed probes in a row after which a site counts as lost", "one proves nothing; many delay the verdict").or("3"),
    key("policy.detection.successes", whole(1, 100), "Good probes in a row after which a lost site counts as back", "keeps a site that comes and goes from counting as back").or("3"),
    key("policy.detection.database_wait_s", whole(10, 3_600), "How long a silent database is left to its provider's own failover before its site hands the right over", "managed databases fail over within their cloud in one to two minutes, which loses nothing").or("150"),
    section("policy.promotion", "What bounds automatic promotions"),
    key("policy.promotion.block_window_s", whole(0, 30 * DAY_S), "How long after an automatic promotion the next one waits", "two sites must never take turns; an acknowledgement by a person lifts it. Usual: 3600"),
    key("policy.promotion.per_day", whole(0, 100), "Automatic promotions within 24 hours", "whoever needs more needs a person first. Usual: 2"),
    section("policy.targets", "What the service promises its users"),
    key("policy.targets.availability_percent", Kind::Percent, "Promised availability, as text so that it stays exact", "`\"99.99\"` leaves 52.6 minutes a year; 100 cannot be promised"),
    key("policy.targets.detect_s", whole(1, DAY_S), "Longest time to notice a lost site", "`tandem check` compares it with what the detection settings reach"),
    key("policy.targets.rto_s", whole(1, DAY_S), "Recovery time objective, as clients measure it", "drills are judged by it"),
    key("policy.targets.rpo_s", whole(1, DAY_S), "Recovery point objective: how much acknowledged work a failover may lose", "the exposure bound must not exceed it"),
    key("policy.targets.p95_ms", whole(1, 600_000), "95th percentile of response times", "drills of normal operation are judged by it"),
    section("database", "What the databases of both sites have in common"),
    key("database.name", Kind::PgName, "The database that is replicated", "the same name at both sites").or("\"crm\""),
    key("database.schemas", Kind::PgNames, "Schemas whose tables are published", "tables are listed one by one in the publication; Tandem's own schemas are never among them").or("[\"public\"]"),
    key("database.owner_role", Kind::PgName, "The role that owns the tables; it does not log in", "owning a table allows switching its triggers off, so nobody logs in as its owner").or("\"crm_owner\""),
    key("database.application_role", Kind::PgName, "The role applications log in with", "the guard stops this role; if it owns tables or is the admin role, the mode is capped at `confirm`").or("\"crm_app\""),
    key("database.agent_role", Kind::PgName, "The role agents log in with", "never the application's: the guard must tell them apart").or("\"tandem_agent\""),
    key("database.replication_role", Kind::PgName, "The role the subscription logs in with", "it may replicate and read the published tables, nothing else").or("\"tandem_repl\""),
    key("database.publication", Kind::PgName, "Publication on the primary", "").or("\"crm_replication\""),
    key("database.slot", Kind::SlotName, "Logical slot on the primary", "PostgreSQL allows lowercase letters, digits and underscores only").or("\"crm_slot\""),
    key("database.subscription", Kind::PgName, "Subscription on the replica", "").or("\"crm_subscription\""),
    key("database.ledger_keep_days", whole(0, 3_650), "Days after which the rows of a ledger are erased; 0 = when a person says so", "a ledger holds what customers typed, and data protection asks for an end; counted from its writing, looked at or not").or("0"),
    Key { path: "sites", kind: Kind::Sites, need: Need::Required, meaning: "The two sites that carry the service, by name (`[sites.aws]`, `[sites.gcp]`)", why: "exactly two: the third place is the witness" },
    key("sites.*.cloud", Kind::Header, "What `X-Cloud-Provider` says for this site", "clients and drills tell by it which cloud answered"),
    key("sites.*.store", Kind::Url, STORE, STORE_WHY),
    section("sites.*.postgres", "How to reach the site's PostgreSQL from this place"),
    key("sites.*.postgres.host", Kind::Host, "The server's name, which TLS verifies", "never an IP address: it changes when the provider fails over, and certificates name hosts"),
    key("sites.*.postgres.address", Kind::Ip, "Where to connect instead of resolving `host` (libpq's `hostaddr`)", "for tunnels and links; the name is still verified").optional(),
    key("sites.*.postgres.port", whole(1, 65_535), "The server's port", ""),
    key("sites.*.postgres.replication_sslmode", Kind::Choice(&["require", "verify-full"]), "How replication connections are secured", "`require` encrypts but does not authenticate the server; values that allow plain text do not exist here"),
    key("sites.*.postgres.ca_file", Kind::Path, "The authority that signed the server's certificate, as a file of the *other* site's server, which subscribes", "`verify-full` needs it").optional(),
    key("sites.*.postgres.login_ca_file", Kind::Path, "The same authority as a file of this machine, for Tandem's own logins: agents, setup and doctor", "With it chain and name are verified; without it these logins are not encrypted, which RDS refuses (`rds.force_ssl`)").optional(),
    key("sites.*.postgres.agent_password_file", Kind::Path, "File with the agent role's password", PASSWORD_WHY),
    key("sites.*.postgres.replication_password_file", Kind::Path, "File with the replication role's password", PASSWORD_WHY),
    key("sites.*.postgres.admin_role", Kind::PgName, "The role that `tandem replication setup` logs in with (on RDS the master user)", "used by that command only"),
    key("sites.*.postgres.admin_password_file", Kind::Path, "File with the admin role's password", PASSWORD_WHY),
    Key { path: "sites.*.agents", kind: Kind::Tables { min: 1 }, need: Need::Required, meaning: "The site's agents, two in the normal case", why: "with one, its restart lets the right to write run out if it takes long" },
    key("sites.*.agents[].name", Kind::Label, AGENT_NAME, AGENT_NAME_WHY),
    key("sites.*.agents[].listen", Kind::Listen, AGENT_LISTEN, LISTEN_WHY),
    key("sites.*.agents[].address", Kind::Address, AGENT_ADDRESS, ADDRESS_WHY),
    key("sites.*.agents[].relay_listen", Kind::Listen, "Where the agent's replication relay listens", "the subscription connects through it, so that a promotion can cut the stream at once"),
    key("sites.*.agents[].state_dir", Kind::Path, STATE_DIR, STATE_DIR_WHY),
    Key { path: "sites.*.gates", kind: Kind::Tables { min: 0 }, need: Need::Required, meaning: "The site's gates, two in the normal case", why: "`gates = []` is allowed while Tandem only observes" },
    key("sites.*.gates[].name", Kind::Label, "Name of the gate, unique in the cluster", "logs and metrics carry it"),
    key("sites.*.gates[].rw_listen", Kind::Listen, "Where write sessions of this site's applications arrive", LISTEN_WHY),
    key("sites.*.gates[].ro_listen", Kind::Listen, "Where read sessions of this site's applications arrive", LISTEN_WHY),
    key("sites.*.gates[].peer_listen", Kind::Listen, "Where write sessions forwarded by the other site's gates arrive", "a port of its own, since these are never forwarded again"),
    key("sites.*.gates[].peer_address", Kind::Address, "Where the other site's gates reach `peer_listen`, as seen from this place", ADDRESS_WHY),
    key("sites.*.gates[].admin_listen", Kind::Listen, "Where `GET /v1/writer`, `/v1/status` and `/metrics` are served", LISTEN_WHY),
    key("sites.*.gates[].admin_address", Kind::Address, "Where others reach `admin_listen`, as seen from this place", ADDRESS_WHY),
    section("witness", "The third place: a vote and a vantage, no data"),
    key("witness.name", Kind::Site, "The name of the third place", "it appears in status and observations like a site's"),
    key("witness.store", Kind::Url, STORE, STORE_WHY),
    Key { path: "witness.agents", kind: Kind::Tables { min: 1 }, need: Need::Required, meaning: "The witness's agents, usually one", why: "its view decides between \"the site is lost\" and \"the line is cut\"" },
    key("witness.agents[].name", Kind::Label, AGENT_NAME, AGENT_NAME_WHY),
    key("witness.agents[].listen", Kind::Listen, AGENT_LISTEN, LISTEN_WHY),
    key("witness.agents[].address", Kind::Address, AGENT_ADDRESS, ADDRESS_WHY),
    key("witness.agents[].relay_listen", Kind::Listen, "Not at the witness", "the witness has no database, so there is nothing to relay").forbidden(),
    key("witness.agents[].state_dir", Kind::Path, STATE_DIR, STATE_DIR_WHY),
    section("tls", "Mutual TLS between agents, gates, etcd and people; without this section everything is plain, which is for one machine only").optional(),
    key("tls.ca_file", Kind::Path, "The certificate of the cluster's own authority", "`tandem init certificates` makes it; its key belongs offline"),
    key("tls.folder", Kind::Path, "Folder with `NAME.crt` and `NAME.key` of each agent, gate and person at this place", "keys that others may read are refused; a program shows the certificate of its own name, so none can pose as another"),
    key("tls.client", Kind::Label, "Whose certificate commands typed at this place show", "it only lets questions through; who asks for a change is known by the access token").or("\"operator\""),
    section("access", "Who may ask for changes"),
    Key { path: "access.tokens", kind: Kind::Tables { min: 0 }, need: Need::Optional, meaning: "Named persons; without any nothing can be asked for", why: "every request carries a name that a person answers for" },
    key("access.tokens[].name", Kind::Label, "The person's name, shown with each request", "history names it; one name, one person"),
    key("access.tokens[].hash_file", Kind::Path, "File with the hash of the person's token", "`tandem token new NAME` writes it; it is read at each request, so a token is withdrawn by deleting its file"),
];

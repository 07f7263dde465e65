//! One row for each fault that a file can have: what is changed in the complete example, and
//! what the reader says about it.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;

const EXAMPLE: &str = include_str!("../../../../docs/examples/tandem.toml");

/// The example with one piece of text replaced, which must be there.
fn with(old: &str, new: &str) -> String {
    assert!(EXAMPLE.contains(old), "the example no longer has `{old}`");
    EXAMPLE.replacen(old, new, 1)
}

/// The faults of a text, without their line numbers.
fn faults(text: &str) -> Vec<String> {
    let Err(Faults(faults)) = Config::parse(text) else {
        return Vec::new();
    };
    faults
        .iter()
        .map(|fault| split_line(&fault.to_string()).0)
        .collect()
}

/// A fault's text without its line, and the line.
fn split_line(text: &str) -> (String, Option<usize>) {
    let Some((before, rest)) = text.split_once(" (line ") else {
        return (text.to_string(), None);
    };
    let (line, after) = rest.split_once(')').expect("the bracket is closed");
    (format!("{before}{after}"), line.parse().ok())
}

/// Replaces `old` by `new` and expects exactly one fault.
#[track_caller]
fn check(old: &str, new: &str, expected: &str) {
    assert_eq!(faults(&with(old, new)), [expected]);
}

#[test]
fn the_example_is_complete() {
    let config = Config::parse(EXAMPLE).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(config.policy.authority.ttl_ms, 6000);
    assert_eq!(config.sites.len(), 2);
    assert_eq!(
        config.other_site("aws".parse().unwrap()),
        Some("gcp".parse().unwrap())
    );
    assert_eq!(config.agents("witness".parse().unwrap()).len(), 1);
}

#[test]
fn whole_numbers_are_checked() {
    let ttl = "policy.authority.ttl_ms";
    let range = "write a whole number from 1000 to 600000";
    for (value, problem) in [
        ("5", "`5` is out of range"),
        ("-6000", "`-6000` is out of range"),
        ("600001", "`600001` is out of range"),
        (
            "99999999999999999999999",
            "`99999999999999999999999` is out of range",
        ),
        ("6.5", "`6.5` is a decimal, not a whole number"),
        ("true", "`true` is true or false, not a whole number"),
        ("[6000]", "it is a list, not a whole number"),
        ("{ s = 6 }", "it is a table, not a whole number"),
        ("2026-01-01", "`2026-01-01` is a date, not a whole number"),
        ("\"six\"", "`\"six\"` is text, not a whole number"),
    ] {
        check(
            "ttl_ms = 6000",
            &format!("ttl_ms = {value}"),
            &format!("{ttl}: {problem}; {range}"),
        );
    }
    check(
        "ttl_ms = 6000",
        "ttl_ms = \"6000\"",
        "policy.authority.ttl_ms: `\"6000\"` is text, not a whole number; \
         write 6000 without quotes: a whole number from 1000 to 600000",
    );
    check(
        "version = 1",
        "version = 2",
        "version: `2` is out of range; write the whole number 1",
    );
    assert!(faults(&with("ttl_ms = 6000", "ttl_ms = 6_000")).is_empty());
    assert!(faults(&with("ttl_ms = 6000", "ttl_ms = 0x1770")).is_empty());
}

#[test]
fn texts_are_checked() {
    for (old, new, kind) in [
        (
            "mode = \"confirm\"",
            "mode = \"auto\"",
            Kind::Choice(&["observe", "confirm", "automatic"]),
        ),
        ("cluster = \"crm-dr\"", "cluster = \"CRM DR\"", Kind::Label),
        ("cloud = \"AWS\"", "cloud = \"A WS\"", Kind::Header),
        ("\"99.99\"", "\"100\"", Kind::Percent),
        ("\"99.99\"", "\"99,9\"", Kind::Percent),
        ("\"99.99\"", "\"0.0\"", Kind::Percent),
        ("\"99.99\"", "\"99.\"", Kind::Percent),
        ("slot = \"crm_slot\"", "slot = \"CRM\"", Kind::SlotName),
        ("name = \"crm\"", "name = \"a\\\"b\"", Kind::PgName),
        (
            "listen = \"10.30.10.21:8400\"",
            "listen = \"localhost:8400\"",
            Kind::Listen,
        ),
        (
            "listen = \"10.30.10.21:8400\"",
            "listen = \"10.30.10.21:0\"",
            Kind::Listen,
        ),
        (
            "address = \"10.30.10.21:8400\"",
            "address = \"aws-1\"",
            Kind::Address,
        ),
        (
            "address = \"10.30.10.21:8400\"",
            "address = \"aws_1:8400\"",
            Kind::Address,
        ),
        (
            "\"https://10.30.10.20:2379\"",
            "\"10.30.10.20:2379\"",
            Kind::Url,
        ),
        (
            "\"https://10.30.10.20:2379\"",
            "\"https://10.30.10.20\"",
            Kind::Url,
        ),
        (
            "\"crm-dr-postgres.internal.example.com\"",
            "\"10.20.0.3\"",
            Kind::Host,
        ),
        (
            "\"crm-dr-postgres.internal.example.com\"",
            "\"fd00::3\"",
            Kind::Host,
        ),
        ("\"/var/lib/tandem/aws-1\"", "\" \"", Kind::Path),
        ("\"/var/lib/tandem/aws-1\"", "\"a\\nb\"", Kind::Path),
    ] {
        let value = new.rsplit(" = ").next().unwrap_or(new);
        let found = faults(&with(old, new));
        let [fault] = &found[..] else {
            panic!("{new}: {found:?}")
        };
        let expected = format!("`{value}` does not fit; write {}", kind.bounds());
        assert!(fault.ends_with(&expected), "{fault}\nexpected {expected}");
    }
    let long = "x".repeat(400);
    let [fault] = &faults(&with("slot = \"crm_slot\"", &format!("slot = \"{long}\"")))[..] else {
        panic!("one fault")
    };
    assert!(fault.len() < 200, "a long value is cut: {fault}");
}

#[test]
fn optional_values_are_checked_too() {
    let port = "port = 5432\nreplication_sslmode = \"require\"";
    let with_address = |address: &str| with(port, &format!("address = \"{address}\"\n{port}"));
    assert!(faults(&with_address("10.1.2.3")).is_empty());
    let expected = "sites.gcp.postgres.address: `\"db.example.com\"` does not fit; write an IP address like \"10.30.10.7\"";
    assert_eq!(faults(&with_address("db.example.com")), [expected]);
}

#[test]
fn unknown_keys_lead_to_the_right_one() {
    for (new, expected) in [
        (
            "heart_beat = 5",
            "policy.exposure.heart_beat: there is no such key (here `5`); did you mean `heartbeat_ms`?",
        ),
        (
            "ttl_ms = 5",
            "policy.exposure.ttl_ms: there is no such key (here `5`); `ttl_ms` belongs to policy.authority",
        ),
        (
            "colour = \"red\"",
            "policy.exposure.colour: there is no such key (here `\"red\"`); delete it; the keys here are: bound_ms, heartbeat_ms",
        ),
    ] {
        check(
            "heartbeat_ms = 500",
            &format!("heartbeat_ms = 500\n{new}"),
            expected,
        );
    }
    check(
        "[witness]",
        "[extra]\na = 1\n[witness]",
        "extra: there is no such key; delete it; the keys here are: version, cluster, policy, database, sites, witness, tls, access",
    );
}

#[test]
fn missing_keys_are_named_with_what_to_write() {
    check(
        "renew_ms = 1000\n",
        "",
        "policy.authority.renew_ms: it is missing; add `renew_ms = ...`: a whole number from 100 to 60000",
    );
    check(
        "version = 1\n",
        "",
        "version: it is missing; add `version = ...`: the whole number 1",
    );
    check(
        "[policy.exposure]\nbound_ms = 4000\nheartbeat_ms = 500\n",
        "",
        "policy.exposure: it is missing; add [policy.exposure] with a table",
    );
    assert_eq!(
        faults("").len(),
        5,
        "version, cluster, policy, sites, witness"
    );
}

#[test]
fn defaults_stand_in_for_what_is_no_safety_knob() {
    let start = EXAMPLE.find("[database]").expect("a section");
    let end = EXAMPLE.find("[sites.aws]").expect("the next section");
    let short = format!("{}{}", &EXAMPLE[..start], &EXAMPLE[end..]);
    assert_eq!(Config::parse(&short), Config::parse(EXAMPLE));
    let entries = Config::entries(&short).expect("no faults");
    let slot = entries
        .iter()
        .find(|entry| entry.path == "database.slot")
        .expect("has a default");
    assert_eq!(
        (slot.value.as_str(), slot.origin),
        ("\"crm_slot\"", Origin::Default)
    );
    let name = entries
        .iter()
        .find(|entry| entry.path == "cluster")
        .expect("stands there");
    assert!(matches!(name.origin, Origin::Line(line) if line > 1));
}

#[test]
fn wrong_shapes_say_how_to_write_them() {
    let end = EXAMPLE.find("[[witness.agents]]").expect("a section");
    for (agents, expected) in [
        (
            "agents = 5",
            "witness.agents: `5` is a whole number, not a list of tables, at least 1; write it as [[witness.agents]]",
        ),
        (
            "agents = [7]",
            "witness.agents[0]: `7` is a whole number, not a table; write it as [[witness.agents]]",
        ),
        (
            "agents = []",
            "witness.agents: at least 1 must be there; add one as [[witness.agents]]",
        ),
        (
            "",
            "witness.agents: it is missing; add [[witness.agents]] with a list of tables, at least 1",
        ),
    ] {
        assert_eq!(
            faults(&format!("{}{agents}\n", &EXAMPLE[..end])),
            [expected]
        );
    }
    for (text, expected) in [
        (
            "sites = 5",
            "sites: `5` is a whole number, not a table for each of the two sites, named by it; write it as [sites.NAME]",
        ),
        (
            "sites.aws = 5",
            "sites.aws: `5` is a whole number, not a table; write the site as a table [sites.aws]",
        ),
    ] {
        assert!(
            faults(text).contains(&expected.to_string()),
            "{:?}",
            faults(text)
        );
    }
}

#[test]
fn relations_between_times_hold() {
    check(
        "call_timeout_ms = 1000",
        "call_timeout_ms = 2500",
        "policy.authority.ttl_ms: renew_ms + 2 * call_timeout_ms is 6000 ms, but a renewal holds for 5380 ms only (ttl * (1 - drift) - cut); raise ttl_ms, or lower renew_ms, call_timeout_ms or cut_ms",
    );
    check(
        "timeout_ms = 800",
        "timeout_ms = 1000",
        "policy.detection.timeout_ms: 1000 ms is not below probe_ms, which is 1000 ms: probes would pile up; write less than 1000",
    );
    check(
        "failures = 3",
        "failures = 6",
        "policy.detection.failures: failures * probe_ms is 6000 ms, not below policy.authority.ttl_ms, which is 6000 ms; lower failures or probe_ms, so that the verdict is ready when the right to write ends",
    );
    check(
        "bound_ms = 4000",
        "bound_ms = 2000",
        "policy.exposure.bound_ms: 2000 ms is not above 2 * heartbeat_ms + policy.authority.renew_ms, which is 2000 ms: a healthy cluster would stop its writes; write more than 2000, or lower heartbeat_ms",
    );
    check(
        "bound_ms = 4000",
        "bound_ms = 5001",
        "policy.exposure.bound_ms: 5001 ms is more than policy.targets.rpo_s promises, which is 5 s; write at most 5000, or promise less",
    );
}

#[test]
fn relations_between_names_hold() {
    check(
        "first_primary = \"aws\"",
        "first_primary = \"azure\"",
        "policy.first_primary: `azure` is no site of this file; write one of: aws, gcp",
    );
    check(
        "name = \"witness\"",
        "name = \"gcp\"",
        "witness.name: `gcp` is a site already; give the third place a name of its own, like \"witness\"",
    );
    check(
        "name = \"gcp-gate-2\"",
        "name = \"aws-1\"",
        "sites.gcp.gates[1].name: `aws-1` is sites.aws.agents[0].name already; give each agent and each gate a name of its own",
    );
    check(
        "agent_role = \"tandem_agent\"",
        "agent_role = \"crm_app\"",
        "database.agent_role: `crm_app` is the application's role too, so the guard could not tell them apart; use a role of its own",
    );
    let master = with(
        "application_role = \"crm_app\"",
        "application_role = \"crmadmin\"",
    );
    assert!(
        faults(&master).is_empty(),
        "confirm is allowed with the master user"
    );
    let automatic = master.replace("mode = \"confirm\"", "mode = \"automatic\"");
    assert_eq!(
        faults(&automatic),
        [
            "policy.mode: `automatic` is not possible while applications log in as `crmadmin`, which is sites.aws.postgres.admin_role too and could pass the guard; write \"confirm\", or give applications a role that owns nothing"
        ]
    );
}

#[test]
fn there_are_two_sites_and_a_witness() {
    let start = EXAMPLE.find("[sites.gcp]").expect("a section");
    let end = EXAMPLE.find("[witness]").expect("the next section");
    let one = format!("{}{}", &EXAMPLE[..start], &EXAMPLE[end..]);
    assert_eq!(
        faults(&one),
        [
            "sites: there must be exactly two sites, here are 1: aws; write one [sites.NAME] for each of the two clouds; the third place is [witness]"
        ]
    );
    let third = EXAMPLE[start..end]
        .replace("sites.gcp", "sites.azure")
        .replace("gcp", "az")
        .replace("10.20", "10.50");
    let three = format!("{}{third}{}", &EXAMPLE[..end], &EXAMPLE[end..]);
    assert_eq!(
        faults(&three),
        [
            "sites: there must be exactly two sites, here are 3: aws, azure, gcp; write one [sites.NAME] for each of the two clouds; the third place is [witness]"
        ]
    );
    let capital = EXAMPLE.replace("sites.gcp", "sites.GCP");
    assert_eq!(
        faults(&capital),
        [
            "sites.GCP: `GCP` is no site name: use 1 to 15 lowercase letters, digits or hyphens; rename the table"
        ]
    );
}

#[test]
fn listeners_of_one_place_differ() {
    check(
        "ro_listen = \"10.30.10.31:6433\"",
        "ro_listen = \"10.30.10.31:6432\"",
        "sites.aws.gates[0].ro_listen: `10.30.10.31:6432` is sites.aws.gates[0].rw_listen already; give each listener of a place its own port",
    );
    check(
        "\nlisten = \"10.30.11.22:8400\"",
        "\nlisten = \"10.30.10.21:8400\"",
        "sites.aws.agents[1].listen: `10.30.10.21:8400` is sites.aws.agents[0].listen already; give each listener of a place its own port",
    );
    check(
        "address = \"10.30.11.22:8400\"",
        "address = \"10.30.10.21:8400\"",
        "sites.aws.agents[1].address: `10.30.10.21:8400` is sites.aws.agents[0].address already; write where this agent itself is reached",
    );
    let everywhere = EXAMPLE
        .replace("listen = \"10.30.10.", "listen = \"0.0.0.")
        .replace("listen = \"10.30.11.", "listen = \"0.0.0.");
    let everywhere = everywhere
        .replace("0.0.0.21:", "0.0.0.0:")
        .replace("0.0.0.22:", "0.0.0.0:");
    assert!(
        faults(&everywhere).is_empty(),
        "machines of one site may each listen on all addresses"
    );
}

#[test]
fn the_relay_stands_where_there_is_a_database() {
    check(
        "relay_listen = \"10.30.10.21:8401\"\n",
        "",
        "sites.aws.agents[0].relay_listen: it is missing; add `relay_listen = ...`: an IP address and a port from 1 to 65535, like \"127.0.0.1:8400\"",
    );
    check(
        "listen = \"127.0.0.1:8400\"",
        "listen = \"127.0.0.1:8400\"\nrelay_listen = \"127.0.0.1:8401\"",
        "witness.agents[0].relay_listen: it must not be here: the witness has no database, so there is nothing to relay; delete the line",
    );
}

#[test]
fn verify_full_needs_the_authority() {
    check(
        "ca_file = \"/etc/tandem/ca/rds-ap-northeast-2.pem\"\n",
        "",
        "sites.aws.postgres.ca_file: `verify-full` needs it; add `ca_file = ...` with the authority's certificate, or choose \"require\" knowingly",
    );
}

#[test]
fn all_faults_come_at_once_in_the_order_of_the_file() {
    let text = with("ttl_ms = 6000", "ttl_ms = true")
        .replace("name = \"witness\"", "nam = \"witness\"")
        .replace("bound_ms = 4000", "bound_ms = 9000");
    let Err(Faults(found)) = Config::parse(&text) else {
        panic!("three things are wrong")
    };
    let keys: Vec<&str> = found.iter().map(|fault| fault.key.as_str()).collect();
    let expected = [
        "policy.authority.ttl_ms",
        "policy.exposure.bound_ms",
        "witness.name",
        "witness.nam",
    ];
    assert_eq!(keys, expected);
    let ttl_line = text
        .lines()
        .position(|line| line.starts_with("ttl_ms"))
        .expect("there");
    assert_eq!(split_line(&found[0].problem).1, Some(ttl_line + 1));
    assert!(found.is_sorted_by_key(|fault| split_line(&fault.problem).1));
}

#[test]
fn text_that_is_no_toml_says_where() {
    let text = with("renew_ms = 1000", "renew_ms = = 1000");
    let Err(Faults(found)) = Config::parse(&text) else {
        panic!("no TOML")
    };
    let line = text
        .lines()
        .position(|line| line.starts_with("renew_ms"))
        .expect("there");
    assert_eq!(split_line(&found[0].problem).1, Some(line + 1));
    assert!(
        found[0].problem.starts_with("this is no TOML at column "),
        "{}",
        found[0].problem
    );
    let twice = with("renew_ms = 1000", "renew_ms = 1000\nrenew_ms = 1000");
    assert_eq!(
        faults(&twice),
        ["this is no TOML at column 1: duplicate key; see https://toml.io for the syntax"]
    );
    assert_eq!(
        faults(&"#".repeat(300_000)),
        ["the file has 300000 bytes; at most 262144 bytes are read; is this the right file?"]
    );
}

#[test]
fn every_default_is_good() {
    for key in KEYS {
        if let Need::Default(text) = key.need {
            let value = toml::de::DeValue::parse(text).expect(key.path);
            assert!(key.kind.accept(value.get_ref()).is_ok(), "{}", key.path);
        }
    }
}

#[test]
fn the_register_is_in_order() {
    for (number, key) in KEYS.iter().enumerate() {
        assert!(
            KEYS[..number].iter().all(|other| other.path != key.path),
            "{} twice",
            key.path
        );
        assert!(
            !key.meaning.is_empty() && !key.meaning.ends_with('.'),
            "{}",
            key.path
        );
        let parent = key.parent().trim_end_matches("[]").trim_end_matches(".*");
        assert!(
            parent.is_empty() || find(parent).is_some(),
            "{} has no section",
            key.path
        );
    }
    let found: Vec<&str> = matching("sites.aws.agents[1].listen")
        .map(|key| key.path)
        .collect();
    assert_eq!(found, ["sites.*.agents[].listen"]);
    assert_eq!(matching("policy.authority").count(), 6);
    assert_eq!(matching("ttl_ms").count(), 1);
    assert_eq!(matching("gates").count(), 8, "the section and its keys");
    assert_eq!(matching("nothing").count(), 0);
}

/// The register has exactly the keys of the types: the example with every optional key, as
/// serde writes it, has each of them.
#[test]
fn register_and_types_agree() {
    let full = with("port = 5432", "address = \"10.0.0.1\"\nport = 5432");
    let config = Config::parse(&full).expect("no faults");
    let written = toml::to_string(&config).expect("serializable");
    let entries = Config::entries(&written).expect("what serde writes can be read");
    let missing: Vec<&str> = KEYS
        .iter()
        .filter(|key| !key.is_section() && key.need != Need::Absent)
        .filter(|key| entries.iter().all(|entry| entry.key.path != key.path))
        .map(|key| key.path)
        .collect();
    assert_eq!(missing, Vec::<&str>::new());
    assert_eq!(Config::parse(&written), Ok(config));
}

/// TLS is for all or for none, and a token never travels in the clear.
#[test]
fn transport_and_tokens_fit_together() {
    check(
        "store = \"https://10.30.10.20:2379\"",
        "store = \"http://10.30.10.20:2379\"",
        "sites.aws.store: [tls] is there, so etcd must speak TLS too; write `https://10.30.10.20:2379`, and start etcd with client-cert-auth",
    );
    let start = EXAMPLE.find("[tls]").expect("a section");
    let end = EXAMPLE.find("# Who may ask").expect("the next section");
    let plain = format!("{}{}", &EXAMPLE[..start], &EXAMPLE[end..]);
    let found = faults(&plain);
    assert_eq!(found.len(), 4, "three stores and the token: {found:?}");
    assert!(found[0].starts_with("access.tokens[0].name: without [tls] tokens would travel"));
    let plain = plain.replace("https://", "http://");
    let local = plain.replace("listen = \"10.", "listen = \"127.");
    assert!(faults(&local).is_empty(), "{:?}", faults(&local));
    let config = Config::parse(&local).expect("plain on one machine");
    assert_eq!((config.tls, config.access.tokens.len()), (None, 1));
    let second = "[[access.tokens]]\nname = \"first-operator\"\nhash_file = \"/elsewhere\"\n";
    check(
        "[database]",
        &format!("{second}[database]"),
        "access.tokens[1].name: `first-operator` is access.tokens[0].name already; give each person a name and a file of their own",
    );
}

proptest! {
    #[test]
    fn a_broken_file_never_panics(
        cuts in proptest::collection::vec((any::<prop::sample::Index>(), 0_usize..40, "[ -~\n가]{0,12}"), 1..6)
    ) {
        let mut text: Vec<char> = EXAMPLE.chars().collect();
        for (index, removed, added) in cuts {
            let from = index.index(text.len());
            let to = (from + removed).min(text.len() - 1).max(from);
            text.splice(from..to, added.chars());
        }
        let text: String = text.into_iter().collect();
        match Config::parse(&text) {
            Ok(config) => prop_assert_eq!(config.sites.len(), 2),
            Err(faults) => prop_assert!(!faults.to_string().is_empty()),
        }
    }

    #[test]
    fn a_line_less_never_panics(index in any::<prop::sample::Index>()) {
        let lines: Vec<&str> = EXAMPLE.lines().collect();
        let gone = index.index(lines.len());
        let kept: Vec<&str> = lines.iter().enumerate().filter(|(at, _)| *at != gone).map(|(_, line)| *line).collect();
        if let Err(Faults(faults)) = Config::parse(&kept.join("\n")) {
            let own = "the types refuse what the register of keys accepts";
            prop_assert!(faults.iter().all(|fault| !fault.problem.starts_with(own)));
        }
    }
}

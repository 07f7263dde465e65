use serde_json::json;

use super::*;
use crate::{cut, overlay, rules};

fn clerk(name: &str) -> Clerk {
    let at = cut::FILES
        .iter()
        .position(|file| file.name == name)
        .expect("a provider");
    let schema = cut::committed().expect("the cut").swap_remove(at);
    Clerk::new(
        schema,
        overlay::committed().expect("the overlay"),
        rules::committed().expect("the rules"),
    )
}

fn complete(clerk: &Clerk, kind: &str, given: Json) -> Value {
    let block = clerk.block(Kind::Resource, kind).expect("a type");
    let keep = |_: &str, _: &Attribute, value: Value, _: &str| value;
    let Value::Map(mut members) = walk(block, from_json(&given), &keep, "") else {
        panic!("an object")
    };
    for (key, value) in &mut members {
        let nested = key.as_str().and_then(|name| block.block_types.get(name));
        let lists = nested
            .is_some_and(|nested| !matches!(nested.nesting_mode, Nesting::Single | Nesting::Map));
        if lists && value.is_nil() {
            *value = Value::Array(vec![]);
        }
    }
    Value::Map(members)
}

fn change(kind: &str, prior: &Value, second: &Value) -> Vec<u8> {
    let change = wire::Change {
        type_name: kind.into(),
        prior: encode(prior),
        second: encode(second),
        config: encode(second),
    };
    change.encode_to_vec()
}

fn plan(clerk: &Clerk, kind: &str, prior: &Value, proposed: &Value) -> wire::PlanReply {
    let reply = clerk.call("PlanResourceChange", &change(kind, prior, proposed));
    wire::PlanReply::decode(&reply.expect("an answer")[..]).expect("a message")
}

fn apply(clerk: &Clerk, kind: &str, planned: &Value) -> wire::ApplyReply {
    let reply = clerk.call("ApplyResourceChange", &change(kind, &Value::Nil, planned));
    wire::ApplyReply::decode(&reply.expect("an answer")[..]).expect("a message")
}

fn validate(clerk: &Clerk, kind: &str, given: Json) -> Vec<wire::Diagnostic> {
    let request = wire::OneValue {
        type_name: kind.into(),
        value: encode(&complete(clerk, kind, given)),
    };
    let reply = clerk.call("ValidateResourceConfig", &request.encode_to_vec());
    let reply = wire::ValidateReply::decode(&reply.expect("an answer")[..]).expect("a message");
    reply.diagnostics
}

#[test]
fn create_makes_results_unknown_and_apply_makes_them_known() {
    let clerk = clerk("google");
    let kind = "google_compute_ha_vpn_gateway";
    let config = complete(&clerk, kind, json!({"name": "g", "network": "n"}));
    let planned =
        decode(plan(&clerk, kind, &Value::Nil, &config).planned.as_ref()).expect("readable");
    assert!(is_unknown(member(&planned, "id")));
    assert!(is_unknown(member(&planned, "vpn_interfaces")));
    assert_eq!(member(&planned, "name"), &Value::from("g"));

    let state = decode(apply(&clerk, kind, &planned).state.as_ref()).expect("readable");
    let interfaces = member(&state, "vpn_interfaces").as_array().expect("a list");
    assert_eq!(interfaces.len(), 2);
    assert_eq!(
        member(&interfaces[1], "ip_address"),
        &Value::from("203.0.113.11")
    );
    assert!(member(&state, "id").is_str());

    // The second plan: the same again, nothing to do.
    let again = plan(&clerk, kind, &state, &state);
    assert_eq!(decode(again.planned.as_ref()), Ok(state));
    assert!(again.requires_replace.is_empty());
}

#[test]
fn what_cannot_change_in_place_is_replaced() {
    let clerk = clerk("aws");
    let kind = "aws_customer_gateway";
    let gateway = |address: &str| json!({"bgp_asn": "65000", "type": "ipsec.1", "ip_address": address, "id": "c"});
    let (prior, proposed) = (
        complete(&clerk, kind, gateway("203.0.113.1")),
        complete(&clerk, kind, gateway("203.0.113.2")),
    );
    let reply = plan(&clerk, kind, &prior, &proposed);
    assert_eq!(
        reply.requires_replace,
        [Place::default().member("ip_address").to_wire()]
    );
}

#[test]
fn destroy_is_echoed() {
    let clerk = clerk("aws");
    let reply = plan(
        &clerk,
        "aws_vpc",
        &from_json(&json!({"id": "v"})),
        &Value::Nil,
    );
    assert_eq!(decode(reply.planned.as_ref()), Ok(Value::Nil));
}

#[test]
fn a_write_only_secret_never_reaches_the_state() {
    let clerk = clerk("aws");
    let kind = "aws_secretsmanager_secret_version";
    let config = complete(
        &clerk,
        kind,
        json!({"secret_id": "s", "secret_string_wo": "hush", "secret_string_wo_version": 1}),
    );
    let planned =
        decode(plan(&clerk, kind, &Value::Nil, &config).planned.as_ref()).expect("readable");
    assert_eq!(member(&planned, "secret_string_wo"), &Value::Nil);
    let state = decode(apply(&clerk, kind, &planned).state.as_ref()).expect("readable");
    assert_eq!(member(&state, "secret_string_wo"), &Value::Nil);
}

#[test]
fn refusals_name_the_place_and_what_is_right() {
    let google = clerk("google");
    let found = validate(
        &google,
        "google_sql_database_instance",
        json!({"database_version": "POSTGRES_15", "settings": [
            {"tier": "db-custom-4-15360", "edition": "ENTERPRISE_PLUS"}]}),
    );
    let [found] = &found[..] else {
        panic!("{found:?}")
    };
    assert!(
        found.detail.contains("settings[0].edition"),
        "{}",
        found.detail
    );
    let steps = &found.attribute.as_ref().expect("a place").steps;
    assert_eq!(steps.len(), 3);

    let found = validate(
        &google,
        "google_compute_external_vpn_gateway",
        json!({"name": "x", "redundancy_type": "FIVE_IPS"}),
    );
    assert!(
        found
            .iter()
            .any(|d| d.detail.contains("FOUR_IPS_REDUNDANCY")),
        "{found:?}"
    );
    let found = validate(
        &google,
        "google_compute_network",
        json!({"name": "x", "gateway_ipv4": "1.2.3.4"}),
    );
    assert_eq!(found[0].summary, "Value for unconfigurable attribute");
}

#[test]
fn values_that_were_unknown_are_checked_at_apply() {
    let clerk = clerk("aws");
    let kind = "aws_customer_gateway";
    let planned = complete(&clerk, kind, json!({"bgp_asn": "65000", "type": "ipsec.1"}));
    let reply = apply(&clerk, kind, &planned);
    assert!(reply.state.is_none());
    assert!(
        reply.diagnostics[0].detail.contains("ip_address"),
        "{reply:?}"
    );
}

#[test]
fn nothing_that_arrives_makes_it_panic() {
    let clerk = clerk("aws");
    let methods = [
        "ValidateResourceConfig",
        "ValidateDataResourceConfig",
        "UpgradeResourceState",
        "ReadResource",
        "PlanResourceChange",
        "ApplyResourceChange",
        "ReadDataSource",
    ];
    let rubbish = |msgpack: &[u8]| {
        let value = Some(wire::Dynamic {
            msgpack: msgpack.to_vec(),
            json: vec![],
        });
        let one = wire::OneValue {
            type_name: "aws_vpc".into(),
            value: value.clone(),
        };
        let change = wire::Change {
            type_name: "aws_vpc".into(),
            prior: value.clone(),
            second: value.clone(),
            config: value,
        };
        [one.encode_to_vec(), change.encode_to_vec()]
    };
    let mut bodies: Vec<Vec<u8>> = vec![vec![], vec![0xff; 9], b"\x0a\x02hi".to_vec()];
    // Not msgpack, a number for an object, an array of arrays, a map without text keys.
    for msgpack in [
        &[0x92, 0x01][..],
        &[0x07],
        &[0x91, 0x91, 0xc0],
        &[0x81, 0x01, 0x02],
    ] {
        bodies.extend(rubbish(msgpack));
    }
    for method in methods {
        for body in &bodies {
            let _ = clerk.call(method, body);
        }
    }
    assert_eq!(clerk.call("NoSuchMethod", &[]), Err(Refusal::Method));
    assert!(matches!(
        clerk.call("PlanResourceChange", &[0xff; 9]),
        Err(Refusal::Message(_))
    ));
    let [_, change] = rubbish(&[0x92, 0x01]);
    let reply = clerk
        .call("PlanResourceChange", &change)
        .expect("an answer");
    let reply = wire::PlanReply::decode(&reply[..]).expect("a message");
    assert_eq!(reply.diagnostics[0].summary, "Unreadable value");
}

#[test]
fn an_unknown_type_is_a_diagnostic() {
    let clerk = clerk("random");
    let reply = plan(
        &clerk,
        "random_pet",
        &Value::Nil,
        &from_json(&json!({"id": null})),
    );
    assert!(
        reply.diagnostics[0].detail.contains("random_pet"),
        "{reply:?}"
    );
}

#[test]
fn what_was_made_can_be_imported_until_it_is_taken_away() {
    let clerk = clerk("aws");
    let kind = "aws_customer_gateway";
    let given = json!({"bgp_asn": "65000", "type": "ipsec.1", "ip_address": "203.0.113.1"});
    let config = complete(&clerk, kind, given);
    let planned =
        decode(plan(&clerk, kind, &Value::Nil, &config).planned.as_ref()).expect("readable");
    let state = decode(apply(&clerk, kind, &planned).state.as_ref()).expect("readable");
    let import = |id: &str| {
        let request = wire::ImportRequest {
            type_name: kind.into(),
            id: id.into(),
        };
        let reply = clerk.call("ImportResourceState", &request.encode_to_vec());
        wire::ImportReply::decode(&reply.expect("an answer")[..]).expect("a message")
    };
    let id = member(&state, "id").as_str().expect("text");
    let found = import(id);
    let found = decode(found.imported[0].state.as_ref()).expect("readable");
    assert_eq!(found, state);
    assert!(import("cgw-other").imported.is_empty());

    let gone = clerk.call("ApplyResourceChange", &change(kind, &state, &Value::Nil));
    assert!(gone.is_ok());
    assert!(import(id).imported.is_empty() && !import(id).diagnostics.is_empty());
    let deeds = clerk.deeds();
    assert_eq!(deeds["created aws_customer_gateway"], 1);
    assert_eq!(deeds["destroyed aws_customer_gateway"], 1);
}

//! What a schema cannot say: computed blocks, secrets, what forces a replacement, and results that
//! other resources look at.
//!
//! Intuition: the schema is the grammar, the overlay is the little knowledge of the world that our
//! own modules rely on. Plain data in `overlay.json`, except two results that need counting.
//! Invariant: every name in it exists in a schema ([`Overlay::check`]), so that it cannot rot.

use std::collections::BTreeMap;

use rmpv::Value;
use serde::Deserialize;
use serde_json::Value as Json;

use crate::error::Error;
use crate::schema::{Block, Provider};
use crate::value::{from_json, is_unknown, member};

type ByType<T> = BTreeMap<String, T>;

/// The committed table.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overlay {
    /// Blocks that the provider fills: the elements that an apply produces.
    #[serde(default)]
    pub computed_blocks: ByType<BTreeMap<String, Vec<Json>>>,
    /// Results by attribute; text may hold `{member}`, `{member|fallback}` and `{cidr+N}`.
    #[serde(default)]
    pub values: ByType<BTreeMap<String, Json>>,
    /// What data sources answer.
    #[serde(default)]
    pub data: ByType<BTreeMap<String, Json>>,
    /// Attributes that are hidden in output.
    #[serde(default)]
    pub sensitive: ByType<Vec<String>>,
    /// Attributes that never reach the state.
    #[serde(default)]
    pub write_only: ByType<Vec<String>>,
    /// Attributes and blocks whose change replaces the resource.
    #[serde(default)]
    pub force_new: ByType<Vec<String>>,
    /// What an import cannot read from the cloud.
    #[serde(default)]
    pub unread: ByType<Vec<String>>,
    /// Ids that an import takes, as texts of the state, where its own id is not one of them.
    #[serde(default)]
    pub import_ids: ByType<Vec<String>>,
}

/// The table that is committed beside this crate.
pub fn committed() -> Result<Overlay, Error> {
    serde_json::from_str(include_str!("../overlay.json")).map_err(|source| Error::Data {
        what: "overlay.json".into(),
        source,
    })
}

impl Overlay {
    /// Refuses a table that names what no schema has.
    pub fn check(&self, providers: &[Provider]) -> Result<(), Error> {
        let dangling = |what: String| Error::Dangling {
            file: "overlay.json",
            what,
        };
        for (kind, names) in self.resource_names() {
            let block = resource(providers, kind).ok_or_else(|| dangling(kind.into()))?;
            if let Some(name) = names.iter().find(|name| !block.knows(name)) {
                return Err(dangling(format!("{kind}.{name}")));
            }
        }
        for (kind, members) in &self.data {
            let found = providers
                .iter()
                .find_map(|p| p.data_source_schemas.get(kind));
            let block = &found.ok_or_else(|| dangling(kind.clone()))?.block;
            if let Some(name) = members.keys().find(|name| !block.knows(name)) {
                return Err(dangling(format!("data {kind}.{name}")));
            }
        }
        Ok(())
    }

    fn resource_names(&self) -> Vec<(&str, Vec<&str>)> {
        let mut names = vec![];
        for (kind, members) in &self.computed_blocks {
            names.push((kind.as_str(), members.keys().map(String::as_str).collect()));
        }
        for (kind, members) in &self.values {
            names.push((kind.as_str(), members.keys().map(String::as_str).collect()));
        }
        for list in [
            &self.sensitive,
            &self.write_only,
            &self.force_new,
            &self.unread,
        ] {
            for (kind, members) in list {
                names.push((kind.as_str(), members.iter().map(String::as_str).collect()));
            }
        }
        names
    }

    /// Sets the flags that the package has lost.
    pub fn mark(&self, provider: &mut Provider) {
        mark(provider, &self.sensitive, |attribute| {
            attribute.sensitive = true;
        });
        mark(provider, &self.write_only, |attribute| {
            attribute.write_only = true;
        });
    }

    /// The elements of a block that the provider fills.
    pub fn computed_block(&self, kind: &str, name: &str) -> Option<&[Json]> {
        Some(self.computed_blocks.get(kind)?.get(name)?)
    }

    /// The names of all such blocks of a type.
    pub fn computed_block_names(&self, kind: &str) -> impl Iterator<Item = &str> {
        let blocks = self.computed_blocks.get(kind);
        blocks.into_iter().flatten().map(|(name, _)| name.as_str())
    }

    /// Whether an import takes this id for a state.
    pub fn imports(&self, kind: &str, state: &Value, id: &str) -> bool {
        match self.import_ids.get(kind) {
            Some(texts) => texts.iter().any(|text| fill_text(text, state) == id),
            None => member(state, "id").as_str() == Some(id),
        }
    }

    /// What a data source answers for a member.
    pub fn answer(&self, kind: &str, name: &str) -> Option<Value> {
        Some(from_json(self.data.get(kind)?.get(name)?))
    }

    /// The result of an attribute that a test or another resource looks at.
    pub fn result(&self, kind: &str, name: &str, planned: &Value) -> Option<Value> {
        match (kind, name) {
            ("aws_acm_certificate", "domain_validation_options") => {
                Some(validation_records(planned))
            }
            ("random_password", "result") => Some(password(planned)),
            _ => {
                let json = self.values.get(kind)?.get(name)?;
                Some(fill_in(json, planned))
            }
        }
    }
}

fn resource<'a>(providers: &'a [Provider], kind: &str) -> Option<&'a Block> {
    let schema = providers
        .iter()
        .find_map(|p| p.resource_schemas.get(kind))?;
    Some(&schema.block)
}

fn mark(
    provider: &mut Provider,
    table: &ByType<Vec<String>>,
    set: impl Fn(&mut crate::schema::Attribute),
) {
    for (kind, names) in table {
        let Some(schema) = provider.resource_schemas.get_mut(kind) else {
            continue;
        };
        for name in names {
            if let Some(attribute) = schema.block.attribute_mut(name) {
                set(attribute);
            }
        }
    }
}

/// JSON with every `{...}` in its texts replaced by what the plan says.
fn fill_in(json: &Json, planned: &Value) -> Value {
    match json {
        Json::String(text) => Value::from(fill_text(text, planned)),
        Json::Array(elements) => {
            Value::Array(elements.iter().map(|e| fill_in(e, planned)).collect())
        }
        Json::Object(members) => {
            let member = |(name, json): (&String, &Json)| {
                (Value::from(name.as_str()), fill_in(json, planned))
            };
            Value::Map(members.iter().map(member).collect())
        }
        json => from_json(json),
    }
}

fn fill_text(text: &str, planned: &Value) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let Some((hole, tail)) = after.split_once('}') else {
            filled.push('{');
            rest = after;
            continue;
        };
        filled.push_str(&hole_text(hole, planned));
        rest = tail;
    }
    filled + rest
}

fn hole_text(hole: &str, planned: &Value) -> String {
    if let Some((name, host)) = hole.split_once('+') {
        let host = host.parse().unwrap_or(0);
        let cidr = member(planned, name).as_str().unwrap_or_default();
        return host_of(cidr, host).unwrap_or_default();
    }
    let (name, fallback) = hole.split_once('|').unwrap_or((hole, ""));
    let value = member(planned, name);
    match value.as_str() {
        Some(text) => text.to_owned(),
        None if value.is_nil() || is_unknown(value) => fallback.to_owned(),
        None => value.to_string(),
    }
}

/// The address `host` places after a range's first.
fn host_of(cidr: &str, host: u32) -> Option<String> {
    let (network, _) = cidr.split_once('/')?;
    let network: std::net::Ipv4Addr = network.parse().ok()?;
    let address = u32::from(network).checked_add(host)?;
    Some(std::net::Ipv4Addr::from(address).to_string())
}

/// One validation record for each distinct name; a wildcard shares the record of what it covers.
fn validation_records(planned: &Value) -> Value {
    let mut names: Vec<String> = vec![];
    let alternatives = member(planned, "subject_alternative_names").as_array();
    let all =
        std::iter::once(member(planned, "domain_name")).chain(alternatives.into_iter().flatten());
    for name in all.filter_map(Value::as_str) {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    Value::Array(names.iter().map(|name| validation_record(name)).collect())
}

fn validation_record(name: &str) -> Value {
    let covered = name.trim_start_matches("*.");
    let members = [
        ("domain_name", name.to_owned()),
        ("resource_record_name", format!("_proof.{covered}.")),
        ("resource_record_type", "CNAME".to_owned()),
        (
            "resource_record_value",
            "_proof.acm-validations.aws.".to_owned(),
        ),
    ];
    let members = members.map(|(name, text)| (Value::from(name), Value::from(text)));
    Value::Map(members.into())
}

/// Letters and digits of the length asked for, at most 512.
fn password(planned: &Value) -> Value {
    let length = member(planned, "length").as_u64().unwrap_or(32).min(512);
    let alphabet = ('a'..='z').chain('0'..='9').cycle();
    let length = usize::try_from(length).expect("512 fits");
    Value::from(alphabet.take(length).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_committed_table_names_only_what_exists() {
        let providers = crate::cut::committed().expect("the cut is readable");
        let overlay = committed().expect("the overlay is readable");
        overlay.check(&providers).expect("every name exists");
        for kind in overlay.import_ids.keys() {
            assert!(resource(&providers, kind).is_some(), "{kind}");
        }
        let wrong = Overlay {
            sensitive: [("aws_vpc".to_owned(), vec!["no_such".to_owned()])].into(),
            ..Overlay::default()
        };
        let error = wrong
            .check(&providers)
            .expect_err("a wrong name is refused");
        assert!(error.to_string().contains("aws_vpc.no_such"), "{error}");
    }

    #[test]
    fn texts_are_filled_from_the_plan() {
        let planned =
            from_json(&json!({"name": "n", "cidr": "169.254.10.4/30", "asn": 7, "none": null}));
        for (text, expected) in [
            ("a/{name}/b", "a/n/b"),
            ("{none|example}", "example"),
            ("{cidr+1}", "169.254.10.5"),
            ("{asn}", "7"),
            ("{name+1}", ""),
            ("open {brace", "open {brace"),
        ] {
            assert_eq!(fill_text(text, &planned), expected, "{text}");
        }
    }

    #[test]
    fn an_import_takes_the_id_of_the_real_provider_alone() {
        let overlay = committed().expect("the overlay is readable");
        let database = from_json(&json!({"id": "db-ABC", "identifier": "crm-dr"}));
        assert!(overlay.imports("aws_db_instance", &database, "crm-dr"));
        assert!(!overlay.imports("aws_db_instance", &database, "db-ABC"));
        let user =
            json!({"id": "crmadmin//pg", "project": "p", "instance": "pg", "name": "crmadmin"});
        let user = from_json(&user);
        assert!(overlay.imports("google_sql_user", &user, "p/pg/crmadmin"));
        assert!(!overlay.imports("google_sql_user", &user, "crmadmin//pg"));
        let network = from_json(&json!({"id": "vpc-1"}));
        assert!(overlay.imports("aws_vpc", &network, "vpc-1"));
    }

    #[test]
    fn each_name_of_a_certificate_has_a_record() {
        let planned = from_json(&json!({
            "domain_name": "crm.example.com",
            "subject_alternative_names": ["crm.example.com", "*.crm.example.com"],
        }));
        let records = validation_records(&planned);
        let records = records.as_array().expect("a list");
        assert_eq!(records.len(), 2);
        let proof = |at: usize| member(&records[at], "resource_record_name").as_str();
        assert_eq!(proof(0), proof(1));
    }
}

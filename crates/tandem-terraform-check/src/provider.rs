//! One provider: answers terraform's calls from a schema alone.
//!
//! Intuition: a clerk with the form in hand. He refuses what the form refuses, fills in what is
//! left to the office, and copies everything else letter by letter.
//! Invariant: whatever a plan shows as known is returned unchanged by apply, read and upgrade; only
//! unknowns are replaced, once. Nothing that arrives makes it panic.
//! What it made it remembers for imports alone; every other answer depends on the question only.

use std::collections::BTreeMap;
use std::sync::Mutex;

use prost::Message;
use rmpv::Value;
use serde_json::Value as Json;

use crate::invent::{Seed, invent};
use crate::overlay::Overlay;
use crate::rules::{Complaint, Place, Rules};
use crate::schema::{Attribute, Block, Nested, Nesting, Provider, Schema};
use crate::value::{
    concrete, decode, decode_json, encode, from_json, is_unknown, member, take, unknown, walk,
};
use crate::wire;

/// Answers for one provider.
pub struct Clerk {
    schema: Provider,
    /// The encoded answer of GetProviderSchema: built once, it is the largest message.
    schema_reply: Vec<u8>,
    overlay: Overlay,
    rules: Rules,
    made: Mutex<Made>,
}

/// What was made and taken away since the start.
#[derive(Default)]
struct Made {
    /// States by type and id, as an import finds them.
    states: BTreeMap<(String, String), Value>,
    /// How often a type was made or taken away: `created aws_vpc`.
    deeds: BTreeMap<String, usize>,
}

/// Why there is no answer; each becomes a gRPC status.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A method that this protocol does not have.
    Method,
    /// Bytes that are no message of the method.
    Message(String),
}

const CAPABILITIES: wire::Capabilities = wire::Capabilities {
    plan_destroy: false,
    schema_optional: true,
};

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Resource,
    Data,
}

type Answer = Result<Vec<u8>, Refusal>;

fn read<M: Message + Default>(body: &[u8]) -> Result<M, Refusal> {
    M::decode(body).map_err(|error| Refusal::Message(error.to_string()))
}

impl Clerk {
    /// A provider with its overlay and rules.
    pub fn new(mut schema: Provider, overlay: Overlay, rules: Rules) -> Self {
        overlay.mark(&mut schema);
        let all = |schemas: &std::collections::BTreeMap<String, Schema>| {
            let one = |(name, schema): (&String, &Schema)| (name.clone(), schema.to_wire());
            schemas.iter().map(one).collect()
        };
        let reply = wire::SchemaReply {
            provider: Some(schema.provider.to_wire()),
            resources: all(&schema.resource_schemas),
            data_sources: all(&schema.data_source_schemas),
            capabilities: Some(CAPABILITIES),
        };
        Self {
            schema_reply: reply.encode_to_vec(),
            schema,
            overlay,
            rules,
            made: Mutex::default(),
        }
    }

    /// How often each type was created and destroyed: `created aws_vpc`.
    pub fn deeds(&self) -> BTreeMap<String, usize> {
        self.made.lock().expect("no holder panics").deeds.clone()
    }

    /// The encoded answer to a call of the plugin protocol, version 6.
    pub fn call(&self, method: &str, body: &[u8]) -> Answer {
        Ok(match method {
            "GetProviderSchema" => self.schema_reply.clone(),
            "GetMetadata" => self.metadata().encode_to_vec(),
            "ValidateResourceConfig" => self.validate(Kind::Resource, body)?,
            "ValidateDataResourceConfig" => self.validate(Kind::Data, body)?,
            "UpgradeResourceState" => self.upgrade(body)?,
            "ReadResource" => state_of(read::<wire::OneValue>(body)?.value),
            "PlanResourceChange" => self.plan(body)?,
            "ApplyResourceChange" => self.apply(body)?,
            "ReadDataSource" => self.read_data(body)?,
            "ImportResourceState" => self.import(body)?,
            // An empty message is a valid "yes" to all of these.
            "ValidateProviderConfig" | "ConfigureProvider" | "GetFunctions" | "StopProvider" => {
                vec![]
            }
            _ => return Err(Refusal::Method),
        })
    }

    fn block(&self, kind: Kind, name: &str) -> Result<&Block, wire::Diagnostic> {
        let schemas = match kind {
            Kind::Resource => &self.schema.resource_schemas,
            Kind::Data => &self.schema.data_source_schemas,
        };
        let found = schemas.get(name).map(|schema| &schema.block);
        found.ok_or_else(|| {
            let source = &self.schema.source;
            error(
                "Unknown type",
                format!("{source} has no type {name} in its cut."),
            )
        })
    }

    fn metadata(&self) -> wire::MetadataReply {
        let names = |schemas: &std::collections::BTreeMap<String, Schema>| {
            let name = |type_name: &String| wire::TypeName {
                type_name: type_name.clone(),
            };
            schemas.keys().map(name).collect()
        };
        wire::MetadataReply {
            capabilities: Some(CAPABILITIES),
            data_sources: names(&self.schema.data_source_schemas),
            resources: names(&self.schema.resource_schemas),
        }
    }

    fn validate(&self, kind: Kind, body: &[u8]) -> Answer {
        let request: wire::OneValue = read(body)?;
        let checked = self.block(kind, &request.type_name).and_then(|block| {
            let config = decode(request.value.as_ref()).map_err(unreadable)?;
            let mut found = vec![];
            check_block(block, &config, &Place::default(), &mut found);
            if kind == Kind::Resource {
                found.extend(self.rules.check(&request.type_name, &config));
            }
            Ok(found.into_iter().map(diagnostic).collect())
        });
        let diagnostics = checked.unwrap_or_else(|refused| vec![refused]);
        Ok(wire::ValidateReply { diagnostics }.encode_to_vec())
    }

    fn plan(&self, body: &[u8]) -> Answer {
        let request: wire::Change = read(body)?;
        let reply = self
            .planned(request)
            .unwrap_or_else(|refused| wire::PlanReply {
                diagnostics: vec![refused],
                ..wire::PlanReply::default()
            });
        Ok(reply.encode_to_vec())
    }

    fn planned(&self, request: wire::Change) -> Result<wire::PlanReply, wire::Diagnostic> {
        let prior = decode(request.prior.as_ref()).map_err(unreadable)?;
        let proposed = decode(request.second.as_ref()).map_err(unreadable)?;
        if proposed.is_nil() {
            // Destroy: the planned state is null, exactly as proposed.
            return Ok(wire::PlanReply {
                planned: request.second,
                ..wire::PlanReply::default()
            });
        }
        let name = request.type_name.as_str();
        let block = self.block(Kind::Resource, name)?;
        let create = prior.is_nil();
        let fill = |_: &str, attribute: &Attribute, value: Value, _: &str| match value {
            _ if attribute.write_only => Value::Nil,
            Value::Nil if create && attribute.computed => unknown(),
            value => value,
        };
        let mut planned = walk(block, proposed, &fill, "");
        if !create {
            self.plan_unread_sets(name, block, &mut planned);
        }
        let requires_replace = self.replaced_by(name, &prior, &planned);
        self.plan_computed_blocks(name, prior, &mut planned);
        Ok(wire::PlanReply {
            planned: encode(&planned),
            requires_replace,
            legacy_type_system: true,
            ..wire::PlanReply::default()
        })
    }

    /// The members whose change cannot be made in place.
    fn replaced_by(&self, kind: &str, prior: &Value, planned: &Value) -> Vec<wire::Path> {
        if prior.is_nil() {
            return vec![];
        }
        let names = self.overlay.force_new.get(kind).into_iter().flatten();
        let changed = names.filter(|name| nested(prior, name) != nested(planned, name));
        changed.map(|name| place_of(name).to_wire()).collect()
    }

    /// A computed set that an import did not read counts as not yet known: so do the providers that
    /// are built on the older plugin library, and replace the resource if the set may not change.
    fn plan_unread_sets(&self, kind: &str, block: &Block, planned: &mut Value) {
        let Value::Map(planned) = planned else { return };
        let unread = self.overlay.unread.get(kind);
        for name in unread.into_iter().flatten() {
            let attribute = block.attributes.get(name);
            let set = attribute.is_some_and(|attribute| {
                attribute.computed && attribute.of.as_ref().is_some_and(|of| of[0] == "set")
            });
            for (key, value) in planned.iter_mut().filter(|_| set) {
                if key.as_str() == Some(name) && value.is_nil() {
                    *value = unknown();
                }
            }
        }
    }

    /// A block that the provider fills in looks like "no block" in the configuration. It becomes
    /// unknown on create and keeps its prior value on update, or the second plan is not empty.
    fn plan_computed_blocks(&self, kind: &str, prior: Value, planned: &mut Value) {
        let Value::Map(planned) = planned else { return };
        let mut prior = match prior {
            Value::Map(members) => Some(members),
            _ => None,
        };
        for name in self.overlay.computed_block_names(kind) {
            let result = prior
                .as_mut()
                .map_or_else(unknown, |prior| take(prior, name));
            for (key, value) in planned.iter_mut() {
                let empty = matches!(value, Value::Array(elements) if elements.is_empty());
                if key.as_str() == Some(name) && empty {
                    *value = result.clone();
                }
            }
        }
    }

    fn apply(&self, body: &[u8]) -> Answer {
        let request: wire::Change = read(body)?;
        let reply = self
            .applied(request)
            .unwrap_or_else(|refused| wire::ApplyReply {
                diagnostics: refused,
                ..wire::ApplyReply::default()
            });
        Ok(reply.encode_to_vec())
    }

    fn applied(&self, request: wire::Change) -> Result<wire::ApplyReply, Vec<wire::Diagnostic>> {
        let one = |refused| vec![refused];
        let mut planned = decode(request.second.as_ref())
            .map_err(unreadable)
            .map_err(one)?;
        let config = decode(request.config.as_ref())
            .map_err(unreadable)
            .map_err(one)?;
        let kind = request.type_name.as_str();
        let prior = decode(request.prior.as_ref())
            .map_err(unreadable)
            .map_err(one)?;
        if planned.is_nil() {
            self.remember(kind, &prior, &planned);
            return Ok(wire::ApplyReply {
                state: request.second,
                ..wire::ApplyReply::default()
            });
        }
        let block = self.block(Kind::Resource, kind).map_err(one)?;
        // Values that were unknown in the plan are known now: the rules get their say.
        let complaints = self.rules.check(kind, &config);
        if !complaints.is_empty() {
            return Err(complaints.into_iter().map(diagnostic).collect());
        }
        self.fix(block, kind, &mut planned);
        let state = self.settle(block, kind, planned, &config);
        self.remember(kind, &prior, &state);
        Ok(wire::ApplyReply {
            state: encode(&state),
            legacy_type_system: true,
            ..wire::ApplyReply::default()
        })
    }

    fn remember(&self, kind: &str, prior: &Value, state: &Value) {
        let id = |state: &Value| Some((kind.to_owned(), member(state, "id").as_str()?.to_owned()));
        let deed = match (prior.is_nil(), state.is_nil()) {
            (true, false) => "created",
            (false, true) => "destroyed",
            _ => "changed",
        };
        let mut made = self.made.lock().expect("no holder panics");
        *made.deeds.entry(format!("{deed} {kind}")).or_default() += 1;
        match (id(prior), id(state)) {
            (_, Some(id)) => drop(made.states.insert(id, state.clone())),
            (Some(id), None) => drop(made.states.remove(&id)),
            (None, None) => {}
        }
    }

    /// What was made under an id, as a state that nobody has yet.
    fn import(&self, body: &[u8]) -> Answer {
        let request: wire::ImportRequest = read(body)?;
        let (kind, id) = (request.type_name, request.id);
        let made = self.made.lock().expect("no holder panics");
        let mut of_kind = made.states.iter().filter(|(key, _)| key.0 == kind);
        let found = of_kind.find(|(_, state)| self.overlay.imports(&kind, state, &id));
        let reply = match found {
            Some((_, state)) => wire::ImportReply {
                imported: vec![wire::Imported {
                    state: encode(&self.as_read(&kind, state)),
                    type_name: kind,
                }],
                diagnostics: vec![],
            },
            None => wire::ImportReply {
                imported: vec![],
                diagnostics: vec![error(
                    "Cannot import",
                    format!("No {kind} with the id {id:?} was made here."),
                )],
            },
        };
        Ok(reply.encode_to_vec())
    }

    /// A state without what an import cannot read from the cloud.
    fn as_read(&self, kind: &str, state: &Value) -> Value {
        let mut state = state.clone();
        for path in self.overlay.unread.get(kind).into_iter().flatten() {
            if let Some(value) = nested_mut(&mut state, path) {
                *value = Value::Nil;
            }
        }
        state
    }

    /// Results that others look at: fixed values and the elements of computed blocks.
    fn fix(&self, block: &Block, kind: &str, planned: &mut Value) {
        let seen = planned.clone();
        let Value::Map(members) = planned else { return };
        for (key, value) in members.iter_mut().filter(|(_, value)| is_unknown(value)) {
            let Some(name) = key.as_str() else { continue };
            if let Some(result) = self.overlay.result(kind, name, &seen) {
                *value = result;
            } else if let Some(elements) = self.overlay.computed_block(kind, name) {
                let nested = block.block_types.get(name);
                let element =
                    |json| nested.map_or(Value::Nil, |nested| computed_element(nested, json));
                *value = Value::Array(elements.iter().map(element).collect());
            }
        }
    }

    /// Every unknown and every absent result becomes a value.
    fn settle(&self, block: &Block, kind: &str, planned: Value, config: &Value) -> Value {
        let config = config.to_string();
        let fill = |name: &str, attribute: &Attribute, value: Value, path: &str| {
            if attribute.write_only {
                return Value::Nil;
            }
            if !(is_unknown(&value) || value.is_nil() && attribute.computed) {
                return concrete(value);
            }
            let text = format!("{config}{path}");
            let seed = Seed {
                resource: kind,
                text: &text,
            };
            let of = attribute.of.as_ref();
            of.map_or(Value::Nil, |of| invent(of, name, &seed))
        };
        walk(block, planned, &fill, "")
    }

    fn read_data(&self, body: &[u8]) -> Answer {
        let request: wire::OneValue = read(body)?;
        let reply = match self.data(&request) {
            Ok(state) => wire::StateReply {
                state: encode(&state),
                diagnostics: vec![],
            },
            Err(refused) => refused_state(refused),
        };
        Ok(reply.encode_to_vec())
    }

    fn data(&self, request: &wire::OneValue) -> Result<Value, wire::Diagnostic> {
        let kind = request.type_name.as_str();
        let block = self.block(Kind::Data, kind)?;
        let mut config = decode(request.value.as_ref()).map_err(unreadable)?;
        if let Value::Map(members) = &mut config {
            for (key, value) in members.iter_mut().filter(|(_, value)| value.is_nil()) {
                let answer = key
                    .as_str()
                    .and_then(|name| self.overlay.answer(kind, name));
                *value = answer.unwrap_or(Value::Nil);
            }
        }
        let text = config.to_string();
        let fill = |name: &str, attribute: &Attribute, value: Value, path: &str| {
            let text = format!("{text}{path}");
            let seed = Seed {
                resource: kind,
                text: &text,
            };
            match &attribute.of {
                Some(of) if value.is_nil() && attribute.computed => invent(of, name, &seed),
                _ => value,
            }
        };
        Ok(walk(block, config, &fill, ""))
    }

    /// State written by an older schema version: ours never changes, so JSON becomes msgpack.
    fn upgrade(&self, body: &[u8]) -> Answer {
        let request: wire::UpgradeRequest = read(body)?;
        let raw = request.raw.unwrap_or_default();
        let reply = match decode_json(&raw.json) {
            Ok(state) => wire::StateReply {
                state: encode(&state),
                diagnostics: vec![],
            },
            Err(problem) => refused_state(unreadable(problem)),
        };
        Ok(reply.encode_to_vec())
    }
}

/// The member at a path such as `access_config.mode`; a block is its first element.
fn nested<'a>(value: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(value, |value, name| match value {
        Value::Array(elements) => elements
            .first()
            .map_or(&Value::Nil, |one| member(one, name)),
        value => member(value, name),
    })
}

fn nested_mut<'a>(value: &'a mut Value, path: &str) -> Option<&'a mut Value> {
    path.split('.').try_fold(value, |value, name| {
        let inner = match value {
            Value::Array(elements) => elements.first_mut()?,
            value => value,
        };
        let Value::Map(members) = inner else {
            return None;
        };
        let mut named = members.iter_mut();
        Some(&mut named.find(|(key, _)| key.as_str() == Some(name))?.1)
    })
}

/// The same path for terraform: blocks within blocks have an index.
fn place_of(path: &str) -> Place {
    let mut parts = path.split('.');
    let top = Place::default().member(parts.next().unwrap_or_default());
    parts.fold(top, |place, name| place.index(0).member(name))
}

/// Refresh: nothing changes outside terraform here.
fn state_of(state: Option<wire::Dynamic>) -> Vec<u8> {
    let reply = wire::StateReply {
        state,
        diagnostics: vec![],
    };
    reply.encode_to_vec()
}

fn refused_state(refused: wire::Diagnostic) -> wire::StateReply {
    wire::StateReply {
        state: None,
        diagnostics: vec![refused],
    }
}

fn computed_element(nested: &Nested, given: &Json) -> Value {
    let member = |(name, attribute): (&String, &Attribute)| {
        let value = match given.get(name) {
            Some(json) => from_json(json),
            None if attribute.computed => unknown(),
            None => Value::Nil,
        };
        (Value::from(name.as_str()), value)
    };
    Value::Map(nested.block.attributes.iter().map(member).collect())
}

/// What core leaves to the provider: an argument that cannot be set, a value outside its enumeration.
fn check_block(block: &Block, value: &Value, place: &Place, found: &mut Vec<Complaint>) {
    if !matches!(value, Value::Map(_)) {
        return;
    }
    for (name, attribute) in &block.attributes {
        check_attribute(attribute, member(value, name), place.member(name), found);
    }
    for (name, nested) in &block.block_types {
        let place = place.member(name);
        match (nested.nesting_mode, member(value, name)) {
            (Nesting::List | Nesting::Set, Value::Array(elements)) => {
                for (at, element) in elements.iter().enumerate() {
                    check_block(&nested.block, element, &place.index(at), found);
                }
            }
            (_, element) => check_block(&nested.block, element, &place, found),
        }
    }
}

fn check_attribute(attribute: &Attribute, value: &Value, place: Place, found: &mut Vec<Complaint>) {
    if !value.is_nil() && attribute.read_only() {
        found.push(Complaint {
            summary: "Value for unconfigurable attribute",
            detail: format!("{place} is decided by the provider and cannot be set."),
            place,
        });
        return;
    }
    let (Some(allowed), Some(text)) = (&attribute.one_of, value.as_str()) else {
        return;
    };
    // Some providers take "" for "not set" beside the documented values.
    if !text.is_empty() && !allowed.iter().any(|one| one == text) {
        found.push(Complaint {
            summary: "Invalid value",
            detail: format!(
                "{place} = {text:?}: expected one of {}.",
                allowed.join(", ")
            ),
            place,
        });
    }
}

fn diagnostic(complaint: Complaint) -> wire::Diagnostic {
    wire::Diagnostic {
        attribute: Some(complaint.place.to_wire()),
        ..error(complaint.summary, complaint.detail)
    }
}

fn unreadable(problem: String) -> wire::Diagnostic {
    error("Unreadable value", problem)
}

fn error(summary: &str, detail: String) -> wire::Diagnostic {
    wire::Diagnostic {
        severity: 1,
        summary: summary.into(),
        detail,
        attribute: None,
    }
}

#[cfg(test)]
mod tests;

//! Wire messages of the Terraform plugin protocol 6: only the fields we read or write.
//!
//! Written by hand with prost derives; the tag numbers are the protocol. Fields left out are skipped
//! on reading and absent on writing, which both sides allow.

// The protocol documents its fields.
#![allow(missing_docs)]

use prost::{Message, Oneof};
use std::collections::HashMap;

/// A value: msgpack in practice; json only inside raw state.
#[derive(Clone, PartialEq, Message)]
pub struct Dynamic {
    #[prost(bytes = "vec", tag = "1")]
    pub msgpack: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub json: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Path {
    #[prost(message, repeated, tag = "1")]
    pub steps: Vec<Step>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Step {
    #[prost(oneof = "Selector", tags = "1,2,3")]
    pub selector: Option<Selector>,
}

#[derive(Clone, PartialEq, Oneof)]
pub enum Selector {
    #[prost(string, tag = "1")]
    /// An attribute of an object or block.
    Attribute(String),
    #[prost(string, tag = "2")]
    /// An element of a map.
    Key(String),
    #[prost(int64, tag = "3")]
    /// An element of a list.
    Index(i64),
}

/// `severity` 1 is an error, 2 a warning.
#[derive(Clone, PartialEq, Message)]
pub struct Diagnostic {
    #[prost(int32, tag = "1")]
    pub severity: i32,
    #[prost(string, tag = "2")]
    pub summary: String,
    #[prost(string, tag = "3")]
    pub detail: String,
    #[prost(message, optional, tag = "4")]
    pub attribute: Option<Path>,
}

/// `type` is a cty type as JSON text; empty when `nested` is given.
#[derive(Clone, PartialEq, Message)]
pub struct Attribute {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(bytes = "vec", tag = "2")]
    pub r#type: Vec<u8>,
    #[prost(bool, tag = "4")]
    pub required: bool,
    #[prost(bool, tag = "5")]
    pub optional: bool,
    #[prost(bool, tag = "6")]
    pub computed: bool,
    #[prost(bool, tag = "7")]
    pub sensitive: bool,
    #[prost(message, optional, boxed, tag = "10")]
    pub nested: Option<Box<Object>>,
    #[prost(bool, tag = "11")]
    pub write_only: bool,
}

/// `nesting`: 1 single, 2 list, 3 set, 4 map.
#[derive(Clone, PartialEq, Message)]
pub struct Object {
    #[prost(message, repeated, tag = "1")]
    pub attributes: Vec<Attribute>,
    #[prost(int32, tag = "3")]
    pub nesting: i32,
}

#[derive(Clone, PartialEq, Message)]
pub struct Block {
    #[prost(int64, tag = "1")]
    pub version: i64,
    #[prost(message, repeated, tag = "2")]
    pub attributes: Vec<Attribute>,
    #[prost(message, repeated, tag = "3")]
    pub block_types: Vec<NestedBlock>,
}

#[derive(Clone, PartialEq, Message)]
pub struct NestedBlock {
    #[prost(string, tag = "1")]
    pub type_name: String,
    #[prost(message, optional, boxed, tag = "2")]
    pub block: Option<Box<Block>>,
    #[prost(int32, tag = "3")]
    pub nesting: i32,
    #[prost(int64, tag = "4")]
    pub min_items: i64,
    #[prost(int64, tag = "5")]
    pub max_items: i64,
}

#[derive(Clone, PartialEq, Message)]
pub struct Schema {
    #[prost(int64, tag = "1")]
    pub version: i64,
    #[prost(message, optional, tag = "2")]
    pub block: Option<Block>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Capabilities {
    #[prost(bool, tag = "1")]
    pub plan_destroy: bool,
    #[prost(bool, tag = "2")]
    pub schema_optional: bool,
}

/// Answer of GetProviderSchema.
#[derive(Clone, PartialEq, Message)]
pub struct SchemaReply {
    #[prost(message, optional, tag = "1")]
    pub provider: Option<Schema>,
    #[prost(map = "string, message", tag = "2")]
    pub resources: HashMap<String, Schema>,
    #[prost(map = "string, message", tag = "3")]
    pub data_sources: HashMap<String, Schema>,
    #[prost(message, optional, tag = "6")]
    pub capabilities: Option<Capabilities>,
}

#[derive(Clone, PartialEq, Message)]
pub struct TypeName {
    #[prost(string, tag = "1")]
    pub type_name: String,
}

/// Answer of GetMetadata.
#[derive(Clone, PartialEq, Message)]
pub struct MetadataReply {
    #[prost(message, optional, tag = "1")]
    pub capabilities: Option<Capabilities>,
    #[prost(message, repeated, tag = "3")]
    pub data_sources: Vec<TypeName>,
    #[prost(message, repeated, tag = "4")]
    pub resources: Vec<TypeName>,
}

/// Request of Validate*Config, ReadResource and ReadDataSource: a type and one value.
#[derive(Clone, PartialEq, Message)]
pub struct OneValue {
    #[prost(string, tag = "1")]
    pub type_name: String,
    #[prost(message, optional, tag = "2")]
    pub value: Option<Dynamic>,
}

/// Request of PlanResourceChange (second = proposed state) and ApplyResourceChange (second = planned state).
#[derive(Clone, PartialEq, Message)]
pub struct Change {
    #[prost(string, tag = "1")]
    pub type_name: String,
    #[prost(message, optional, tag = "2")]
    pub prior: Option<Dynamic>,
    #[prost(message, optional, tag = "3")]
    pub second: Option<Dynamic>,
    #[prost(message, optional, tag = "4")]
    pub config: Option<Dynamic>,
}

#[derive(Clone, PartialEq, Message)]
pub struct RawState {
    #[prost(bytes = "vec", tag = "1")]
    pub json: Vec<u8>,
}

/// Request of UpgradeResourceState.
#[derive(Clone, PartialEq, Message)]
pub struct UpgradeRequest {
    #[prost(string, tag = "1")]
    pub type_name: String,
    #[prost(int64, tag = "2")]
    pub version: i64,
    #[prost(message, optional, tag = "3")]
    pub raw: Option<RawState>,
}

/// Answer of Validate*Config.
#[derive(Clone, PartialEq, Message)]
pub struct ValidateReply {
    #[prost(message, repeated, tag = "1")]
    pub diagnostics: Vec<Diagnostic>,
}

/// Answer of UpgradeResourceState, ReadResource and ReadDataSource.
#[derive(Clone, PartialEq, Message)]
pub struct StateReply {
    #[prost(message, optional, tag = "1")]
    pub state: Option<Dynamic>,
    #[prost(message, repeated, tag = "2")]
    pub diagnostics: Vec<Diagnostic>,
}

#[derive(Clone, PartialEq, Message)]
pub struct PlanReply {
    #[prost(message, optional, tag = "1")]
    pub planned: Option<Dynamic>,
    #[prost(message, repeated, tag = "2")]
    pub requires_replace: Vec<Path>,
    #[prost(message, repeated, tag = "4")]
    pub diagnostics: Vec<Diagnostic>,
    #[prost(bool, tag = "5")]
    pub legacy_type_system: bool,
}

#[derive(Clone, PartialEq, Message)]
pub struct ApplyReply {
    #[prost(message, optional, tag = "1")]
    pub state: Option<Dynamic>,
    #[prost(message, repeated, tag = "3")]
    pub diagnostics: Vec<Diagnostic>,
    #[prost(bool, tag = "4")]
    pub legacy_type_system: bool,
}

/// Request of ImportResourceState.
#[derive(Clone, PartialEq, Message)]
pub struct ImportRequest {
    #[prost(string, tag = "1")]
    pub type_name: String,
    #[prost(string, tag = "2")]
    pub id: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct Imported {
    #[prost(string, tag = "1")]
    pub type_name: String,
    #[prost(message, optional, tag = "2")]
    pub state: Option<Dynamic>,
}

/// Answer of ImportResourceState.
#[derive(Clone, PartialEq, Message)]
pub struct ImportReply {
    #[prost(message, repeated, tag = "1")]
    pub imported: Vec<Imported>,
    #[prost(message, repeated, tag = "2")]
    pub diagnostics: Vec<Diagnostic>,
}

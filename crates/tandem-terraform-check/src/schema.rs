//! A recovered schema: the cut that is committed, and its form on the wire.
//!
//! Intuition: the shape of `terraform providers schema -json` for one provider, with a header that
//! says which package it was cut from, so that anybody can derive it again and compare.
//! Invariant: what is read here was written by `schemas/extract.py`; unknown keys are refused, so that
//! a hand-edited cut is noticed.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value as Json;

use crate::wire;

/// Where a cut comes from.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// npm package.
    pub package: String,
    /// Its version.
    pub version: String,
    /// npm's own integrity of the tarball, `sha512-...`.
    pub integrity: String,
}

/// One provider: its header and the types that the project uses.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// The package that it was cut from.
    pub derived_from: Origin,
    /// `hashicorp/aws`.
    pub source: String,
    /// The provider's version that the package wraps.
    pub provider_version: String,
    /// The provider's own configuration.
    pub provider: Schema,
    /// Data sources by type.
    pub data_source_schemas: BTreeMap<String, Schema>,
    /// Resources by type.
    pub resource_schemas: BTreeMap<String, Schema>,
}

/// One type.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schema {
    /// Version of the state; the package does not tell it, so always 0.
    pub version: i64,
    /// Its content.
    pub block: Block,
}

/// Attributes and nested blocks.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// Arguments and results by name.
    #[serde(default)]
    pub attributes: BTreeMap<String, Attribute>,
    /// Nested blocks by name.
    #[serde(default)]
    pub block_types: BTreeMap<String, Nested>,
}

/// One argument or result.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attribute {
    /// Its type as terraform writes it: `"string"`, `["list","string"]`.
    #[serde(rename = "type", default)]
    pub of: Option<Json>,
    /// Instead of a type: attributes of its own.
    #[serde(default)]
    pub nested_type: Option<Box<Members>>,
    /// A configuration must give it.
    #[serde(default)]
    pub required: bool,
    /// A configuration may give it.
    #[serde(default)]
    pub optional: bool,
    /// The provider may decide it.
    #[serde(default)]
    pub computed: bool,
    /// Hidden in output; from the overlay, the package has lost it.
    #[serde(default)]
    pub sensitive: bool,
    /// Never kept in state; from the overlay.
    #[serde(default)]
    pub write_only: bool,
    /// The values that the provider's documentation lists.
    #[serde(default, rename = "enum")]
    pub one_of: Option<Vec<String>>,
}

/// Attributes inside an attribute.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Members {
    /// How many there may be.
    pub nesting_mode: Nesting,
    /// By name.
    pub attributes: BTreeMap<String, Attribute>,
}

/// A nested block.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nested {
    /// How many there may be.
    pub nesting_mode: Nesting,
    /// Its content.
    pub block: Block,
    /// At least so many; 0 is no bound.
    #[serde(default)]
    pub min_items: i64,
    /// At most so many; 0 is no bound.
    #[serde(default)]
    pub max_items: i64,
}

/// How nested content repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Nesting {
    /// Once or not at all.
    Single,
    /// In order.
    List,
    /// Without order.
    Set,
    /// By key.
    Map,
}

impl Attribute {
    /// Decided by the provider alone: a configuration may not set it.
    pub fn read_only(&self) -> bool {
        self.computed && !self.optional
    }

    fn to_wire(&self, name: &str) -> wire::Attribute {
        let nested = self.nested_type.as_ref().map(|members| {
            let attributes = to_wire(&members.attributes);
            Box::new(wire::Object {
                nesting: members.nesting_mode.to_wire(),
                attributes,
            })
        });
        let of = self.of.as_ref().map(Json::to_string).unwrap_or_default();
        wire::Attribute {
            name: name.into(),
            r#type: if nested.is_some() {
                vec![]
            } else {
                of.into_bytes()
            },
            required: self.required,
            optional: self.optional,
            computed: self.computed,
            sensitive: self.sensitive,
            write_only: self.write_only,
            nested,
        }
    }
}

fn to_wire(attributes: &BTreeMap<String, Attribute>) -> Vec<wire::Attribute> {
    let one = |(name, attribute): (&String, &Attribute)| attribute.to_wire(name);
    attributes.iter().map(one).collect()
}

impl Nesting {
    fn to_wire(self) -> i32 {
        match self {
            Self::Single => 1,
            Self::List => 2,
            Self::Set => 3,
            Self::Map => 4,
        }
    }
}

impl Block {
    fn to_wire(&self) -> wire::Block {
        let nested = |(name, nested): (&String, &Nested)| wire::NestedBlock {
            type_name: name.clone(),
            nesting: nested.nesting_mode.to_wire(),
            min_items: nested.min_items,
            max_items: nested.max_items,
            block: Some(Box::new(nested.block.to_wire())),
        };
        wire::Block {
            version: 0,
            attributes: to_wire(&self.attributes),
            block_types: self.block_types.iter().map(nested).collect(),
        }
    }

    /// The attribute at a dotted path through nested blocks.
    pub fn attribute_mut(&mut self, path: &str) -> Option<&mut Attribute> {
        match path.split_once('.') {
            None => self.attributes.get_mut(path),
            Some((block, rest)) => self.block_types.get_mut(block)?.block.attribute_mut(rest),
        }
    }

    /// Whether an attribute or nested block stands at a dotted path.
    pub fn knows(&self, path: &str) -> bool {
        match path.split_once('.') {
            None => self.attributes.contains_key(path) || self.block_types.contains_key(path),
            Some((block, rest)) => {
                let nested = self.block_types.get(block);
                nested.is_some_and(|nested| nested.block.knows(rest))
            }
        }
    }
}

impl Schema {
    /// As the plugin protocol writes it.
    pub fn to_wire(&self) -> wire::Schema {
        wire::Schema {
            version: self.version,
            block: Some(self.block.to_wire()),
        }
    }
}

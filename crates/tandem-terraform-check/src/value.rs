//! Terraform's values as msgpack: null is nil, unknown is an extension, a set is an array, an object
//! is a map.
//!
//! Invariant: reading never panics; what cannot be read is an error that names the reason.

use rmpv::Value;
use serde_json::Value as Json;

use crate::schema::{Attribute, Block, Nesting};
use crate::wire::Dynamic;

/// "Known after apply": extension type 0 with a one-byte body.
pub fn unknown() -> Value {
    Value::Ext(0, vec![0])
}

/// Any extension counts: terraform also sends type 12, an unknown with refinements.
pub fn is_unknown(value: &Value) -> bool {
    matches!(value, Value::Ext(..))
}

/// A value off the wire; an absent one is null.
pub fn decode(dynamic: Option<&Dynamic>) -> Result<Value, String> {
    let Some(dynamic) = dynamic else {
        return Ok(Value::Nil);
    };
    if dynamic.msgpack.is_empty() {
        return if dynamic.json.is_empty() {
            Ok(Value::Nil)
        } else {
            decode_json(&dynamic.json)
        };
    }
    let mut rest = &dynamic.msgpack[..];
    let value = rmpv::decode::read_value(&mut rest)
        .map_err(|error| format!("the value is not msgpack: {error}"))?;
    if rest.is_empty() {
        Ok(value)
    } else {
        Err(format!("{} bytes follow the value", rest.len()))
    }
}

/// A value written as JSON, as state files hold it.
pub fn decode_json(bytes: &[u8]) -> Result<Value, String> {
    let json: Json =
        serde_json::from_slice(bytes).map_err(|error| format!("the value is not JSON: {error}"))?;
    Ok(from_json(&json))
}

/// A value for the wire.
pub fn encode(value: &Value) -> Option<Dynamic> {
    let mut msgpack = vec![];
    rmpv::encode::write_value(&mut msgpack, value).expect("writing into memory cannot fail");
    Some(Dynamic {
        msgpack,
        json: vec![],
    })
}

/// JSON as a value.
pub fn from_json(json: &Json) -> Value {
    match json {
        Json::Null => Value::Nil,
        Json::Bool(flag) => Value::from(*flag),
        Json::Number(number) => number
            .as_i64()
            .map_or_else(|| Value::from(number.as_f64().unwrap_or(0.0)), Value::from),
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(elements) => Value::Array(elements.iter().map(from_json).collect()),
        Json::Object(members) => {
            let member =
                |(name, json): (&String, &Json)| (Value::from(name.as_str()), from_json(json));
            Value::Map(members.iter().map(member).collect())
        }
    }
}

/// The member of an object; null if there is none.
pub fn member<'a>(value: &'a Value, name: &str) -> &'a Value {
    let Value::Map(members) = value else {
        return &Value::Nil;
    };
    let found = members.iter().find(|(key, _)| key.as_str() == Some(name));
    found.map_or(&Value::Nil, |(_, value)| value)
}

/// Removes and returns a member; null if there is none.
pub fn take(members: &mut Vec<(Value, Value)>, name: &str) -> Value {
    let at = members
        .iter()
        .position(|(key, _)| key.as_str() == Some(name));
    at.map_or(Value::Nil, |at| members.swap_remove(at).1)
}

/// A number, also one that was too large for msgpack and travels as text.
pub fn number(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => text.as_str()?.parse().ok(),
        value => value.as_f64(),
    }
}

/// Called for every attribute: name, schema, value, path of the enclosing block.
pub type Leaf<'a> = &'a dyn Fn(&str, &Attribute, Value, &str) -> Value;

/// Rebuilds a block's value with `leaf` applied to every attribute at every depth.
pub fn walk(block: &Block, value: Value, leaf: Leaf<'_>, path: &str) -> Value {
    let Value::Map(mut given) = value else {
        return value;
    };
    let mut built = vec![];
    for (name, attribute) in &block.attributes {
        let mut inner = take(&mut given, name);
        if let Some(members) = &attribute.nested_type {
            let block = Block {
                attributes: members.attributes.clone(),
                ..Block::default()
            };
            let path = format!("{path}.{name}");
            inner = walk_nested(members.nesting_mode, &block, inner, leaf, &path);
        }
        built.push((
            Value::from(name.as_str()),
            leaf(name, attribute, inner, path),
        ));
    }
    for (name, nested) in &block.block_types {
        let inner = take(&mut given, name);
        let path = format!("{path}.{name}");
        let inner = walk_nested(nested.nesting_mode, &nested.block, inner, leaf, &path);
        built.push((Value::from(name.as_str()), inner));
    }
    Value::Map(built)
}

fn walk_nested(nesting: Nesting, block: &Block, value: Value, leaf: Leaf<'_>, path: &str) -> Value {
    match (nesting, value) {
        (Nesting::Single, value) => walk(block, value, leaf, path),
        (Nesting::Map, Value::Map(members)) => {
            let element = |(key, value): (Value, Value)| {
                let path = format!("{path}.{key}");
                (key, walk(block, value, leaf, &path))
            };
            Value::Map(members.into_iter().map(element).collect())
        }
        (_, Value::Array(elements)) => {
            let element = |(at, value)| walk(block, value, leaf, &format!("{path}[{at}]"));
            Value::Array(elements.into_iter().enumerate().map(element).collect())
        }
        (_, value) => value,
    }
}

/// Turns unknowns inside a known value into nulls: an applied state may hold none.
pub fn concrete(value: Value) -> Value {
    match value {
        Value::Ext(..) => Value::Nil,
        Value::Array(elements) => Value::Array(elements.into_iter().map(concrete).collect()),
        Value::Map(members) => {
            let member = |(key, value)| (key, concrete(value));
            Value::Map(members.into_iter().map(member).collect())
        }
        value => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dynamic(msgpack: &[u8]) -> Dynamic {
        Dynamic {
            msgpack: msgpack.to_vec(),
            json: vec![],
        }
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        for bytes in [
            &[0x92, 0x01][..],
            &[0x81, 0xa1],
            &[0xda, 0xff, 0xff, 0x00],
            &[0xc0, 0xc0],
        ] {
            assert!(decode(Some(&dynamic(bytes))).is_err(), "{bytes:?}");
        }
        assert!(decode_json(b"{\"a\":").is_err());
    }

    #[test]
    fn absent_is_null_and_unknown_survives() {
        assert_eq!(decode(None), Ok(Value::Nil));
        assert_eq!(decode(Some(&dynamic(&[]))), Ok(Value::Nil));
        let read = decode(Some(&dynamic(&[0xd4, 0x00, 0x00]))).expect("an unknown is readable");
        assert!(is_unknown(&read));
        let refined = decode(Some(&dynamic(&[0xc7, 0x03, 12, 0x81, 0x01, 0xc2])));
        assert!(is_unknown(&refined.expect("a refined unknown is readable")));
    }

    #[test]
    fn large_numbers_travel_as_text() {
        assert_eq!(number(&Value::from("4294967296")), Some(4_294_967_296.0));
        assert_eq!(number(&Value::from(5)), Some(5.0));
        assert_eq!(number(&Value::Nil), None);
    }

    #[test]
    fn nothing_unknown_remains() {
        let value = Value::Array(vec![unknown(), Value::from("a")]);
        assert_eq!(
            concrete(value),
            Value::Array(vec![Value::Nil, Value::from("a")])
        );
    }
}

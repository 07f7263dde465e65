//! Invented results: what a cloud would answer, as far as a test may look at it.
//!
//! Intuition: a stage set. From the front an ARN looks like an ARN; nobody walks behind it.
//! Invariant: a result depends only on type, name, configuration and place, so that a second plan
//! finds what the first apply made.

use rmpv::Value;
use serde_json::Value as Json;

/// What an invented value depends on.
pub struct Seed<'a> {
    /// Resource type.
    pub resource: &'a str,
    /// Configuration and place, as text.
    pub text: &'a str,
}

/// A value of a type.
pub fn invent(of: &Json, name: &str, seed: &Seed<'_>) -> Value {
    match of {
        Json::String(primitive) => primitive_value(primitive, name, seed),
        Json::Array(parts) => match parts.first().and_then(Json::as_str) {
            Some("map") => Value::Map(vec![]),
            Some("object") => {
                let members = parts.get(1).and_then(Json::as_object);
                let member = |(name, of): (&String, &Json)| {
                    (Value::from(name.as_str()), invent(of, name, seed))
                };
                Value::Map(members.into_iter().flatten().map(member).collect())
            }
            _ => Value::Array(vec![]),
        },
        _ => Value::Nil,
    }
}

fn primitive_value(primitive: &str, name: &str, seed: &Seed<'_>) -> Value {
    let hash = fnv1a(&format!("{}|{name}|{}", seed.resource, seed.text));
    match primitive {
        "string" => Value::from(text(name, seed.resource, hash)),
        "number" => Value::from(hash & 0xffff),
        "bool" => Value::from(false),
        _ => Value::Nil,
    }
}

fn text(name: &str, resource: &str, hash: u64) -> String {
    let short = hash & 0xffff_ffff;
    match name {
        _ if name.ends_with("preshared_key") => format!("k{hash:016x}{short:08x}"),
        _ if name.ends_with("arn") => format!(
            "arn:aws:{}:ap-northeast-2:123456789012:{resource}/{short:08x}",
            service(resource)
        ),
        // 198.51.100.0/24 is reserved for documentation (RFC 5737).
        _ if name.contains("address") || name.ends_with("_ip") => {
            format!("198.51.100.{}", hash % 254 + 1)
        }
        "self_link" => format!("https://www.googleapis.com/compute/v1/{resource}/{short:08x}"),
        _ => format!("{resource}-{name}-{short:08x}"),
    }
}

fn service(resource: &str) -> &str {
    resource.split('_').nth(1).unwrap_or("mock")
}

/// FNV-1a: small, well spread, the same on every machine; nothing here is secret.
fn fnv1a(text: &str) -> u64 {
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, mix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_same_seed_gives_the_same_value() {
        let seed = |text| Seed {
            resource: "aws_vpc",
            text,
        };
        let of = json!("string");
        assert_eq!(invent(&of, "id", &seed("a")), invent(&of, "id", &seed("a")));
        assert_ne!(invent(&of, "id", &seed("a")), invent(&of, "id", &seed("b")));
    }

    #[test]
    fn every_type_has_a_value_and_a_strange_one_has_none() {
        let seed = Seed {
            resource: "aws_vpc",
            text: "",
        };
        let object = invent(
            &json!(["object", {"a": "number", "b": ["list", "string"]}]),
            "x",
            &seed,
        );
        assert!(matches!(object, Value::Map(members) if members.len() == 2));
        for strange in [json!(7), json!([]), json!(["object"]), json!("dynamic")] {
            invent(&strange, "x", &seed);
        }
    }
}

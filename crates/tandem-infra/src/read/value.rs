//! A value of a configuration, with the expressions that offline reading meets.
//!
//! Intuition: most arguments are literals or `var.x`; the rest is small
//! (conditions, comparisons, plain templates). What cannot be settled offline
//! stays an expression and is reported as "not known", never guessed.
//! Refused: a full evaluator. A `for` over a `for` turns a small file into
//! unbounded work.

use rust_decimal::Decimal;

/// How deep references may lead before they count as unsettled.
const DEPTH_MAX: u32 = 16;

/// The longest text that a template may produce, in bytes.
const TEXT_BYTES_MAX: usize = 64 * 1024;

/// A value, settled or not.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`, which Terraform treats as absent.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An exact number.
    Number(Decimal),
    /// Text without open interpolations.
    Text(String),
    /// A list, tuple or set.
    List(Vec<Value>),
    /// A map or object, in the order of the file.
    Map(Vec<(String, Value)>),
    /// Not settled.
    Open(Box<Expr>),
}

/// What keeps a value open.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// `var.name`, `local.name`, with the path after it.
    Reference(Vec<String>),
    /// `a ? b : c`.
    Choice(Value, Value, Value),
    /// `!a`.
    Not(Value),
    /// A comparison or a logical connection.
    Compare(Compare, Value, Value),
    /// Text with interpolations.
    Template(Vec<Value>),
    /// A function call: its name.
    Call(String),
    /// Anything else, named for the message.
    Other(&'static str),
}

/// The operators that can be settled offline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    /// `==`
    Equal,
    /// `!=`
    Differs,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    More,
    /// `>=`
    AtLeast,
    /// `&&`
    And,
    /// `||`
    Or,
}

/// Where references are looked up.
pub trait Scope {
    /// The value of `kind.name` (`var`, `local`).
    fn lookup(&self, kind: &str, name: &str) -> Option<Value>;
}

impl Value {
    /// The value with every reference settled that `scope` knows.
    #[must_use]
    pub fn settled(&self, scope: &dyn Scope) -> Value {
        self.settle(scope, 0)
    }

    fn settle(&self, scope: &dyn Scope, depth: u32) -> Value {
        if depth > DEPTH_MAX {
            return Value::Open(Box::new(Expr::Other("references that lead too deep")));
        }
        match self {
            Value::List(items) => {
                Value::List(items.iter().map(|item| item.settle(scope, depth)).collect())
            }
            Value::Map(pairs) => {
                let settle =
                    |(key, value): &(String, Value)| (key.clone(), value.settle(scope, depth));
                Value::Map(pairs.iter().map(settle).collect())
            }
            Value::Open(expr) => expr.settle(scope, depth).unwrap_or_else(|| self.clone()),
            plain => plain.clone(),
        }
    }

    /// Walks `path` (`settings.0.tier`) through maps and lists.
    pub fn at(&self, path: &str) -> Option<&Value> {
        path.split('.').try_fold(self, |value, step| match value {
            Value::Map(pairs) => pairs
                .iter()
                .find(|(key, _)| key == step)
                .map(|(_, found)| found),
            Value::List(items) => items.get(step.parse::<usize>().ok()?),
            _ => None,
        })
    }

    /// Text, or a number or switch as Terraform would convert it.
    pub fn as_text(&self) -> Option<String> {
        match self {
            Value::Text(text) => Some(text.clone()),
            Value::Number(number) => Some(number.normalize().to_string()),
            Value::Bool(switch) => Some(switch.to_string()),
            _ => None,
        }
    }

    /// A number, also from text as Terraform would convert it.
    pub fn as_number(&self) -> Option<Decimal> {
        match self {
            Value::Number(number) => Some(*number),
            Value::Text(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// A switch, also from text as Terraform would convert it.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(switch) => Some(*switch),
            Value::Text(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// The elements of a list.
    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// The pairs of a map.
    pub fn as_map(&self) -> Option<&[(String, Value)]> {
        match self {
            Value::Map(pairs) => Some(pairs),
            _ => None,
        }
    }

    /// Whether nothing is there: null, empty text, empty list or map.
    pub fn is_empty(&self) -> bool {
        match self {
            Value::Null => true,
            Value::Text(text) => text.is_empty(),
            Value::List(items) => items.is_empty(),
            Value::Map(pairs) => pairs.is_empty(),
            _ => false,
        }
    }

    /// The first expression inside that no `.tfvars` file may hold.
    pub fn first_open(&self) -> Option<&Expr> {
        match self {
            Value::Open(expr) => Some(expr),
            Value::List(items) => items.iter().find_map(Value::first_open),
            Value::Map(pairs) => pairs.iter().find_map(|(_, value)| value.first_open()),
            _ => None,
        }
    }
}

impl Expr {
    fn settle(&self, scope: &dyn Scope, depth: u32) -> Option<Value> {
        match self {
            Expr::Reference(path) => {
                let (kind, name) = (path.first()?, path.get(1)?);
                let value = scope.lookup(kind, name)?.settle(scope, depth + 1);
                path[2..]
                    .iter()
                    .try_fold(value, |value, step| value.at(step).cloned())
            }
            Expr::Choice(condition, yes, no) => {
                let taken = if condition.settle(scope, depth + 1).as_bool()? {
                    yes
                } else {
                    no
                };
                Some(taken.settle(scope, depth + 1))
            }
            Expr::Not(value) => Some(Value::Bool(!value.settle(scope, depth + 1).as_bool()?)),
            Expr::Compare(operator, left, right) => {
                let left = left.settle(scope, depth + 1);
                let right = right.settle(scope, depth + 1);
                operator.apply(&left, &right).map(Value::Bool)
            }
            Expr::Template(parts) => join(parts, scope, depth),
            Expr::Call(_) | Expr::Other(_) => None,
        }
    }
}

fn join(parts: &[Value], scope: &dyn Scope, depth: u32) -> Option<Value> {
    let mut text = String::new();
    for part in parts {
        text.push_str(&part.settle(scope, depth + 1).as_text()?);
        if text.len() > TEXT_BYTES_MAX {
            return None;
        }
    }
    Some(Value::Text(text))
}

impl Compare {
    fn apply(self, left: &Value, right: &Value) -> Option<bool> {
        if left.first_open().is_some() || right.first_open().is_some() {
            return None;
        }
        Some(match self {
            Compare::Equal => left == right,
            Compare::Differs => left != right,
            Compare::Less => left.as_number()? < right.as_number()?,
            Compare::AtMost => left.as_number()? <= right.as_number()?,
            Compare::More => left.as_number()? > right.as_number()?,
            Compare::AtLeast => left.as_number()? >= right.as_number()?,
            Compare::And => left.as_bool()? && right.as_bool()?,
            Compare::Or => left.as_bool()? || right.as_bool()?,
        })
    }
}

/// A JSON value in our words (plan files, `terraform.tfvars.json`).
pub fn from_json(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(switch) => Value::Bool(*switch),
        serde_json::Value::Number(number) => number_from(&number.to_string()),
        serde_json::Value::String(text) => Value::Text(text.clone()),
        serde_json::Value::Array(items) => Value::List(items.iter().map(from_json).collect()),
        serde_json::Value::Object(pairs) => Value::Map(
            pairs
                .iter()
                .map(|(key, value)| (key.clone(), from_json(value)))
                .collect(),
        ),
    }
}

/// A number as written; one too large to be exact stays text, so that the
/// rule about kinds names it.
pub(super) fn number_from(written: &str) -> Value {
    let exact = written
        .parse::<Decimal>()
        .or_else(|_| Decimal::from_scientific(written));
    exact.map_or_else(|_| Value::Text(written.to_owned()), Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Loop;

    impl Scope for Loop {
        fn lookup(&self, _kind: &str, name: &str) -> Option<Value> {
            let again = vec!["var".to_owned(), name.to_owned()];
            Some(Value::Open(Box::new(Expr::Reference(again))))
        }
    }

    #[test]
    fn a_reference_to_itself_stays_open() {
        let value = Value::Open(Box::new(Expr::Reference(vec!["var".into(), "x".into()])));
        assert!(value.settled(&Loop).first_open().is_some());
    }

    #[test]
    fn paths_lead_through_lists_and_maps() {
        let json = serde_json::json!({"settings": [{"tier": "db-custom-4-15360", "n": 1e2}]});
        let value = from_json(&json);
        assert_eq!(
            value
                .at("settings.0.tier")
                .and_then(Value::as_text)
                .as_deref(),
            Some("db-custom-4-15360")
        );
        assert_eq!(
            value.at("settings.0.n").and_then(Value::as_number),
            Some(Decimal::from(100))
        );
        assert_eq!(value.at("settings.1.tier"), None);
    }
}

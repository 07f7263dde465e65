//! HCL, read so that one fault never hides the rest of the file.
//!
//! Intuition: Terraform stops at the first fault; a person wants all of them.
//! If the file does not parse as a whole, it is cut at its top-level items and
//! each is read alone; the items that fail become one fault, the rest counts.
//! Invariant: memory and time are bounded by the size of the file, which the
//! caller bounds; the parser itself limits nesting.

use std::collections::BTreeSet;
use std::ops::Range;

use hcl_edit::Span;
use hcl_edit::expr::{self, BinaryOperator, Expression, TraversalOperator, UnaryOperator};
use hcl_edit::structure::{Body as HclBody, Structure};
use hcl_edit::template::{Element, Template};

use super::value::{Compare, Expr, Value, number_from};

/// A body: attributes and blocks in the order of the file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Body {
    /// `key = value`.
    pub attributes: Vec<Attribute>,
    /// `ident "label" { ... }`.
    pub blocks: Vec<Block>,
}

/// `key = value`, with its line.
#[derive(Debug, Clone, PartialEq)]
pub struct Attribute {
    /// The key.
    pub key: String,
    /// The value.
    pub value: Value,
    /// The line of the key, from 1.
    pub line: u32,
}

/// `ident "label" { ... }`, with its line.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    /// `resource`, `module`, `variable`, ...
    pub ident: String,
    /// The labels after it.
    pub labels: Vec<String>,
    /// What it holds.
    pub body: Body,
    /// The line of the block, from 1.
    pub line: u32,
}

/// Why a file, or a part of it, could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxFault {
    /// The line, from 1.
    pub line: u32,
    /// What the parser says.
    pub problem: String,
}

impl Body {
    /// The value of the last attribute called `key`.
    pub fn attribute(&self, key: &str) -> Option<&Attribute> {
        self.attributes
            .iter()
            .rev()
            .find(|attribute| attribute.key == key)
    }

    /// The blocks called `ident`.
    pub fn blocks_of<'a>(&'a self, ident: &'a str) -> impl Iterator<Item = &'a Block> {
        self.blocks.iter().filter(move |block| block.ident == ident)
    }

    /// Attributes and blocks as one map; blocks become lists, as in a plan.
    pub fn to_value(&self) -> Value {
        let mut pairs: Vec<(String, Value)> = Vec::new();
        for attribute in &self.attributes {
            pairs.push((attribute.key.clone(), attribute.value.clone()));
        }
        for block in &self.blocks {
            let inner = block.body.to_value();
            match pairs.iter_mut().find(|(key, _)| *key == block.ident) {
                Some((_, Value::List(items))) => items.push(inner),
                _ => pairs.push((block.ident.clone(), Value::List(vec![inner]))),
            }
        }
        Value::Map(pairs)
    }
}

/// Reads `text`; the fault, if any, is the first one.
pub fn read(text: &str) -> (Body, Option<SyntaxFault>) {
    match hcl_edit::parser::parse_body(text) {
        Ok(body) => (convert(&body, Lines::new(text).part(0)), None),
        Err(error) => read_in_parts(text, &error),
    }
}

fn read_in_parts(text: &str, whole: &hcl_edit::parser::Error) -> (Body, Option<SyntaxFault>) {
    let (mut body, mut first_fault, all) = (Body::default(), None, Lines::new(text));
    for range in top_level_items(text) {
        let lines = all.part(range.start);
        match hcl_edit::parser::parse_body(&text[range.clone()]) {
            Ok(part) => {
                let part = convert(&part, lines);
                body.attributes.extend(part.attributes);
                body.blocks.extend(part.blocks);
            }
            Err(error) if first_fault.is_none() => {
                let line = lines.line_of(0) + line_number(error.location().line()) - 1;
                first_fault = Some(SyntaxFault {
                    line,
                    problem: error.message().to_owned(),
                });
            }
            Err(_) => {}
        }
    }
    // Every part is fine alone: the whole was refused for a repeated key, which
    // the reader of the attributes names, or for something between the parts.
    if first_fault.is_none() && !repeats_a_key(&body) {
        let line = line_number(whole.location().line());
        first_fault = Some(SyntaxFault {
            line,
            problem: whole.message().to_owned(),
        });
    }
    (body, first_fault)
}

fn repeats_a_key(body: &Body) -> bool {
    let mut seen = BTreeSet::new();
    body.attributes
        .iter()
        .any(|attribute| !seen.insert(&attribute.key))
}

fn line_number(line: usize) -> u32 {
    u32::try_from(line).unwrap_or(u32::MAX)
}

/// Cuts a file where a line starts at bracket depth 0 with a letter.
///
/// Strings, comments and heredocs are skipped; a string does not cross a line,
/// so that a missing quote costs one item and not the file.
fn top_level_items(text: &str) -> Vec<Range<usize>> {
    let (mut starts, mut depth, mut offset) = (Vec::new(), 0_i64, 0);
    let mut heredoc: Option<String> = None;
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim();
        if let Some(end) = &heredoc {
            if trimmed == end {
                heredoc = None;
            }
        } else {
            let starts_item = line.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
            // `key =` or `ident "label"` in the first column: an item, even when
            // an earlier one never closed its brackets.
            if starts_item && (depth <= 0 || looks_like_block(trimmed)) {
                starts.push(offset);
                depth = 0;
            }
            depth += bracket_balance(trimmed);
            heredoc = heredoc_end(trimmed);
        }
        offset += line.len();
    }
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    starts
        .iter()
        .copied()
        .zip(ends)
        .map(|(start, end)| start..end)
        .collect()
}

fn looks_like_block(line: &str) -> bool {
    const BLOCKS: [&str; 8] = [
        "resource ",
        "module ",
        "variable ",
        "output ",
        "locals ",
        "terraform ",
        "provider ",
        "data ",
    ];
    BLOCKS.iter().any(|block| line.starts_with(block)) && line.ends_with('{')
}

fn bracket_balance(line: &str) -> i64 {
    let (mut depth, mut in_text, mut escaped) = (0, false, false);
    for (at, c) in line.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if in_text => escaped = true,
            '"' => in_text = !in_text,
            _ if in_text => {}
            '#' => break,
            '/' if line[at..].starts_with("//") => break,
            '{' | '[' | '(' => depth += 1,
            '}' | ']' | ')' => depth -= 1,
            _ => {}
        }
    }
    depth
}

fn heredoc_end(line: &str) -> Option<String> {
    let (_, after) = line.split_once("<<")?;
    let end = after.trim_start_matches('-').trim();
    let legal = !end.is_empty() && end.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    legal.then(|| end.to_owned())
}

/// Byte offsets of the file to line numbers; shared by all parts of it.
struct Lines {
    starts: Vec<usize>,
}

/// The lines of a part that starts at byte `base` of the file.
#[derive(Clone, Copy)]
struct Part<'a> {
    lines: &'a Lines,
    base: usize,
}

impl Lines {
    fn new(text: &str) -> Self {
        let breaks = text
            .bytes()
            .enumerate()
            .filter(|(_, byte)| *byte == b'\n')
            .map(|(at, _)| at + 1);
        Self {
            starts: [0].into_iter().chain(breaks).collect(),
        }
    }

    fn part(&self, base: usize) -> Part<'_> {
        Part { lines: self, base }
    }
}

impl Part<'_> {
    fn line_of(self, offset: usize) -> u32 {
        line_number(
            self.lines
                .starts
                .partition_point(|start| *start <= self.base + offset),
        )
    }

    fn of(self, span: Option<Range<usize>>) -> u32 {
        self.line_of(span.map_or(0, |range| range.start))
    }
}

fn convert(body: &HclBody, lines: Part<'_>) -> Body {
    let mut out = Body::default();
    for structure in body {
        match structure {
            Structure::Attribute(attribute) => out.attributes.push(Attribute {
                key: attribute.key.as_str().to_owned(),
                value: value(&attribute.value),
                line: lines.of(attribute.key.span()),
            }),
            Structure::Block(block) => out.blocks.push(Block {
                ident: block.ident.as_str().to_owned(),
                labels: block
                    .labels
                    .iter()
                    .map(|label| label.as_str().to_owned())
                    .collect(),
                body: convert(&block.body, lines),
                line: lines.of(block.ident.span()),
            }),
        }
    }
    out
}

fn open(expr: Expr) -> Value {
    Value::Open(Box::new(expr))
}

fn value(expression: &Expression) -> Value {
    match expression {
        Expression::Null(_) => Value::Null,
        Expression::Bool(switch) => Value::Bool(*switch.value()),
        Expression::Number(number) => number_from(&number.value().to_string()),
        Expression::String(text) => Value::Text(text.value().clone()),
        Expression::Array(array) => Value::List(array.iter().map(value).collect()),
        Expression::Object(object) => Value::Map(object.iter().map(pair).collect()),
        Expression::StringTemplate(template) => template_value(template.iter()),
        Expression::HeredocTemplate(heredoc) => heredoc_value(&heredoc.template),
        Expression::Parenthesis(inner) => value(inner.inner()),
        Expression::Traversal(traversal) => open(reference(traversal)),
        Expression::Variable(name) => open(Expr::Reference(vec![name.as_str().to_owned()])),
        Expression::FuncCall(call) => open(Expr::Call(call.name.name.as_str().to_owned())),
        Expression::Conditional(choice) => open(Expr::Choice(
            value(&choice.cond_expr),
            value(&choice.true_expr),
            value(&choice.false_expr),
        )),
        Expression::UnaryOp(operation) => unary(operation),
        Expression::BinaryOp(operation) => binary(operation),
        Expression::ForExpr(_) => open(Expr::Other("a `for` expression")),
    }
}

fn pair((key, found): (&expr::ObjectKey, &expr::ObjectValue)) -> (String, Value) {
    let key = match key {
        expr::ObjectKey::Ident(ident) => ident.as_str().to_owned(),
        expr::ObjectKey::Expression(expression) => value(expression).as_text().unwrap_or_default(),
    };
    (key, value(found.expr()))
}

fn heredoc_value(template: &Template) -> Value {
    template_value(template.iter())
}

fn template_value<'a>(elements: impl Iterator<Item = &'a Element>) -> Value {
    let parts: Vec<Value> = elements
        .map(|element| match element {
            Element::Literal(text) => Value::Text(text.to_string()),
            Element::Interpolation(inner) => value(&inner.expr),
            Element::Directive(_) => open(Expr::Other("a template directive")),
        })
        .collect();
    match parts.as_slice() {
        [Value::Text(text)] => Value::Text(text.clone()),
        _ => open(Expr::Template(parts)),
    }
}

fn reference(traversal: &expr::Traversal) -> Expr {
    let Expression::Variable(root) = &traversal.expr else {
        return Expr::Other("an attribute of an expression");
    };
    let mut path = vec![root.as_str().to_owned()];
    for operator in &traversal.operators {
        path.push(match operator.value() {
            TraversalOperator::GetAttr(name) => name.as_str().to_owned(),
            TraversalOperator::LegacyIndex(index) => index.value().to_string(),
            TraversalOperator::Index(index) => match value(index).as_text() {
                Some(step) => step,
                None => return Expr::Other("a computed index"),
            },
            _ => return Expr::Other("a splat expression"),
        });
    }
    Expr::Reference(path)
}

fn unary(operation: &expr::UnaryOp) -> Value {
    let inner = value(&operation.expr);
    match (operation.operator.value(), inner) {
        (UnaryOperator::Neg, Value::Number(number)) => Value::Number(-number),
        (UnaryOperator::Not, inner) => open(Expr::Not(inner)),
        _ => open(Expr::Other("a computed number")),
    }
}

fn binary(operation: &expr::BinaryOp) -> Value {
    let operator = match operation.operator.value() {
        BinaryOperator::Eq => Compare::Equal,
        BinaryOperator::NotEq => Compare::Differs,
        BinaryOperator::Less => Compare::Less,
        BinaryOperator::LessEq => Compare::AtMost,
        BinaryOperator::Greater => Compare::More,
        BinaryOperator::GreaterEq => Compare::AtLeast,
        BinaryOperator::And => Compare::And,
        BinaryOperator::Or => Compare::Or,
        _ => return open(Expr::Other("a computed number")),
    };
    open(Expr::Compare(
        operator,
        value(&operation.lhs_expr),
        value(&operation.rhs_expr),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_of_the_file() {
        let (body, fault) = read("# head\na = 1\n\nm \"x\" {\n  b = var.c\n}\n");
        assert_eq!(fault, None);
        assert_eq!(body.attribute("a").map(|found| found.line), Some(2));
        assert_eq!(body.blocks[0].line, 4);
        assert_eq!(body.blocks[0].body.attributes[0].line, 5);
    }

    #[test]
    fn a_repeated_key_hides_nothing() {
        let (body, fault) = read("a = 1\nb = [\n  2,\n]\na = 3\n");
        assert_eq!(fault, None);
        let keys: Vec<_> = body
            .attributes
            .iter()
            .map(|found| (found.key.as_str(), found.line))
            .collect();
        assert_eq!(keys, [("a", 1), ("b", 2), ("a", 5)]);
    }

    #[test]
    fn a_broken_item_costs_only_itself() {
        let (body, fault) = read("a = 1\nb = = 2\nc = 3\n\nresource \"x\" \"y\" {\n  d = 4\n}\n");
        assert_eq!(fault.map(|found| found.line), Some(2));
        assert_eq!(body.attributes.len(), 2);
        assert_eq!(body.blocks[0].line, 5);
    }

    #[test]
    fn a_missing_bracket_ends_at_the_next_block() {
        let (body, fault) =
            read("variable \"a\" {\n  default = [1\n\nvariable \"b\" {\n  default = 2\n}\n");
        assert!(fault.is_some());
        assert_eq!(body.blocks.len(), 1);
        assert_eq!(body.blocks[0].line, 4);
    }

    #[test]
    fn heredocs_are_not_cut() {
        let (body, fault) = read("a = 1\ntext = <<EOT\nb = 2\n{\nEOT\na = 3\n");
        assert_eq!(fault, None);
        assert_eq!(body.attributes.len(), 3);
    }
}

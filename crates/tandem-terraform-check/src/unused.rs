//! Variables and locals that nothing reads.
//!
//! Intuition: an environment that no longer hands a variable on still takes it, and a person sets it
//! in vain; terraform says nothing.
//! Invariant: a variable's own validations are no use of it.

use std::collections::BTreeSet;
use std::path::Path;

use hcl_edit::expr::{Expression, Traversal, TraversalOperator};
use hcl_edit::structure::Structure;
use hcl_edit::visit::{Visit, visit_traversal};

use crate::error::Error;
use crate::hcl;

/// What a module declares in vain, each as one sentence.
pub fn check(folder: &Path) -> Result<Vec<String>, Error> {
    let mut declared = vec![];
    let mut used = Used::default();
    for source in hcl::module(folder)? {
        for structure in &source.body {
            match structure {
                Structure::Block(block) if block.has_ident("variable") => {
                    let name = block.labels.first().map_or("", |label| label.as_str());
                    declared.push(format!("var.{name}"));
                }
                Structure::Block(block) if block.has_ident("locals") => {
                    let names = block.body.attributes();
                    declared.extend(names.map(|one| format!("local.{}", one.key.as_str())));
                    used.visit_block(block);
                }
                other => used.visit_structure(other),
            }
        }
    }
    declared.retain(|name| !used.0.contains(name));
    let sentence = |name: String| format!("nothing reads {name}");
    Ok(declared.into_iter().map(sentence).collect())
}

/// References by their first two parts: `var.name`.
#[derive(Default)]
struct Used(BTreeSet<String>);

impl Visit for Used {
    fn visit_traversal(&mut self, node: &Traversal) {
        if let Expression::Variable(root) = &node.expr
            && let Some(TraversalOperator::GetAttr(name)) =
                node.operators.first().map(|operator| operator.value())
        {
            self.0
                .insert(format!("{}.{}", root.as_str(), name.as_str()));
        }
        visit_traversal(self, node);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_counts_wherever_it_stands_but_in_its_own_validation() {
        let folder = tempfile::tempdir().expect("a folder");
        let text = r#"
variable "lost" {
  validation {
    condition = var.lost != ""
  }
}
variable "in_text" {}
variable "in_index" {}
variable "in_loop" {}
locals {
  map  = { for key, value in var.in_loop : key => "${value}-${var.in_text}" }
  lost = local.map[var.in_index]
}
"#;
        std::fs::write(folder.path().join("main.tf"), text).expect("written");
        let found = check(folder.path()).expect("readable");
        assert_eq!(
            found,
            ["nothing reads var.lost", "nothing reads local.lost"]
        );
    }
}

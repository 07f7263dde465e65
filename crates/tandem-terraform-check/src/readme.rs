//! The tables of inputs and outputs in each README, made from what is declared.
//!
//! Intuition: people read the table and believe it; a default that was changed or lost on one side
//! only is found when the two are compared.
//! Invariant: only what stands between the markers is ours; the rest of a README is never touched.

use std::path::Path;

use hcl_edit::structure::Body;
use regex::Regex;

use crate::error::{Error, at};
use crate::harness::Root;
use crate::hcl;

/// Whether a root's README says what is declared; if not, one sentence.
pub fn check(folder: &Path) -> Result<Option<String>, Error> {
    let path = folder.join("README.md");
    let text = std::fs::read_to_string(&path).map_err(at(&path))?;
    Ok(difference(&text, folder)?.map(|line| {
        format!("README.md: {line:?} is not what is declared; `terraform-check readme` writes it")
    }))
}

/// Writes the tables; how many READMEs changed.
pub fn write(tree: &Path, roots: &[Root]) -> Result<usize, Error> {
    let mut changed = 0;
    for root in roots {
        let folder = tree.join(&root.name);
        let path = folder.join("README.md");
        let text = std::fs::read_to_string(&path).map_err(at(&path))?;
        let fresh = with_tables(&text, &folder)?;
        if fresh != text {
            std::fs::write(&path, fresh).map_err(at(&path))?;
            changed += 1;
        }
    }
    Ok(changed)
}

/// The first line of a README that its tables would have otherwise.
fn difference(text: &str, folder: &Path) -> Result<Option<String>, Error> {
    let fresh = with_tables(text, folder)?;
    let mut lines = fresh.lines().zip(text.lines());
    let differing = lines.find(|(fresh, found)| fresh != found);
    let longer = fresh.len() != text.len();
    Ok(match differing {
        Some((_, found)) => Some(found.to_owned()),
        None => longer.then(|| "its last line".to_owned()),
    })
}

fn with_tables(text: &str, folder: &Path) -> Result<String, Error> {
    let inputs = between(text, "inputs", &inputs(folder)?);
    Ok(between(&inputs, "outputs", &outputs(folder)?))
}

fn between(text: &str, marker: &str, table: &str) -> String {
    let (begin, end) = (
        format!("<!-- {marker} -->\n"),
        format!("<!-- /{marker} -->"),
    );
    let Some((before, rest)) = text.split_once(&begin) else {
        return format!("{text}\n{begin}{table}{end}\n");
    };
    let after = rest.split_once(&end).map_or("\n", |(_, after)| after);
    format!("{before}{begin}{table}{end}{after}")
}

fn inputs(folder: &Path) -> Result<String, Error> {
    let mut table = "| name | type | default | description |\n|---|---|---|---|\n".to_owned();
    let object = Regex::new(r"(?s)object\(.*?\}\)").expect("a constant pattern");
    for source in hcl::module(folder)? {
        for (name, variable) in hcl::blocks(&source.body, "variable") {
            let kind = written(&variable.body, "type").unwrap_or_default();
            let kind = object.replace_all(&kind, "object");
            let hidden = hidden(&variable.body);
            let default = match written(&variable.body, "default") {
                None => "required".to_owned(),
                Some(default) if default.contains('\n') => "see `variables.tf`".to_owned(),
                Some(default) => format!("`{default}`"),
            };
            let description = description(&variable.body);
            table += &format!("| `{name}` | `{kind}`{hidden} | {default} | {description} |\n");
        }
    }
    Ok(table)
}

fn outputs(folder: &Path) -> Result<String, Error> {
    let mut table = "| name | description |\n|---|---|\n".to_owned();
    for source in hcl::module(folder)? {
        for (name, output) in hcl::blocks(&source.body, "output") {
            let (description, hidden) = (description(&output.body), hidden(&output.body));
            table += &format!("| `{name}` | {description}{hidden} |\n");
        }
    }
    Ok(table)
}

fn written(body: &Body, name: &str) -> Option<String> {
    hcl::argument(body, name).map(hcl::written)
}

/// Markdown would take `<name>` for a tag.
fn description(body: &Body) -> String {
    let text = hcl::text(body, "description").unwrap_or_default();
    text.replace('<', "\\<")
}

fn hidden(body: &Body) -> &'static str {
    match written(body, "sensitive").as_deref() {
        Some("true") => " (sensitive)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODULE: &str = r#"
variable "name" {
  description = "Prefix."
  type        = string
}
variable "origins" {
  description = "Where to."
  type = list(object({
    name = string
  }))
  default = [
    { name = "a" },
  ]
}
variable "key" {
  description = "Secret."
  type        = string
  default     = null
  sensitive   = true
}
output "key" {
  description = "The same."
  value       = var.key
  sensitive   = true
}
"#;

    fn folder(module: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("main.tf"), module).expect("written");
        folder
    }

    #[test]
    fn tables_say_what_is_declared() {
        let here = folder(MODULE);
        let text = "# m\n\n<!-- inputs -->\nold\n<!-- /inputs -->\n\n<!-- outputs -->\n<!-- /outputs -->\nend\n";
        let fresh = with_tables(text, here.path()).expect("readable");
        assert_eq!(
            fresh,
            "# m\n\n<!-- inputs -->\n| name | type | default | description |\n|---|---|---|---|\n\
             | `name` | `string` | required | Prefix. |\n\
             | `origins` | `list(object)` | see `variables.tf` | Where to. |\n\
             | `key` | `string` (sensitive) | `null` | Secret. |\n<!-- /inputs -->\n\n\
             <!-- outputs -->\n| name | description |\n|---|---|\n| `key` | The same. (sensitive) |\n\
             <!-- /outputs -->\nend\n"
        );
        assert_eq!(difference(&fresh, here.path()).expect("readable"), None);
        for line in ["  default     = null\n", "  sensitive   = true\n"] {
            let lost = folder(&MODULE.replacen(line, "", 1));
            let told = difference(&fresh, lost.path()).expect("readable");
            assert_eq!(
                told.as_deref(),
                Some("| `key` | `string` (sensitive) | `null` | Secret. |")
            );
        }
    }
}

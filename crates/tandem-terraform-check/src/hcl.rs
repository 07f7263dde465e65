//! Reading what people wrote: blocks and arguments of `.tf` and `.tftest.hcl` files.

use std::fs;
use std::path::{Path, PathBuf};

use hcl_edit::expr::Expression;
use hcl_edit::structure::{Block, Body};

use crate::error::{Error, at};

/// A parsed file.
pub struct Source {
    /// Where it is.
    pub path: PathBuf,
    /// Its content.
    pub body: Body,
}

/// Parses one file.
pub fn read(path: &Path) -> Result<Source, Error> {
    let text = fs::read_to_string(path).map_err(at(path))?;
    let body = hcl_edit::parser::parse_body(&text).map_err(|error| Error::Syntax {
        path: path.into(),
        problem: error.to_string(),
    })?;
    Ok(Source {
        path: path.into(),
        body,
    })
}

/// The files of a folder whose name ends so, by name.
pub fn files(folder: &Path, ending: &str) -> Result<Vec<PathBuf>, Error> {
    if !folder.is_dir() {
        return Ok(vec![]);
    }
    let mut found = vec![];
    for entry in fs::read_dir(folder).map_err(at(folder))? {
        let path = entry.map_err(at(folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_file() && name.ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// All `.tf` files of a module.
pub fn module(folder: &Path) -> Result<Vec<Source>, Error> {
    files(folder, ".tf")?
        .iter()
        .map(|path| read(path))
        .collect()
}

/// Blocks of a kind, with their first label.
pub fn blocks<'a>(body: &'a Body, kind: &'a str) -> impl Iterator<Item = (String, &'a Block)> {
    let blocks = body.blocks().filter(move |block| block.has_ident(kind));
    blocks.map(|block| {
        let label = block.labels.first().map(|label| label.as_str().to_owned());
        (label.unwrap_or_default(), block)
    })
}

/// The expression of an argument.
pub fn argument<'a>(body: &'a Body, name: &str) -> Option<&'a Expression> {
    Some(&body.get_attribute(name)?.value)
}

/// The text of an argument that is a plain string.
pub fn text<'a>(body: &'a Body, name: &str) -> Option<&'a str> {
    argument(body, name)?.as_str()
}

/// An expression as it was written, on its own.
pub fn written(expression: &Expression) -> String {
    let mut expression = expression.clone();
    hcl_edit::Decorate::decor_mut(&mut expression).clear();
    let body = Body::from_iter([hcl_edit::structure::Attribute::new(
        hcl_edit::Ident::new("x"),
        expression,
    )]);
    let text = body.to_string();
    let (_, value) = text.split_once('=').unwrap_or(("", &text));
    value.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_written_as_they_were() {
        let body: Body = "a = [\"x\", { y = 1 }] # why\nb = \"t-${var.z}\"\n"
            .parse()
            .expect("HCL");
        assert_eq!(
            written(argument(&body, "a").expect("a")),
            "[\"x\", { y = 1 }]"
        );
        assert_eq!(written(argument(&body, "b").expect("b")), "\"t-${var.z}\"");
    }
}

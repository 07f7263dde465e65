//! Every module and environment through its whole life: init, validate, test, and for each setting
//! apply, an empty second plan, destroy.
//!
//! Intuition: the settings are not invented here. Each `run` block of a root's own tests that applies
//! is one; the harness adds what `terraform test` does not look at, the second plan.
//! Invariant: everything happens in a scratch copy without a person's tfvars, state or backend.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use hcl_edit::structure::Body;
use serde_json::Value as Json;
use tempfile::TempDir;

use crate::error::{Error, at};
use crate::hcl;
use crate::server::Providers;
use crate::terraform::Terraform;

/// Settings beyond these would make one root as dear as all the others.
const SETTINGS_MAX: usize = 12;
/// Folders below `terraform/` are few levels deep.
const DEPTH_MAX: usize = 6;

/// A module or environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// From the tree: `modules/aws-gcp-vpn`.
    pub name: String,
}

/// Inputs of one life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The `run` block that it comes from.
    pub name: String,
    /// As a tfvars file.
    pub variables: String,
}

impl Setting {
    /// Gives variables other values.
    pub fn replace(&mut self, given: &[(&str, &Json)]) {
        let named =
            |line: &str, name: &str| line.split('=').next().is_some_and(|key| key.trim() == name);
        for (name, value) in given {
            let kept = self.variables.lines().filter(|line| !named(line, name));
            let kept: String = kept.map(|line| format!("{line}\n")).collect();
            self.variables = format!("{kept}{name} = {value}\n");
        }
    }
}

/// What happened to one root.
#[derive(Debug)]
pub struct Life {
    /// Which.
    pub root: String,
    /// Steps with their times.
    pub steps: Vec<(String, Duration)>,
    /// Assertions of its tests.
    pub assertions: usize,
    /// Why it failed.
    pub fault: Option<Error>,
}

/// How much to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Validate and test.
    Tests,
    /// Also the settings.
    Whole,
}

/// All roots below a tree, by name.
pub fn roots(tree: &Path) -> Result<Vec<Root>, Error> {
    let mut found = vec![];
    for top in ["modules", "environments"] {
        collect(tree, &tree.join(top), DEPTH_MAX, &mut found)?;
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

fn collect(tree: &Path, folder: &Path, depth: usize, found: &mut Vec<Root>) -> Result<(), Error> {
    if !folder.is_dir() || depth == 0 {
        return Ok(());
    }
    if !hcl::files(folder, ".tf")?.is_empty() {
        let name = folder.strip_prefix(tree).expect("below the tree");
        found.push(Root {
            name: name.to_string_lossy().into_owned(),
        });
    }
    for entry in fs::read_dir(folder).map_err(at(folder))? {
        let path = entry.map_err(at(folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && !name.starts_with('.') && name != "tests" {
            collect(tree, &path, depth - 1, found)?;
        }
    }
    Ok(())
}

/// A copy of the tree in which terraform may write.
pub struct Scratch {
    folder: TempDir,
}

impl Scratch {
    /// Copies a tree, without what belongs to a person: tfvars, state, plugins.
    pub fn copy(tree: &Path) -> Result<Self, Error> {
        let folder = tempfile::Builder::new()
            .prefix("tandem-tf")
            .tempdir()
            .map_err(at(tree))?;
        copy(tree, folder.path())?;
        Ok(Self { folder })
    }

    /// A path inside it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Readies a root: a local backend, then init.
    pub fn init(
        &self,
        terraform: &Terraform,
        providers: &Providers,
        root: &str,
    ) -> Result<Duration, Error> {
        let folder = self.path(root);
        local_backend(&folder)?;
        let init = ["init", "-input=false", "-no-color"];
        Ok(terraform.must(providers, &folder, &init)?.took)
    }
}

/// Puts a local backend in the place of one that needs credentials.
pub fn local_backend(folder: &Path) -> Result<(), Error> {
    let texts = hcl::module(folder)?;
    let remote = texts.iter().any(|source| {
        let mut settings = hcl::blocks(&source.body, "terraform");
        settings.any(|(_, block)| block.body.blocks().any(|inner| inner.has_ident("backend")))
    });
    if remote {
        let path = folder.join("backend_override.tf");
        fs::write(&path, "terraform {\n  backend \"local\" {}\n}\n").map_err(at(&path))?;
    }
    Ok(())
}

/// Copies a tree, without what belongs to a person: tfvars, state, plugins.
pub fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    copy_down(from, to, DEPTH_MAX + 2)
}

fn copy_down(from: &Path, to: &Path, depth: usize) -> Result<(), Error> {
    fs::create_dir_all(to).map_err(at(to))?;
    for entry in fs::read_dir(from).map_err(at(from))? {
        let path = entry.map_err(at(from))?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let personal = name.ends_with(".tfvars")
            || name.contains(".tfstate")
            || name.starts_with(".terraform");
        if personal {
            continue;
        }
        if path.is_dir() && depth > 0 {
            copy_down(&path, &to.join(&name), depth - 1)?;
        } else if path.is_file() {
            fs::copy(&path, to.join(&name)).map_err(at(&path))?;
        }
    }
    Ok(())
}

/// The settings of a root: its tests' runs that apply and are expected to pass.
pub fn settings(folder: &Path) -> Result<Vec<Setting>, Error> {
    let mut found: Vec<Setting> = vec![];
    for path in hcl::files(&folder.join("tests"), ".tftest.hcl")? {
        let source = hcl::read(&path)?;
        let common = variables(&source.body);
        for (name, run) in hcl::blocks(&source.body, "run") {
            let mut all = common.clone();
            for (key, text) in variables(&run.body) {
                all.retain(|(known, _)| *known != key);
                all.push((key, text));
            }
            let own_module = run.body.blocks().any(|block| block.has_ident("module"));
            if own_module || !applies(&run.body) || all.iter().any(|(_, text)| !constant(text)) {
                continue;
            }
            let lines = all.iter().map(|(name, text)| format!("{name} = {text}\n"));
            let variables: String = lines.collect();
            if !found.iter().any(|known| known.variables == variables) {
                found.push(Setting { name, variables });
            }
        }
    }
    found.truncate(SETTINGS_MAX);
    Ok(found)
}

fn variables(body: &Body) -> Vec<(String, String)> {
    let blocks = hcl::blocks(body, "variables");
    let attributes = blocks.flat_map(|(_, block)| block.body.attributes());
    let one = |attribute: &hcl_edit::structure::Attribute| {
        (
            attribute.key.to_string().trim().to_owned(),
            hcl::written(&attribute.value),
        )
    };
    attributes.map(one).collect()
}

fn applies(run: &Body) -> bool {
    let plans =
        hcl::argument(run, "command").is_some_and(|command| hcl::written(command) == "plan");
    !plans && hcl::argument(run, "expect_failures").is_none()
}

/// Whether a tfvars file may hold it: no references, no calls.
fn constant(text: &str) -> bool {
    let body: Result<Body, _> = format!("x = {text}\n").parse();
    body.is_ok_and(|body| hcl::argument(&body, "x").is_some_and(is_constant))
}

fn is_constant(expression: &hcl_edit::expr::Expression) -> bool {
    use hcl_edit::expr::Expression as E;
    match expression {
        E::Null(_) | E::Bool(_) | E::Number(_) | E::String(_) => true,
        E::HeredocTemplate(_) => true,
        E::UnaryOp(operation) => is_constant(&operation.expr),
        E::Parenthesis(inner) => is_constant(inner.inner()),
        E::Array(elements) => elements.iter().all(is_constant),
        E::Object(members) => members.iter().all(|(_, value)| is_constant(value.expr())),
        _ => false,
    }
}

/// Assertions in the tests of a root: `assert` blocks and expected failures.
pub fn assertions(folder: &Path) -> Result<usize, Error> {
    let mut count = 0;
    for path in hcl::files(&folder.join("tests"), ".tftest.hcl")? {
        let source = hcl::read(&path)?;
        for (_, run) in hcl::blocks(&source.body, "run") {
            count += hcl::blocks(&run.body, "assert").count();
            count += usize::from(hcl::argument(&run.body, "expect_failures").is_some());
        }
    }
    Ok(count)
}

/// One root through its life.
pub fn live(
    terraform: &Terraform,
    providers: &Providers,
    tree: &Path,
    root: &Root,
    depth: Depth,
) -> Life {
    let mut life = Life {
        root: root.name.clone(),
        steps: vec![],
        assertions: 0,
        fault: None,
    };
    let outcome = live_in(terraform, providers, tree, root, depth, &mut life);
    life.fault = outcome.err();
    life
}

fn live_in(
    terraform: &Terraform,
    providers: &Providers,
    tree: &Path,
    root: &Root,
    depth: Depth,
    life: &mut Life,
) -> Result<(), Error> {
    let scratch = Scratch::copy(tree)?;
    let folder = scratch.path(&root.name);
    life.assertions = assertions(&folder)?;
    let mut step = |name: &str, took: Duration| life.steps.push((name.to_owned(), took));
    step("init", scratch.init(terraform, providers, &root.name)?);
    let validate = ["validate", "-no-color"];
    step(
        "validate",
        terraform.must(providers, &folder, &validate)?.took,
    );
    if folder.join("tests").is_dir() {
        step(
            "test",
            terraform
                .must(providers, &folder, &["test", "-no-color"])?
                .took,
        );
    }
    if depth == Depth::Whole {
        for setting in settings(&folder)? {
            let begin = Instant::now();
            round_trip(terraform, providers, &folder, &setting, |_| Ok(()))?;
            step(&setting.name, begin.elapsed());
        }
    }
    Ok(())
}

/// Apply, an empty second plan, destroy; `look` sees the applied state.
pub fn round_trip(
    terraform: &Terraform,
    providers: &Providers,
    folder: &Path,
    setting: &Setting,
    look: impl FnOnce(&Json) -> Result<(), Error>,
) -> Result<(), Error> {
    apply(terraform, providers, folder, setting)?;
    look(&state(terraform, providers, folder)?)?;
    let again = ["plan", "-input=false", "-no-color", "-detailed-exitcode"];
    let outcome = terraform.run(providers, folder, &again)?;
    if !outcome.succeeded() {
        return Err(Error::Terraform {
            command: format!("the second plan of setting {}", setting.name),
            place: folder.display().to_string(),
            output: outcome.output,
        });
    }
    let destroy = ["destroy", "-input=false", "-no-color", "-auto-approve"];
    terraform.must(providers, folder, &destroy)?;
    Ok(())
}

/// Applies a setting; it stays in place for the commands after it.
pub fn apply(
    terraform: &Terraform,
    providers: &Providers,
    folder: &Path,
    setting: &Setting,
) -> Result<(), Error> {
    let path = folder.join("setting.auto.tfvars");
    fs::write(&path, &setting.variables).map_err(at(&path))?;
    let apply = ["apply", "-input=false", "-no-color", "-auto-approve"];
    terraform.must(providers, folder, &apply)?;
    Ok(())
}

/// The applied state.
pub fn state(terraform: &Terraform, providers: &Providers, folder: &Path) -> Result<Json, Error> {
    let shown = terraform.must(providers, folder, &["show", "-json", "-no-color"])?;
    let begin = shown.output.find('{').unwrap_or(0);
    serde_json::from_str(&shown.output[begin..]).map_err(|error| Error::Output {
        command: "terraform show".into(),
        problem: error.to_string(),
    })
}

/// Formatting of the whole tree.
pub fn formatted(terraform: &Terraform, providers: &Providers, tree: &Path) -> Result<(), Error> {
    terraform.must(
        providers,
        tree,
        &["fmt", "-check", "-diff", "-recursive", "-no-color"],
    )?;
    Ok(())
}

/// All roots, `workers` side by side, the dearest first; `told` hears of each as it ends.
pub fn live_all(
    terraform: &Terraform,
    providers: &Providers,
    tree: &Path,
    roots: &[Root],
    depth: Depth,
    workers: usize,
    told: impl Fn(&Life) + Sync,
) -> Vec<Life> {
    let mut waiting: Vec<&Root> = roots.iter().collect();
    // Environments contain modules, so they take longest; taken from the end.
    waiting.sort_by_key(|root| root.name.starts_with("environments"));
    let waiting = Mutex::new(waiting);
    let lives = Mutex::new(vec![]);
    let work = || {
        while let Some(root) = take(&waiting) {
            let life = live(terraform, providers, tree, root, depth);
            told(&life);
            lives.lock().expect("no holder panics").push(life);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(work);
        }
    });
    lives.into_inner().expect("no holder panics")
}

fn take<'a>(waiting: &Mutex<Vec<&'a Root>>) -> Option<&'a Root> {
    waiting.lock().expect("no holder panics").pop()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_the_runs_that_apply() {
        let folder = tempfile::tempdir().expect("a folder");
        let tests = folder.path().join("tests");
        fs::create_dir(&tests).expect("a folder");
        let text = r#"
variables {
  a = "x"
}
run "plain" {}
run "changed" {
  variables {
    a = "y"
    b = [1, { c = null }]
  }
}
run "same_again" {
  assert {
    condition     = true
    error_message = "never"
  }
}
run "planned" {
  command = plan
}
run "refused" {
  variables { a = "" }
  expect_failures = [var.a]
}
run "linked" {
  variables { a = run.plain.id }
}
"#;
        fs::write(tests.join("t.tftest.hcl"), text).expect("written");
        let found = settings(folder.path()).expect("readable");
        let names: Vec<&str> = found.iter().map(|setting| setting.name.as_str()).collect();
        assert_eq!(names, ["plain", "changed"]);
        assert_eq!(found[1].variables, "a = \"y\"\nb = [1, { c = null }]\n");
        assert_eq!(assertions(folder.path()).expect("readable"), 2);
    }
}

//! How many one-line faults in the infrastructure code does anything notice?
//!
//! Intuition: break one line on purpose and ask the checks. A fault that nobody notices is a missing
//! assertion, or a line that does not matter; both are worth knowing.
//! Invariant: the sample depends on the seed alone, so that two runs break the same lines.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;

use regex::Regex;

use crate::error::{Error, at};
use crate::harness::{self, Root, Scratch};
use crate::server::Providers;
use crate::terraform::Terraform;
use crate::{hcl, reading, topology};

/// What is done to a line `name = value`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The name gets a letter more.
    Misspelt,
    /// The line is gone.
    Deleted,
    /// The last attribute of a reference does not exist.
    Reference,
}

/// One broken line.
#[derive(Debug, Clone)]
pub struct Mutation {
    /// The module or environment.
    pub root: String,
    /// From the tree.
    pub file: String,
    /// From 0.
    pub line: usize,
    /// What is done.
    pub kind: Kind,
    /// The line as it was.
    pub was: String,
    becomes: String,
}

/// What became of one.
#[derive(Debug)]
pub struct Verdict {
    /// Which.
    pub mutation: Mutation,
    /// Who noticed; nobody if it survived.
    pub by: Option<&'static str>,
}

/// Every one-line fault of a root.
pub fn of(tree: &Path, root: &Root) -> Result<Vec<Mutation>, Error> {
    let argument = Regex::new(r"^(\s+)(\w+)(\s*=\s*)(.+)$").expect("a constant pattern");
    let reference = Regex::new(r"\.(\w+)(\W*)$").expect("a constant pattern");
    let mut found = vec![];
    for path in hcl::files(&tree.join(&root.name), ".tf")? {
        let text = std::fs::read_to_string(&path).map_err(at(&path))?;
        let file = path
            .strip_prefix(tree)
            .expect("below the tree")
            .to_string_lossy()
            .into_owned();
        for (line, was) in text.lines().enumerate() {
            let Some(parts) = argument.captures(was) else {
                continue;
            };
            let mut push = |kind, becomes: String| {
                found.push(Mutation {
                    root: root.name.clone(),
                    file: file.clone(),
                    line,
                    kind,
                    was: was.to_owned(),
                    becomes,
                });
            };
            push(
                Kind::Misspelt,
                format!("{}{}x{}{}", &parts[1], &parts[2], &parts[3], &parts[4]),
            );
            push(Kind::Deleted, String::new());
            if !parts[4].starts_with('"') && reference.is_match(&parts[4]) {
                push(
                    Kind::Reference,
                    reference.replace(was, ".${1}_x$2").into_owned(),
                );
            }
        }
    }
    Ok(found)
}

/// A sample in an order that depends on the seed alone; 0 is all of them.
pub fn sample(mut all: Vec<Mutation>, count: usize, seed: u64) -> Vec<Mutation> {
    let mut state = seed;
    // SplitMix64 and Fisher-Yates: nothing here needs more.
    for at in (1..all.len()).rev() {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let other = mixed % (at as u64 + 1);
        all.swap(at, usize::try_from(other).expect("below a length"));
    }
    if count > 0 {
        all.truncate(count);
    }
    all
}

/// Who may notice, cheap ones first. What reading tells, then the root's own validation and tests,
/// then the environments that use it, then the estate as a whole.
pub const CHECKS: &[&str] = &["reading", "validate", "test", "environment", "topology"];
/// Lines of one root that one worker breaks before it takes another share.
const SHARE: usize = 16;

/// Breaks each line in turn; `told` hears of each verdict.
pub fn run(
    terraform: &Terraform,
    providers: &Providers,
    tree: &Path,
    mutations: Vec<Mutation>,
    workers: usize,
    told: impl Fn(&Verdict) + Sync,
) -> Result<Vec<Verdict>, Error> {
    let checks = Checks {
        terraform,
        providers,
        tree,
        users: users(tree)?,
        whole: Mutex::default(),
    };
    checks.estate_must_pass(&mutations)?;
    let waiting = Mutex::new(shares(mutations));
    let verdicts = Mutex::new(vec![]);
    let fault = Mutex::new(None);
    let next = || waiting.lock().expect("no holder panics").pop();
    let work = || {
        while let Some((root, mutations)) = next() {
            match checks.break_root(&root, mutations, &told) {
                Ok(more) => verdicts.lock().expect("no holder panics").extend(more),
                Err(error) => *fault.lock().expect("no holder panics") = Some(error),
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(work);
        }
    });
    match fault.into_inner().expect("no holder panics") {
        Some(error) => Err(error),
        None => Ok(verdicts.into_inner().expect("no holder panics")),
    }
}

/// By root, in shares, the environments last: they take longest and are taken from the end.
fn shares(mutations: Vec<Mutation>) -> Vec<(String, Vec<Mutation>)> {
    let mut by_root: BTreeMap<String, Vec<Mutation>> = BTreeMap::new();
    for mutation in mutations {
        by_root
            .entry(mutation.root.clone())
            .or_default()
            .push(mutation);
    }
    let mut shares = vec![];
    for (root, mutations) in by_root {
        let share = |some: &[Mutation]| (root.clone(), some.to_vec());
        shares.extend(mutations.chunks(SHARE).map(share));
    }
    shares.sort_by_key(|(root, _)| root.starts_with("environments"));
    shares
}

/// The environments that use each module, themselves or through another module.
fn users(tree: &Path) -> Result<BTreeMap<String, BTreeSet<String>>, Error> {
    let mut direct: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for root in harness::roots(tree)? {
        for source in hcl::module(&tree.join(&root.name))? {
            for (_, call) in hcl::blocks(&source.body, "module") {
                let name = hcl::text(&call.body, "source").and_then(|text| text.rsplit('/').next());
                if let Some(name) = name {
                    let module = format!("modules/{name}");
                    direct.entry(module).or_default().insert(root.name.clone());
                }
            }
        }
    }
    let mut found = BTreeMap::new();
    for module in direct.keys() {
        let mut open = vec![module];
        let mut seen = BTreeSet::new();
        while let Some(name) = open.pop() {
            let users = direct.get(name).into_iter().flatten();
            open.extend(users.filter(|user| seen.insert((*user).clone())));
        }
        seen.retain(|user| user.starts_with("environments"));
        found.insert(module.clone(), seen);
    }
    Ok(found)
}

struct Checks<'a> {
    terraform: &'a Terraform,
    providers: &'a Providers,
    tree: &'a Path,
    users: BTreeMap<String, BTreeSet<String>>,
    /// Roots that passed unbroken in this run.
    whole: Mutex<BTreeSet<String>>,
}

impl Checks<'_> {
    fn break_root(
        &self,
        root: &str,
        mutations: Vec<Mutation>,
        told: &impl Fn(&Verdict),
    ) -> Result<Vec<Verdict>, Error> {
        let scratch = Scratch::copy(self.tree)?;
        self.must_pass(&scratch, root)?;
        for user in self.users_of(root) {
            self.must_pass(&scratch, user)?;
        }
        let mut verdicts = vec![];
        for mutation in mutations {
            let path = scratch.path(&mutation.file);
            let original = std::fs::read_to_string(&path).map_err(at(&path))?;
            std::fs::write(&path, damaged(&original, &mutation)).map_err(at(&path))?;
            let by = self.notice(&scratch, root)?;
            std::fs::write(&path, original).map_err(at(&path))?;
            let verdict = Verdict { mutation, by };
            told(&verdict);
            verdicts.push(verdict);
        }
        Ok(verdicts)
    }

    fn users_of(&self, root: &str) -> impl Iterator<Item = &str> {
        let users = self.users.get(root).into_iter().flatten();
        users.map(String::as_str)
    }

    /// Readies a root. What is whole must pass, or a refusal of what is broken means nothing; each
    /// root is asked once in a run.
    fn must_pass(&self, scratch: &Scratch, root: &str) -> Result<(), Error> {
        scratch.init(self.terraform, self.providers, root)?;
        let whole = || self.whole.lock().expect("no holder panics");
        if whole().contains(root) {
            return Ok(());
        }
        if let Some(by) = self.notice_alone(scratch, root)? {
            return Err(Error::NotWhole {
                what: format!("{by} of {root}"),
            });
        }
        whole().insert(root.to_owned());
        Ok(())
    }

    /// The same for the estate, if any of these lines belongs to it.
    fn estate_must_pass(&self, mutations: &[Mutation]) -> Result<(), Error> {
        let roots: BTreeSet<&str> = mutations.iter().map(|one| one.root.as_str()).collect();
        if !roots.into_iter().any(|root| self.is_of_the_estate(root)) {
            return Ok(());
        }
        let found = topology::check(&topology::build(self.terraform, self.providers, self.tree)?);
        match found.first() {
            None => Ok(()),
            Some(first) => Err(Error::NotWhole {
                what: format!("topology ({first})"),
            }),
        }
    }

    fn is_of_the_estate(&self, root: &str) -> bool {
        let mut used = self.users_of(root).chain([root]);
        used.any(|one| topology::ROOTS.contains(&one))
    }

    /// The first check that fails.
    fn notice(&self, scratch: &Scratch, root: &str) -> Result<Option<&'static str>, Error> {
        if let Some(by) = self.notice_alone(scratch, root)? {
            return Ok(Some(by));
        }
        for environment in self.users_of(root) {
            if self.notice_terraform(scratch, environment)?.is_some() {
                return Ok(Some("environment"));
            }
        }
        if !self.is_of_the_estate(root) {
            return Ok(None);
        }
        let fits = match topology::build(self.terraform, self.providers, &scratch.path("")) {
            Ok(estate) => topology::check(&estate).is_empty(),
            Err(Error::Terraform { .. }) => false,
            Err(other) => return Err(other),
        };
        Ok((!fits).then_some("topology"))
    }

    fn notice_alone(&self, scratch: &Scratch, root: &str) -> Result<Option<&'static str>, Error> {
        let read = match reading::check(&scratch.path(root)) {
            Ok(found) => found.is_empty(),
            Err(Error::Syntax { .. }) => false,
            Err(other) => return Err(other),
        };
        if !read {
            return Ok(Some("reading"));
        }
        self.notice_terraform(scratch, root)
    }

    fn notice_terraform(
        &self,
        scratch: &Scratch,
        root: &str,
    ) -> Result<Option<&'static str>, Error> {
        let folder = scratch.path(root);
        let validate = ["validate", "-no-color"];
        let valid = self.terraform.run(self.providers, &folder, &validate)?;
        if !valid.succeeded() {
            return Ok(Some("validate"));
        }
        let pass = self.terraform.tests_pass(self.providers, &folder)?;
        Ok((!pass).then_some("test"))
    }
}

fn damaged(original: &str, mutation: &Mutation) -> String {
    let line = |(at, line): (usize, &str)| {
        let line = if at == mutation.line {
            &mutation.becomes
        } else {
            line
        };
        format!("{line}\n")
    };
    original.lines().enumerate().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mutations(text: &str) -> Vec<Mutation> {
        let tree = tempfile::tempdir().expect("a folder");
        let folder = tree.path().join("modules/m");
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("main.tf"), text).expect("written");
        let root = Root {
            name: "modules/m".into(),
        };
        of(tree.path(), &root).expect("readable")
    }

    #[test]
    fn each_argument_is_broken_in_every_way_that_fits() {
        let found = mutations("resource \"a\" \"b\" {\n  name = \"x\"\n  vpc  = a.c[0].id\n}\n");
        let kinds: Vec<(usize, Kind)> = found.iter().map(|one| (one.line, one.kind)).collect();
        use Kind::{Deleted, Misspelt, Reference};
        assert_eq!(
            kinds,
            [
                (1, Misspelt),
                (1, Deleted),
                (2, Misspelt),
                (2, Deleted),
                (2, Reference)
            ]
        );
        assert_eq!(found[0].becomes, "  namex = \"x\"");
        assert_eq!(found[4].becomes, "  vpc  = a.c[0].id_x");
    }

    #[test]
    fn a_module_is_used_by_environments_through_other_modules() {
        let tree = tempfile::tempdir().expect("a folder");
        let call = |source: &str| format!("module \"x\" {{\n  source = \"{source}\"\n}}\n");
        for (folder, text) in [
            ("modules/inner", String::new()),
            ("modules/outer", call("../inner")),
            ("environments/e", call("../../modules/outer")),
        ] {
            let folder = tree.path().join(folder);
            std::fs::create_dir_all(&folder).expect("a folder");
            std::fs::write(folder.join("main.tf"), text).expect("written");
        }
        let users = users(tree.path()).expect("readable");
        assert!(users["modules/inner"].contains("environments/e"));
        assert_eq!(users["modules/inner"].len(), 1);
    }

    #[test]
    fn a_seed_always_gives_the_same_sample() {
        let all = mutations(&"  a = b.c\n".repeat(50));
        let lines = |seed| {
            let some = sample(all.clone(), 20, seed);
            some.iter()
                .map(|one| (one.line, one.kind))
                .collect::<Vec<_>>()
        };
        assert_eq!(lines(1), lines(1));
        assert_ne!(lines(1), lines(2));
        assert_eq!(sample(all.clone(), 0, 1).len(), all.len());
    }
}

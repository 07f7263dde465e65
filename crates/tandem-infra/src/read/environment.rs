//! One Terraform environment as a table of settings.
//!
//! Intuition: rules ask "what is `health_check_interval`, and where was it
//! set?"; they do not care whether a tfvars file, a default, a module argument,
//! a module's own source or a plan said so. The first source that knows wins:
//! module argument, variable, plan, argument of the module of that name,
//! module default, resource attribute.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::hcl::{self, Block, Body};
use super::plan::{self, Plan};
use super::value::{Scope, Value, from_json};
use super::{
    FILES_MAX, FaultKind, FileFault, PLAN_BYTES_MAX, Place, TEXT_BYTES_MAX, mapping, read_bounded,
};

/// Module calls followed in one environment.
const MODULES_MAX: usize = 100;

/// A setting: its value and where it was set.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// The value.
    pub value: Value,
    /// Where it was set.
    pub place: Place,
}

/// A resource as far as offline reading knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    /// The address (`module.x.aws_lb.this`).
    pub address: String,
    /// The resource type.
    pub kind: String,
    /// Its attributes; blocks are lists.
    pub values: Value,
    /// Attributes under `lifecycle.ignore_changes`.
    pub ignored: Vec<String>,
    /// Where it stands.
    pub place: Place,
}

/// One environment: `aws`, `gcp` or the global part.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Environment {
    /// Whether the folder exists.
    pub present: bool,
    /// The folder, relative to the one given.
    pub folder: String,
    /// What is set.
    pub settings: BTreeMap<String, Setting>,
    /// The outputs that are declared.
    pub outputs: BTreeSet<String>,
    /// Whether any output is declared in a file.
    pub outputs_file: bool,
    /// The backend's kind (`s3`, `gcs`, `local`), if one is declared.
    pub backend: Option<String>,
    /// The cloud that the backend's store is lost with; none for one outside of both, such as R2.
    pub backend_cloud: Option<&'static str>,
    /// Provider version constraints, by provider.
    pub providers: BTreeMap<String, Setting>,
    /// Resources of the environment and of its local modules.
    pub resources: Vec<Resource>,
    /// Whether every module source could be read.
    pub modules_read: bool,
    /// The resources of a plan, if there is one.
    pub planned: Option<Vec<Resource>>,
    /// The tfvars files that count, in order.
    pub tfvars: Vec<String>,
    /// Variables without a default that no file assigns.
    pub unset: Vec<String>,
    /// What is wrong with the files as such.
    pub faults: Vec<FileFault>,
}

/// A file of the environment that was read.
struct Source {
    name: String,
    body: Body,
}

struct Reader<'a> {
    root: &'a Path,
    out: Environment,
}

impl Environment {
    /// Reads the folder; an absent one is an empty environment. `root` is the
    /// folder that places are relative to.
    pub fn read(root: &Path, folder: &Path) -> Self {
        let mut reader = Reader {
            root,
            out: Environment {
                modules_read: true,
                ..Self::default()
            },
        };
        reader.out.folder = relative(root, folder);
        if folder.is_dir() {
            reader.out.present = true;
            reader.read_folder(folder);
        }
        reader.out
    }
}

fn relative(root: &Path, path: &Path) -> String {
    path.strip_prefix(root)
        .unwrap_or(path)
        .to_string_lossy()
        .into_owned()
}

/// Variables without a default that nothing assigns.
fn unset(sources: &[Source], assigned: &BTreeMap<String, Setting>) -> Vec<String> {
    let variables = sources
        .iter()
        .flat_map(|source| source.body.blocks_of("variable"));
    variables
        .filter(|block| block.body.attribute("default").is_none())
        .filter_map(|block| block.labels.first())
        .filter(|name| !assigned.contains_key(*name))
        .cloned()
        .collect()
}

/// The variables and locals of one folder.
#[derive(Default)]
struct Names {
    variables: BTreeMap<String, Setting>,
    locals: BTreeMap<String, Value>,
}

impl Scope for Names {
    fn lookup(&self, kind: &str, name: &str) -> Option<Value> {
        match kind {
            "var" => self
                .variables
                .get(name)
                .map(|setting| setting.value.clone()),
            "local" => self.locals.get(name).cloned(),
            _ => None,
        }
    }
}

impl Reader<'_> {
    fn read_folder(&mut self, folder: &Path) {
        let files = list(folder);
        let sources = self.read_sources(folder, &files);
        let mut names = self.declared(&sources);
        let declared: BTreeSet<String> = names.variables.keys().cloned().collect();
        let assigned = self.assigned(folder, &files, &declared);
        self.out.unset = unset(&sources, &assigned);
        for (name, setting) in assigned {
            names.variables.insert(name, setting);
        }
        self.read_declarations(&sources);
        let plan = self.read_plan(folder, &files);
        self.settle(&sources, &names, plan, folder);
    }

    fn read_sources(&mut self, folder: &Path, files: &[String]) -> Vec<Source> {
        let mut sources = Vec::new();
        for file in files.iter().filter(|name| name.ends_with(".tf")) {
            let name = relative(self.root, &folder.join(file));
            if let Some(text) = self.text(&folder.join(file), TEXT_BYTES_MAX) {
                let body = self.parse(&text, &name);
                sources.push(Source { name, body });
            }
        }
        sources
    }

    fn text(&mut self, path: &Path, limit: u64) -> Option<String> {
        match read_bounded(path, limit) {
            Ok(text) => Some(text),
            Err(error) => {
                let place = Place::new(relative(self.root, path), 0, "");
                self.fault(FaultKind::Syntax, place, error.to_string());
                None
            }
        }
    }

    fn parse(&mut self, text: &str, name: &str) -> Body {
        let (body, fault) = hcl::read(text);
        if let Some(fault) = fault {
            self.fault(
                FaultKind::Syntax,
                Place::new(name, fault.line, ""),
                fault.problem,
            );
        }
        body
    }

    fn fault(&mut self, kind: FaultKind, place: Place, problem: impl Into<String>) {
        self.out.faults.push(FileFault {
            kind,
            place,
            problem: problem.into(),
        });
    }

    /// Variables with defaults, and locals.
    fn declared(&mut self, sources: &[Source]) -> Names {
        let mut names = Names::default();
        for source in sources {
            for block in source.body.blocks_of("variable") {
                let Some(name) = block.labels.first() else {
                    continue;
                };
                let default = block.body.attribute("default");
                let value = default.map_or(Value::Null, |found| found.value.clone());
                let line = default.map_or(block.line, |found| found.line);
                let place = Place::new(&source.name, line, name);
                names
                    .variables
                    .insert(name.clone(), Setting { value, place });
            }
            for block in source.body.blocks_of("locals") {
                for attribute in &block.body.attributes {
                    names
                        .locals
                        .insert(attribute.key.clone(), attribute.value.clone());
                }
            }
        }
        names
    }

    /// What the tfvars files assign, in Terraform's order.
    fn assigned(
        &mut self,
        folder: &Path,
        files: &[String],
        declared: &BTreeSet<String>,
    ) -> BTreeMap<String, Setting> {
        let mut assigned = BTreeMap::new();
        for file in tfvars_in_order(files) {
            let path = folder.join(&file);
            let name = relative(self.root, &path);
            let Some(text) = self.text(&path, TEXT_BYTES_MAX) else {
                continue;
            };
            let body = if file.ends_with(".json") {
                self.json_body(&text, &name)
            } else {
                self.parse(&text, &name)
            };
            self.out.tfvars.push(name.clone());
            self.assign(&body, &name, declared, &mut assigned);
        }
        assigned
    }

    fn json_body(&mut self, text: &str, name: &str) -> Body {
        let json: serde_json::Value = match serde_json::from_str(text) {
            Ok(json) => json,
            Err(error) => {
                let line = u32::try_from(error.line()).unwrap_or(u32::MAX);
                self.fault(
                    FaultKind::Syntax,
                    Place::new(name, line, ""),
                    error.to_string(),
                );
                return Body::default();
            }
        };
        let pairs = json.as_object().cloned().unwrap_or_default();
        let attribute = |(key, value): (String, serde_json::Value)| hcl::Attribute {
            key,
            value: from_json(&value),
            line: 0,
        };
        Body {
            attributes: pairs.into_iter().map(attribute).collect(),
            blocks: Vec::new(),
        }
    }

    fn assign(
        &mut self,
        body: &Body,
        name: &str,
        declared: &BTreeSet<String>,
        out: &mut BTreeMap<String, Setting>,
    ) {
        // Each key is reported once, however often it stands there.
        let (mut first_line, mut repeated) = (BTreeMap::new(), BTreeSet::new());
        for attribute in &body.attributes {
            let place = Place::new(name, attribute.line, &attribute.key);
            let first = *first_line.entry(&attribute.key).or_insert(attribute.line);
            if first != attribute.line {
                if repeated.insert(&attribute.key) {
                    let problem = format!(
                        "`{}` is set in line {first} and again in line {}",
                        attribute.key, attribute.line
                    );
                    self.fault(FaultKind::Repeated, place.clone(), problem);
                }
            } else if !declared.is_empty() && !declared.contains(&attribute.key) {
                let problem = format!(
                    "no `variable \"{}\"` is declared in {}",
                    attribute.key, self.out.folder
                );
                self.fault(FaultKind::Undeclared, place.clone(), problem);
            }
            self.refuse_open(&attribute.value, &place);
            out.insert(
                attribute.key.clone(),
                Setting {
                    value: attribute.value.clone(),
                    place,
                },
            );
        }
    }

    fn refuse_open(&mut self, value: &Value, place: &Place) {
        use super::value::Expr;
        let what = match value.first_open() {
            None => return,
            Some(Expr::Call(name)) => format!("calls the function `{name}()`"),
            Some(Expr::Reference(path)) => format!("refers to `{}`", path.join(".")),
            Some(_) => "holds an expression".to_owned(),
        };
        self.fault(
            FaultKind::NotLiteral,
            place.clone(),
            format!("`{}` {what}", place.key),
        );
    }

    fn read_declarations(&mut self, sources: &[Source]) {
        for source in sources {
            for block in source.body.blocks_of("output") {
                self.out.outputs_file = true;
                self.out.outputs.extend(block.labels.first().cloned());
            }
            for block in source.body.blocks_of("terraform") {
                if let Some(backend) = block.body.blocks_of("backend").next() {
                    self.out.backend = backend.labels.first().cloned();
                    self.out.backend_cloud = cloud_of(backend);
                }
                self.read_providers(block, &source.name);
            }
        }
    }

    fn read_providers(&mut self, terraform: &Block, file: &str) {
        for block in terraform.body.blocks_of("required_providers") {
            for attribute in &block.body.attributes {
                if let Some(version) = attribute.value.at("version") {
                    let place = Place::new(file, attribute.line, &attribute.key);
                    let setting = Setting {
                        value: version.clone(),
                        place,
                    };
                    self.out.providers.insert(attribute.key.clone(), setting);
                }
            }
        }
    }

    fn read_plan(&mut self, folder: &Path, files: &[String]) -> Option<(String, Plan)> {
        let file = files.iter().find(|name| plan::is_plan_name(name))?;
        let name = relative(self.root, &folder.join(file));
        let text = self.text(&folder.join(file), PLAN_BYTES_MAX)?;
        match plan::read(&text, &name) {
            Ok(plan) => Some((name, plan)),
            Err(fault) => {
                self.out.faults.push(fault);
                None
            }
        }
    }

    /// Fills the table, the source that wins first.
    fn settle(
        &mut self,
        sources: &[Source],
        names: &Names,
        plan: Option<(String, Plan)>,
        folder: &Path,
    ) {
        let modules: Vec<Module> = sources
            .iter()
            .flat_map(|source| modules_of(source, names))
            .take(MODULES_MAX)
            .collect();
        for module in &modules {
            self.take_all(module.arguments.clone());
        }
        let settled = |setting: &Setting| Setting {
            value: setting.value.settled(names),
            ..setting.clone()
        };
        self.take_all(
            names
                .variables
                .iter()
                .map(|(name, setting)| (name.clone(), settled(setting))),
        );
        if let Some((file, plan)) = plan {
            self.take_plan(&file, plan);
        }
        for module in &modules {
            let prefix = module.label.replace('-', "_");
            let prefixed = module
                .arguments
                .iter()
                .map(|(name, setting)| (format!("{prefix}_{name}"), setting.clone()));
            self.take_all(prefixed.collect::<Vec<_>>());
        }
        for source in sources {
            self.take_resources(source, names, "");
        }
        for module in modules {
            self.take_module(module, folder);
        }
    }

    fn take_all(&mut self, settings: impl IntoIterator<Item = (String, Setting)>) {
        for (name, setting) in settings {
            let unknown = matches!(setting.value, Value::Null | Value::Open(_));
            if !unknown {
                self.out.settings.entry(name).or_insert(setting);
            }
        }
    }

    fn take_plan(&mut self, file: &str, plan: Plan) {
        let place = |key: &str| Place::new(file, 0, key);
        let settings: Vec<_> = plan
            .variables
            .into_iter()
            .map(|(name, value)| {
                (
                    name.clone(),
                    Setting {
                        value,
                        place: place(&format!("variables.{name}")),
                    },
                )
            })
            .collect();
        self.take_all(settings);
        let mut planned = Vec::new();
        for found in plan.resources {
            let place = place(&found.address);
            let resource = Resource {
                address: found.address,
                kind: found.kind,
                values: found.values,
                ignored: Vec::new(),
                place,
            };
            self.take_attributes(&resource);
            planned.push(resource);
        }
        self.out.planned = Some(planned);
    }

    fn take_attributes(&mut self, resource: &Resource) {
        for (setting, path) in mapping::of_type(&resource.kind) {
            if let Some(value) = resource.values.at(path) {
                let key = format!("{}.{path}", resource.address);
                let place = Place {
                    key,
                    ..resource.place.clone()
                };
                self.take_all([(
                    setting.to_owned(),
                    Setting {
                        value: value.clone(),
                        place,
                    },
                )]);
            }
        }
    }

    fn take_resources(&mut self, source: &Source, names: &Names, prefix: &str) {
        for block in source.body.blocks_of("resource") {
            let [kind, name] = block.labels.as_slice() else {
                continue;
            };
            let resource = Resource {
                address: format!("{prefix}{kind}.{name}"),
                kind: kind.clone(),
                values: block.body.to_value().settled(names),
                ignored: ignored_changes(block),
                place: Place::new(&source.name, block.line, format!("{kind}.{name}")),
            };
            self.take_attributes(&resource);
            self.out.resources.push(resource);
        }
    }

    /// A local module: its defaults and its resources, seen with our arguments.
    fn take_module(&mut self, module: Module, folder: &Path) {
        let Some(path) = module.local_path(folder).filter(|path| path.is_dir()) else {
            self.out.modules_read = false;
            return;
        };
        let files = list(&path);
        let sources = self.read_sources(&path, &files);
        let mut names = self.declared(&sources);
        let prefix = format!("module.{}.", module.label);
        self.take_all(
            names
                .variables
                .iter()
                .map(|(name, setting)| (name.clone(), setting.clone()))
                .collect::<Vec<_>>(),
        );
        names.variables.extend(module.arguments);
        for source in &sources {
            self.take_resources(source, &names, &prefix);
        }
    }
}

/// A call of a module.
struct Module {
    label: String,
    source: Option<String>,
    arguments: BTreeMap<String, Setting>,
}

impl Module {
    fn local_path(&self, folder: &Path) -> Option<PathBuf> {
        let source = self.source.as_deref()?;
        let local = source.starts_with("./") || source.starts_with("../");
        local.then(|| folder.join(source))
    }
}

fn modules_of(source: &Source, names: &Names) -> Vec<Module> {
    let module = |block: &Block| {
        let arguments = block.body.attributes.iter().map(|attribute| {
            let place = Place::new(&source.name, attribute.line, &attribute.key);
            let setting = Setting {
                value: attribute.value.settled(names),
                place,
            };
            (
                attribute.key.clone(),
                through_variable(&attribute.value, names).unwrap_or(setting),
            )
        });
        Module {
            label: block.labels.first().cloned().unwrap_or_default(),
            source: block
                .body
                .attribute("source")
                .and_then(|found| found.value.as_text()),
            arguments: arguments
                .filter(|(key, _)| key != "source" && key != "version")
                .collect(),
        }
    };
    source.body.blocks_of("module").map(module).collect()
}

/// For `x = var.y`: where `y` itself was set, which is where a person edits.
fn through_variable(value: &Value, names: &Names) -> Option<Setting> {
    use super::value::Expr;
    let Value::Open(expr) = value else {
        return None;
    };
    match expr.as_ref() {
        Expr::Reference(path) if path.len() == 2 && path[0] == "var" => {
            let setting = names.variables.get(&path[1])?;
            Some(Setting {
                value: setting.value.settled(names),
                place: setting.place.clone(),
            })
        }
        _ => None,
    }
}

/// Many stores speak S3's language, and their endpoints tell whose they are. AWS has no region
/// `auto`, which is R2's name for its own.
fn cloud_of(backend: &Block) -> Option<&'static str> {
    match backend.labels.first().map(String::as_str) {
        Some("gcs") => return Some("GCP"),
        Some("s3") => {}
        _ => return None,
    }
    let text = |value: Option<&Value>| value.and_then(Value::as_text);
    let value = |key: &str| {
        backend
            .body
            .attribute(key)
            .map(|attribute| &attribute.value)
    };
    let endpoint = text(value("endpoint"))
        .or_else(|| text(value("endpoints").and_then(|endpoints| endpoints.at("s3"))));
    match endpoint {
        Some(endpoint) if endpoint.contains("googleapis.com") => Some("GCP"),
        Some(endpoint) if endpoint.contains("amazonaws.com") => Some("AWS"),
        Some(_) => None,
        None if text(value("region")).as_deref() == Some("auto") => None,
        None => Some("AWS"),
    }
}

fn ignored_changes(resource: &Block) -> Vec<String> {
    let lists = resource
        .body
        .blocks_of("lifecycle")
        .filter_map(|block| block.body.attribute("ignore_changes"));
    lists
        .flat_map(|attribute| names_in(&attribute.value))
        .collect()
}

fn names_in(value: &Value) -> Vec<String> {
    use super::value::Expr;
    match value {
        Value::List(items) => items.iter().flat_map(names_in).collect(),
        Value::Text(name) => vec![name.clone()],
        Value::Open(expr) => match expr.as_ref() {
            Expr::Reference(path) => vec![path.join(".")],
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// File names of a folder, sorted, bounded.
fn list(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let files = entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| !kind.is_dir()));
    let mut names: Vec<String> = files
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .take(FILES_MAX)
        .collect();
    names.sort();
    names
}

/// The tfvars files that Terraform reads, in its order; the example only if
/// there is no other, since it is what a newcomer has.
fn tfvars_in_order(files: &[String]) -> Vec<String> {
    let has = |name: &str| files.iter().any(|file| file == name);
    let automatic = files
        .iter()
        .filter(|name| name.ends_with(".auto.tfvars") || name.ends_with(".auto.tfvars.json"));
    let fixed = ["terraform.tfvars", "terraform.tfvars.json"]
        .into_iter()
        .filter(|name| has(name))
        .map(str::to_owned);
    let mut order: Vec<String> = fixed.collect();
    if order.is_empty() && has("terraform.tfvars.example") {
        order.push("terraform.tfvars.example".to_owned());
    }
    order.extend(automatic.cloned());
    order
}

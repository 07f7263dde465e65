//! The read model: everything that rules and prices look at, nothing else.
//!
//! Invariant: rules are pure functions over an [`Estate`]; the day and every
//! assumption stand in it, so the same estate gives the same answer for ever.

use std::path::{Path, PathBuf};

use jiff::civil::Date;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use tandem_core::config::Config;
use tandem_core::slo::Share;

use crate::assume::Assumptions;
use crate::check::suppress::{Settings, Suppression};
use crate::error::Error;
use crate::read::environment::{Environment, Setting};
use crate::read::value::Value;
use crate::read::{FaultKind, FileFault, Place, TEXT_BYTES_MAX, read_bounded};

/// The largest count that a setting may name; more is a typing error.
pub const COUNT_MAX: u64 = 1_000_000;

/// What the service promises its users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promises {
    /// Availability.
    pub availability: Share,
    /// Longest time to notice a lost site, in seconds.
    pub detect_s: u64,
    /// Recovery time objective, in seconds.
    pub rto_s: u64,
    /// Recovery point objective, in seconds.
    pub rpo_s: u64,
    /// Who says so.
    pub source: String,
}

/// Everything that is known about one installation.
#[derive(Debug, Clone)]
pub struct Estate {
    /// The folder given.
    pub root: PathBuf,
    /// The AWS environment.
    pub aws: Environment,
    /// The GCP environment.
    pub gcp: Environment,
    /// The global part: the edge.
    pub edge: Environment,
    /// `tandem.toml`, if there is one and it is right.
    pub config: Option<Config>,
    /// Where `tandem.toml` was found.
    pub config_file: Option<String>,
    /// Faults of `tandem.toml`.
    pub config_faults: Vec<FileFault>,
    /// What is promised.
    pub promises: Promises,
    /// What the files leave open.
    pub assumed: Assumptions,
    /// Findings that somebody accepts.
    pub suppressions: Vec<Suppression>,
    /// The day for which the answer holds.
    pub today: Date,
}

/// Why a rule cannot say anything: the input that is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing(pub String);

/// The service levels of the reference guide, which hold where no `tandem.toml`
/// states others: 99.99 %, detection in 30 s, recovery in 5 min, 5 s of loss.
fn guide_promises() -> Promises {
    Promises {
        availability: Share::from_ppb(999_900_000),
        detect_s: 30,
        rto_s: 300,
        rpo_s: 5,
        source: "the guide's service levels".to_owned(),
    }
}

impl Estate {
    /// Reads the environments below `root` and `tandem.toml` (`config_path`, or
    /// the one in `root`, if any).
    ///
    /// # Errors
    /// If `root` holds no environment, or a file named by the caller cannot be read.
    pub fn read(
        root: &Path,
        config_path: Option<&Path>,
        settings: Settings,
        today: Date,
    ) -> Result<Self, Error> {
        let base = if root.join("environments").is_dir() {
            root.join("environments")
        } else {
            root.to_owned()
        };
        let environment =
            |name: &str, usual: &str| Environment::read(root, &folder_of(&base.join(name), usual));
        let mut estate = Self {
            root: root.to_owned(),
            aws: environment("aws", "dr"),
            gcp: environment("gcp", "dr"),
            edge: environment("global", "cloudflare-lb"),
            config: None,
            config_file: None,
            config_faults: Vec::new(),
            promises: guide_promises(),
            assumed: settings.assumed,
            suppressions: settings.suppressions,
            today,
        };
        let beside = root.join("tandem.toml");
        match config_path {
            Some(path) => estate.read_config(path)?,
            None if beside.is_file() => estate.read_config(&beside)?,
            None => {}
        }
        let found = [&estate.aws, &estate.gcp, &estate.edge]
            .iter()
            .any(|environment| environment.present);
        if found || estate.config_file.is_some() {
            Ok(estate)
        } else {
            Err(Error::NoEnvironment(root.to_owned()))
        }
    }

    fn read_config(&mut self, path: &Path) -> Result<(), Error> {
        let text = read_bounded(path, TEXT_BYTES_MAX)?;
        let shown = path
            .strip_prefix(&self.root)
            .unwrap_or(path)
            .to_string_lossy()
            .into_owned();
        match Config::parse(&text) {
            Ok(config) => {
                let targets = &config.policy.targets;
                if let Ok(availability) = targets.availability_percent.parse() {
                    let (detect_s, rto_s, rpo_s) = (targets.detect_s, targets.rto_s, targets.rpo_s);
                    let source = format!("policy.targets of {shown}");
                    self.promises = Promises {
                        availability,
                        detect_s,
                        rto_s,
                        rpo_s,
                        source,
                    };
                }
                self.config = Some(config);
            }
            Err(faults) => self
                .config_faults
                .extend(faults.0.into_iter().map(|fault| FileFault {
                    kind: FaultKind::Config,
                    place: Place::new(&shown, 0, fault.key),
                    problem: format!("{}; {}", fault.problem, fault.fix),
                })),
        }
        self.config_file = Some(shown);
        Ok(())
    }

    /// The environments with their names.
    pub fn environments(&self) -> [(&'static str, &Environment); 3] {
        [
            ("aws", &self.aws),
            ("gcp", &self.gcp),
            ("global", &self.edge),
        ]
    }

    /// `tandem.toml`, for rules that need it.
    ///
    /// # Errors
    /// If there is none, or it is refused.
    pub fn config(&self) -> Result<&Config, Missing> {
        self.config
            .as_ref()
            .ok_or_else(|| Missing("tandem.toml".to_owned()))
    }

    /// A place in `tandem.toml`.
    pub fn config_place(&self, key: &str) -> Place {
        Place::new(
            self.config_file
                .clone()
                .unwrap_or_else(|| "tandem.toml".to_owned()),
            0,
            key,
        )
    }

    /// Zones that a regional GKE cluster spreads over.
    pub fn gke_zones(&self) -> u64 {
        let listed = self
            .gcp
            .list("node_locations")
            .map(|zones| zones.len() as u64);
        match listed {
            Ok(zones) if zones > 0 => zones,
            _ => self.assumed.number("gke_zones"),
        }
    }

    /// By how much a GKE node count is multiplied: the zones of a regional
    /// cluster, unless the counts are known to be totals.
    pub fn gke_factor(&self) -> u64 {
        let zonal = self
            .gcp
            .text("gke_location")
            .is_ok_and(|location| location.matches('-').count() > 1);
        if zonal || self.assumed.word("gke_nodes") == "total" {
            1
        } else {
            self.gke_zones()
        }
    }
}

/// `aws/dr` if it exists, else the only folder below, else the folder itself.
fn folder_of(base: &Path, usual: &str) -> PathBuf {
    let preferred = base.join(usual);
    if preferred.is_dir() {
        return preferred;
    }
    let entries = std::fs::read_dir(base).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .take(2)
        .collect();
    match (folders.pop(), folders.is_empty()) {
        (Some(only), true) => only,
        _ => base.to_owned(),
    }
}

/// Asking an environment; every answer is the value or what is missing.
impl Environment {
    /// A setting, wherever it was set.
    ///
    /// # Errors
    /// If nothing sets it.
    pub fn setting(&self, key: &str) -> Result<&Setting, Missing> {
        self.settings
            .get(key)
            .ok_or_else(|| Missing(key.to_owned()))
    }

    /// Where a setting was set, or would be set.
    pub fn place(&self, key: &str) -> Place {
        self.setting(key).map_or_else(
            |_| Place::new(&self.folder, 0, key),
            |setting| setting.place.clone(),
        )
    }

    /// Whether something other than an empty value is set.
    pub fn has(&self, key: &str) -> bool {
        self.setting(key)
            .is_ok_and(|setting| !setting.value.is_empty())
    }

    /// Text.
    ///
    /// # Errors
    /// If it is not set or no text.
    pub fn text(&self, key: &str) -> Result<String, Missing> {
        self.setting(key)?
            .value
            .as_text()
            .ok_or_else(|| Missing(key.to_owned()))
    }

    /// An exact number, at most [`COUNT_MAX`] in size.
    ///
    /// # Errors
    /// If it is not set or no such number.
    pub fn number(&self, key: &str) -> Result<Decimal, Missing> {
        let number = self.setting(key)?.value.as_number();
        let bounded = number.filter(|number| number.abs() <= Decimal::from(COUNT_MAX));
        bounded.ok_or_else(|| Missing(key.to_owned()))
    }

    /// A whole number from 0 to [`COUNT_MAX`].
    ///
    /// # Errors
    /// If it is not set or no such number.
    pub fn count(&self, key: &str) -> Result<u64, Missing> {
        let whole = self.number(key)?;
        let count = if whole.fract().is_zero() {
            whole.to_u64()
        } else {
            None
        };
        count.ok_or_else(|| Missing(key.to_owned()))
    }

    /// A switch.
    ///
    /// # Errors
    /// If it is not set or no switch.
    pub fn flag(&self, key: &str) -> Result<bool, Missing> {
        self.setting(key)?
            .value
            .as_bool()
            .ok_or_else(|| Missing(key.to_owned()))
    }

    /// A list of texts; a single text counts as a list of one.
    ///
    /// # Errors
    /// If it is not set or no list of texts.
    pub fn list(&self, key: &str) -> Result<Vec<String>, Missing> {
        let missing = || Missing(key.to_owned());
        match &self.setting(key)?.value {
            Value::List(items) => items
                .iter()
                .map(|item| item.as_text().ok_or_else(missing))
                .collect(),
            value => value.as_text().map(|text| vec![text]).ok_or_else(missing),
        }
    }

    /// An entry of a map setting (`app_env`, `rds_parameters`), as text.
    pub fn entry(&self, map: &str, key: &str) -> Option<String> {
        let setting = self.setting(map).ok()?;
        match setting.value.as_map() {
            Some(pairs) => pairs
                .iter()
                .find(|(name, _)| name == key)
                .and_then(|(_, value)| value.as_text()),
            None => self.named_entry(&setting.value, key),
        }
    }

    /// `[{name = "x", value = "y"}]`, the shape of flags and parameters.
    fn named_entry(&self, value: &Value, key: &str) -> Option<String> {
        let named =
            |item: &&Value| item.at("name").and_then(Value::as_text).as_deref() == Some(key);
        value
            .as_list()?
            .iter()
            .find(named)?
            .at("value")
            .and_then(Value::as_text)
    }

    /// Resources of one type, from the plan if there is one, else from the files.
    pub fn resources_of<'a>(
        &'a self,
        kind: &'a str,
    ) -> impl Iterator<Item = &'a crate::read::environment::Resource> {
        let from = self.planned.as_ref().unwrap_or(&self.resources);
        from.iter().filter(move |resource| resource.kind == kind)
    }

    /// Whether any resource of `kind` leaves `attribute` alone after creation.
    pub fn ignores(&self, kind: &str, attribute: &str) -> bool {
        let of_kind = self
            .resources
            .iter()
            .filter(|resource| resource.kind == kind);
        of_kind
            .flat_map(|resource| &resource.ignored)
            .any(|name| name == "all" || name.contains(attribute))
    }
}

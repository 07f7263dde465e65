//! The shelf of drills: those of the repository are built in, others are files.

use std::fs;
use std::path::{Path, PathBuf};

use tandem_core::drill::Drill;

use super::Error;

macro_rules! built_in {
    ($($name:literal),+ $(,)?) => {
        /// The drills of `drills/`, so that the binary runs them anywhere.
        const BUILT_IN: &[(&str, &str)] = &[
            $(($name, include_str!(concat!("../../../../drills/", $name, ".toml")))),+
        ];
    };
}

built_in! {
    "normal",
    "aws-outage",
    "aws-outage-lagging",
    "aws-app-outage",
    "gcp-outage",
    "consistency",
    "rolling-restart",
    "aws-isolated",
    "aws-isolated-reset",
    "vpn-cut",
    "short-cuts",
    "cut-5500-ms",
    "cut-6-s",
    "cut-7-s",
    "cut-43-s",
    "frozen-agent",
    "frozen-gate",
    "frozen-postgres",
    "stale-etcd-leader",
    "witness-lost",
    "etcd-lost-one",
    "etcd-lost-two",
    "etcd-lost-three",
    "etcd-restored",
    "agent-dead-one",
    "agent-dead-both",
    "clock-jump",
    "switchover",
    "half-received-transaction",
    "slot-lost",
    "lag-over-exposure",
    "rds-multi-az",
    "minor-upgrade",
    "minor-upgrade-replica",
    "reinstate-after-divergence",
    "crash-at-every-step",
    "crash-in-failover",
    "crash-in-reinstate",
    "ddl-wrong-order",
    "ddl-add-column",
    "ddl-add-table",
    "sequences",
}

/// The drill called `name`, or the one in the file `name` if that ends in `.toml`.
///
/// # Errors
/// [`Error::Unknown`], or every fault of the file.
pub fn take(name: &str) -> Result<Drill, Error> {
    if Path::new(name)
        .extension()
        .is_some_and(|kind| kind == "toml")
    {
        let path = PathBuf::from(name);
        let text = fs::read_to_string(&path).map_err(Error::file("read", &path))?;
        return Drill::parse(&text).map_err(|faults| Error::Drill { path, faults });
    }
    let known = BUILT_IN.iter().find(|(id, _)| *id == name);
    let Some((_, text)) = known else {
        let known: Vec<_> = BUILT_IN.iter().map(|(id, _)| *id).collect();
        let known = known.join(", ");
        return Err(Error::Unknown {
            name: name.to_owned(),
            known,
        });
    };
    let path = PathBuf::from(format!("drills/{name}.toml"));
    Drill::parse(text).map_err(|faults| Error::Drill { path, faults })
}

/// Every built-in drill.
///
/// # Errors
/// If one of them is broken, which a test refuses.
pub fn all() -> Result<Vec<Drill>, Error> {
    BUILT_IN.iter().map(|(id, _)| take(id)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_drill_of_the_repository_is_built_in_and_sound() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../drills");
        let files = fs::read_dir(folder)
            .expect("the drills")
            .map(|file| file.expect("a file").path());
        let mut named: Vec<String> = files
            .filter(|path| path.extension().is_some_and(|kind| kind == "toml"))
            .map(|path| {
                path.file_stem()
                    .expect("a name")
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        named.sort();
        let mut built_in: Vec<String> = all()
            .expect("sound")
            .into_iter()
            .map(|drill| drill.id)
            .collect();
        built_in.sort();
        assert_eq!(named, built_in);
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let error = take("aws-outag").expect_err("no such drill");
        assert!(
            error.is_usage() && error.to_string().contains("aws-outage"),
            "{error}"
        );
    }

    #[test]
    fn every_drill_refuses_lost_writes_two_writers_and_duplicates() {
        for drill in all().expect("sound") {
            for name in ["missing", "duplicated", "epoch_violations"] {
                let judged = drill
                    .musts
                    .iter()
                    .any(|must| must.measure.name().starts_with(name));
                assert!(judged, "{} does not judge {name}", drill.id);
            }
        }
    }
}

//! The named person of a drill changes the schema: `tandem schema plan`, then `tandem schema apply`.
//!
//! The file is written into the lab's folder and taken by the very commands that people type.
//! Invariant: a plan that begins at the wrong site, and an apply that leaves a difference, are
//! outcomes that the drill file judges, and no error of the runner.

use std::fs;
use std::process::Output;
use std::time::Duration;

use serde::Deserialize;
use tandem_core::drill::observed::Told;
use tandem_core::model::SiteId;

use super::Error;
use super::command::{LIST, on_one_line, own_command};
use super::stage::Stage;

/// How long the whole file may take: its locks are tried for during two minutes each.
const TAKEN: Duration = Duration::from_secs(300);

/// As far as a drill reads `tandem.schema-plan.v1`.
#[derive(Deserialize)]
struct Plan {
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    site: SiteId,
    /// Absent for the steps around statements.
    class: Option<String>,
}

/// Plans the file, and applies it if the plan begins at `first`.
///
/// # Errors
/// If the file cannot be written, or a command does not end.
pub(super) async fn take(
    stage: &Stage,
    file: &str,
    sql: &str,
    first: SiteId,
) -> Result<Told, Error> {
    let path = stage.folder().join(file);
    fs::write(&path, sql).map_err(Error::file("write", &path))?;
    let (path, config) = (path.display().to_string(), stage.config_file());
    let plan = [
        "schema", "plan", &path, "--name", file, "-o", "json", "--config", &config,
    ];
    let planned = judge_plan(&own_command(&plan, LIST).await?, first);
    if !planned.as_expected {
        return Ok(planned);
    }
    let apply = [
        "schema", "apply", &path, "--name", file, "--yes", "--config", &config,
    ];
    Ok(judge_apply(
        &planned.said,
        &own_command(&apply, TAKEN).await?,
    ))
}

fn judge_plan(output: &Output, first: SiteId) -> Told {
    let plan: Option<Plan> = serde_json::from_slice(&output.stdout).ok();
    let plan = plan.filter(|_| output.status.success());
    let mut steps = plan.iter().flat_map(|plan| &plan.steps);
    match steps.find(|step| step.class.is_some()) {
        Some(step) => Told {
            as_expected: step.site == first,
            said: format!("{} first", step.site),
        },
        None => Told {
            as_expected: false,
            said: format!("no plan: {}", on_one_line(output)),
        },
    }
}

fn judge_apply(planned: &str, output: &Output) -> Told {
    let as_expected = output.status.success();
    let said = match as_expected {
        true => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        false => on_one_line(output),
    };
    Told {
        as_expected,
        said: format!("{planned}; {said}"),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    fn said(code: i32, stdout: &str) -> Output {
        Output {
            status: ExitStatus::from_raw(code << 8),
            stdout: stdout.as_bytes().to_vec(),
            stderr: b"gcp: ALTER TABLE".to_vec(),
        }
    }

    fn planned(code: i32, stdout: &str) -> bool {
        let gcp = "gcp".parse().expect("a site");
        judge_plan(&said(code, stdout), gcp).as_expected
    }

    #[test]
    fn the_first_statement_decides_and_not_what_stands_around_it() {
        let around = r#"{"site": "aws", "class": null}"#;
        let at = |site: &str| format!(r#"{{"site": "{site}", "class": "additive"}}"#);
        let plan = |site: &str| format!(r#"{{"steps": [{around}, {}]}}"#, at(site));
        assert!(planned(0, &plan("gcp")));
        assert!(!planned(0, &plan("aws")) && !planned(5, &plan("gcp")));
        assert!(!planned(0, r#"{"steps": []}"#) && !planned(0, "nothing"));
    }

    #[test]
    fn an_apply_that_leaves_a_difference_is_not_as_expected() {
        let good = judge_apply("gcp first", &said(0, "2 steps taken\n"));
        assert!(good.as_expected && good.said == "gcp first; 2 steps taken");
        let bad = judge_apply("gcp first", &said(1, "the sites still differ"));
        assert!(!bad.as_expected && bad.said.contains("differ | gcp: ALTER TABLE"));
    }
}

//! Evidence: what a drill leaves behind for people who were not there.
//!
//! `report.json` (versioned, for programs), `report.html` (self-contained, for
//! readers), `requests.csv` (every request, so that each figure can be
//! computed again) and `logs/` (every process). The page is made from the report alone: what is not in the
//! JSON is not in the HTML either.

mod background;
mod doors;
mod html;
mod markup;
mod picture;
mod report;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use tandem_core::drill::{Inside, Request};

use super::Error;

pub use doors::doors;
pub use html::page;
pub use report::{Acknowledged, Client, Decision, DoorTold, Machine, Report, Run, SCHEMA};

/// The report of one run, for programs.
pub const REPORT_JSON: &str = "report.json";
/// The report of one run, for people.
pub const REPORT_HTML: &str = "report.html";
/// Every request of one run.
pub const REQUESTS_CSV: &str = "requests.csv";

/// Every write from inside a site, if there were any.
pub const INSIDE_CSV: &str = "inside.csv";

/// How much of a log's end is kept; a drill writes some hundred kilobytes.
const LOG_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Writes the files into `folder`. The JSON comes last, by renaming: a run
/// counts as finished when it is there.
///
/// # Errors
/// If a file cannot be written.
pub fn write(
    folder: &Path,
    report: &Report,
    requests: &[Request],
    inside: &[Inside],
) -> Result<(), Error> {
    fs::create_dir_all(folder).map_err(Error::file("create", folder))?;
    put(&folder.join(REQUESTS_CSV), &csv(requests))?;
    if !inside.is_empty() {
        put(&folder.join(INSIDE_CSV), &doors::csv(inside))?;
    }
    put(&folder.join(REPORT_HTML), &page(report))?;
    let json = serde_json::to_string_pretty(report).expect("a report is plain data");
    let (draft, path) = (folder.join("report.json.new"), folder.join(REPORT_JSON));
    put(&draft, &json)?;
    fs::rename(&draft, &path).map_err(Error::file("rename to", &path))
}

/// Reads the report of a finished run; `None` if there is none.
///
/// # Errors
/// If it is there but cannot be read.
pub fn read(folder: &Path) -> Result<Option<Report>, Error> {
    let path = folder.join(REPORT_JSON);
    if !path.exists() {
        return Ok(None);
    }
    let text = fs::read_to_string(&path).map_err(Error::file("read", &path))?;
    let report = serde_json::from_str(&text).map_err(|source| Error::Report { path, source })?;
    Ok(Some(report))
}

/// Copies the end of every log of `logs` beside the report of `folder`.
///
/// # Errors
/// If a file cannot be read or written.
pub fn keep_logs(folder: &Path, logs: &Path) -> Result<(), Error> {
    let kept = folder.join("logs");
    fs::create_dir_all(&kept).map_err(Error::file("create", &kept))?;
    let files = fs::read_dir(logs).map_err(Error::file("read", logs))?;
    for from in files
        .flatten()
        .map(|file| file.path())
        .filter(|path| path.is_file())
    {
        let to = kept.join(from.file_name().expect("a listed file has a name"));
        let end = end_of(&from).map_err(Error::file("read", &from))?;
        fs::write(&to, end).map_err(Error::file("write", &to))?;
    }
    Ok(())
}

fn end_of(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_BYTES_MAX)))?;
    let mut end = Vec::new();
    file.take(LOG_BYTES_MAX).read_to_end(&mut end)?;
    Ok(end)
}

fn put(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(Error::file("write", path))
}

/// Times are microseconds of the machine's boot clock, as in `report.json`.
fn csv(requests: &[Request]) -> String {
    let mut text = format!("{COLUMNS}\n");
    for request in requests {
        writeln!(text, "{}", line(request)).expect("writing into a string cannot fail");
    }
    text
}

/// The columns of [`line`].
const COLUMNS: &str = "number,kind,intended,sent,answered,status,cloud,origin,failure";

fn line(r: &Request) -> String {
    let number =
        |at: Option<tandem_core::model::Mono>| at.map(|at| at.0.to_string()).unwrap_or_default();
    let failure = r
        .failure
        .as_deref()
        .unwrap_or_default()
        .replace('"', "\"\"");
    let cloud = r.cloud.map(|site| site.to_string()).unwrap_or_default();
    let origin = r
        .origin
        .map(|origin| origin.to_string())
        .unwrap_or_default();
    let status = r
        .status
        .map(|status| status.to_string())
        .unwrap_or_default();
    let (sent, answered) = (number(r.sent), number(r.answered));
    format!(
        "{},{},{},{sent},{answered},{status},{cloud},{origin},\"{failure}\"",
        r.number,
        r.kind.as_str(),
        r.intended.0
    )
}

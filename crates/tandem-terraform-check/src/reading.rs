//! What can be judged of one root by reading alone, before terraform is asked.
//!
//! Intuition: each of these is a mistake that terraform takes without a word.

use std::path::Path;

use crate::error::Error;
use crate::{backend, lifecycle, names, readme, unused, versions};

/// What is wrong with the files of a module or environment, each as one sentence.
pub fn check(folder: &Path) -> Result<Vec<String>, Error> {
    let mut found = names::undescribed(folder)?;
    found.extend(versions::check(folder)?);
    found.extend(backend::check(folder)?);
    found.extend(lifecycle::check(folder)?);
    found.extend(unused::check(folder)?);
    found.extend(readme::check(folder)?);
    Ok(found)
}

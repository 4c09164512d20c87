//! A configuration file and all that it names.

use std::path::Path;

use crate::catalogue::Catalogue;
use crate::config::{self, Problem, Problems, Settings};

/// Reads the configuration and the definitions that it names, and judges all of it without Azure.
///
/// # Errors
/// Every problem of every file at once.
pub fn load(file: &Path) -> Result<(Settings, Catalogue), Problems> {
    let text =
        config::read_text(file).map_err(|error| Problems(vec![Problem::new(file, None, error)]))?;
    let (settings, mut problems) =
        Settings::read(file, &text).map_err(|problem| Problems(vec![problem]))?;
    match Catalogue::load(&settings, file) {
        Ok(catalogue) if problems.is_empty() => Ok((settings, catalogue)),
        Ok(_) => Err(Problems(problems)),
        Err(more) => {
            problems.extend(more.0);
            Err(Problems(problems))
        }
    }
}

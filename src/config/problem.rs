//! What is wrong with a file that a person wrote.

use std::fmt;
use std::path::{Path, PathBuf};

/// One mistake: where it is and which rule it breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub file: PathBuf,
    /// From 1; `None` where the whole file is meant.
    pub line: Option<u32>,
    pub text: String,
}

impl Problem {
    pub fn new(file: &Path, line: Option<u32>, text: impl fmt::Display) -> Self {
        Self {
            file: file.into(),
            line,
            text: text.to_string(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        write!(f, " {}", self.text)
    }
}

/// All mistakes that were found, so that a person mends them in one go.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Problems(pub Vec<Problem>);

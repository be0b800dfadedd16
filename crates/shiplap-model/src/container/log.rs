//! Where a container's output is kept, and how much of it: `--log-driver` and `--log-opt`.
//!
//! There are two drivers: Docker's `json-file`, and `none`. Unlike Docker's, a log has a bound
//! unless the user takes it away: nobody should lose a disk to a program that talks.

use serde::{Deserialize, Serialize};

use crate::units::{self, SizeBase};

/// How long a file of a log becomes unless told otherwise, in bytes.
const FILE_BYTES: u64 = 50_000_000;
/// How many files a log has unless told otherwise, the one that is written among them.
const FILES: u32 = 2;

/// Where a container's output is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogOptions {
    /// In what form.
    pub driver: LogDriver,
    /// A file that would become longer is followed by another one; 0: it may grow without end.
    pub max_file_bytes: u64,
    /// Files that are kept, at least one; the oldest goes.
    pub max_files: u32,
}

/// In what form a container's output is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum LogDriver {
    /// Files of JSON lines.
    #[default]
    #[serde(rename = "json-file")]
    JsonFile,
    /// It is not kept.
    #[serde(rename = "none")]
    None,
}

/// Why there is no such log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// Another driver.
    #[error("unknown log driver '{0}'; there are 'json-file' and 'none'")]
    Driver(String),
    /// No `=`.
    #[error("invalid log option '{0}': want NAME=VALUE")]
    Form(String),
    /// An option that there is not.
    #[error("unknown log opt '{0}'; there are 'max-size' and 'max-file'")]
    Option(String),
    /// A size that is none.
    #[error("invalid log opt 'max-size={0}': want a size as 10m, or -1")]
    Size(String),
    /// A number that is none.
    #[error("invalid log opt 'max-file={0}': want a number of at least 1")]
    Files(String),
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            driver: LogDriver::JsonFile,
            max_file_bytes: FILE_BYTES,
            max_files: FILES,
        }
    }
}

impl LogDriver {
    /// Docker's word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::JsonFile => "json-file",
            Self::None => "none",
        }
    }
}

/// Reads `json-file` or `none`; nothing is the former.
///
/// # Errors
/// [`LogError::Driver`].
pub fn parse_driver(text: &str) -> Result<LogDriver, LogError> {
    match text {
        "" | "json-file" => Ok(LogDriver::JsonFile),
        "none" => Ok(LogDriver::None),
        other => Err(LogError::Driver(other.to_owned())),
    }
}

impl LogOptions {
    /// Those of a driver, each option as `max-size=10m` or `max-file=3`. As with Docker, a size
    /// without a number of files means one file.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn new(driver: LogDriver, options: &[String]) -> Result<Self, LogError> {
        let mut log = Self {
            driver,
            ..Self::default()
        };
        let mut files = None;
        for option in options {
            let form = || LogError::Form(option.clone());
            let (name, value) = option.split_once('=').ok_or_else(form)?;
            match name {
                "max-size" => {
                    log.max_file_bytes = file_bytes(value)?;
                    log.max_files = 1;
                }
                "max-file" => files = Some(file_count(value)?),
                other => return Err(LogError::Option(other.to_owned())),
            }
        }
        log.max_files = files.unwrap_or(log.max_files);
        Ok(log)
    }
}

fn file_bytes(text: &str) -> Result<u64, LogError> {
    if text == "-1" {
        return Ok(0);
    }
    let bytes = units::parse_size(text, SizeBase::Decimal);
    let bytes = bytes.ok().filter(|bytes| *bytes > 0);
    bytes.ok_or_else(|| LogError::Size(text.to_owned()))
}

fn file_count(text: &str) -> Result<u32, LogError> {
    let count = text.parse().ok().filter(|count| *count > 0);
    count.ok_or_else(|| LogError::Files(text.to_owned()))
}

#[cfg(test)]
mod tests;

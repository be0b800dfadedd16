//! `--ulimit`: limits of each process.

use super::Ulimit;

/// Every limit there is, as Docker calls it.
pub const NAMES: [&str; 15] = [
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// Why a text is no limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UlimitError {
    /// Without `=`.
    #[error("invalid ulimit argument: {0}")]
    Argument(String),
    /// There is none of that name.
    #[error("invalid ulimit type: {0}")]
    Name(String),
    /// Neither a number nor -1.
    #[error("invalid ulimit value: {0}")]
    Value(String),
    /// A third number.
    #[error("too many limit value arguments - {0}, can only have up to two, `soft[:hard]`")]
    Values(String),
    /// It begins above its end.
    #[error("ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}")]
    Order {
        /// Where it begins.
        soft: i64,
        /// Its end.
        hard: i64,
    },
}

/// Reads `nofile=1024` or `nofile=1024:4096`; -1 is no limit.
///
/// # Errors
/// [`UlimitError`].
pub fn parse(text: &str) -> Result<Ulimit, UlimitError> {
    let (name, values) = text
        .split_once('=')
        .ok_or_else(|| UlimitError::Argument(text.to_owned()))?;
    if !NAMES.contains(&name) {
        return Err(UlimitError::Name(name.to_owned()));
    }
    let number = |text: &str| match text.parse::<i64>() {
        Ok(number) if number >= -1 => Ok(number),
        _ => Err(UlimitError::Value(text.to_owned())),
    };
    let (soft, hard) = match values.split_once(':') {
        Some((_, hard)) if hard.contains(':') => {
            return Err(UlimitError::Values(values.to_owned()));
        }
        Some((soft, hard)) => (number(soft)?, number(hard)?),
        None => (number(values)?, number(values)?),
    };
    if hard != -1 && (soft == -1 || soft > hard) {
        return Err(UlimitError::Order { soft, hard });
    }
    Ok(Ulimit {
        name: name.to_owned(),
        soft,
        hard,
    })
}

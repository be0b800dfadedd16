//! Processors: how many (`--cpus`) and which (`--cpuset-cpus`).

/// Why a text says no processors.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CpuError {
    /// Not a decimal number.
    #[error("failed to parse {0} as a decimal number")]
    Number(String),
    /// Beyond billionths.
    #[error("value is too precise: {0} has more than nine decimals")]
    Precise(String),
    /// More processors than can be counted.
    #[error("value is too large: {0}")]
    Large(String),
    /// Not as `0-2,4`.
    #[error("{0:?} is no list of processors: want as 0-2,4")]
    Set(String),
}

/// Reads a decimal number of processors, in billionths: `1.5` is 1,500,000,000.
///
/// # Errors
/// [`CpuError`].
pub fn parse_nano(text: &str) -> Result<u64, CpuError> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return Err(CpuError::Number(text.to_owned()));
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > 9 {
        return Err(CpuError::Precise(text.to_owned()));
    }
    let large = |_| CpuError::Large(text.to_owned());
    let nano: u128 = format!("0{whole}{fraction:0<9}").parse().map_err(large)?;
    // The kernel's counters are signed.
    i64::try_from(nano)
        .map(i64::unsigned_abs)
        .map_err(|_| CpuError::Large(text.to_owned()))
}

/// Checks a list of processors as `0-2,4`; it is returned as it is.
///
/// # Errors
/// [`CpuError`].
pub fn parse_set(text: &str) -> Result<String, CpuError> {
    let number = |text: &str| -> Option<u16> {
        let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| is_digits)
    };
    let is_range = |range: &str| match range.split_once('-') {
        Some((first, last)) => {
            matches!((number(first), number(last)), (Some(first), Some(last)) if first <= last)
        }
        None => number(range).is_some(),
    };
    if !text.split(',').all(is_range) {
        return Err(CpuError::Set(text.to_owned()));
    }
    Ok(text.to_owned())
}

//! Sizes and times as Docker writes and reads them (`docker/go-units`, Go's `time`).
//!
//! Numbers and text only: what time it is, the caller knows.

use std::time::Duration;

/// Why a string is no size or duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// Not a number with a unit of bytes.
    #[error("parse size {0:?}: want a number and a unit, as 512, 10m or 1.5GB")]
    Size(String),
    /// A size beyond 64 bits.
    #[error("parse size {0:?}: it is more than 8 EiB")]
    SizeRange(String),
    /// Not numbers with units of time.
    #[error("parse duration {0:?}: want numbers and units, as 300ms, 1.5h or 2h45m")]
    Duration(String),
    /// A duration beyond 64 bits of nanoseconds.
    #[error("parse duration {0:?}: it is more than 292 years")]
    DurationRange(String),
}

/// What `k`, `m`, `g`, `t`, `p` count in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SizeBase {
    /// 1000: disk and transfer.
    Decimal,
    /// 1024: memory.
    Binary,
}

/// Reads a size in bytes: `32`, `32.5kB`, `10m`, `1 GiB`; case does not matter, and `i` and `b`
/// are only ornament. A fraction of a byte is dropped.
///
/// # Errors
/// [`UnitError`].
pub fn parse_size(text: &str, base: SizeBase) -> Result<u64, UnitError> {
    let wrong = || UnitError::Size(shorten(text));
    let number_end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(number_end);
    let is_number = !number.is_empty()
        && number
            .split('.')
            .all(|digits| !digits.is_empty() && digits.len() <= 400);
    if !is_number {
        return Err(wrong());
    }
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let unit = unit.strip_prefix(' ').unwrap_or(unit).to_ascii_lowercase();
    let letters = unit.strip_suffix('b').unwrap_or(&unit);
    let letters = letters.strip_suffix('i').unwrap_or(letters);
    let power = match letters {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return Err(wrong()),
    };
    let step: u64 = match base {
        SizeBase::Decimal => 1000,
        SizeBase::Binary => 1024,
    };
    let bytes = number * step.pow(power) as f64;
    if bytes >= i64::MAX as f64 {
        return Err(UnitError::SizeRange(shorten(text)));
    }
    Ok(bytes as u64)
}

/// A size as Docker shows it: decimal units, four digits: `1.024kB`, `72.8MB`, `0B`.
#[must_use]
pub fn human_size(bytes: u64) -> String {
    human_size_with_digits(bytes, 4)
}

/// The same with another number of digits; lists of images and histories have 3.
#[must_use]
pub fn human_size_with_digits(bytes: u64, digits: usize) -> String {
    scaled(
        bytes,
        1000.0,
        digits,
        ["B", "kB", "MB", "GB", "TB", "PB", "EB"],
    )
}

/// A size in binary units, four digits: `1.5GiB`.
#[must_use]
pub fn binary_size(bytes: u64) -> String {
    scaled(
        bytes,
        1024.0,
        4,
        ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"],
    )
}

fn scaled(bytes: u64, base: f64, digits: usize, units: [&str; 7]) -> String {
    let mut size = bytes as f64;
    let mut units = units.into_iter();
    let mut unit = units.next().unwrap_or_default();
    while size >= base {
        let Some(next) = units.next() else { break };
        size /= base;
        unit = next;
    }
    format!("{}{unit}", general(size, digits))
}

/// C's and Go's `%.{digits}g` of a number that is 0 or at least 1.
fn general(number: f64, digits: usize) -> String {
    let digits = digits.max(1);
    let trim = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    // What lists are full of: up to three digits before the point, which rounding adds none to.
    let before = match number {
        ..10.0 => 1,
        ..100.0 => 2,
        ..1000.0 => 3,
        _ => usize::MAX,
    };
    if before <= digits {
        let whole = number as u64;
        if whole as f64 == number {
            return whole.to_string();
        }
        let fixed = format!("{number:.*}", digits - before);
        if fixed.find('.').unwrap_or(fixed.len()) == before {
            return trim(&fixed);
        }
    }
    let scientific = format!("{number:.*e}", digits - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: usize = exponent.parse().unwrap_or(0);
    if exponent >= digits {
        return format!("{}e+{exponent:02}", trim(mantissa));
    }
    trim(&format!("{number:.*}", digits - 1 - exponent))
}

/// A length of time as Docker shows it, without `ago`: `5 seconds`, `About an hour`, `3 weeks`.
#[must_use]
pub fn human_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let minutes = seconds / 60;
    let hours = (duration.as_secs_f64() / 3600.0 + 0.5) as u64;
    match (seconds, minutes, hours) {
        (0, ..) => "Less than a second".to_owned(),
        (1, ..) => "1 second".to_owned(),
        (..60, ..) => format!("{seconds} seconds"),
        (_, 1, _) => "About a minute".to_owned(),
        (_, ..60, _) => format!("{minutes} minutes"),
        (.., 1) => "About an hour".to_owned(),
        (.., ..48) => format!("{hours} hours"),
        (.., ..336) => format!("{} days", hours / 24),
        (.., ..1440) => format!("{} weeks", hours / 24 / 7),
        (.., ..17520) => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", seconds / 3600 / 24 / 365),
    }
}

/// Reads a duration as Go does, in nanoseconds: `300ms`, `-1.5h`, `2h45m`, `0`.
///
/// # Errors
/// [`UnitError`].
pub fn parse_duration(text: &str) -> Result<i64, UnitError> {
    let wrong = || UnitError::Duration(shorten(text));
    let range = || UnitError::DurationRange(shorten(text));
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if unsigned == "0" {
        return Ok(0);
    }
    let mut rest = unsigned;
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let is_number = |c: char| c.is_ascii_digit() || c == '.';
        let number_end = rest.find(|c| !is_number(c)).ok_or_else(wrong)?;
        let (number, after) = rest.split_at(number_end);
        let (unit, after) = after.split_at(after.find(is_number).unwrap_or(after.len()));
        let scale = nanoseconds_of(unit).ok_or_else(wrong)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return Err(wrong());
        }
        let whole: i128 = if whole.is_empty() {
            0
        } else {
            whole.parse().map_err(|_| range())?
        };
        // Digits below a nanosecond of an hour don't count.
        let fraction = &fraction[..fraction.len().min(18)];
        let parts: i128 = fraction.parse().unwrap_or(0);
        let fraction = parts * scale / 10_i128.pow(fraction.len() as u32);
        let part = whole.checked_mul(scale).ok_or_else(range)?;
        total = total
            .checked_add(part)
            .and_then(|total| total.checked_add(fraction))
            .ok_or_else(range)?;
        rest = after;
    }
    if unsigned.is_empty() {
        return Err(wrong());
    }
    let signed = if text.starts_with('-') { -total } else { total };
    i64::try_from(signed).map_err(|_| range())
}

fn nanoseconds_of(unit: &str) -> Option<i128> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

fn shorten(text: &str) -> String {
    text.chars().take(200).collect()
}

#[cfg(test)]
mod tests;

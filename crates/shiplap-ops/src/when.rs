//! Points in time as users write them: absolute, or back from now.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use shiplap_model::units;

/// A text that is no time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "read {text:?} as a time: want 2026-01-31, 2026-01-31T15:04:05Z, seconds since 1970, or how long ago, as 24h"
)]
pub struct WhenError {
    /// What was written.
    pub text: String,
}

/// Reads a time as `--filter until=` takes it: RFC 3339, a date or date and time (UTC), seconds
/// since 1970 (with a fraction), or a Go duration (`10m`, `1h30m`) before `now`.
///
/// # Errors
/// [`WhenError`].
pub fn parse(text: &str, now: Timestamp) -> Result<Timestamp, WhenError> {
    let error = || WhenError {
        text: text.to_owned(),
    };
    if let Ok(nanos) = units::parse_duration(text)
        && text.ends_with(|c: char| c.is_ascii_alphabetic())
    {
        return now
            .checked_sub(SignedDuration::from_nanos(nanos))
            .map_err(|_| error());
    }
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Ok(timestamp);
    }
    let utc = |datetime: DateTime| TimeZone::UTC.to_timestamp(datetime);
    if let Ok(datetime) = text.parse::<DateTime>() {
        return utc(datetime).map_err(|_| error());
    }
    if let Ok(date) = text.parse::<Date>() {
        return utc(date.to_datetime(jiff::civil::Time::midnight())).map_err(|_| error());
    }
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let nanos = format!("{fraction:0<9}")
        .get(..9)
        .and_then(|nanos| nanos.parse().ok());
    seconds
        .parse()
        .ok()
        .zip(nanos)
        .and_then(|(seconds, nanos)| Timestamp::new(seconds, nanos).ok())
        .ok_or_else(error)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn times() {
        let now = "2026-05-01T12:00:00Z".parse().unwrap();
        let check = |text: &str, expected: Option<&str>| {
            let found = parse(text, now).ok().map(|timestamp| timestamp.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        };
        check("24h", Some("2026-04-30T12:00:00Z"));
        check("1h30m", Some("2026-05-01T10:30:00Z"));
        check("1.5h", Some("2026-05-01T10:30:00Z"));
        check("90s", Some("2026-05-01T11:58:30Z"));
        check("2026-01-31", Some("2026-01-31T00:00:00Z"));
        check("2026-01-31T15:04:05", Some("2026-01-31T15:04:05Z"));
        check("2026-01-31T15:04:05+02:00", Some("2026-01-31T13:04:05Z"));
        check("1136073845", Some("2006-01-01T00:04:05Z"));
        check("1136073845.5", Some("2006-01-01T00:04:05.5Z"));
        check("0", Some("1970-01-01T00:00:00Z"));
        check("yesterday", None);
        check("10 days", None);
        check("", None);
        check("h", None);
    }
}

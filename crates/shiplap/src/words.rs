//! How facts look in lists: IDs, times and texts cut to a column, as Docker shows them.

use std::time::Duration;

use jiff::Timestamp;
use shiplap_model::units;

/// The first 12 digits of a digest, or all of it.
pub(crate) fn id(digest: &str, whole: bool) -> String {
    if whole {
        return digest.to_owned();
    }
    let hex = digest.split_once(':').map_or(digest, |(_, hex)| hex);
    hex.get(..12).unwrap_or(hex).to_owned()
}

/// How long ago; nothing if the time is not known.
pub(crate) fn since(time: Option<Timestamp>, now: Timestamp) -> String {
    let Some(time) = time else {
        return String::new();
    };
    let seconds = u64::try_from(now.as_second() - time.as_second()).unwrap_or(0);
    units::human_duration(Duration::from_secs(seconds)) + " ago"
}

/// A time as Go prints it, in UTC: `2026-11-23 23:44:42 +0000 UTC`.
pub(crate) fn at(time: Option<Timestamp>) -> String {
    time.map_or_else(String::new, |time| {
        time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC").to_string()
    })
}

/// A size in a list.
pub(crate) fn size(bytes: u64) -> String {
    units::human_size_with_digits(bytes, 3)
}

/// At most `most` characters, the last an ellipsis if more were there.
pub(crate) fn ellipsis(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars()
        .take(most.saturating_sub(1))
        .chain(['…'])
        .collect()
}

#[cfg(test)]
mod tests;

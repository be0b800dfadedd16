//! Numbers, sizes and times as people read them.

use std::time::Duration;

use jiff::Timestamp;
use shiplap_model::units;

use crate::records::now_us;

/// A number of things: `999`, `1.2K`, `34K`, `5.6M`.
pub(super) fn count(number: u64) -> String {
    let units = ["", "K", "M", "B"];
    let (mut shown, mut unit) = (number as f64, 0);
    while shown >= 999.5 && unit + 1 < units.len() {
        shown /= 1000.0;
        unit += 1;
    }
    // One digit behind the point says enough, and none from ten on.
    let digits = usize::from(unit > 0 && shown < 9.95);
    let text = format!("{shown:.digits$}");
    format!("{}{}", text.trim_end_matches(".0"), units[unit])
}

/// A number in full, in groups of three: `100,000`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A size in bytes, as `72.8 MB`, with a space that no line is broken at.
pub(super) fn size(bytes: u64) -> String {
    let text = units::human_size_with_digits(bytes, 3);
    let unit = text.find(char::is_alphabetic).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit);
    format!("{number}\u{a0}{unit}")
}

/// A part of a whole, as `12%`; what is there but less than one in a hundred is `<1%`.
pub(super) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "0%".to_owned();
    }
    let percent = part as f64 * 100.0 / whole as f64;
    match percent {
        _ if part > 0 && percent < 1.0 => "<1%".to_owned(),
        _ => format!("{percent:.0}%"),
    }
}

/// A moment.
pub(super) struct When {
    /// For programs.
    pub(super) exact: String,
    /// The day.
    pub(super) day: String,
    /// How long ago it was.
    pub(super) ago: String,
}

impl When {
    /// From microseconds since 1970.
    pub(super) fn of(us: i64) -> Self {
        let time = Timestamp::from_microsecond(us).unwrap_or_default();
        let since = u64::try_from(now_us().saturating_sub(us)).unwrap_or(0);
        let since = Duration::from_micros(since);
        let ago = match since.as_secs() {
            0..60 => "just now".to_owned(),
            _ => format!("{} ago", lower(&units::human_duration(since))),
        };
        Self {
            exact: time.to_string(),
            day: time.strftime("%Y-%m-%d").to_string(),
            ago,
        }
    }

    /// From RFC 3339, as documents of images have it; times of images that are made to be made again
    /// alike are none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let time: Timestamp = text.parse().ok()?;
        (time.as_second() > 0).then(|| Self::of(time.as_microsecond()))
    }
}

/// With the first letter small.
fn lower(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(letters).collect()
    })
}

#[cfg(test)]
mod tests;

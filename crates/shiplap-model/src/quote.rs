//! Text and times as Go prints them, which is how Docker's histories and templates show them; and text
//! within a page.

/// Text in double quotes, as Go's `strconv.Quote` and `%q` write it.
#[must_use]
pub fn quoted(text: &str) -> String {
    let inner: String = text.chars().map(|c| escaped(c, '"', false)).collect();
    format!("\"{inner}\"")
}

/// One character within `quote`s, as `strconv.Quote` escapes it; `is_ascii`: nothing else in it.
#[must_use]
pub fn escaped(c: char, quote: char, is_ascii: bool) -> String {
    let number = u32::from(c);
    match c {
        '\u{7}' => "\\a".into(),
        '\u{8}' => "\\b".into(),
        '\u{c}' => "\\f".into(),
        '\n' => "\\n".into(),
        '\r' => "\\r".into(),
        '\t' => "\\t".into(),
        '\u{b}' => "\\v".into(),
        '\\' => "\\\\".into(),
        c if c == quote => format!("\\{c}"),
        ' '..='~' => c.into(),
        '\0'..='\u{7f}' => format!("\\x{number:02x}"),
        c if is_ascii || !is_printable(c) => {
            if number > 0xffff {
                format!("\\U{number:08x}")
            } else {
                format!("\\u{number:04x}")
            }
        }
        c => c.into(),
    }
}

/// Whether a terminal shows the character as itself; no controls, no odd spaces.
#[must_use]
pub fn is_printable(c: char) -> bool {
    let is_invisible = matches!(c,
        '\u{ad}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{e000}'..='\u{f8ff}'
        | '\u{feff}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{f0000}'..);
    c == ' ' || !(c.is_control() || c.is_whitespace() || is_invisible)
}

/// Text that is no markup, in HTML: between tags, or within quotes of either kind.
#[must_use]
pub fn html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A length of time in nanoseconds, as Go's `time.Duration` shows it: `1m30s`, `1.5s`, `0s`.
#[must_use]
pub fn duration(nanoseconds: i64) -> String {
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let total = nanoseconds.unsigned_abs();
    let decimal = |unit: u64, name: &str| {
        let (whole, rest) = (total / unit, total % unit);
        let digits = unit.ilog10() as usize;
        let fraction = format!("{rest:0digits$}");
        match fraction.trim_end_matches('0') {
            "" => format!("{sign}{whole}{name}"),
            fraction => format!("{sign}{whole}.{fraction}{name}"),
        }
    };
    match total {
        0 => "0s".to_owned(),
        1..1_000 => format!("{sign}{total}ns"),
        1_000..1_000_000 => decimal(1_000, "µs"),
        1_000_000..1_000_000_000 => decimal(1_000_000, "ms"),
        _ => {
            let (minutes, rest) = (total / 60_000_000_000, total % 60_000_000_000);
            let seconds = match format!("{:09}", rest % 1_000_000_000).trim_end_matches('0') {
                "" => format!("{}s", rest / 1_000_000_000),
                fraction => format!("{}.{fraction}s", rest / 1_000_000_000),
            };
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{sign}{seconds}"),
                (0, minutes) => format!("{sign}{minutes}m{seconds}"),
                (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}"),
            }
        }
    }
}

#[cfg(test)]
mod tests;

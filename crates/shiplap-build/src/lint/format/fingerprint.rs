//! What tells a finding again when its file has changed: a hash of its line and of what follows, as GitHub's
//! code scanning computes it (`primaryLocationLineHash`), so that it is the same whoever computes it.
//!
//! Counted are 100 units of UTF-16 from the line's begin on, blanks and tabs left out, each end of a line as a
//! line feed, and zeros behind the end.

use std::collections::HashMap;

/// How many units are hashed.
const UNITS: usize = 100;

/// What the hash is multiplied by for each unit.
const FACTOR: u64 = 37;

/// What stands behind the last unit of a file.
const END: u16 = u16::MAX;

/// The fingerprint of each line, the first line's first: the hash, and which one of its kind in the file it is.
pub(super) fn fingerprints(text: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(text);
    let (mut units, starts) = units(&text);
    units.resize(units.len() + UNITS, 0);
    // Of the units that leave on the left.
    let last = FACTOR.wrapping_pow(UNITS as u32);
    let step = |hash: u64, unit: u16| hash.wrapping_mul(FACTOR).wrapping_add(u64::from(unit));
    let mut hash = { units.iter().take(UNITS) }.fold(0, |hash, unit| step(hash, *unit));
    let mut seen: HashMap<u64, usize> = HashMap::new();
    let mut prints = Vec::with_capacity(starts.len());
    let mut starts = starts.into_iter().peekable();
    let pairs = units.iter().zip(units.iter().skip(UNITS));
    for (at, (left, entering)) in pairs.enumerate() {
        if starts.next_if_eq(&at).is_some() {
            let count = seen.entry(hash).or_default();
            *count += 1;
            prints.push(format!("{hash:x}:{count}"));
        }
        hash = step(hash, *entering).wrapping_sub(last.wrapping_mul(u64::from(*left)));
    }
    prints
}

/// The units that count, and where lines begin among them.
fn units(text: &str) -> (Vec<u16>, Vec<usize>) {
    const FEED: u16 = b'\n' as u16;
    let mut units = Vec::with_capacity(text.len() + UNITS + 1);
    let mut starts = Vec::new();
    let mut is_start = true;
    let mut is_behind_return = false;
    let all = text.encode_utf16().chain([END]);
    for unit in all {
        let is_blank = unit == u16::from(b' ') || unit == u16::from(b'\t');
        let is_second = is_behind_return && unit == FEED;
        is_behind_return = unit == u16::from(b'\r');
        if is_blank || is_second {
            continue;
        }
        let unit = if is_behind_return { FEED } else { unit };
        if is_start {
            starts.push(units.len());
        }
        is_start = unit == FEED;
        units.push(unit);
    }
    (units, starts)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expectations are those of github/codeql-action (MIT), `src/fingerprints.test.ts`.
    #[test]
    fn are_those_that_github_computes() {
        let lines = |end: &str| {
            let lines = [
                " hello; \t",
                "world!!!",
                "",
                "",
                "  \t\tGreetings",
                " End",
                "",
            ];
            lines.join(end)
        };
        let ends = [
            "e9496ae3ebfced30:1",
            "fb7c023a8b9ccb3f:1",
            "ce8ba1a563dcdaca:1",
            "e20e36e16fcb0cc8:1",
            "b3edc88f2938467e:1",
            "c8e28b0b4002a3a0:1",
            "c129715d7a2bc9a3:1",
        ];
        let repeated = [
            "a7f2ff13bc495cf2:1",
            "a7f2ff13bc495cf2:2",
            "a7f2ff13bc495cf2:3",
            "a7f2ff13bc495cf2:4",
            "a7f2ff13bc495cf2:5",
            "a7f2ff13bc495cf2:6",
            "a7f2ff1481e87703:1",
            "a9cf91f7bbf1862b:1",
            "55ec222b86bcae53:1",
            "cc97dc7b1d7d8f7b:1",
            "c129715d7a2bc9a3:1",
        ];
        let rows: [(String, &[&str]); 6] = [
            (String::new(), &["c129715d7a2bc9a3:1"]),
            (
                " a\nb\n  \t\tc\n d".to_owned(),
                &[
                    "271789c17abda88f:1",
                    "54703d4cd895b18:1",
                    "180aee12dab6264:1",
                    "a23a3dc5e078b07b:1",
                ],
            ),
            (lines("\n"), &ends),
            (lines("\r"), &ends),
            (lines("\r\n"), &ends),
            ("Lorem ipsum dolor sit amet.\n".repeat(10), &repeated),
        ];
        for (text, wanted) in rows {
            assert_eq!(fingerprints(text.as_bytes()), wanted, "{text:?}");
        }
    }
}

//! Names of signals, with the numbers of Linux on the architectures that matter.

/// A word that is no signal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("find signal {word:?}: Invalid signal: {word}")]
pub struct SignalError {
    /// As given.
    pub word: String,
}

const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// The last real-time signal.
const LAST: i32 = 64;
/// The first one that programs may use.
const FIRST_REAL_TIME: i32 = 34;

/// Reads `SIGTERM`, `term` or `15`; `RTMIN+1` and the like too.
///
/// # Errors
/// [`SignalError`].
pub fn parse(word: &str) -> Result<i32, SignalError> {
    let unknown = || SignalError {
        word: word.to_owned(),
    };
    if let Ok(number) = word.parse() {
        let is_one = (1..=LAST).contains(&number);
        return if is_one { Ok(number) } else { Err(unknown()) };
    }
    let upper = word.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(place) = NAMES.iter().position(|known| *known == name) {
        return i32::try_from(place + 1).map_err(|_| unknown());
    }
    let offset = |rest: &str| match rest {
        "" => Some(0),
        rest => rest.parse::<i32>().ok(),
    };
    let number = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(rest), _) => offset(rest).map(|offset| FIRST_REAL_TIME + offset),
        (_, Some(rest)) => offset(rest).map(|offset| LAST + offset),
        _ if name == "POLL" => Some(29),
        _ if name == "CLD" => Some(17),
        _ if name == "IOT" => Some(6),
        _ => None,
    };
    number
        .filter(|number| (FIRST_REAL_TIME..=LAST).contains(number) || *number < 32)
        .ok_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_signals() {
        let check = |word: &str, number: Option<i32>| assert_eq!(parse(word).ok(), number, "{word}");
        check("SIGTERM", Some(15));
        check("term", Some(15));
        check("9", Some(9));
        check("KILL", Some(9));
        check("HUP", Some(1));
        check("SYS", Some(31));
        check("RTMIN", Some(34));
        check("SIGRTMIN+3", Some(37));
        check("RTMAX-1", Some(63));
        check("RTMAX+1", None);
        check("0", None);
        check("65", None);
        check("-1", None);
        check("SIG", None);
        check("", None);
        check("SIGWHAT", None);
    }
}

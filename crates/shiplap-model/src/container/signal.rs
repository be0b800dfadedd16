//! Signals by name and number, as Linux counts them on the processors Docker runs on.

/// Every signal with a name of its own, without `SIG`.
const NAMES: [(&str, i32); 37] = [
    ("ABRT", 6),
    ("ALRM", 14),
    ("BUS", 7),
    ("CHLD", 17),
    ("CLD", 17),
    ("CONT", 18),
    ("FPE", 8),
    ("HUP", 1),
    ("ILL", 4),
    ("INT", 2),
    ("IO", 29),
    ("IOT", 6),
    ("KILL", 9),
    ("PIPE", 13),
    ("POLL", 29),
    ("PROF", 27),
    ("PWR", 30),
    ("QUIT", 3),
    ("RTMAX", RT_MAX),
    ("RTMIN", RT_MIN),
    ("SEGV", 11),
    ("STKFLT", 16),
    ("STOP", 19),
    ("SYS", 31),
    ("TERM", 15),
    ("TRAP", 5),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("UNUSED", 31),
    ("URG", 23),
    ("USR1", 10),
    ("USR2", 12),
    ("VTALRM", 26),
    ("WINCH", 28),
    ("XCPU", 24),
    ("XFSZ", 25),
];

/// The first real-time signal; those before it belong to the C library.
const RT_MIN: i32 = 34;
/// The last one.
const RT_MAX: i32 = 64;

/// Why a word is no signal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignalError {
    /// Neither a name nor a number of one.
    #[error("find signal: Invalid signal: {0}; want as SIGTERM, TERM or 15")]
    Unknown(String),
}

/// The number of `SIGTERM`, `term`, `15` or `RTMIN+3`.
///
/// # Errors
/// [`SignalError`].
pub fn parse(text: &str) -> Result<i32, SignalError> {
    let name = text.to_ascii_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    let counted = |rest: &str, most: u8| {
        let number: Option<u8> = rest.parse().ok().filter(|_| !rest.starts_with('+'));
        number.filter(|n| (1..=most).contains(n)).map(i32::from)
    };
    let found = if let Some(above) = name.strip_prefix("RTMIN+") {
        counted(above, 15).map(|above| RT_MIN + above)
    } else if let Some(below) = name.strip_prefix("RTMAX-") {
        counted(below, 14).map(|below| RT_MAX - below)
    } else {
        let named = NAMES.iter().find(|(known, _)| *known == name);
        named
            .map(|(_, number)| *number)
            .or_else(|| counted(text, 64))
    };
    found.ok_or_else(|| SignalError::Unknown(text.chars().take(100).collect()))
}

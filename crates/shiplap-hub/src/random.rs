//! Random bytes of the kernel, and names made of them. Never falls back to a weaker source.

/// Random bytes.
///
/// # Panics
/// If the kernel has no random source: then nothing that is secret could be made.
#[must_use]
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut filled = [0_u8; N];
    let mut at = 0;
    while at < N {
        let flags = rustix::rand::GetRandomFlags::empty();
        match rustix::rand::getrandom(&mut filled[at..], flags) {
            Ok(count) => at += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => unreachable!("the kernel has had random bytes since Linux 3.17: {error}"),
        }
    }
    filled
}

/// 32 hex digits that nobody guesses.
#[must_use]
pub fn name() -> String {
    hex(&bytes::<16>())
}

/// Lowercase hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = |byte: &u8| {
        [
            DIGITS[usize::from(byte >> 4)],
            DIGITS[usize::from(byte & 15)],
        ]
    };
    bytes.iter().flat_map(digits).map(char::from).collect()
}

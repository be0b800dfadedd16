//! Amounts of memory: `--memory`, `--memory-swap`, `--shm-size`, and what holds between them.

use crate::units::{self, SizeBase, UnitError};

/// The least memory a container can live in, in bytes: Docker's bound.
const MIN_BYTES: u64 = 6 << 20;

/// Why limits of memory don't fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MemoryError {
    /// Nothing could run.
    #[error("limit memory: Minimum memory limit allowed is 6MB")]
    TooSmall,
    /// Memory and swap are less than memory.
    #[error(
        "limit memory: Minimum memoryswap limit should be larger than memory limit: \
         --memory-swap is memory and swap together"
    )]
    SwapBelowMemory,
    /// Swap alone can't be limited.
    #[error("limit memory: --memory-swap needs --memory, as it is memory and swap together")]
    SwapAlone,
}

/// Reads an amount in bytes: `512m`, `1.5g`, in steps of 1024.
///
/// # Errors
/// [`UnitError`].
pub fn parse(text: &str) -> Result<u64, UnitError> {
    units::parse_size(text, SizeBase::Binary)
}

/// The same, where `-1` means no limit.
///
/// # Errors
/// [`UnitError`].
pub fn parse_swap(text: &str) -> Result<i64, UnitError> {
    if text == "-1" {
        return Ok(-1);
    }
    let too_much = |_| UnitError::SizeRange(text.to_owned());
    i64::try_from(parse(text)?).map_err(too_much)
}

/// Whether the limits go together; 0 is none.
///
/// # Errors
/// [`MemoryError`].
pub fn check(memory_bytes: u64, swap_bytes: i64) -> Result<(), MemoryError> {
    if (1..MIN_BYTES).contains(&memory_bytes) {
        return Err(MemoryError::TooSmall);
    }
    match u64::try_from(swap_bytes) {
        Ok(0) | Err(_) => Ok(()),
        Ok(_) if memory_bytes == 0 => Err(MemoryError::SwapAlone),
        Ok(swap) if swap < memory_bytes => Err(MemoryError::SwapBelowMemory),
        Ok(_) => Ok(()),
    }
}

//! When to ask again: `Retry-After` (RFC 9110 section 10.2.3) and exponential back-off.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

use crate::settings::Patience;

/// What a server asks to wait: seconds, or a date.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

/// Whether asking again may help.
pub(crate) fn is_transient(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
}

/// The wait before repetition number `attempt` (from 0): doubling, between half and all of it by
/// chance, so that many clients don't come back at once.
pub(crate) fn backoff(patience: &Patience, attempt: u32) -> Duration {
    let doubled = patience
        .backoff
        .saturating_mul(2_u32.saturating_pow(attempt))
        .min(patience.backoff_max);
    let chance = RandomState::new().build_hasher().finish() % 1000;
    let half = doubled / 2;
    half + half.mul_f64(chance as f64 / 1000.0)
}

#[cfg(test)]
mod tests;

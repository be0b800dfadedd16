//! Locks of this process. What a thread that panicked held is taken all the same: nothing that is locked
//! here is ever left half done.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Waits for what the lock guards.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

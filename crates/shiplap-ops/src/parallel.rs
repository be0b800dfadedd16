//! The same work on several things at once.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// As many workers as the machine has processors for.
pub(crate) fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// Does `work` on each of `items`, `workers` at a time, in their order; the results in that order.
/// After a failure no more items are begun, and the first failure is the result.
///
/// # Errors
/// That of `work`.
pub(crate) fn map<'i, T: Sync, R: Send, E: Send>(
    items: &'i [T],
    workers: usize,
    work: impl Fn(&'i T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let next = AtomicUsize::new(0);
    let failure = Mutex::new(None);
    let done = Mutex::new(Vec::with_capacity(items.len()));
    let worker = || {
        while let number = next.fetch_add(1, Ordering::Relaxed)
            && let Some(item) = items.get(number)
        {
            match work(item) {
                Ok(result) => {
                    done.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push((number, result));
                }
                Err(error) => {
                    next.store(items.len(), Ordering::Relaxed);
                    let mut failure = failure.lock().unwrap_or_else(PoisonError::into_inner);
                    failure.get_or_insert(error);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..workers.clamp(1, items.len().max(1)) {
            scope.spawn(worker);
        }
        worker();
    });
    if let Some(error) = failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(number, _)| *number);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

#[cfg(test)]
mod tests {
    use super::map;

    #[test]
    fn order_and_failure() {
        let items: Vec<u32> = (0..100).collect();
        for workers in [0, 1, 3, 200] {
            let doubled = map(&items, workers, |n| Ok::<_, ()>(n * 2)).unwrap();
            assert_eq!(doubled, items.iter().map(|n| n * 2).collect::<Vec<_>>());
            let failed = map(&items, workers, |n| if *n == 7 { Err(*n) } else { Ok(*n) });
            assert_eq!(failed, Err(7));
        }
        assert_eq!(map(&[] as &[u32], 3, |n| Ok::<_, ()>(*n)), Ok(vec![]));
    }
}

//! Makes the stages of all plans, those that don't need each other at the same time.
//!
//! Stages are begun in the order of the plan, in which each comes after those it needs. So whoever
//! waits waits for one that was begun before, and some stage always goes on.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::ends::{Ends, StageEnd};
use super::failure::Failure;
use super::session::Session;
use super::stage;
use crate::plan::{Plan, StageId};

/// Most stages that are made at once; most of them wait for a step of theirs or of others.
const STAGES: usize = 64;

/// The stack of a thread that makes a stage, in bytes: directories of a context or layer are walked
/// by recursion, and may be as deep as a path is long.
const STACK_BYTES: usize = 16 << 20;

/// How all stages of each plan end.
pub(crate) fn run(
    session: &Session<'_>,
    plans: &[Plan],
) -> Result<Vec<Vec<Arc<StageEnd>>>, Box<Failure>> {
    let ends: Vec<Ends> = plans
        .iter()
        .map(|plan| Ends::new(plan.stages.len()))
        .collect();
    let stages = plans.iter().zip(&ends).flat_map(|(plan, ends)| {
        let stages = 0..plan.stages.len();
        stages.map(move |number| (plan, StageId(number), ends))
    });
    let stages: Vec<_> = stages.collect();
    let next = AtomicUsize::new(0);
    let failure = Mutex::new(None);
    let work = || {
        while let Some((plan, id, ends)) = stages.get(next.fetch_add(1, Ordering::Relaxed)) {
            match stage::run(session, plan, *id, ends) {
                Ok(end) => ends.put(*id, end),
                Err(failed) => {
                    let mut first = failure.lock().unwrap_or_else(PoisonError::into_inner);
                    let says_more = |known: &Failure| {
                        known.problem.is_canceled() && !failed.problem.is_canceled()
                    };
                    if first.as_deref().is_none_or(says_more) {
                        *first = Some(failed);
                    }
                    drop(first);
                    session.cancel.cancel();
                    return;
                }
            }
        }
    };
    thread::scope(|scope| {
        let threads = stages.len().min(STAGES);
        let mut spawned = 0;
        for _ in 0..threads {
            let thread = thread::Builder::new().stack_size(STACK_BYTES);
            if thread.spawn_scoped(scope, work).is_ok() {
                spawned += 1;
            }
        }
        if spawned == 0 {
            // The system has no thread for us: one after another, then.
            work();
        }
    });
    if let Some(failure) = failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(failure);
    }
    let ended = ends.into_iter().map(|ends| {
        let ends = ends.into_ends().into_iter();
        ends.flatten().collect()
    });
    Ok(ended.collect())
}

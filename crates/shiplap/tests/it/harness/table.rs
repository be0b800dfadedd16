//! Tables of cases that are worked through by several threads: each case says what is wrong with it, and
//! what is known to be otherwise is listed with its reason.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::Value;

/// A case that is otherwise here, and why that is right.
pub(crate) type Deviation = (&'static str, &'static str);

/// The cases of a table, by the name of each that `name` tells.
pub(crate) fn cases(table: &str) -> Vec<Value> {
    let table: Value = serde_json::from_str(table).unwrap();
    table["cases"].as_array().unwrap().clone()
}

/// Works through all cases; `check` says what is wrong, if anything. Listed deviations must deviate: one
/// that no longer does is struck off the list.
#[track_caller]
pub(crate) fn work(
    cases: &[Value],
    name: impl Fn(&Value) -> String + Sync,
    deviations: &[Deviation],
    check: impl Fn(&Value) -> Vec<String> + Sync,
) {
    let next = AtomicUsize::new(0);
    let wrong: Mutex<BTreeMap<String, Vec<String>>> = Mutex::default();
    let threads = thread::available_parallelism().map_or(2, |count| count.get() * 2);
    let only = std::env::var("SHIPLAP_CASE").ok();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let name = name(case);
                    if only.as_ref().is_some_and(|only| !name.contains(only)) {
                        continue;
                    }
                    let found = catch_unwind(AssertUnwindSafe(|| check(case)));
                    let found = found.unwrap_or_else(|_| vec!["panicked".to_owned()]);
                    if !found.is_empty() {
                        wrong.lock().unwrap().insert(name, found);
                    }
                }
            });
        }
    });
    let mut wrong = wrong.into_inner().unwrap();
    let mut said = String::new();
    for (name, reason) in deviations {
        let is_asked = only.as_ref().is_none_or(|only| name.contains(only));
        if wrong.remove(*name).is_none() && is_asked {
            said.push_str(&format!("{name} no longer deviates ({reason})\n"));
        }
    }
    let count = wrong.len();
    for (name, found) in wrong {
        said.push_str(&format!("== {name}\n"));
        for line in found {
            said.push_str(&format!("   {}\n", line.trim_end().replace('\n', "\n   ")));
        }
    }
    assert!(said.is_empty(), "{count} of {} cases:\n{said}", cases.len());
}

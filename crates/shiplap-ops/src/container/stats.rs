//! `stats`: what containers use, from two looks at their control groups.

use std::thread;
use std::time::{Duration, Instant};

use shiplap_model::container::NetworkMode;
use shiplap_run::cgroups::usage::Usage;

use super::{Container, ContainerError, all, find};
use crate::context::Context;

/// How long two looks are apart: shorter ones count ticks rather than work.
pub const INTERVAL: Duration = Duration::from_secs(1);

/// Which containers.
#[derive(Debug, Clone, Default)]
pub struct StatsOptions {
    /// Those that don't run, too.
    pub all: bool,
    /// Only these, by name or ID.
    pub names: Vec<String>,
}

/// What one container uses.
#[derive(Debug, Clone)]
pub struct ContainerStats {
    /// What the user called it, or its ID.
    pub asked: String,
    /// The container.
    pub container: Container,
    /// It runs.
    pub is_live: bool,
    /// Processor time between the looks, 1.0 is one processor.
    pub processors: Option<f64>,
    /// At the second look.
    pub usage: Usage,
}

impl ContainerStats {
    /// Its share of the memory it may have.
    #[must_use]
    pub fn memory_share(&self) -> Option<f64> {
        let limit = self.usage.memory_limit_bytes.filter(|limit| *limit > 0)?;
        Some(self.usage.memory_bytes? as f64 / limit as f64)
    }
}

/// Looks at containers one after the other, and again an [`INTERVAL`] later.
///
/// # Errors
/// [`ContainerError`], also for a name that there is not.
pub fn stats(
    context: &Context,
    options: &StatsOptions,
) -> Result<Vec<ContainerStats>, ContainerError> {
    let containers: Vec<(String, Container)> = match &options.names[..] {
        [] => all(context)?
            .into_iter()
            .map(|container| (container.short_id().to_owned(), container))
            .collect(),
        names => names
            .iter()
            .map(|name| Ok((name.clone(), find(context, name)?)))
            .collect::<Result<_, ContainerError>>()?,
    };
    let first: Vec<_> = containers
        .iter()
        .map(|(_, container)| (Instant::now(), look(container).unwrap_or_default()))
        .collect();
    if first.iter().any(|(_, (is_live, _))| *is_live) {
        thread::sleep(INTERVAL);
    }
    let seen = containers.into_iter().zip(first);
    let seen = seen.map(|((asked, container), (then, (_, before)))| {
        // It may be removed while this is read.
        let (is_live, usage) = look(&container).unwrap_or_default();
        let elapsed = then.elapsed().as_nanos();
        let spent = usage.cpu_nanos.zip(before.cpu_nanos);
        let processors = spent.map(|(now, then)| now.saturating_sub(then) as f64 / elapsed as f64);
        ContainerStats {
            asked,
            container,
            is_live,
            processors,
            usage,
        }
    });
    let shows_all = options.all || !options.names.is_empty();
    Ok(seen.filter(|stats| stats.is_live || shows_all).collect())
}

/// Whether it runs, and what it uses.
fn look(container: &Container) -> Result<(bool, Usage), ContainerError> {
    let state = container.state()?;
    let (true, Some(pid)) = (state.status.is_live(), state.pid) else {
        return Ok((false, Usage::default()));
    };
    let mut usage = Usage::of(container.id(), pid);
    if usage.memory_bytes.is_some() {
        let memory = rustix::system::sysinfo();
        let whole = memory.totalram.saturating_mul(u64::from(memory.mem_unit));
        usage.memory_limit_bytes = Some(usage.memory_limit_bytes.unwrap_or(whole).min(whole));
    }
    if container.facts.network == NetworkMode::Host {
        // What the whole machine sends is not its own.
        usage.network_bytes = Some((0, 0));
    }
    Ok((true, usage))
}

//! Flags that decide how much a container may use.

use clap::{Args, value_parser};
use shiplap_model::container::{Limits, Ulimit, cpu, memory, sysctl, ulimit};

use super::FlagError;

/// The kernel's period of `--cpu-quota`, in microseconds, unless `--cpu-period` says another.
const CPU_PERIOD_MICROS: u64 = 100_000;

#[derive(Debug, Args)]
#[command(next_help_heading = "Limit Options")]
pub(super) struct LimitFlags {
    /// Limit CPU CFS (Completely Fair Scheduler) period
    #[arg(long, value_name = "int")]
    cpu_period: Option<u64>,
    /// Limit CPU CFS (Completely Fair Scheduler) quota
    #[arg(long, value_name = "int", allow_negative_numbers = true)]
    cpu_quota: Option<i64>,
    /// CPU shares (relative weight)
    #[arg(short, long, value_name = "int")]
    cpu_shares: Option<u64>,
    /// Number of CPUs
    #[arg(long, value_name = "decimal", value_parser = cpu::parse_nano)]
    cpus: Option<u64>,
    /// CPUs in which to allow execution (0-3, 0,1)
    #[arg(long, value_name = "string", value_parser = cpu::parse_set)]
    cpuset_cpus: Option<String>,
    /// Memory limit
    #[arg(short, long, value_name = "bytes", value_parser = memory::parse)]
    memory: Option<u64>,
    /// Swap limit equal to memory plus swap: '-1' to enable unlimited swap
    #[arg(
        long,
        value_name = "bytes",
        value_parser = memory::parse_swap,
        allow_negative_numbers = true
    )]
    memory_swap: Option<i64>,
    /// Tune host's OOM preferences (-1000 to 1000)
    #[arg(
        long,
        value_name = "int",
        value_parser = value_parser!(i32).range(-1000..=1000),
        allow_negative_numbers = true
    )]
    oom_score_adj: Option<i32>,
    /// Tune container pids limit (set -1 for unlimited)
    #[arg(long, value_name = "int", allow_negative_numbers = true)]
    pids_limit: Option<i64>,
    /// Sysctl options
    #[arg(long, value_name = "map", value_parser = sysctl::parse)]
    sysctl: Vec<(String, String)>,
    /// Ulimit options
    #[arg(long, value_name = "ulimit", value_parser = ulimit::parse)]
    ulimit: Vec<Ulimit>,
}

impl LimitFlags {
    pub(super) fn into_options(self) -> Result<Limits, FlagError> {
        memory::check(
            self.memory.unwrap_or_default(),
            self.memory_swap.unwrap_or_default(),
        )?;
        let share = share(self.cpu_quota, self.cpu_period);
        let nano_cpus = self.cpus.filter(|nano| *nano > 0);
        if nano_cpus.is_some() && share.is_some() {
            return Err(FlagError::Conflict("--cpus", "--cpu-quota"));
        }
        Ok(Limits {
            memory_bytes: self.memory.filter(|bytes| *bytes > 0),
            memory_swap_bytes: self.memory_swap.filter(|bytes| *bytes != 0),
            nano_cpus: nano_cpus.or(share),
            cpu_shares: self.cpu_shares.filter(|shares| *shares > 0),
            cpuset: self.cpuset_cpus,
            pids: self.pids_limit,
            ulimits: last_of_each(self.ulimit),
            sysctls: self.sysctl.into_iter().collect(),
            oom_score_adj: self.oom_score_adj,
        })
    }
}

/// The last of a name is meant.
pub(in crate::cli) fn last_of_each(given: Vec<Ulimit>) -> Vec<Ulimit> {
    let mut ulimits: Vec<Ulimit> = Vec::new();
    for ulimit in given {
        ulimits.retain(|known| known.name != ulimit.name);
        ulimits.push(ulimit);
    }
    ulimits
}

/// The processors, in billionths, that so many microseconds of each period come to; none without
/// a quota.
pub(in crate::cli) fn share(quota: Option<i64>, period: Option<u64>) -> Option<u64> {
    let quota = u64::try_from(quota?).ok().filter(|quota| *quota > 0)?;
    let period = period.filter(|period| *period > 0);
    let nano = u128::from(quota) * 1_000_000_000 / u128::from(period.unwrap_or(CPU_PERIOD_MICROS));
    Some(u64::try_from(nano).unwrap_or(u64::MAX))
}

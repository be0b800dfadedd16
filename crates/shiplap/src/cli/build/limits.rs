//! Flags that decide how much each step may use.

use clap::Args;
use shiplap_model::container::{Limits, Ulimit, cpu, memory, ulimit};

use super::FlagError;
use crate::cli::container_flags::limits::{last_of_each, share};

#[derive(Debug, Args)]
#[command(next_help_heading = "Limit Options")]
pub(super) struct LimitFlags {
    /// Limit the CPU CFS (Completely Fair Scheduler) period of steps
    #[arg(long, value_name = "int")]
    cpu_period: Option<u64>,
    /// Limit the CPU CFS (Completely Fair Scheduler) quota of steps
    #[arg(long, value_name = "int", allow_negative_numbers = true)]
    cpu_quota: Option<i64>,
    /// CPU shares of steps (relative weight)
    #[arg(short, long, value_name = "int")]
    cpu_shares: Option<u64>,
    /// CPUs in which to allow execution of steps (0-3, 0,1)
    #[arg(long, value_name = "string", value_parser = cpu::parse_set)]
    cpuset_cpus: Option<String>,
    /// Memory limit of each step
    #[arg(short, long, value_name = "bytes", value_parser = memory::parse)]
    memory: Option<u64>,
    /// Swap limit of each step, equal to memory plus swap: '-1' to enable unlimited swap
    #[arg(
        long,
        value_name = "bytes",
        value_parser = memory::parse_swap,
        allow_negative_numbers = true
    )]
    memory_swap: Option<i64>,
    /// Ulimit options
    #[arg(long, value_name = "ulimit", value_parser = ulimit::parse)]
    ulimit: Vec<Ulimit>,
}

impl LimitFlags {
    pub(super) fn into_options(self) -> Result<Limits, FlagError> {
        let (memory_bytes, memory_swap_bytes) = (self.memory, self.memory_swap);
        memory::check(
            memory_bytes.unwrap_or_default(),
            memory_swap_bytes.unwrap_or_default(),
        )?;
        Ok(Limits {
            memory_bytes: memory_bytes.filter(|bytes| *bytes > 0),
            memory_swap_bytes: memory_swap_bytes.filter(|bytes| *bytes != 0),
            nano_cpus: share(self.cpu_quota, self.cpu_period),
            cpu_shares: self.cpu_shares.filter(|shares| *shares > 0),
            cpuset: self.cpuset_cpus,
            ulimits: last_of_each(self.ulimit),
            ..Limits::default()
        })
    }
}

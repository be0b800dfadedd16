//! How much a container may use: its control group's limits, and those of each process.

use shiplap_model::container::{Limits, Ulimit, ulimit};

use super::oci::{Cpu, DeviceRule, Memory, Pids, Resources, Rlimit};
use super::{Bundle, Host, SpecError};
use crate::cgroups::{Cgroups, Limit};

/// Processes a container may have if nobody says otherwise: podman's number.
const PIDS: i64 = 2048;

/// Over which time processor time is counted, in microseconds: the kernel's default.
const CPU_PERIOD_MICROS: u64 = 100_000;

/// The least share of that time the kernel takes, in microseconds.
const CPU_QUOTA_MIN_MICROS: u64 = 1000;

/// What the control group limits; `None`: there is none.
pub(super) fn of_bundle(bundle: &Bundle, devices: Vec<DeviceRule>) -> Option<Resources<'_>> {
    bundle.cgroup.path.as_ref()?;
    let offer = &bundle.cgroup.offer;
    let limits = &bundle.limits;
    Some(Resources {
        devices: if offer.has_device_rules() {
            devices
        } else {
            Vec::new()
        },
        memory: memory(limits, offer),
        cpu: cpu(limits, offer),
        pids: offer.missing(Limit::Pids).is_none().then_some(Pids {
            limit: match limits.pids {
                None => PIDS,
                Some(limit) if limit > 0 => limit,
                Some(_) => -1,
            },
        }),
    })
}

/// Memory alone also limits swap, to as much again: Docker's rule.
fn memory(limits: &Limits, offer: &Cgroups) -> Option<Memory> {
    let limit = limits
        .memory_bytes
        .filter(|bytes| *bytes > 0 && offer.missing(Limit::Memory).is_none());
    let twice = limit.and_then(|bytes| i64::try_from(bytes.checked_mul(2)?).ok());
    let swap = limits
        .memory_swap_bytes
        .filter(|bytes| *bytes != 0)
        .or(twice)
        .filter(|_| offer.missing(Limit::Swap).is_none());
    (limit.is_some() || swap.is_some()).then_some(Memory { limit, swap })
}

fn cpu<'b>(limits: &'b Limits, offer: &Cgroups) -> Option<Cpu<'b>> {
    let can = |limit| offer.missing(limit).is_none();
    let mut cpu = Cpu::default();
    if let Some(nano) = limits.nano_cpus.filter(|n| *n > 0 && can(Limit::Cpus)) {
        let quota = u128::from(nano) * u128::from(CPU_PERIOD_MICROS) / 1_000_000_000;
        let quota = quota.max(u128::from(CPU_QUOTA_MIN_MICROS));
        cpu.quota = Some(i64::try_from(quota).unwrap_or(i64::MAX));
        cpu.period = Some(CPU_PERIOD_MICROS);
    }
    cpu.shares = limits.cpu_shares.filter(|n| *n > 0 && can(Limit::Shares));
    cpu.cpus = limits.cpuset.as_deref().filter(|_| can(Limit::Cpuset));
    (cpu != Cpu::default()).then_some(cpu)
}

/// The limits of each process, by the specification's names.
pub(super) fn rlimits(ulimits: &[Ulimit], host: &Host) -> Result<Vec<Rlimit>, SpecError> {
    ulimits.iter().map(|ulimit| rlimit(ulimit, host)).collect()
}

fn rlimit(wanted: &Ulimit, host: &Host) -> Result<Rlimit, SpecError> {
    let name = wanted.name.to_ascii_lowercase();
    if !ulimit::NAMES.contains(&name.as_str()) {
        return Err(SpecError::UnknownUlimit {
            name: wanted.name.clone(),
        });
    }
    let value = |limit: i64| u64::try_from(limit).unwrap_or(u64::MAX);
    let (soft, hard) = (value(wanted.soft), value(wanted.hard));
    if soft > hard {
        return Err(SpecError::UlimitOrder {
            name,
            soft: wanted.soft,
            hard: wanted.hard,
        });
    }
    let most = host.hard_limits.iter().find(|(own, _)| *own == name);
    match most {
        Some((_, most)) if hard > *most && !host.raise_limits => Err(SpecError::Ulimit {
            name,
            wanted: wanted.hard,
            most: *most,
        }),
        _ => Ok(Rlimit {
            kind: format!("RLIMIT_{}", name.to_ascii_uppercase()),
            soft,
            hard,
        }),
    }
}

/// The preference when memory is short, if this process may give it.
pub(super) fn oom_score_adj(wanted: Option<i32>, host: &Host) -> Result<Option<i32>, SpecError> {
    match wanted {
        Some(wanted) if wanted < host.oom_score_adj && !host.raise_limits => {
            Err(SpecError::OomScore {
                wanted,
                least: host.oom_score_adj,
            })
        }
        wanted => Ok(wanted),
    }
}

//! When a file's times can be relied on to tell of a change: the rule that keeps what is
//! remembered from being wrong.
//!
//! The kernel stamps a write with a clock that stands still for some milliseconds. A file that was
//! written in the very tick in which it was looked at may be written again without its times
//! changing. So only one whose last change was clearly over is believed later (git calls
//! such entries "racily clean").

use std::time::{Duration, SystemTime};

use rustix::fs::Stat;

use super::entry::{Stamp, Time};

/// Longer than the tick of any kernel's clock for files.
const TICK: Duration = Duration::from_millis(50);
/// For file systems that keep whole seconds, or every other.
const COARSE: Duration = Duration::from_secs(2);
/// For those whose times another machine or program sets, by a clock of its own.
const FOREIGN: Duration = Duration::from_secs(600);

/// File systems with a clock of their own, by the numbers that `statfs` gives.
const FOREIGN_FILE_SYSTEMS: &[i64] = &[
    0x6969,      // NFS
    0x517b,      // SMB
    0xff53_4d42, // CIFS
    0xfe53_4d42, // SMB 2 and 3
    0x6573_5546, // FUSE
    0x0102_1997, // 9P
    0x00c3_6400, // Ceph
    0x5346_414f, // AFS
];

/// The moment of a look at a file system.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    now: SystemTime,
    is_foreign: bool,
    device: Option<u64>,
}

impl Clock {
    /// Now, for files of a file system like that of `directory`.
    pub(super) fn of(directory: impl std::os::fd::AsFd) -> Self {
        let kind = rustix::fs::fstatfs(&directory).map(|facts| facts.f_type);
        let device = rustix::fs::fstat(&directory).map(|facts| facts.st_dev);
        Self {
            now: SystemTime::now(),
            // What doesn't tell is not relied on.
            is_foreign: kind.map_or(true, |kind| FOREIGN_FILE_SYSTEMS.contains(&kind)),
            device: device.ok(),
        }
    }

    /// A later moment.
    pub(super) fn again(self) -> Self {
        Self {
            now: SystemTime::now(),
            ..self
        }
    }

    /// The stamp of a file that was looked at after this moment.
    pub(super) fn stamp(self, stat: &Stat) -> Stamp {
        let mut stamp = Stamp::of(stat);
        // Another file system within the context may be of any kind.
        let is_foreign = self.is_foreign || self.device != Some(stamp.device);
        stamp.is_settled = self.is_past(stamp.changed, is_foreign);
        stamp
    }

    fn is_past(self, time: Time, is_foreign: bool) -> bool {
        let slack = if is_foreign {
            FOREIGN
        } else if time.nanoseconds == 0 {
            COARSE
        } else {
            TICK
        };
        let Ok(seconds) = u64::try_from(time.seconds) else {
            return true;
        };
        let settles = Duration::new(seconds, time.nanoseconds) + slack;
        let now = self.now.duration_since(SystemTime::UNIX_EPOCH);
        now.is_ok_and(|now| settles < now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_past_is_settled() {
        fn check(is_foreign: bool, age_ms: i64, nanoseconds: Option<u32>, wanted: bool) {
            let epoch = Duration::from_millis(1_700_000_000_999);
            let clock = Clock {
                now: SystemTime::UNIX_EPOCH + epoch,
                is_foreign,
                device: None,
            };
            let then = epoch.as_millis() as i64 - age_ms;
            let time = Time {
                seconds: then.div_euclid(1000),
                nanoseconds: nanoseconds.unwrap_or((then.rem_euclid(1000) * 1_000_000) as u32),
            };
            assert_eq!(clock.is_past(time, is_foreign), wanted, "{age_ms} ms ago");
        }
        check(false, 0, None, false);
        check(false, 30, None, false);
        check(false, 60, None, true);
        check(false, 1500, Some(0), false);
        check(false, 5000, Some(0), true);
        check(false, -60_000, None, false);
        check(true, 60_000, None, false);
        check(true, 700_000, None, true);
    }
}

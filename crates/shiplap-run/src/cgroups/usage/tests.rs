use super::*;

const DEVICES: &str = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     999       9    0    0    0     0          0         0      999       9    0    0    0     0       0          0
  tap0:    1000       7    0    0    0     0          0         0      200       3    0    0    0     0       0          0
  eth1:      24       7    0    0    0     0          0         0       50       3    0    0    0     0       0          0
";

fn usage(files: &[(&str, &str)]) -> Usage {
    let text = |path: &Path| {
        let found = files.iter().find(|(name, _)| Path::new(name) == path);
        found.map(|(_, text)| (*text).to_owned())
    };
    Usage::from_facts("abc", 7, &text)
}

#[test]
fn version_1_counts_by_controller() {
    let mounts = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\n\
                  cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n\
                  cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0\n\
                  cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n\
                  cgroup /sys/fs/cgroup/pids cgroup rw,pids 0 0\n\
                  cgroup /sys/fs/cgroup/blkio cgroup rw,blkio 0 0\n";
    let own = "5:cpu,cpuacct:/shiplap/abc\n4:memory:/shiplap/abc\n3:pids:/shiplap/abc\n\
               2:blkio:/shiplap/abc\n1:name=systemd:/\n0::/shiplap/abc\n";
    let found = usage(&[
        ("/proc/self/mounts", mounts),
        ("/proc/7/cgroup", own),
        ("/proc/7/net/dev", DEVICES),
        (
            "/sys/fs/cgroup/cpu,cpuacct/shiplap/abc/cpuacct.usage",
            "12345\n",
        ),
        (
            "/sys/fs/cgroup/memory/shiplap/abc/memory.usage_in_bytes",
            "5000\n",
        ),
        (
            "/sys/fs/cgroup/memory/shiplap/abc/memory.stat",
            "cache 1\ntotal_inactive_file 1000\n",
        ),
        (
            "/sys/fs/cgroup/memory/shiplap/abc/memory.limit_in_bytes",
            "9223372036854771712\n",
        ),
        ("/sys/fs/cgroup/pids/shiplap/abc/pids.current", "3\n"),
        (
            "/sys/fs/cgroup/blkio/shiplap/abc/blkio.throttle.io_service_bytes_recursive",
            "8:0 Read 10\n8:0 Write 20\n8:0 Total 30\n8:16 Read 1\n8:16 Write 2\nTotal 33\n",
        ),
    ]);
    let want = Usage {
        cpu_nanos: Some(12345),
        memory_bytes: Some(4000),
        memory_limit_bytes: None,
        pids: Some(3),
        disk_bytes: Some((11, 22)),
        network_bytes: Some((1024, 250)),
    };
    assert_eq!(found, want);
}

#[test]
fn version_2_counts_in_one_place() {
    let group = "/sys/fs/cgroup/user.slice/shiplap/abc";
    let file = |name: &str| format!("{group}/{name}");
    let found = usage(&[
        (
            "/proc/self/mounts",
            "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n",
        ),
        ("/proc/7/cgroup", "0::/user.slice/shiplap/abc\n"),
        (&file("cpu.stat"), "usage_usec 12\nuser_usec 7\n"),
        (&file("memory.current"), "5000\n"),
        (&file("memory.stat"), "anon 1\ninactive_file 6000\n"),
        (&file("memory.max"), "8000\n"),
        (&file("pids.current"), "1\n"),
        (
            &file("io.stat"),
            "8:0 rbytes=10 wbytes=20 rios=1 wios=2\n8:16 rbytes=1 wbytes=2\n",
        ),
    ]);
    let want = Usage {
        cpu_nanos: Some(12_000),
        memory_bytes: Some(0),
        memory_limit_bytes: Some(8000),
        pids: Some(1),
        disk_bytes: Some((11, 22)),
        network_bytes: None,
    };
    assert_eq!(found, want);
}

#[test]
fn a_group_shared_with_others_tells_nothing() {
    let found = usage(&[
        (
            "/proc/self/mounts",
            "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n",
        ),
        ("/proc/7/cgroup", "0::/user.slice\n"),
        ("/sys/fs/cgroup/user.slice/memory.current", "5000\n"),
    ]);
    assert_eq!(found, Usage::default());
}

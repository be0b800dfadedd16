//! What Docker's default profile allows, and when. (Facts: `github.com/moby/profiles`.)
//!
//! Whatever is not named here fails with `EPERM`.

use super::{Argument, Condition, Rule};

/// Allowed to every container on every architecture that has them.
const ALWAYS: &str = "\
    accept accept4 access adjtimex alarm bind brk cachestat capget capset chdir chmod chown \
    chown32 clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime \
    clock_gettime64 clock_nanosleep clock_nanosleep_time64 close close_range connect \
    copy_file_range creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_ctl_old \
    epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 execve execveat exit \
    exit_group faccessat faccessat2 fadvise64 fadvise64_64 fallocate fanotify_mark fchdir fchmod \
    fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr flock \
    fork fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate \
    ftruncate64 futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake futimesat \
    get_robust_list get_thread_area getcpu getcwd getdents getdents64 getegid getegid32 geteuid \
    geteuid32 getgid getgid32 getgroups getgroups32 getitimer getpeername getpgid getpgrp getpid \
    getppid getpriority getrandom getresgid getresgid32 getresuid getresuid32 getrlimit getrusage \
    getsid getsockname getsockopt gettid gettimeofday getuid getuid32 getxattr getxattrat \
    inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel io_destroy \
    io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit ioctl ioprio_get ioprio_set \
    ipc kill landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown lchown32 \
    lgetxattr link linkat listen listmount listxattr listxattrat llistxattr _llseek lremovexattr \
    lseek lsetxattr lstat lstat64 madvise map_shadow_stack membarrier memfd_create memfd_secret \
    mincore mkdir mkdirat mknod mknodat mlock mlock2 mlockall mmap mmap2 mprotect mq_getsetattr \
    mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 \
    mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync munlock munlockall munmap \
    name_to_handle_at nanosleep newfstatat _newselect open openat openat2 pause pidfd_open \
    pidfd_send_signal pipe pipe2 pkey_alloc pkey_free pkey_mprotect poll ppoll ppoll_time64 prctl \
    pread64 preadv preadv2 prlimit64 process_mrelease pselect6 pselect6_time64 pwrite64 pwritev \
    pwritev2 read readahead readlink readlinkat readv recv recvfrom recvmmsg recvmmsg_time64 \
    recvmsg remap_file_pages removexattr removexattrat rename renameat renameat2 restart_syscall \
    riscv_hwprobe rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo \
    rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo \
    sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam \
    sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity \
    sched_setattr sched_setparam sched_setscheduler sched_yield seccomp select semctl semget semop \
    semtimedop semtimedop_time64 send sendfile sendfile64 sendmmsg sendmsg sendto set_robust_list \
    set_thread_area set_tid_address setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 \
    setgroups setgroups32 setitimer setpgid setpriority setregid setregid32 setresgid setresgid32 \
    setresuid setresuid32 setreuid setreuid32 setrlimit setsid setsockopt setuid setuid32 setxattr \
    setxattrat shmat shmctl shmdt shmget shutdown sigaltstack signalfd signalfd4 sigprocmask \
    sigreturn socketcall socketpair splice stat stat64 statfs statfs64 statmount statx symlink \
    symlinkat sync sync_file_range syncfs sysinfo tee tgkill time timer_create timer_delete \
    timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create \
    timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64 times tkill truncate \
    truncate64 ugetrlimit umask uname unlink unlinkat uretprobe utime utimensat utimensat_time64 \
    utimes vfork vmsplice wait4 waitid waitpid write writev";

/// Allowed with a capability.
const WITH_CAPABILITY: [(&str, &str); 14] = [
    ("CAP_DAC_READ_SEARCH", "open_by_handle_at"),
    (
        "CAP_SYS_ADMIN",
        "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie \
         lsm_get_self_attr lsm_list_modules lsm_set_self_attr mount mount_setattr \
         move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname \
         sethostname setns syslog umount umount2 unshare",
    ),
    ("CAP_SYS_BOOT", "reboot"),
    ("CAP_SYS_CHROOT", "chroot"),
    ("CAP_SYS_MODULE", "delete_module finit_module init_module"),
    ("CAP_SYS_PACCT", "acct"),
    (
        "CAP_SYS_PTRACE",
        "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace",
    ),
    ("CAP_SYS_RAWIO", "ioperm iopl"),
    (
        "CAP_SYS_TIME",
        "clock_settime clock_settime64 settimeofday stime",
    ),
    ("CAP_SYS_TTY_CONFIG", "vhangup"),
    (
        "CAP_SYS_NICE",
        "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
    ),
    ("CAP_SYSLOG", "syslog"),
    ("CAP_BPF", "bpf"),
    ("CAP_PERFMON", "perf_event_open"),
];

/// Allowed on some architectures, named as Docker's profiles name them.
const ON_ARCHITECTURE: [(&[&str], &str); 6] = [
    (&["ppc64le"], "swapcontext sync_file_range2"),
    (
        &["arm", "arm64"],
        "arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush set_tls \
         sync_file_range2",
    ),
    (&["amd64", "x32"], "arch_prctl"),
    (&["amd64", "x32", "x86"], "modify_ldt"),
    (
        &["s390", "s390x"],
        "s390_pci_mmio_read s390_pci_mmio_write s390_runtime_instr",
    ),
    (&["riscv64"], "riscv_flush_icache"),
];

/// Allowed with these values of the first argument: the plain Linux personality, 32 bits of
/// addresses, the oldest version number of the kernel, both, and asking for it.
const PERSONALITIES: [u64; 5] = [0x0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// Address families of sockets that are kept from containers lie between those let through:
/// 38 (the kernel's cryptography) and 40 (virtual machines).
const SOCKET_FAMILIES: [(u64, &str); 3] = [
    (38, "SCMP_CMP_LT"),
    (39, "SCMP_CMP_EQ"),
    (40, "SCMP_CMP_GT"),
];

/// Flags of `clone` that make namespaces.
const NAMESPACE_FLAGS: u64 = 0x7e02_0000;

/// `ENOSYS`, so that the C library tries `clone`, whose flags a filter can see.
const NOT_THERE: u32 = 38;

/// An architecture by its names.
pub(super) struct Architecture {
    rust: &'static str,
    /// In conditions of Docker's profiles.
    pub(super) docker: &'static str,
    /// In the runtime specification.
    pub(super) name: &'static str,
    /// What programs of others its kernels run.
    pub(super) also: &'static [&'static str],
}

const fn same(
    rust: &'static str,
    docker: &'static str,
    name: &'static str,
    also: &'static [&'static str],
) -> Architecture {
    Architecture {
        rust,
        docker,
        name,
        also,
    }
}

const ARCHITECTURES: [Architecture; 8] = [
    same("x86_64", "amd64", "SCMP_ARCH_X86_64", &["SCMP_ARCH_X86"]),
    same("aarch64", "arm64", "SCMP_ARCH_AARCH64", &["SCMP_ARCH_ARM"]),
    same("riscv64", "riscv64", "SCMP_ARCH_RISCV64", &[]),
    same("s390x", "s390x", "SCMP_ARCH_S390X", &["SCMP_ARCH_S390"]),
    same("loongarch64", "loongarch64", "SCMP_ARCH_LOONGARCH64", &[]),
    same("powerpc64", "ppc64le", "SCMP_ARCH_PPC64LE", &[]),
    same("x86", "x86", "SCMP_ARCH_X86", &[]),
    same("arm", "arm", "SCMP_ARCH_ARM", &[]),
];

/// The architecture that Rust calls `name`.
pub(super) fn architecture(name: &str) -> Option<&'static Architecture> {
    ARCHITECTURES.iter().find(|known| known.rust == name)
}

fn allow(names: &str) -> Rule {
    Rule {
        names: names.split(' ').map(str::to_owned).collect(),
        action: "SCMP_ACT_ALLOW".to_owned(),
        ..Rule::default()
    }
}

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn capability(name: &str) -> Condition {
    Condition {
        caps: strings(&[name]),
        ..Condition::default()
    }
}

fn argument(index: u32, value: u64, op: &str) -> Vec<Argument> {
    vec![Argument {
        index,
        value,
        value_two: 0,
        op: op.to_owned(),
    }]
}

/// All rules.
pub(super) fn rules() -> Vec<Rule> {
    let mut rules = vec![allow(ALWAYS)];
    rules.push(Rule {
        includes: Condition {
            min_kernel: Some((4, 8)),
            ..Condition::default()
        },
        ..allow("process_vm_readv process_vm_writev ptrace")
    });
    rules.extend(WITH_CAPABILITY.iter().map(|(name, syscalls)| Rule {
        includes: capability(name),
        ..allow(syscalls)
    }));
    rules.extend(ON_ARCHITECTURE.iter().map(|(names, syscalls)| Rule {
        includes: Condition {
            arches: strings(names),
            ..Condition::default()
        },
        ..allow(syscalls)
    }));
    rules.extend(SOCKET_FAMILIES.iter().map(|(family, op)| Rule {
        args: argument(0, *family, op),
        ..allow("socket")
    }));
    rules.extend(PERSONALITIES.iter().map(|value| Rule {
        args: argument(0, *value, "SCMP_CMP_EQ"),
        ..allow("personality")
    }));
    rules.extend(without_administrator());
    rules
}

/// Who isn't an administrator clones processes, but no namespaces. On s390 the flags are the
/// second argument.
fn without_administrator() -> [Rule; 3] {
    let s390 = ["s390", "s390x"];
    let clone = |index| Rule {
        args: argument(index, NAMESPACE_FLAGS, "SCMP_CMP_MASKED_EQ"),
        excludes: capability("CAP_SYS_ADMIN"),
        ..allow("clone")
    };
    let mut usual = clone(0);
    usual.excludes.arches = strings(&s390);
    let mut swapped = clone(1);
    swapped.includes.arches = strings(&s390);
    let clone3 = Rule {
        names: strings(&["clone3"]),
        action: "SCMP_ACT_ERRNO".to_owned(),
        errno_ret: Some(NOT_THERE),
        excludes: capability("CAP_SYS_ADMIN"),
        ..Rule::default()
    };
    [usual, swapped, clone3]
}

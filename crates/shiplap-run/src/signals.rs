//! Signals of this program and of those it starts.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{
    SIGALRM, SIGCHLD, SIGCONT, SIGHUP, SIGINT, SIGPIPE, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN,
    SIGTTOU, SIGUSR1, SIGUSR2, SIGWINCH,
};

/// Takes every usual signal, and does nothing on it. Whoever called this program may have had some
/// of them ignored, which programs hand down; those that are taken are back at their defaults in
/// every program started from now on. A container's program must find them so.
///
/// # Errors
/// What the system says.
pub fn take_usual() -> io::Result<()> {
    let usual = [
        SIGALRM, SIGCHLD, SIGCONT, SIGHUP, SIGINT, SIGPIPE, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN,
        SIGTTOU, SIGUSR1, SIGUSR2, SIGWINCH,
    ];
    for signal in usual {
        signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))?;
    }
    Ok(())
}

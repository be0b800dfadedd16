//! Signals that ask to end, for verbs that clear away what they began.

use std::{sync::Arc, thread, time::Duration};

use shiplap_ops::step::Cancel;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::{Handle, Signals},
    low_level::emulate_default_handler,
};

use crate::face::Failure;

/// What a process that was interrupted exits with.
pub(crate) const EXIT_CODE: u8 = 130;

/// How long what was canceled may take to end: what fetches something does not hear of it.
const GRACE: Duration = Duration::from_secs(3);

/// The first signal that asks to end cancels; a second one, or patience that is over, ends the process as
/// it would have without. What is left then is the next one's to clear away, as after any death.
pub(crate) fn listen(cancel: &Arc<Cancel>) -> Result<Handle, Failure> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let handle = signals.handle();
    let cancel = Arc::clone(cancel);
    thread::spawn(move || {
        for signal in signals.forever() {
            // Where it fails it goes on, and can still be killed.
            let end = move || drop(emulate_default_handler(signal));
            if cancel.is_cancelled() {
                end();
            }
            cancel.cancel();
            thread::spawn(move || {
                thread::sleep(GRACE);
                end();
            });
        }
    });
    Ok(handle)
}

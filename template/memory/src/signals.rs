//! Ends the process when nothing else can.

use std::time::Duration;

/// Ends the process at a second SIGTERM or Ctrl-C, and at the latest shortly after `time` has
/// passed since the first. Works even if other threads are blocked.
#[cfg(unix)]
pub fn exit_after(time: Duration) {
    use std::{
        process::exit,
        sync::{atomic::AtomicBool, Arc, Once},
        thread,
    };

    use signal_hook::{
        consts::{SIGINT, SIGTERM},
        flag,
        iterator::Signals,
    };

    /// For what follows the last requests: jobs, connections to databases.
    const GRACE: Duration = Duration::from_secs(2);

    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        let watch = || -> std::io::Result<Signals> {
            let is_ending = Arc::new(AtomicBool::new(false));
            for signal in [SIGINT, SIGTERM] {
                // The order matters: the first signal must find the flag unset.
                flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&is_ending))?;
                flag::register(signal, Arc::clone(&is_ending))?;
            }
            Signals::new([SIGINT, SIGTERM])
        };
        match watch() {
            Ok(mut signals) => drop(thread::spawn(move || {
                if signals.forever().next().is_some() {
                    thread::sleep(time.saturating_add(GRACE));
                    tracing::error!("the process has not ended in time: exiting");
                    exit(1);
                }
            })),
            Err(err) => tracing::warn!(%err, "a second signal will not end the process at once"),
        }
    });
}

#[cfg(not(unix))]
pub const fn exit_after(_time: Duration) {}

//! Requests to end: SIGINT and SIGTERM.

use std::io;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::os::Signal;

/// Calls `told` for every one that arrives, on a thread of its own. From now on
/// they do not end the process by themselves.
pub(crate) fn watch_signals(mut told: impl FnMut(Signal) + Send + 'static) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            for number in signals.forever() {
                told(match number {
                    SIGINT => Signal {
                        number: 2,
                        name: "SIGINT",
                    },
                    _ => Signal {
                        number: 15,
                        name: "SIGTERM",
                    },
                });
            }
        })?;
    Ok(())
}

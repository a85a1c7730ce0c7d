//! Signals and our threads: `SIGPIPE` never kills, and the host's handlers never
//! run on a thread of ours.
//!
//! A write to a broken pipe sends `SIGPIPE` to the thread that wrote, and its
//! default is to end the process. Rust programs ignore it, but a library may sit
//! in a program that does not, and it must not change what the program decided.

use std::mem::MaybeUninit;
use std::ptr;

use rustix::io::Errno;

/// Blocks every signal on the current thread, which must be one of ours.
pub(super) fn block_all() {
    let mut all = MaybeUninit::uninit();
    // SAFETY: `sigfillset` initialises the set it is given; it cannot fail.
    unsafe { libc::sigfillset(all.as_mut_ptr()) };
    // SAFETY: `all` was initialised in the line above.
    let all = unsafe { all.assume_init() };
    // SAFETY: the set is initialised, and a null pointer asks for no old mask.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, ptr::null_mut()) };
}

/// Runs `write` such that a broken pipe is an error and no signal.
///
/// The signal is for this thread alone (POSIX, `write`: "sent to the thread"), so
/// it is held back here, taken off if this write caused it, and the thread's mask
/// is put back as it was.
pub(super) fn guarded<T>(write: impl FnOnce() -> Result<T, Errno>) -> Result<T, Errno> {
    let sigpipe = sigpipe_set();
    let pending_before = is_pending();
    let mut before = MaybeUninit::uninit();
    // SAFETY: `sigpipe` is initialised, and `before` has room for a set, which
    // the call initialises: with valid arguments it cannot fail.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const sigpipe, before.as_mut_ptr()) };

    let result = write();

    if matches!(result, Err(Errno::PIPE)) && !pending_before && is_pending() {
        let mut taken = 0;
        // SAFETY: the set is initialised; SIGPIPE is blocked and pending, so the
        // call returns at once.
        unsafe { libc::sigwait(&raw const sigpipe, &raw mut taken) };
    }
    // SAFETY: `before` was initialised by the first `pthread_sigmask`.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut()) };
    result
}

fn sigpipe_set() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: `sigemptyset` initialises the set it is given; it cannot fail.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: the set was initialised in the line above, and SIGPIPE is a signal.
    unsafe { libc::sigaddset(set.as_mut_ptr(), libc::SIGPIPE) };
    // SAFETY: as above.
    unsafe { set.assume_init() }
}

fn is_pending() -> bool {
    let mut set = MaybeUninit::uninit();
    // SAFETY: `sigpending` initialises the set it is given; it cannot fail.
    unsafe { libc::sigpending(set.as_mut_ptr()) };
    // SAFETY: the set was initialised in the line above.
    let is_member = unsafe { libc::sigismember(set.as_ptr(), libc::SIGPIPE) };
    is_member == 1
}

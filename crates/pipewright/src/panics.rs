//! Panics of the user's code on threads of ours.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs user code on a thread of ours. A panic ends here: it was reported by the
/// panic hook, and the thread has other writers to serve.
pub(crate) fn contain(user_code: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(user_code));
}

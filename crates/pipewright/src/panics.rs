//! Panics of the user's code on threads of ours.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs user code on a thread of ours. A panic ends here: it was reported by the
/// panic hook, and the thread has other writers to serve.
pub(crate) fn contain(user_code: impl FnOnce()) {
    let Err(payload) = catch_unwind(AssertUnwindSafe(user_code)) else {
        return;
    };
    // What a panic carries is the user's as well, and may panic when it is dropped.
    if let Err(another) = catch_unwind(AssertUnwindSafe(move || drop(payload))) {
        forget(another);
    }
}

/// Lets a value be, for ever: there is no end to what its destructor might do.
#[expect(clippy::mem_forget, reason = "dropping it has led here")]
fn forget<T>(value: T) {
    std::mem::forget(value);
}

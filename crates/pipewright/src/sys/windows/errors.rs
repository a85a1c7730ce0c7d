//! Every error that `WriteFile`, `GetOverlappedResult` and `CancelIoEx` are known
//! to give, what each means, and what becomes of the operation.
//!
//! Sources: Microsoft, "WriteFile function", "CancelIoEx function",
//! "GetOverlappedResult function", "System Error Codes". A code that is not in the
//! table is a reported error like any other, never a panic.

use std::io;

use pipewright_core::{Failure, Operation, Rest};
use windows_sys::Win32::Foundation as os;

use crate::sys::Submitted;

/// What an error means for a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// The kernel has the operation, and will report its completion.
    Pending,
    /// The completion is not there yet.
    Incomplete,
    /// The reader is gone, and was when the write was asked for.
    Gone,
    /// The reader went away, maybe while the write was under way.
    Broken,
    /// The server's end waits for a client.
    NotConnected,
    /// The operation was cancelled, by us or by somebody else.
    Cancelled,
    /// The system lacks something that it may have later.
    Resources,
    /// There was nothing to cancel (any more, or yet).
    NothingToCancel,
    /// The handle or the call is wrong: nothing was tried.
    Misuse,
    /// Anything else.
    Other,
}

/// The table.
const CLASSES: &[(u32, Class)] = &[
    (os::ERROR_IO_PENDING, Class::Pending),
    (os::ERROR_IO_INCOMPLETE, Class::Incomplete),
    (os::ERROR_NO_DATA, Class::Gone),
    (os::ERROR_BROKEN_PIPE, Class::Broken),
    (os::ERROR_PIPE_NOT_CONNECTED, Class::Broken),
    (os::ERROR_PIPE_LISTENING, Class::NotConnected),
    (os::ERROR_OPERATION_ABORTED, Class::Cancelled),
    (os::ERROR_NOT_ENOUGH_MEMORY, Class::Resources),
    (os::ERROR_OUTOFMEMORY, Class::Resources),
    (os::ERROR_NO_SYSTEM_RESOURCES, Class::Resources),
    (os::ERROR_WORKING_SET_QUOTA, Class::Resources),
    (os::ERROR_INVALID_USER_BUFFER, Class::Resources),
    (os::ERROR_NOT_ENOUGH_QUOTA, Class::Resources),
    (os::ERROR_NOT_FOUND, Class::NothingToCancel),
    (os::ERROR_ACCESS_DENIED, Class::Misuse),
    (os::ERROR_INVALID_HANDLE, Class::Misuse),
    (os::ERROR_INVALID_PARAMETER, Class::Misuse),
];

/// What `code` means.
pub(super) fn class(code: u32) -> Class {
    let known = CLASSES.iter().find(|(known, _)| *known == code);
    known.map_or(Class::Other, |(_, class)| *class)
}

/// An overlapped write was refused at once: the kernel never had it, so nothing of
/// it was written.
pub(super) fn refused(operation: Operation, code: u32) -> Submitted {
    match class(code) {
        Class::NotConnected => Submitted::NotReady(operation),
        Class::Resources => Submitted::Exhausted(operation, failure(code)),
        _ => Submitted::Failed(operation, 0, failure(code), Rest::Unsent),
    }
}

/// An overlapped write that had been pending came back with an error. Of what the
/// system does not count as written it does not say whether the reader has it, so
/// it is never tried again, whatever the code.
pub(super) fn came_back(operation: Operation, written: usize, code: u32) -> Submitted {
    Submitted::Failed(operation, written, failure(code), Rest::InDoubt)
}

/// A write that may have waited inside the system failed there. Only codes that the
/// system gives before it takes anything leave the data unsent.
pub(super) fn blocked(operation: Operation, written: usize, code: u32) -> Submitted {
    match class(code) {
        Class::NotConnected if written == 0 => Submitted::NotReady(operation),
        Class::Resources if written == 0 => Submitted::Exhausted(operation, failure(code)),
        Class::Misuse | Class::Gone if written == 0 => {
            Submitted::Failed(operation, 0, failure(code), Rest::Unsent)
        }
        _ => Submitted::Failed(operation, written, failure(code), Rest::InDoubt),
    }
}

/// The operation was cancelled before the system heard of it.
pub(super) fn cancelled_before(operation: Operation) -> Submitted {
    refused(operation, os::ERROR_OPERATION_ABORTED)
}

/// The kind of the error. A client that the server has disconnected gets a code that
/// `std` does not know.
pub(crate) fn error_kind(code: i32) -> io::ErrorKind {
    match class(u32::from_ne_bytes(code.to_ne_bytes())) {
        Class::Gone | Class::Broken => io::ErrorKind::BrokenPipe,
        _ => io::Error::from_raw_os_error(code).kind(),
    }
}

/// The code as the core keeps it: the same 32 bits, as `std::io::Error` has them.
pub(super) fn failure(code: u32) -> Failure {
    Failure::Os(i32::from_ne_bytes(code.to_ne_bytes()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]
mod tests {
    use pipewright_core::{Config, Core, Limits};

    use super::*;

    fn operation() -> Operation {
        let mut core = Core::new(Config::default());
        core.attach(Limits::default()).unwrap();
        core.send_slice(b"abc").unwrap();
        core.poll_submit().unwrap()
    }

    /// The numbers as Microsoft's "System Error Codes" has them.
    #[test]
    fn every_known_code_has_its_class() {
        let expected = [
            (997, Class::Pending),
            (996, Class::Incomplete),
            (232, Class::Gone),
            (109, Class::Broken),
            (233, Class::Broken),
            (536, Class::NotConnected),
            (995, Class::Cancelled),
            (8, Class::Resources),
            (14, Class::Resources),
            (1450, Class::Resources),
            (1453, Class::Resources),
            (1784, Class::Resources),
            (1816, Class::Resources),
            (1168, Class::NothingToCancel),
            (5, Class::Misuse),
            (6, Class::Misuse),
            (87, Class::Misuse),
        ];
        assert_eq!(CLASSES.len(), expected.len());
        for (code, expected) in expected {
            assert_eq!(class(code), expected, "{code}");
        }
    }

    #[test]
    fn no_code_is_listed_twice() {
        for (code, _) in CLASSES {
            let times = CLASSES.iter().filter(|(other, _)| other == code).count();
            assert_eq!(times, 1, "{code}");
        }
    }

    #[test]
    fn every_code_comes_back_as_itself_whatever_it_is() {
        for code in (0..3000).chain([0x8000_0000, u32::MAX]) {
            let (before, after, inside) = (
                refused(operation(), code),
                came_back(operation(), 1, code),
                blocked(operation(), 1, code),
            );
            for submitted in [before, after, inside] {
                match submitted {
                    Submitted::Failed(_, _, kept, _) | Submitted::Exhausted(_, kept) => {
                        assert_eq!(kept, failure(code));
                    }
                    Submitted::NotReady(_) => assert_eq!(class(code), Class::NotConnected),
                    _ => panic!("{code} is no success"),
                }
            }
        }
    }

    #[test]
    fn what_was_pending_and_failed_is_never_tried_again() {
        for code in (0..3000).chain([u32::MAX]) {
            let Submitted::Failed(_, 1, _, Rest::InDoubt) = came_back(operation(), 1, code) else {
                panic!("{code}");
            };
        }
    }

    #[test]
    fn what_was_refused_at_once_is_unsent_or_tried_again() {
        for code in (0..3000).chain([u32::MAX]) {
            match refused(operation(), code) {
                Submitted::NotReady(_) => assert_eq!(code, 536),
                Submitted::Exhausted(..) => assert_eq!(class(code), Class::Resources),
                Submitted::Failed(_, 0, _, Rest::Unsent) => {}
                _ => panic!("{code}"),
            }
        }
    }

    #[test]
    fn a_blocked_write_that_took_a_part_is_never_tried_again() {
        for code in (0..3000).chain([u32::MAX]) {
            let Submitted::Failed(_, 1, _, Rest::InDoubt) = blocked(operation(), 1, code) else {
                panic!("{code}");
            };
        }
        for code in [109, 233, 995, 64, 1117] {
            let Submitted::Failed(_, 0, _, Rest::InDoubt) = blocked(operation(), 0, code) else {
                panic!("{code}");
            };
        }
    }
}

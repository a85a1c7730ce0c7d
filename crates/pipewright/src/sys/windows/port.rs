//! A completion port: the way home of writes to handles that nobody else uses.
//!
//! What a thread has pending on a handle that is bound to a port goes on when the thread
//! ends (Microsoft, "ExitThread function"). So any thread may start a write there, and
//! the sender of a message that finds an idle pipe does. A handle stays bound until it is
//! closed, and its marks stay (Microsoft, "SetFileCompletionNotificationModes function"),
//! so it is done only if the user says that nobody else has the handle.
//!
//! # Invariant
//!
//! * **P1 only compared**: a packet's address of an OVERLAPPED is never followed, and a
//!   packet is believed only if that address is the one that its driver's operation in
//!   flight has, and the system says there that it is done. A handle that somebody else
//!   uses after all may bring packets of theirs, with any address.

use std::collections::BTreeMap;
use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use windows_sys::Win32::Foundation::INVALID_HANDLE_VALUE;
use windows_sys::Win32::Storage::FileSystem::SetFileCompletionNotificationModes;
use windows_sys::Win32::System::IO::{
    CreateIoCompletionPort, GetQueuedCompletionStatusEx, OVERLAPPED_ENTRY,
    PostQueuedCompletionStatus,
};
use windows_sys::Win32::System::Threading::INFINITE;
use windows_sys::Win32::System::WindowsProgramming::FILE_SKIP_COMPLETION_PORT_ON_SUCCESS;

use super::block::Block;
use super::overlapped::Overlapped;

/// How many packets are taken at once.
const BATCH: usize = 64;

/// The key of the packets that only wake.
const BELL: usize = 0;

/// A write that is over at once posts no packet.
const SKIP_ON_SUCCESS: u8 = {
    assert!(FILE_SKIP_COMPLETION_PORT_ON_SUCCESS == 1);
    1
};

pub(super) struct Port {
    port: OwnedHandle,
    drivers: Mutex<Drivers>,
    /// How many writes the kernel has.
    lent: AtomicUsize,
}

/// Whose the packets are.
#[derive(Default)]
struct Drivers {
    by_key: BTreeMap<usize, Weak<Overlapped>>,
    /// None is used twice: a handle that was given back keeps its own.
    last_key: usize,
}

impl From<OwnedHandle> for Port {
    fn from(port: OwnedHandle) -> Port {
        Port {
            port,
            drivers: Mutex::default(),
            lent: AtomicUsize::new(0),
        }
    }
}

impl Port {
    pub(super) fn new() -> io::Result<Port> {
        // A thread that user code keeps counts as running; another must be let go on.
        const THREADS: u32 = u32::MAX;
        // SAFETY: without a file and a port, it makes a new one.
        let port =
            unsafe { CreateIoCompletionPort(INVALID_HANDLE_VALUE, ptr::null_mut(), 0, THREADS) };
        if port.is_null() {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: it was made by the call above and nobody else knows it.
        Ok(unsafe { OwnedHandle::from_raw_handle(port) }.into())
    }

    /// Binds the handle for as long as it is open. Its packets come under the key that is
    /// returned, and only those of writes that were pending.
    ///
    /// # Errors
    ///
    /// The system's: mostly that it is bound to a port already. Otherwise it may be bound
    /// to this one, which does not matter to whoever waits for an event.
    pub(super) fn bind(&self, pipe: BorrowedHandle<'_>) -> io::Result<Bound> {
        let mut drivers = self.drivers();
        drivers.last_key += 1;
        let (pipe, port) = (pipe.as_raw_handle(), self.port.as_raw_handle());
        // SAFETY: both handles are open.
        if unsafe { CreateIoCompletionPort(pipe, port, drivers.last_key, 0) }.is_null() {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the handle is open.
        if unsafe { SetFileCompletionNotificationModes(pipe, SKIP_ON_SUCCESS) } == 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Bound(drivers.last_key))
    }

    /// The packets of `bound` are this driver's.
    pub(super) fn serve(&self, bound: &Bound, driver: Weak<Overlapped>) {
        self.drivers().by_key.insert(bound.0, driver);
    }

    /// They are nobody's any more.
    pub(super) fn forget(&self, bound: &Bound) {
        self.drivers().by_key.remove(&bound.0);
    }

    /// A write is pending: its packet will come.
    pub(super) fn expect(&self) {
        self.lent.fetch_add(1, Ordering::Relaxed);
    }

    /// Ends a [`wait`](Self::wait), or the next one.
    ///
    /// # Errors
    ///
    /// The system's, for want of memory.
    pub(super) fn ring(&self) -> io::Result<()> {
        let port = self.port.as_raw_handle();
        // SAFETY: the port is open; a packet without an OVERLAPPED points to nothing.
        match unsafe { PostQueuedCompletionStatus(port, 0, BELL, ptr::null()) } {
            0 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    }

    /// Waits until writes are over or the bell rings, and hands the blocks home.
    pub(super) fn wait(&self) -> Vec<Block> {
        self.take(INFINITE)
    }

    /// The writes that are over by now.
    pub(super) fn poll(&self) -> Vec<Block> {
        // Asking costs a system call. One that is expected only now is over later.
        if self.lent.load(Ordering::Relaxed) == 0 {
            return Vec::new();
        }
        self.take(0)
    }

    fn take(&self, milliseconds: u32) -> Vec<Block> {
        let mut packets = [OVERLAPPED_ENTRY::default(); BATCH];
        let mut count = 0;
        let (port, room) = (self.port.as_raw_handle(), packets.as_mut_ptr());
        let most = u32::try_from(BATCH).unwrap_or(1);
        // SAFETY: the port is open; there is room for `most` packets, and for their number,
        // for the whole call.
        let taken = unsafe {
            GetQueuedCompletionStatusEx(port, room, most, &raw mut count, milliseconds, 0)
        };
        if taken == 0 {
            if milliseconds == INFINITE {
                // It does not happen while the port is open; if it does, without haste.
                thread::sleep(Duration::from_millis(1));
            }
            return Vec::new();
        }
        let count = count as usize;
        let blocks: Vec<Block> = packets[..count]
            .iter()
            .filter_map(|packet| {
                let driver = self.driver(packet.lpCompletionKey)?;
                driver.arrived(packet.lpOverlapped)
            })
            .collect();
        self.lent.fetch_sub(blocks.len(), Ordering::Relaxed);
        blocks
    }

    fn driver(&self, key: usize) -> Option<Arc<Overlapped>> {
        self.drivers().by_key.get(&key)?.upgrade()
    }

    fn drivers(&self) -> MutexGuard<'_, Drivers> {
        self.drivers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A handle that is bound to the port, by the key of its packets.
pub(super) struct Bound(usize);

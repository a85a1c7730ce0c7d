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
//!   uses after all may bring packets of theirs, with any address. And a packet may come
//!   before the system has said so in the OVERLAPPED (seen on Wine 10, which does that on
//!   the thread that started the write); then it still writes there.

use std::collections::BTreeMap;
use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Poll;
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
use super::kind::{Kind, Object};
use super::overlapped::Overlapped;
use super::worker::Worker;
use crate::sys::{Handling, Pipe};

/// How many packets are taken at once.
const BATCH: u32 = 64;

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
    early: Mutex<Early>,
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

/// Operations whose packet has come, and that are not seen to be over yet: by the key
/// and the number. They are looked at again.
#[derive(Default)]
struct Early {
    operations: Vec<(usize, u64)>,
    looks: u32,
}

impl Early {
    /// How long the next look may wait, in milliseconds: hardly, at first.
    fn limit(&self) -> u32 {
        match self.operations.len() {
            0 => INFINITE,
            _ => (1 << self.looks.min(7)) >> 1,
        }
    }
}

impl From<OwnedHandle> for Port {
    fn from(port: OwnedHandle) -> Port {
        Port {
            port,
            drivers: Mutex::default(),
            early: Mutex::default(),
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
        // Nobody else wants it: one thread at a time is on this duty.
        let mut early = self.early();
        let mut packets = [OVERLAPPED_ENTRY::default(); BATCH as usize];
        let count = self.packets(&mut packets, milliseconds.min(early.limit()));
        let come = packets[..count].iter().filter_map(|packet| {
            let key = packet.lpCompletionKey;
            Some((key, self.driver(key)?.number_of(packet.lpOverlapped)?))
        });
        early.operations.extend(come);
        let mut blocks = Vec::new();
        early.operations.retain(|(key, number)| {
            let home = self.driver(*key).map(|driver| driver.bring_home(*number));
            if let Some(Poll::Ready(Some(block))) = home {
                blocks.push(block);
                return false;
            }
            matches!(home, Some(Poll::Pending))
        });
        early.looks = match early.operations.len() {
            0 => 0,
            _ => early.looks + 1,
        };
        self.lent.fetch_sub(blocks.len(), Ordering::Relaxed);
        blocks
    }

    /// Waits for packets, up to so many milliseconds, and says how many have come.
    fn packets(
        &self,
        packets: &mut [OVERLAPPED_ENTRY; BATCH as usize],
        milliseconds: u32,
    ) -> usize {
        let mut count = 0;
        let (port, room) = (self.port.as_raw_handle(), packets.as_mut_ptr());
        // SAFETY: the port is open; there is room for `BATCH` packets, and for their number,
        // for the whole call.
        let taken = unsafe {
            GetQueuedCompletionStatusEx(port, room, BATCH, &raw mut count, milliseconds, 0)
        };
        if taken != 0 {
            return count as usize;
        }
        if milliseconds == INFINITE {
            // It does not happen while the port is open; if it does, without haste.
            thread::sleep(Duration::from_millis(1));
        }
        0
    }

    fn early(&self) -> MutexGuard<'_, Early> {
        self.early.lock().unwrap_or_else(PoisonError::into_inner)
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

/// Who hears of the completions, and whether as packets.
pub(super) fn way_home(
    pipe: &Pipe,
    kind: Kind,
    handling: Handling,
) -> io::Result<(&'static Worker, Option<(&'static Port, Bound)>)> {
    // In both ways: it also keeps the time.
    let worker = Worker::get()?;
    if handling.sole_owner && kind.object == Object::Pipe {
        if let Ok((worker, port)) = Worker::of_port() {
            // If not, it mostly belongs to a port already, which hears nothing of the
            // other way.
            if let Ok(bound) = port.bind(pipe.as_handle()) {
                return Ok((worker, Some((port, bound))));
            }
        }
    }
    Ok((worker, None))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use std::fs::OpenOptions;
    use std::io::Read;
    use std::time::Instant;

    use bytes::Bytes;
    use pipewright_core::{Config, Core, Operation};

    use super::super::worker::tests::told;
    use super::*;
    use crate::named_pipe::ServerOptions;
    use crate::sys::{Driver, Submitted};

    const WATCHDOG: Duration = Duration::from_secs(60);

    /// More than the pipe takes.
    fn operation(driver: &dyn Driver) -> Operation {
        let mut core = Core::new(Config::default());
        core.attach(driver.limits()).unwrap();
        core.send(&mut Bytes::from(vec![7; 4096])).unwrap();
        core.poll_submit().unwrap()
    }

    /// Wine's do that, now and then.
    #[test]
    fn an_operation_whose_packet_comes_too_early_is_brought_home_when_it_is_over() {
        let name = format!(r"\\.\pipe\pipewright-port-{}", std::process::id());
        let mut server = ServerOptions::new(&name).out_buffer(1).create().unwrap();
        let mut reader = OpenOptions::new().read(true).open(&name).unwrap();
        let pipe = server.accept(WATCHDOG).unwrap();
        // A port that no thread waits for.
        let port: &Port = Box::leak(Box::new(Port::new().unwrap()));
        let bound = port.bind(pipe.as_handle()).unwrap();
        let kind = Kind::of(pipe.as_handle()).unwrap();
        let driver = Overlapped::new(pipe, kind, Worker::get().unwrap(), Some((port, bound)));
        let submitted = driver.submit(told(|_| ()), operation(&*driver));
        assert!(matches!(submitted, Submitted::Pending));

        let (key, overlapped) = (1, driver.overlapped().unwrap());
        // SAFETY: the port is open; nobody follows the pointer.
        let posted =
            unsafe { PostQueuedCompletionStatus(port.port.as_raw_handle(), 0, key, overlapped) };
        assert_ne!(posted, 0);
        assert!(port.poll().is_empty(), "the kernel has it");
        assert_eq!(port.early().operations, [(key, 1)]);

        reader.read_exact(&mut [0; 4096]).unwrap();
        // Its own packet goes another way.
        let mut packets = [OVERLAPPED_ENTRY::default(); BATCH as usize];
        assert_eq!(port.packets(&mut packets, 60_000), 1);
        let begun = Instant::now();
        let mut home = port.poll();
        while home.is_empty() {
            assert!(begun.elapsed() < WATCHDOG, "it was forgotten");
            home = port.poll();
        }
        assert_eq!(home.len(), 1);
        assert!(port.early().operations.is_empty());
        assert!(
            driver.number_of(overlapped).is_some(),
            "until it has landed"
        );
        home.into_iter().for_each(Overlapped::land);
        assert!(driver.number_of(overlapped).is_none());
    }
}

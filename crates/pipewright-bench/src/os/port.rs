//! Writes to many pipes through one completion port (Microsoft, "I/O Completion Ports"):
//! a queue of chunks for each pipe, and one overlapped write of each in flight, started by
//! the thread that queues.
//!
//! A write that is done at once posts no packet, and the next one is started. What is
//! queued for a pipe meanwhile is copied together into its next write, because there is
//! no gathering write for pipes.
//!
//! A pipe belongs to the port until it is closed.
//!
//! # Invariants
//!
//! 1. From the call of `WriteFile` until its result or its packet is taken, a lane has a
//!    write in flight: its OVERLAPPED is not touched, and its data stays in
//!    `Lane::flight`. It is neither moved nor changed while there is a `Bytes` of it.
//! 2. `overlapped` has one place for each lane, by the same number, and never grows, so
//!    they stay where they are.
//! 3. Lanes and places are freed only when no write is in flight: a port that is dropped
//!    cancels what is in flight and waits for its end. If the system refuses even that,
//!    they are leaked.

use std::cell::UnsafeCell;
use std::collections::VecDeque;
use std::io;
use std::mem;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr;

use bytes::{Buf, Bytes};
use windows_sys::Win32::Foundation::{
    ERROR_IO_PENDING, ERROR_NOT_FOUND, INVALID_HANDLE_VALUE, WAIT_TIMEOUT,
};
use windows_sys::Win32::Storage::FileSystem::{SetFileCompletionNotificationModes, WriteFile};
use windows_sys::Win32::System::IO::{
    CancelIoEx, CreateIoCompletionPort, GetOverlappedResult, GetQueuedCompletionStatusEx,
    OVERLAPPED, OVERLAPPED_ENTRY,
};
use windows_sys::Win32::System::Threading::INFINITE;
use windows_sys::Win32::System::WindowsProgramming::FILE_SKIP_COMPLETION_PORT_ON_SUCCESS;

/// What one write takes at most.
const MOST: usize = 64 * 1024;

/// How many packets one system call takes.
const BATCH: usize = 64;

/// The writing ends of some pipes, and what is to be written to each.
pub(crate) struct Port {
    port: OwnedHandle,
    lanes: Vec<Lane>,
    overlapped: Vec<UnsafeCell<OVERLAPPED>>,
    in_flight: usize,
}

struct Lane {
    pipe: OwnedHandle,
    queue: VecDeque<Bytes>,
    /// The bytes in `queue` and in flight.
    left: usize,
    flight: Option<Bytes>,
}

impl Port {
    /// The pipes must be open for overlapped I/O, and belong to no port yet.
    pub(crate) fn new(pipes: Vec<OwnedHandle>) -> io::Result<Port> {
        // SAFETY: without a file and a port, it makes a new one.
        let port = unsafe { CreateIoCompletionPort(INVALID_HANDLE_VALUE, ptr::null_mut(), 0, 1) };
        if port.is_null() {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: it was just made, and nobody else knows it.
        let port = unsafe { OwnedHandle::from_raw_handle(port) };
        for (n, pipe) in pipes.iter().enumerate() {
            bind(pipe, &port, n)?;
        }
        let empty = |pipe| Lane {
            pipe,
            queue: VecDeque::new(),
            left: 0,
            flight: None,
        };
        Ok(Port {
            port,
            overlapped: pipes.iter().map(|_| UnsafeCell::default()).collect(),
            lanes: pipes.into_iter().map(empty).collect(),
            in_flight: 0,
        })
    }

    /// Queues chunks for a pipe, by number, and writes as much as it takes at once.
    pub(crate) fn queue(
        &mut self,
        n: usize,
        chunks: impl IntoIterator<Item = Bytes>,
    ) -> io::Result<()> {
        let lane = &mut self.lanes[n];
        // The reader would take an empty write for the end.
        for chunk in chunks.into_iter().filter(|chunk| !chunk.is_empty()) {
            lane.left += chunk.len();
            lane.queue.push_back(chunk);
        }
        self.start(n)
    }

    /// How many bytes of a pipe are not written yet.
    pub(crate) fn left(&self, n: usize) -> usize {
        self.lanes[n].left
    }

    /// Takes what has ended. Does not wait.
    pub(crate) fn submit(&mut self) -> io::Result<()> {
        self.reap(0)
    }

    /// Waits until something has ended, if anything is in flight.
    pub(crate) fn wait(&mut self) -> io::Result<()> {
        self.reap(INFINITE)
    }

    /// Waits until everything is written.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        while self.in_flight > 0 {
            self.wait()?;
        }
        Ok(())
    }

    /// Writes what is queued for a pipe, until a write of it is in flight.
    fn start(&mut self, n: usize) -> io::Result<()> {
        while self.lanes[n].flight.is_none()
            && let Some(data) = self.lanes[n].next()
        {
            self.lanes[n].flight = Some(data);
            let pending = Some(ERROR_IO_PENDING.cast_signed());
            match self.write(n) {
                Err(error) if error.raw_os_error() == pending => self.in_flight += 1,
                started => self.land(n, started.and_then(|()| self.result(n)))?,
            }
        }
        Ok(())
    }

    /// Starts to write what is in `flight`.
    fn write(&self, n: usize) -> io::Result<()> {
        let lane = &self.lanes[n];
        let data: &[u8] = lane.flight.as_deref().unwrap_or_default();
        let len = u32::try_from(data.len()).map_err(io::Error::other)?;
        let overlapped = self.overlapped[n].get();
        // SAFETY: no write of this lane is in flight, or it would not be started, so the
        // place is ours.
        unsafe { *overlapped = OVERLAPPED::default() };
        let pipe = lane.pipe.as_raw_handle();
        // SAFETY: the handle is open, for overlapped I/O; data and OVERLAPPED stay as
        // they are until the write has ended (invariants 1, 2 and 3).
        checked(unsafe { WriteFile(pipe, data.as_ptr(), len, ptr::null_mut(), overlapped) })
    }

    /// What came of a write that has ended.
    fn result(&self, n: usize) -> io::Result<usize> {
        let pipe = self.lanes[n].pipe.as_raw_handle();
        let mut written = 0;
        // SAFETY: the OVERLAPPED is that of the lane's last write, which has ended, so
        // the call does not wait; `written` lives for it.
        let done =
            unsafe { GetOverlappedResult(pipe, self.overlapped[n].get(), &raw mut written, 0) };
        checked(done)?;
        usize::try_from(written).map_err(io::Error::other)
    }

    /// Takes what has ended within so many milliseconds, and goes on with what is left.
    fn reap(&mut self, milliseconds: u32) -> io::Result<()> {
        if self.in_flight == 0 {
            return Ok(());
        }
        let mut failed = Ok(());
        for n in self.ended(milliseconds)? {
            let landed = self.land(n, self.result(n));
            failed = failed.and(landed.and_then(|()| self.start(n)));
        }
        failed
    }

    fn land(&mut self, n: usize, result: io::Result<usize>) -> io::Result<()> {
        self.lanes[n].land(result).map_err(|error| {
            io::Error::new(error.kind(), format!("cannot write to pipe {n}: {error}"))
        })
    }

    /// The pipes whose writes have ended.
    fn ended(&mut self, milliseconds: u32) -> io::Result<Vec<usize>> {
        let mut packets = [OVERLAPPED_ENTRY::default(); BATCH];
        let mut count = 0;
        let port = self.port.as_raw_handle();
        let most = u32::try_from(BATCH).map_err(io::Error::other)?;
        // SAFETY: the port is open; there is room for so many packets, and for their
        // number, for the whole call.
        let taken = checked(unsafe {
            GetQueuedCompletionStatusEx(
                port,
                packets.as_mut_ptr(),
                most,
                &raw mut count,
                milliseconds,
                0,
            )
        });
        match taken {
            Err(error) if error.raw_os_error() == Some(WAIT_TIMEOUT.cast_signed()) => count = 0,
            taken => taken?,
        }
        let count = usize::try_from(count).map_err(io::Error::other)?;
        self.in_flight -= count;
        let packets = packets[..count].iter();
        Ok(packets.map(|packet| packet.lpCompletionKey).collect())
    }

    /// Ends what is in flight.
    fn cancel(&mut self) -> io::Result<()> {
        for (lane, overlapped) in self.lanes.iter().zip(&self.overlapped) {
            if lane.flight.is_some() {
                let pipe = lane.pipe.as_raw_handle();
                // SAFETY: the handle is open, and the pointer is only compared.
                let cancelled = checked(unsafe { CancelIoEx(pipe, overlapped.get()) });
                let nothing = Some(ERROR_NOT_FOUND.cast_signed());
                match cancelled {
                    // It has ended already: its packet is on its way.
                    Err(error) if error.raw_os_error() == nothing => {}
                    cancelled => cancelled?,
                }
            }
        }
        while self.in_flight > 0 {
            self.ended(INFINITE)?;
        }
        Ok(())
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        if self.in_flight > 0 && self.cancel().is_err() {
            mem::take(&mut self.lanes).leak();
            mem::take(&mut self.overlapped).leak();
        }
    }
}

impl Lane {
    /// What is to be written next: small chunks together, others in parts.
    fn next(&mut self) -> Option<Bytes> {
        let mut first = self.queue.pop_front()?;
        if first.len() > MOST {
            let part = first.split_to(MOST);
            self.queue.push_front(first);
            return Some(part);
        }
        let fits = |chunk: &Bytes, len| chunk.len() + len <= MOST;
        if !self
            .queue
            .front()
            .is_some_and(|next| fits(next, first.len()))
        {
            return Some(first);
        }
        let mut together = Vec::with_capacity(MOST);
        together.extend_from_slice(&first);
        while let Some(next) = self.queue.front()
            && fits(next, together.len())
        {
            together.extend_from_slice(next);
            self.queue.pop_front();
        }
        Some(together.into())
    }

    /// What was in flight has ended.
    fn land(&mut self, result: io::Result<usize>) -> io::Result<()> {
        let Some(mut rest) = self.flight.take() else {
            return Ok(());
        };
        let written = result?;
        if written == 0 && !rest.is_empty() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.left -= written;
        rest.advance(written);
        if !rest.is_empty() {
            self.queue.push_front(rest);
        }
        Ok(())
    }
}

fn bind(pipe: &OwnedHandle, port: &OwnedHandle, key: usize) -> io::Result<()> {
    let (pipe, port) = (pipe.as_raw_handle(), port.as_raw_handle());
    // SAFETY: both handles are open.
    if unsafe { CreateIoCompletionPort(pipe, port, key, 0) }.is_null() {
        return Err(io::Error::last_os_error());
    }
    let modes = u8::try_from(FILE_SKIP_COMPLETION_PORT_ON_SUCCESS).map_err(io::Error::other)?;
    // SAFETY: the handle is open.
    checked(unsafe { SetFileCompletionNotificationModes(pipe, modes) })
}

fn checked(done: i32) -> io::Result<()> {
    match done {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

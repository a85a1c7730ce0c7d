//! Pipes that nobody else uses: who writes to them, and what becomes of the handle, which
//! is bound to a completion port of the library's.

#![cfg(windows)]
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use std::os::windows::io::{AsRawHandle, OwnedHandle};
use std::thread;
use std::{io, ptr};

use pipewright::{Builder, PipeWriter};
use windows_sys::Win32::Foundation::ERROR_IO_PENDING;
use windows_sys::Win32::Storage::FileSystem::ReadFile;
use windows_sys::Win32::System::IO::{CancelIoEx, GetOverlappedResult, OVERLAPPED};

use common::accounts::until_stalled;
use common::data::{read_exact, read_stream, slow_reader, stream};
use common::ends::{Named, WAYS_HOME, client_end, duplicate, pipe, small_pipe};
use common::{LONG, watched};

fn sole_owner() -> Builder {
    PipeWriter::builder().sole_owner(true)
}

#[test]
fn a_message_into_an_idle_pipe_is_written_by_its_sender() {
    watched(|| {
        for (mut reader, pipe) in [pipe(), client_end()] {
            let writer = sole_owner().build(pipe).unwrap();
            writer.try_send(stream(0, 64)).unwrap();
            assert_eq!(
                writer.progress().written,
                64,
                "somebody else is to write it"
            );
            assert_eq!(read_exact(&mut reader, 64), stream(0, 64));
        }
    });
}

/// A handle of theirs to the same file object is bound with it.
#[test]
fn packets_of_others_who_use_the_handle_after_all_bring_nothing_home() {
    watched(|| {
        let (mut reader, pipe) = small_pipe();
        let theirs = duplicate(&pipe);
        let writer = sole_owner().build(pipe).unwrap();
        writer.try_send(stream(0, 100_000)).unwrap();
        until_stalled(&writer);
        let reading = thread::spawn(move || {
            let heard = read_stream(&mut reader, 0);
            (heard, reader)
        });
        // Between those of the writer, at moments that are left to chance.
        for _ in 0..50 {
            read_nothing(&theirs);
        }
        drop(theirs);
        assert_eq!(writer.close_timeout(LONG).unwrap().written, 100_000);
        assert_eq!(reading.join().unwrap().0, 100_000);
    });
}

/// Begins to read, where nobody writes, and cancels it: both bring a packet, with the
/// address of an OVERLAPPED that the library does not know.
fn read_nothing(pipe: &OwnedHandle) {
    let (mut overlapped, mut place) = (OVERLAPPED::default(), [0]);
    let (handle, into) = (pipe.as_raw_handle(), &raw mut overlapped);
    // SAFETY: the handle is open; the place and the OVERLAPPED stay until the read is over,
    // which is waited for.
    let done = unsafe { ReadFile(handle, place.as_mut_ptr(), 1, ptr::null_mut(), into) };
    let error = io::Error::last_os_error().raw_os_error();
    assert_eq!((done, error), (0, i32::try_from(ERROR_IO_PENDING).ok()));
    // SAFETY: the handle is open, and the pointer is only compared.
    unsafe { CancelIoEx(handle, into) };
    let mut read = 0;
    // SAFETY: the OVERLAPPED is that of the read above.
    let done = unsafe { GetOverlappedResult(handle, into, &raw mut read, 1) };
    assert_eq!((done, read), (0, 0), "somebody wrote");
}

#[test]
fn a_handle_that_comes_back_can_be_written_to_in_every_way() {
    watched(|| {
        let (reader, mut pipe) = small_pipe();
        let reading = slow_reader(reader);
        let mut sent = 0;
        for open in WAYS_HOME.into_iter().chain(WAYS_HOME) {
            for first in WAYS_HOME {
                for open in [first, open] {
                    let writer = open().build(pipe).unwrap();
                    writer.try_send(stream(sent, 10_000)).unwrap();
                    writer.flush_timeout(LONG).unwrap();
                    let (back, unsent) = writer.into_parts();
                    assert!(unsent.is_empty());
                    pipe = back.unwrap();
                    sent += 10_000;
                }
            }
        }
        drop(pipe);
        assert_eq!(reading.join().unwrap() as u64, sent);
    });
}

/// More of them than are taken from the port at once, in flight at the same time, started
/// by threads that have ended.
#[test]
fn writes_of_many_pipes_come_home_after_their_threads_have_ended() {
    watched(|| {
        const LEN: usize = 20_000;
        let tight = Named {
            buffer: 1,
            ..Named::DEFAULT
        };
        let pipes: Vec<_> = (0..100).map(|_| tight.pair()).collect();
        let (readers, writers): (Vec<_>, Vec<_>) = pipes
            .into_iter()
            .map(|(reader, pipe)| (reader, sole_owner().build(pipe).unwrap()))
            .unzip();
        for writer in &writers {
            let sender = writer.clone();
            let sent = thread::spawn(move || sender.try_send(stream(0, LEN)).unwrap());
            sent.join().unwrap();
        }
        writers.iter().for_each(until_stalled);
        let reading: Vec<_> = readers.into_iter().map(slow_reader).collect();
        for writer in writers {
            assert_eq!(writer.close_timeout(LONG).unwrap().written, LEN as u64);
        }
        for reading in reading {
            assert_eq!(reading.join().unwrap(), LEN);
        }
    });
}

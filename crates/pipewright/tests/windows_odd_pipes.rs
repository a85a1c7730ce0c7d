//! What a writer does with a pipe for messages, a console, and a pipe in non-blocking
//! mode; and its waitable object in an event loop of windows.

#![cfg(windows)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod common;

use std::env;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::windows::io::{AsRawHandle, OwnedHandle};
use std::os::windows::process::CommandExt;
use std::process::Command;
use std::ptr;
use std::thread;

use pipewright::named_pipe::{ClientOptions, ServerOptions};
use pipewright::{Mode, PipeWriter};
use windows_sys::Win32::Foundation::{WAIT_OBJECT_0, WAIT_TIMEOUT};
use windows_sys::Win32::Storage::FileSystem::WriteFile;
use windows_sys::Win32::System::Pipes::{PIPE_NOWAIT, SetNamedPipeHandleState};
use windows_sys::Win32::System::Threading::{CREATE_NO_WINDOW, INFINITE};
use windows_sys::Win32::UI::WindowsAndMessaging::{
    MSG, MsgWaitForMultipleObjects, PM_REMOVE, PeekMessageW, PostThreadMessageW, QS_ALLINPUT,
    WM_APP,
};

use common::data::{read_exact, reading, stream};
use common::ends::{Named, small_pipe};
use common::{LONG, until, watched};

/// The server's end of a pipe that only writes does not tell (Wine 10: access denied).
#[test]
fn a_pipe_that_does_not_tell_its_mode_is_what_the_user_says() {
    watched(|| {
        for duplex in [true, false] {
            let name = format!(r"\\.\pipe\pipewright-modes-{}-{duplex}", std::process::id());
            let mut server = ServerOptions::new(&name)
                .messages(true)
                .duplex(duplex)
                .create()
                .unwrap();
            let client = OpenOptions::new().read(true).open(&name).unwrap();
            let pipe = server.accept(LONG).unwrap();
            let writer = PipeWriter::builder().mode(Mode::Message).build(pipe);
            let writer = writer.unwrap();
            for message in ["one", "two", "three"] {
                writer.try_send(message).unwrap();
            }
            writer.close_timeout(LONG).unwrap();
            // The client reads bytes, so what arrives is checked by the mode below.
            assert_eq!(reading(client).join().unwrap(), b"onetwothree");
        }
    });
}

#[test]
fn messages_keep_their_boundaries_where_the_user_says_the_mode() {
    watched(|| {
        let name = format!(r"\\.\pipe\pipewright-modes-{}", std::process::id());
        let mut server = ServerOptions::new(&name)
            .messages(true)
            .duplex(true)
            .create()
            .unwrap();
        let client = ClientOptions::new().duplex(true).read_messages(true);
        let client = client.open(&name, LONG).unwrap();
        let pipe = server.accept(LONG).unwrap();
        let mut client = std::fs::File::from(client);
        let writer = PipeWriter::builder()
            .mode(Mode::Message)
            .build(pipe)
            .unwrap();
        for message in ["one", "", "three"] {
            writer.try_send(message).unwrap();
        }
        let mut room = [0; 64];
        for message in [&b"one"[..], b"", b"three"] {
            let len = client.read(&mut room).unwrap();
            assert_eq!(&room[..len], message);
        }
    });
}

/// A pipe in non-blocking mode that has some room and not enough for the operation
/// takes nothing of it: it must be offered less.
#[test]
fn a_non_blocking_pipe_with_some_room_is_filled_without_the_reader() {
    watched(|| {
        for overlapped in [true, false] {
            let named = Named {
                buffer: 4096,
                overlapped,
                ..Named::DEFAULT
            };
            let (name, server) = named.server();
            let mut reader = named.client(&name);
            let mode = PIPE_NOWAIT;
            // SAFETY: the handle is open; the other pointers may be null.
            let done = unsafe {
                let none = ptr::null();
                SetNamedPipeHandleState(server.as_raw_handle(), &raw const mode, none, none)
            };
            assert_ne!(done, 0);
            let writer = PipeWriter::new(server).unwrap();
            writer.try_send(stream(0, 4000)).unwrap();
            writer.flush_timeout(LONG).unwrap();
            // 96 bytes of room, and nobody reads.
            writer.try_send(stream(4000, 4000)).unwrap();
            until(|| writer.progress().written > 4000);
            assert_eq!(read_exact(&mut reader, 4000), stream(0, 4000));
            let reading = reading(reader);
            writer.close_timeout(LONG).unwrap();
            assert_eq!(reading.join().unwrap(), stream(4000, 4000));
        }
    });
}

/// One round of a window's event loop: messages and progress in one wait.
#[test]
fn the_waitable_object_works_in_the_event_loop_of_a_window() {
    watched(|| {
        let (reader, pipe) = small_pipe();
        let writer = PipeWriter::new(pipe).unwrap();
        let waitable = writer.waitable().unwrap();
        let object = waitable.as_raw_handle();
        let wait = |limit| {
            // SAFETY: the object is open: it lives to the end of the test.
            unsafe { MsgWaitForMultipleObjects(1, &raw const object, 0, limit, QS_ALLINPUT) }
        };
        let next_message = || {
            let mut message = MSG::default();
            // SAFETY: the place for the message lives for the call.
            unsafe { PeekMessageW(&raw mut message, ptr::null_mut(), 0, 0, PM_REMOVE) != 0 }
        };
        // Makes the thread's queue.
        while next_message() {}
        writer.take_progress();
        assert_eq!(wait(0), WAIT_TIMEOUT);
        // SAFETY: it has no conditions.
        let me = unsafe { windows_sys::Win32::System::Threading::GetCurrentThreadId() };
        // SAFETY: the thread is there, and the parameters are numbers.
        assert_ne!(unsafe { PostThreadMessageW(me, WM_APP, 0, 0) }, 0);
        assert_eq!(wait(INFINITE), WAIT_OBJECT_0 + 1, "only a message came");
        assert!(next_message());

        let end = writer.try_send(stream(0, 300_000)).unwrap();
        let reading = reading(reader);
        let mut rounds = 0;
        loop {
            assert_eq!(wait(INFINITE), WAIT_OBJECT_0);
            rounds += 1;
            let progress = writer.take_progress();
            if progress.written == end.get() {
                break;
            }
        }
        assert!(rounds > 0);
        writer.finish();
        while writer.take_progress().outcome.is_none() {
            assert_eq!(wait(INFINITE), WAIT_OBJECT_0);
        }
        assert_eq!(reading.join().unwrap().len(), 300_000);
    });
}

/// The child gets a console of its own.
#[test]
fn a_console_is_written() {
    watched(|| {
        let output = Command::new(env::current_exe().unwrap())
            .args(["on_a_console", "--exact", "--ignored", "--nocapture"])
            .creation_flags(CREATE_NO_WINDOW)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let complained = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}\n{complained}");
        assert!(said.contains("1 passed"), "{said}");
    });
}

#[test]
#[ignore = "the child of another test"]
fn on_a_console() {
    let console = OpenOptions::new().read(true).write(true).open("CONOUT$");
    let console: OwnedHandle = console.unwrap().into();
    let mut count = 0;
    // SAFETY: the handle is open, and the data lives for the call.
    let plain = unsafe {
        WriteFile(
            console.as_raw_handle(),
            c"plain\r\n".as_ptr().cast(),
            7,
            &raw mut count,
            ptr::null_mut(),
        )
    };
    assert_eq!((plain, count), (1, 7));
    let writer = PipeWriter::new(console).unwrap();
    for n in 0..100 {
        writer.try_send(format!("line {n}\r\n")).unwrap();
    }
    let unsupported = writer.wait_read(LONG).unwrap_err();
    assert!(matches!(unsupported, pipewright::WaitError::Unsupported));
    let summary = writer.close_timeout(LONG).unwrap();
    assert_eq!(summary.written, summary.accepted);
    assert!(summary.pipe.ends_with("(console)"), "{summary}");
    thread::yield_now();
}

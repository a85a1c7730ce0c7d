//! What a handle is found to be, what is refused, and the waitable object.

#![cfg(windows)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod common;

use std::fs::{File, OpenOptions};
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::{AsRawHandle, OwnedHandle};
use std::process::{Command, Stdio};

use pipewright::{AttachError, Mode, PipeWriter};
use windows_sys::Win32::Foundation::{WAIT_OBJECT_0, WAIT_TIMEOUT};
use windows_sys::Win32::Storage::FileSystem::FILE_FLAG_OVERLAPPED;
use windows_sys::Win32::System::Threading::{INFINITE, WaitForMultipleObjects};

use common::data::{read_exact, reading, stream};
use common::ends::{Named, anonymous, pipe};
use common::{LONG, watched};

#[track_caller]
fn refused(pipe: impl Into<OwnedHandle>) -> AttachError {
    PipeWriter::new(pipe).unwrap_err()
}

#[test]
fn a_handle_says_what_it_is() {
    watched(|| {
        let named = pipe();
        let plain = anonymous();
        let file = tempfile::tempfile().unwrap();
        let nul = OpenOptions::new().write(true).open("NUL").unwrap();
        let handles: [(OwnedHandle, &str); 4] = [
            (named.1, "named pipe"),
            (plain.1, "pipe"),
            (file.into(), "file"),
            (nul.into(), "device"),
        ];
        for (handle, what) in handles {
            let value = handle.as_raw_handle().addr();
            let writer = PipeWriter::new(handle).unwrap();
            writer.cancel();
            let summary = writer.wait_ended(LONG).unwrap();
            assert_eq!(&*summary.pipe, format!("handle {value:#x} ({what})"));
        }
    });
}

#[test]
fn a_childs_standard_input_is_found_to_be_what_it_is() {
    watched(|| {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg("--list")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let writer = PipeWriter::new(child.stdin.take().unwrap()).unwrap();
        let _ = writer.try_send("nobody reads this");
        let _ = writer.close_timeout(LONG);
        assert!(child.wait().unwrap().success());
    });
}

#[test]
fn a_handle_that_may_not_write_is_refused_and_given_back() {
    watched(|| {
        let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        let ends = [
            OwnedHandle::from(anonymous().0),
            OwnedHandle::from(File::open(&path).unwrap()),
        ];
        for end in ends {
            let value = end.as_raw_handle();
            let error = refused(end);
            assert_eq!(error.error().raw_os_error(), Some(5), "{error}");
            assert_eq!(error.into_pipe().as_raw_handle(), value);
        }
    });
}

#[test]
fn an_object_that_is_no_file_is_refused() {
    watched(|| {
        let thread = std::thread::spawn(|| ());
        let error = refused(OwnedHandle::from(thread));
        assert!(error.error().raw_os_error().is_some(), "{error}");
    });
}

#[test]
fn a_file_without_a_position_is_refused() {
    watched(|| {
        let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        let file = OpenOptions::new()
            .write(true)
            .custom_flags(FILE_FLAG_OVERLAPPED)
            .open(&path)
            .unwrap();
        assert_eq!(refused(file).error().raw_os_error(), Some(50));
    });
}

#[test]
fn a_pipe_that_keeps_messages_is_found_out() {
    watched(|| {
        for overlapped in [true, false] {
            let named = Named {
                messages: true,
                overlapped,
                ..Named::DEFAULT
            };
            let (mut reader, pipe) = named.pair();
            let writer = PipeWriter::builder().mode(Mode::Byte).build(pipe);
            let pipe = writer.unwrap_err().into_pipe();
            let writer = PipeWriter::new(pipe).unwrap();
            writer.try_send("one").unwrap();
            writer.try_send("two").unwrap();
            assert_eq!(read_exact(&mut reader, 3), b"one");
            assert_eq!(read_exact(&mut reader, 3), b"two");
        }
    });
}

#[test]
fn the_waitable_object_works_in_a_wait_for_several() {
    watched(|| {
        let (_idle_reader, idle_pipe) = pipe();
        let (reader, pipe) = pipe();
        let writer = PipeWriter::new(pipe).unwrap();
        let idle = PipeWriter::new(idle_pipe).unwrap();
        let (first, second) = (idle.waitable().unwrap(), writer.waitable().unwrap());
        let both = [first.as_raw_handle(), second.as_raw_handle()];
        let wait = |limit| {
            // SAFETY: both handles are open: the objects live to the end of the test.
            unsafe { WaitForMultipleObjects(2, both.as_ptr(), 0, limit) }
        };
        writer.take_progress();
        assert_eq!(wait(0), WAIT_TIMEOUT);
        let reading = reading(reader);
        let end = writer.try_send(stream(0, 300_000)).unwrap();
        while writer.take_progress().written < end.get() {
            assert_eq!(wait(INFINITE), WAIT_OBJECT_0 + 1);
        }
        writer.finish();
        while writer.take_progress().outcome.is_none() {
            assert_eq!(wait(INFINITE), WAIT_OBJECT_0 + 1);
        }
        assert_eq!(reading.join().unwrap().len(), 300_000);
    });
}

//! What is copied, and how a read of it is ended.
//!
//! Nothing waits for a pipe, a console and a file alike, and a read that has begun
//! cannot be taken back safely. So a thread reads, and only when asked; a read that is
//! ended is left behind in it, and what it may still get is nobody's.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek};
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::{AsHandle, OwnedHandle};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use socket2::Socket;
use windows_sys::Win32::Storage::FileSystem::SECURITY_ANONYMOUS;

use super::sys::{PipeReader, wait_readable};

pub(crate) struct Input {
    /// To ask about, if it is one that can be asked; the thread has its own.
    file: Option<File>,
    /// Memory to read to.
    asked: Sender<Vec<u8>>,
    answers: Receiver<Answer>,
    /// Between two reads.
    memory: Vec<u8>,
    woken: bool,
}

/// Ends the current and every later read.
pub(crate) struct Waker(Sender<Answer>);

enum Answer {
    Read(Vec<u8>, io::Result<usize>),
    Woken,
}

impl Input {
    /// What `path` leads to, or standard input.
    pub(crate) fn open(path: Option<&Path>) -> io::Result<(Input, Waker)> {
        let (file, source): (File, Box<dyn Read + Send>) = match path {
            Some(path) => {
                let file = open(path)?;
                (file.try_clone()?, Box::new(file))
            }
            None => {
                let stdin = io::stdin();
                (
                    stdin.as_handle().try_clone_to_owned()?.into(),
                    Box::new(stdin),
                )
            }
        };
        Input::from(Some(file), source)
    }

    /// A pipe that was opened for overlapped I/O, and is written as well.
    pub(super) fn of_pipe(pipe: OwnedHandle) -> io::Result<(Input, Waker)> {
        Input::from(None, Box::new(PipeReader::new(pipe)?))
    }

    /// A socket, which nothing waits in.
    pub(super) fn of_socket(socket: Arc<Socket>) -> io::Result<(Input, Waker)> {
        Input::from(None, Box::new(SocketReader(socket)))
    }

    fn from(file: Option<File>, mut source: Box<dyn Read + Send>) -> io::Result<(Input, Waker)> {
        let (asked, questions) = channel::<Vec<u8>>();
        let (answer, answers) = channel();
        let waker = Waker(answer.clone());
        let reading = move || {
            for mut memory in questions {
                let read = read(&mut *source, &mut memory);
                if answer.send(Answer::Read(memory, read)).is_err() {
                    break;
                }
            }
        };
        thread::Builder::new().name("input".into()).spawn(reading)?;
        let input = Input {
            file,
            asked,
            answers,
            memory: Vec::new(),
            woken: false,
        };
        Ok((input, waker))
    }

    /// How many bytes there are to read, where that can be known: in a file.
    pub(crate) fn size(&mut self) -> Option<u64> {
        let file = self.file.as_mut()?;
        let kind = winapi_util::file::typ(&*file).ok()?;
        let metadata = file.metadata().ok().filter(|_| kind.is_disk())?;
        let position = file.stream_position().ok()?;
        Some(metadata.len().saturating_sub(position))
    }

    pub(super) fn file(&self) -> Option<&File> {
        self.file.as_ref()
    }

    /// Reads what there is, once there is something: 0 bytes at the end, `None`
    /// when woken.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        if self.woken {
            return Ok(None);
        }
        let mut memory = std::mem::take(&mut self.memory);
        memory.resize(buffer.len(), 0);
        let gone = |_| io::Error::other("the thread that reads has ended");
        self.asked.send(memory).map_err(|_| gone(()))?;
        match self.answers.recv().map_err(|_| gone(()))? {
            Answer::Woken => {
                self.woken = true;
                Ok(None)
            }
            Answer::Read(memory, read) => {
                if let Ok(len) = read {
                    buffer[..len].copy_from_slice(&memory[..len]);
                }
                self.memory = memory;
                read.map(Some)
            }
        }
    }
}

struct SocketReader(Arc<Socket>);

impl Read for SocketReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match (&*self.0).read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => wait_readable(&self.0)?,
                read => return read,
            }
        }
    }
}

/// A server that the path may lead to learns nothing of this process, and cannot act
/// as it.
fn open(path: &Path) -> io::Result<File> {
    File::options()
        .read(true)
        .security_qos_flags(SECURITY_ANONYMOUS)
        .open(path)
}

/// Standard input is the standard library's own: it turns what a console gives into
/// UTF-8, takes a pipe without a writer for the end, and finds nothing where there is
/// no standard input. Its own buffer, of 12 KiB, serves reads that are smaller, some of
/// them in part.
fn read(source: &mut dyn Read, memory: &mut [u8]) -> io::Result<usize> {
    loop {
        let read = source.read(memory);
        if !matches!(&read, Err(error) if error.kind() == ErrorKind::Interrupted) {
            return read;
        }
    }
}

impl Waker {
    pub(crate) fn wake(&mut self) {
        // It fails only if nobody reads any more, and then nobody need be woken.
        let _ = self.0.send(Answer::Woken);
    }
}

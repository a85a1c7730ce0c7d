//! Windows.

use std::fs::File;
use std::io::{self, Read};
use std::net::TcpListener;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::os::windows::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};
use std::ptr::{null, null_mut};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::Folder;
use pipewright::named_pipe::{Server, ServerOptions};
use socket2::{Domain, SockAddr, Socket, Type};
use windows_sys::Win32::Foundation::{ERROR_FILE_NOT_FOUND, ERROR_IO_PENDING, ERROR_PIPE_BUSY};
use windows_sys::Win32::Networking::WinSock::{
    WSAEAFNOSUPPORT, WSAECONNABORTED, WSAECONNREFUSED, WSAECONNRESET,
};
use windows_sys::Win32::Storage::FileSystem::ReadFile;
use windows_sys::Win32::System::Console::{
    AllocConsole, CTRL_BREAK_EVENT, GenerateConsoleCtrlEvent,
};
use windows_sys::Win32::System::IO::{GetOverlappedResult, OVERLAPPED};
use windows_sys::Win32::System::Threading::{
    CREATE_NEW_PROCESS_GROUP, CreateEventW, TerminateProcess,
};

/// What somebody who wants an end of it sends, as it is called.
pub(crate) const INTERRUPT: &str = "Ctrl-Break";
/// What a reader that has gone leaves behind: `ERROR_BROKEN_PIPE` if it goes during a
/// write, `ERROR_NO_DATA` before.
pub(crate) const BROKEN_PIPES: &[&str] = &["(os error 109)", "(os error 232)"];
/// What the system says of a port that nobody listens on.
pub(crate) const REFUSED: i32 = WSAECONNREFUSED;
/// What it says of a connection whose peer has died.
pub(crate) const RESETS: [i64; 2] = [WSAECONNRESET as i64, WSAECONNABORTED as i64];
/// How much that a socket has taken goes with a process that is stopped: Wine 10 does the
/// last part of a write in the process, and calls it done before.
pub(crate) const DIES_WITH_PROCESS: usize = 64 * 1024;
/// How a command that was told to end shows in the statistics.
pub(crate) const TERMINATED: (&str, i64) = ("exit_status", 143);
/// A sink that somebody may make possible any time, and nobody does.
pub(crate) const NOT_THERE_YET: &str = r"\\.\pipe\pipewright-nobody-serves-this";
/// Takes everything.
pub(crate) const NULL: &str = "NUL";

pub(crate) trait Group {
    /// A process group of its own, for what a console sends.
    fn in_own_group(&mut self) -> &mut Self;
}

impl Group for Command {
    fn in_own_group(&mut self) -> &mut Self {
        // Events travel through a console, which nobody may have given us.
        // SAFETY: it has no conditions; who has a console keeps it.
        unsafe { AllocConsole() };
        self.creation_flags(CREATE_NEW_PROCESS_GROUP)
    }
}

impl AsHandle for Process {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.handle.as_handle()
    }
}

#[derive(Clone)]
pub(crate) struct Process {
    handle: Arc<OwnedHandle>,
    group: u32,
}

impl Process {
    pub(crate) fn of(child: &Child) -> Self {
        Process::new(child.as_handle().try_clone_to_owned().unwrap(), child.id())
    }

    pub(crate) fn new(handle: OwnedHandle, group: u32) -> Self {
        Process {
            handle: Arc::new(handle),
            group,
        }
    }

    pub(crate) fn kill(&self) {
        // SAFETY: the handle is open, and has all rights.
        unsafe { TerminateProcess(self.handle.as_raw_handle(), 1) };
    }

    /// Ctrl-Break, because who is started in a group of its own hears no Ctrl-C.
    pub(crate) fn interrupt(&self) {
        // SAFETY: it has no conditions.
        let sent = unsafe { GenerateConsoleCtrlEvent(CTRL_BREAK_EVENT, self.group) };
        assert_ne!(sent, 0, "{}", std::io::Error::last_os_error());
    }
}

/// The reader's end of a pipe, as soon as it is there and free.
pub(crate) fn open_pipe(name: &str) -> File {
    let path = format!(r"\\.\pipe\{name}");
    let not_yet = [ERROR_FILE_NOT_FOUND, ERROR_PIPE_BUSY].map(|code| Some(code.cast_signed()));
    loop {
        match File::open(&path) {
            Err(error) if not_yet.contains(&error.raw_os_error()) => {
                thread::sleep(Duration::from_millis(1));
            }
            opened => return opened.unwrap(),
        }
    }
}

/// A named pipe that the command serves.
pub(crate) struct Tap(String);

impl Tap {
    pub(crate) fn new(number: u32) -> Self {
        Tap(format!("pipewright-cli-{}-{number}", std::process::id()))
    }

    pub(crate) fn name(&self) -> &str {
        &self.0
    }

    /// Waits until it is there.
    pub(crate) fn open(&self, _: &Path) -> File {
        open_pipe(&self.0)
    }
}

/// Somebody who listens, and the sink or the target of a relay that leads there.
pub(crate) fn listen(_: &Folder) -> (TcpListener, String) {
    super::listen_on_tcp()
}

/// Who listens on a Unix socket, for which the standard library has nothing here.
pub(crate) struct UnixListener(Socket);

impl UnixListener {
    pub(crate) fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.bind(&SockAddr::unix(path)?)?;
        socket.listen(1)?;
        Ok(UnixListener(socket))
    }

    pub(crate) fn accept(&self) -> io::Result<(Socket, SockAddr)> {
        self.0.accept()
    }
}

/// What is said of a Unix socket that nobody listens on: by a system that has such
/// sockets, or by one that has none, as Wine 10.
pub(crate) fn said_of_an_absent_socket() -> &'static str {
    match Socket::new(Domain::UNIX, Type::STREAM, None) {
        Ok(_) => "(os error 10061)",
        Err(error) => {
            assert_eq!(error.raw_os_error(), Some(WSAEAFNOSUPPORT), "{error}");
            "(os error 10047); this Windows has no Unix sockets"
        }
    }
}

/// A pipe that clients write to, with room for one at a time, and its full name.
pub(crate) fn server(number: u32) -> (Server, String) {
    let name = format!(r"\\.\pipe\{}", Tap::new(number).name());
    let options = ServerOptions::new(&name).duplex(true).max_instances(1);
    (options.create().unwrap(), name)
}

/// Reads a pipe that is opened for overlapped I/O, and that a writer uses at the same
/// time. The standard library would wait for the handle itself, which tells of a read no
/// more than of a write ("GetOverlappedResult function").
pub(crate) struct PipeReader {
    pipe: OwnedHandle,
    event: OwnedHandle,
}

impl PipeReader {
    pub(crate) fn new(pipe: OwnedHandle) -> Self {
        // SAFETY: null stands for the defaults.
        let event = unsafe { CreateEventW(null(), 1, 0, null()) };
        assert!(!event.is_null(), "{}", io::Error::last_os_error());
        // SAFETY: it was just made, and is ours.
        let event = unsafe { OwnedHandle::from_raw_handle(event) };
        PipeReader { pipe, event }
    }
}

impl Read for PipeReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (pipe, most) = (self.pipe.as_raw_handle(), buffer.len().try_into().unwrap());
        let mut block = OVERLAPPED {
            hEvent: self.event.as_raw_handle(),
            ..OVERLAPPED::default()
        };
        let block = &raw mut block;
        // SAFETY: the handles are open, and buffer and block are there until the read is
        // over: it is waited for below.
        let done = unsafe { ReadFile(pipe, buffer.as_mut_ptr(), most, null_mut(), block) };
        let mut len = 0;
        let error = io::Error::last_os_error();
        if done != 0 || error.raw_os_error() == Some(ERROR_IO_PENDING.cast_signed()) {
            // SAFETY: as above; the read has begun.
            let done = unsafe { GetOverlappedResult(pipe, block, &raw mut len, 1) };
            if done != 0 {
                return Ok(len as usize);
            }
        }
        match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::BrokenPipe => Ok(0),
            error => Err(error),
        }
    }
}

/// Accepts a client, and reads what it writes. The pipe is opened for overlapped I/O,
/// which the standard library waits for.
pub(crate) fn serve(mut server: Server) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let pipe = server.accept(Duration::MAX).unwrap();
        super::read_all(&mut File::from(pipe))
    })
}

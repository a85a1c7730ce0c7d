//! The ends on Unix: anonymous pipes, FIFOs, sockets, terminals.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use pipewright::PipeWriter;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

use super::{Stallable, stallable};

/// What writers are made from.
pub(crate) type Pipe = OwnedFd;

/// The device that takes everything.
pub(crate) const NULL: &str = "/dev/null";

/// A pipe: the reader, and the end that is written to.
#[allow(
    clippy::incompatible_msrv,
    reason = "the tests are built with the newest Rust, the library need not be"
)]
pub(crate) fn pipe() -> (File, OwnedFd) {
    let (reader, writer) = std::io::pipe().unwrap();
    (File::from(OwnedFd::from(reader)), writer.into())
}

/// A pipe of this many bytes, where the system lets us choose.
pub(crate) fn pipe_of(size: usize) -> (File, OwnedFd) {
    let (reader, writer) = pipe();
    #[cfg(target_os = "linux")]
    rustix::pipe::fcntl_setpipe_size(&writer, size).unwrap();
    #[cfg(not(target_os = "linux"))]
    let _ = size;
    (reader, writer)
}

/// Fills it until it takes nothing more; tells how many bytes that took. The
/// description's flags are as before afterwards.
pub(crate) fn fill(fd: &OwnedFd) -> usize {
    let flags = fcntl_getfl(fd).unwrap();
    fcntl_setfl(fd, flags | OFlags::NONBLOCK).unwrap();
    let mut filling = 0;
    for piece in [&[b'.'; 4096][..], b"."] {
        while let Ok(n) = rustix::io::write(fd, piece) {
            filling += n;
        }
    }
    fcntl_setfl(fd, flags).unwrap();
    filling
}

/// A FIFO of this name: the reader, and a blocking end to write to.
pub(crate) fn fifo(path: &Path) -> (File, OwnedFd) {
    pipewright::fifo::create(path).unwrap();
    open_fifo(path)
}

/// Both ends of a FIFO that is there.
pub(crate) fn open_fifo(path: &Path) -> (File, OwnedFd) {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let reader = rustix::fs::open(path, flags, rustix::fs::Mode::empty()).unwrap();
    let writer = OpenOptions::new().write(true).open(path).unwrap();
    // From now on it waits, as readers do.
    fcntl_setfl(&reader, OFlags::empty()).unwrap();
    (reader.into(), writer.into())
}

/// A writer that is served by a thread of its own, and its reader: while nobody reads
/// a FIFO, there is no other way to write it.
pub(crate) fn on_a_thread(build: impl FnOnce(OwnedFd) -> PipeWriter) -> (File, PipeWriter) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fifo");
    let (reader, pipe) = fifo(&path);
    drop(reader);
    let writer = build(pipe);
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let reader = rustix::fs::open(&path, flags, rustix::fs::Mode::empty()).unwrap();
    fcntl_setfl(&reader, OFlags::empty()).unwrap();
    (reader.into(), writer)
}

/// How much such a pipe takes at least before its thread waits for the reader.
pub(crate) const ON_A_THREAD: u64 = 60_000;

/// A connected Unix stream socket.
pub(crate) fn unix_stream() -> (UnixStream, OwnedFd) {
    let (reader, writer) = UnixStream::pair().unwrap();
    (reader, writer.into())
}

/// A connected TCP socket, with buffers of a fixed size: left alone they grow to
/// many megabytes.
pub(crate) fn tcp() -> (TcpStream, OwnedFd) {
    use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_send_buffer_size};
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let writer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (reader, _) = listener.accept().unwrap();
    set_socket_recv_buffer_size(&reader, 64 * 1024).unwrap();
    set_socket_send_buffer_size(&writer, 64 * 1024).unwrap();
    (reader, writer.into())
}

/// A pseudoterminal that passes every byte on as it is: master and slave.
pub(crate) fn terminal() -> (OwnedFd, OwnedFd) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    rustix::io::fcntl_setfd(&master, rustix::io::FdFlags::CLOEXEC).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let slave = rustix::fs::open(name.as_c_str(), flags, rustix::fs::Mode::empty()).unwrap();
    let mut settings = tcgetattr(&slave).unwrap();
    settings.make_raw();
    tcsetattr(&slave, OptionalActions::Now, &settings).unwrap();
    (master, slave)
}

/// One of each kind that a slow reader can stall.
pub(crate) fn stallables() -> Vec<Stallable> {
    let folder = tempfile::tempdir().unwrap();
    let (pipe_reader, pipe) = pipe();
    let (fifo_reader, fifo) = fifo(&folder.path().join("fifo"));
    let (unix_reader, unix) = unix_stream();
    let (tcp_reader, tcp) = tcp();
    let (master, slave) = terminal();
    vec![
        stallable("pipe", pipe_reader, pipe),
        stallable("FIFO", fifo_reader, fifo),
        stallable("Unix socket", unix_reader, unix),
        stallable("TCP socket", tcp_reader, tcp),
        stallable("terminal", Hangup(master.into()), slave),
    ]
}

/// Nothing is ever in doubt, whatever the size of the buffer.
pub(crate) fn tight() -> Vec<Stallable> {
    Vec::new()
}

/// The master side of a terminal reports its end as an error (`EIO`).
struct Hangup(File);

impl Read for Hangup {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self.0.read(buffer) {
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => {
                Ok(0)
            }
            read => read,
        }
    }
}

/// Another descriptor of the same open file description.
pub(crate) fn duplicate(fd: &impl AsFd) -> OwnedFd {
    fd.as_fd().try_clone_to_owned().unwrap()
}

/// Writes raw bytes, past any writer.
pub(crate) fn write_raw(fd: OwnedFd, bytes: &[u8]) {
    File::from(fd).write_all(bytes).unwrap();
}

/// The number of a handle.
pub(crate) fn raw(fd: &impl AsFd) -> usize {
    usize::try_from(fd.as_fd().as_raw_fd()).unwrap()
}

/// What errors call a handle that nothing else is known of.
pub(crate) fn label(fd: &impl AsFd) -> String {
    format!("fd {}", raw(fd))
}

/// What errors call a pipe of [`pipe`].
pub(crate) fn pipe_label(pipe: &OwnedFd) -> String {
    format!("{} (pipe)", label(pipe))
}

/// Reads to the end of the stream, without waiting for anything.
pub(crate) fn read_what_is_there(reader: &mut File) -> Vec<u8> {
    let flags = fcntl_getfl(&*reader).unwrap();
    fcntl_setfl(&*reader, flags | OFlags::NONBLOCK).unwrap();
    let mut heard = Vec::new();
    reader.read_to_end(&mut heard).unwrap();
    heard
}

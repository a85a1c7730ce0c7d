//! FIFOs: creating one, and opening one for writing without hanging in `open`.
//!
//! A plain `open` of a FIFO for writing waits until somebody opens it for
//! reading, for ever if need be, and nothing can end that wait. Here the wait has
//! a limit, or is a future.
//!
//! # Examples
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//! use pipewright::{PipeWriter, fifo};
//!
//! # let folder = std::env::temp_dir().join(format!("pipewright-doc-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder)?;
//! let path = folder.join("events");
//! fifo::create(&path)?;
//! # let from = path.clone();
//! # let reader = std::thread::spawn(move || std::fs::read_to_string(from));
//! let pipe = fifo::open(&path, Duration::from_secs(10))?; // until there is a reader
//! let writer = PipeWriter::builder().sole_owner(true).build(pipe)?;
//! writer.try_send("ready\n")?;
//! writer.close_timeout(Duration::from_secs(10))?;
//! # assert_eq!(reader.join().unwrap()?, "ready\n");
//! # std::fs::remove_dir_all(&folder)?;
//! # Ok(())
//! # }
//! ```

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use rustix::fs::{FileType, Mode, OFlags, fstat};
use rustix::io::Errno;

use super::reactor::Timer;
use super::system;
use crate::wait::Wait;

/// Creates a FIFO that only its owner may open (mode 0600, less the umask).
///
/// # Errors
///
/// The system's; [`AlreadyExists`](io::ErrorKind::AlreadyExists) if there is
/// anything at `path`.
pub fn create(path: impl AsRef<Path>) -> io::Result<()> {
    system::make_fifo(path.as_ref(), Mode::RUSR | Mode::WUSR)?;
    Ok(())
}

/// Opens a FIFO for writing, and waits until it has a reader, at most `timeout`,
/// blocking the thread.
///
/// The descriptor is non-blocking, close-on-exec, and the only one of its open
/// file description: give it to a writer with
/// [`sole_owner(true)`](crate::Builder::sole_owner).
///
/// # Errors
///
/// The system's; [`TimedOut`](io::ErrorKind::TimedOut) if nobody has opened it for
/// reading; [`InvalidInput`](io::ErrorKind::InvalidInput) if it is not a FIFO;
/// `ELOOP` if the last part of the path is a symbolic link.
pub fn open(path: impl AsRef<Path>, timeout: Duration) -> io::Result<OwnedFd> {
    OpenOptions::new().open(path, timeout)
}

/// How to open a FIFO for writing.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    follow_links: bool,
}

impl OpenOptions {
    /// As [`open`] does.
    #[must_use]
    pub fn new() -> Self {
        OpenOptions::default()
    }

    /// Whether the last part of the path may be a symbolic link; not unless set.
    #[must_use]
    pub fn follow_links(mut self, follow: bool) -> Self {
        self.follow_links = follow;
        self
    }

    /// Opens it if it has a reader now: `None` if not. Never waits.
    ///
    /// # Errors
    ///
    /// As [`open`], never `TimedOut`.
    pub fn try_open(&self, path: impl AsRef<Path>) -> io::Result<Option<OwnedFd>> {
        let mut flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        if !self.follow_links {
            flags |= OFlags::NOFOLLOW;
        }
        let fd = match rustix::fs::open(path.as_ref(), flags, Mode::empty()) {
            Ok(fd) => fd,
            // Nobody reads, or it is a socket: POSIX, open, ENXIO.
            Err(Errno::NXIO) if self.is_fifo(path.as_ref())? => return Ok(None),
            Err(Errno::NXIO) => return Err(not_a_fifo()),
            Err(error) => return Err(error.into()),
        };
        // Looked at only now: what a path leads to may change before it is opened.
        if FileType::from_raw_mode(fstat(&fd)?.st_mode) != FileType::Fifo {
            return Err(not_a_fifo());
        }
        Ok(Some(fd))
    }

    fn is_fifo(&self, path: &Path) -> io::Result<bool> {
        let metadata = if self.follow_links {
            std::fs::metadata(path)?
        } else {
            std::fs::symlink_metadata(path)?
        };
        Ok(metadata.file_type().is_fifo())
    }

    /// Opens it as soon as it has a reader; blocks the thread for at most
    /// `timeout`.
    ///
    /// # Errors
    ///
    /// As [`open`].
    pub fn open(&self, path: impl AsRef<Path>, timeout: Duration) -> io::Result<OwnedFd> {
        self.opening(path.as_ref())
            .wait_timeout(timeout)
            .unwrap_or_else(|| {
                let why = "nobody has opened the FIFO for reading";
                Err(io::Error::new(io::ErrorKind::TimedOut, why))
            })
    }

    /// Opens it as soon as it has a reader.
    ///
    /// # Errors
    ///
    /// As [`open`], never `TimedOut`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn open_async(&self, path: impl AsRef<Path>) -> io::Result<OwnedFd> {
        self.opening(path.as_ref()).wait().await
    }

    fn opening(&self, path: &Path) -> Opening {
        Opening {
            options: self.clone(),
            path: path.to_owned(),
            pause: Opening::FIRST_PAUSE,
            timer: None,
        }
    }
}

fn not_a_fifo() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "not a FIFO")
}

/// Until there is a reader: tried again and again, at growing intervals, because
/// no system reports it.
struct Opening {
    options: OpenOptions,
    path: PathBuf,
    pause: Duration,
    timer: Option<Timer>,
}

impl Opening {
    const FIRST_PAUSE: Duration = Duration::from_millis(1);
    const LONGEST_PAUSE: Duration = Duration::from_millis(20);
}

impl Wait for Opening {
    type Output = io::Result<OwnedFd>;

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(opened) = self.options.try_open(&self.path).transpose() {
            return Poll::Ready(opened);
        }
        match Timer::start(Instant::now() + self.pause, cx.waker().clone()) {
            Ok(timer) => self.timer = Some(timer),
            Err(error) => return Poll::Ready(Err(error)),
        }
        self.pause = (self.pause * 2).min(Self::LONGEST_PAUSE);
        Poll::Pending
    }
}

//! Opening targets.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pipewright::fifo;
use rustix::fs::{FileType, Mode, OFlags, Stat, fcntl_getfl, fstat, ftruncate, lstat, stat};
use rustix::io::Errno;

use super::{Child, Input, connect, listen};
use crate::os::connect::tcp;
use crate::os::{InUse, Kind, Opened, Opening, Trouble};
use crate::spec::Target;
use crate::text::printable;

/// Opens the targets of one run.
pub(crate) struct Opener {
    in_use: InUse<Identity>,
}

/// A FIFO or a socket that was created here.
#[derive(Clone)]
pub(crate) struct Created {
    path: PathBuf,
    identity: Identity,
    /// It was removed: the system may give its identity to another file.
    gone: Arc<AtomicBool>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Identity {
    device: u64,
    inode: u64,
}

impl Opener {
    pub(crate) fn new(input: &Input) -> Self {
        let mut opener = Opener {
            in_use: InUse::default(),
        };
        if let Ok(input) = fstat(input) {
            // It is the first: nothing can be in its way.
            let _ = opener.claim(&input, "the input".into());
        }
        opener
    }

    /// Opens `target`, which is called `name`. Never waits for a reader: what it
    /// gives back does, for up to `limit`.
    pub(crate) fn open(
        &mut self,
        target: &Target,
        name: &str,
        limit: Option<Duration>,
    ) -> Result<Opened, Trouble> {
        match target {
            Target::Stdout => self.open_stdout(name),
            Target::Path(path) => self.open_path(path, name, limit),
            Target::Listen(path) => self.create_fifo(path, name, limit),
            Target::ListenUnix(path) => serve_socket(path, limit),
            Target::Exec(command) => open_command(command),
            Target::Unix(_) | Target::Tcp { .. } => open_socket(target, limit),
        }
    }

    /// Opens once more what was open before and [can be](Kind::can_be_reopened).
    pub(crate) fn reopen(
        &self,
        target: &Target,
        limit: Option<Duration>,
    ) -> Result<Opened, Trouble> {
        let again = |kind, path: &Path, follow_links| {
            let options = fifo::OpenOptions::new().follow_links(follow_links);
            Ok(Opened::awaited(kind, fifo_opening(path, options, limit)))
        };
        match target {
            Target::Path(path) => again(Kind::Fifo, path, true),
            Target::Listen(path) => again(Kind::Listen, path, false),
            Target::ListenUnix(path) => serve_socket(path, limit),
            Target::Exec(command) => open_command(command),
            Target::Unix(_) | Target::Tcp { .. } => open_socket(target, limit),
            Target::Stdout => Err(Errno::NOTSUP.into()),
        }
    }

    fn open_stdout(&mut self, name: &str) -> Result<Opened, Trouble> {
        let handle = io::stdout().as_fd().try_clone_to_owned()?;
        let stat = fstat(&handle)?;
        if stands_in_for_closed(&handle, &stat)? {
            let hint = "standard output is closed (if /dev/null is meant, name it)";
            return Err(Trouble::from(Errno::BADF).hint(hint));
        }
        self.claim(&stat, format!("'{name}'"))?;
        Ok(Opened::now(Kind::Stdout, handle, false))
    }

    fn open_path(
        &mut self,
        path: &Path,
        name: &str,
        limit: Option<Duration>,
    ) -> Result<Opened, Trouble> {
        let handle = match open_or_create(path) {
            Ok(handle) => handle,
            Err(Errno::NXIO) => return self.open_later(path, name, limit),
            Err(error) => return Err(error.into()),
        };
        let stat = fstat(&handle)?;
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Kind::File,
            FileType::Fifo => Kind::Fifo,
            _ => Kind::Device,
        };
        self.claim(&stat, format!("'{name}'"))?;
        if kind == Kind::File {
            // Only now, so that no file loses its contents that is the input or
            // another sink.
            ftruncate(&handle, 0)?;
        }
        Ok(Opened::now(kind, handle, true))
    }

    /// `ENXIO`: a FIFO without a reader, or something that cannot be opened at all.
    fn open_later(
        &mut self,
        path: &Path,
        name: &str,
        limit: Option<Duration>,
    ) -> Result<Opened, Trouble> {
        let stat = stat(path)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Fifo => {
                self.claim(&stat, format!("'{name}'"))?;
                let options = fifo::OpenOptions::new().follow_links(true);
                let opening = fifo_opening(path, options, limit);
                Ok(Opened::awaited(Kind::Fifo, opening))
            }
            FileType::Socket => {
                let hint = format!("it is a socket: unix:{}", printable(path.as_os_str()));
                Err(Trouble::from(Errno::NXIO).hint(&hint))
            }
            _ => Err(Errno::NXIO.into()),
        }
    }

    fn create_fifo(
        &mut self,
        path: &Path,
        name: &str,
        limit: Option<Duration>,
    ) -> Result<Opened, Trouble> {
        let is_new = match fifo::create(path) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
            Err(error) => return Err(error.into()),
        };
        let stat = lstat(path)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Fifo {
            return Err(Trouble::from(Errno::EXIST).hint("it is not a FIFO"));
        }
        let created = is_new.then(|| Created::at(path, &stat));
        self.claim(&stat, format!("'{name}'"))?;
        let opening = fifo_opening(path, fifo::OpenOptions::new(), limit);
        Ok(Opened {
            created,
            ..Opened::awaited(Kind::Listen, opening)
        })
    }

    /// Notes that it is in use, unless it is a device: those may be used as often as
    /// one likes.
    fn claim(&mut self, stat: &Stat, user: String) -> Result<(), Trouble> {
        let file_type = FileType::from_raw_mode(stat.st_mode);
        if !matches!(file_type, FileType::RegularFile | FileType::Fifo) {
            return Ok(());
        }
        self.in_use.claim(Identity::of(stat), user)
    }
}

impl Identity {
    #[allow(
        clippy::useless_conversion,
        clippy::unnecessary_cast,
        reason = "types differ per system"
    )]
    fn of(stat: &Stat) -> Self {
        Identity {
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
        }
    }
}

impl Created {
    fn at(path: &Path, stat: &Stat) -> Created {
        Created {
            path: path.into(),
            identity: Identity::of(stat),
            gone: Arc::default(),
        }
    }

    /// Removes it, once, unless something else has taken its place.
    pub(crate) fn remove(&self) {
        if self.gone.swap(true, Ordering::AcqRel) {
            return;
        }
        let ours = |stat: Stat| Identity::of(&stat) == self.identity;
        if lstat(&self.path).is_ok_and(ours) {
            // It may be gone between the look and the removal, which is as good.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn fifo_opening(path: &Path, options: fifo::OpenOptions, limit: Option<Duration>) -> Opening {
    let (path, limit) = (path.to_owned(), limit.unwrap_or(Duration::MAX));
    Box::new(move || Ok(options.open(path, limit)?.into()))
}

/// The name goes as soon as somebody has come: there is nothing for a second one, until
/// it is opened again.
fn serve_socket(path: &Path, limit: Option<Duration>) -> Result<Opened, Trouble> {
    let socket = listen::bind(path).map_err(|error| match Trouble::from(error) {
        trouble if trouble.os_error == Some(Errno::ADDRINUSE.raw_os_error()) => trouble
            .hint("there is something of this name; if nobody listens on it, it may be removed"),
        trouble => trouble,
    })?;
    let created = Created::at(path, &lstat(path)?);
    let listener = listen::begin(socket).inspect_err(|_| created.remove())?;
    let name = created.clone();
    let opening: Opening = Box::new(move || {
        let came = listen::accept(&listener, limit);
        name.remove();
        Ok(came?.into())
    });
    Ok(Opened {
        created: Some(created),
        ..Opened::awaited(Kind::Listen, opening)
    })
}

fn open_socket(target: &Target, limit: Option<Duration>) -> Result<Opened, Trouble> {
    let limit = limit.unwrap_or_default();
    match target {
        Target::Unix(path) => {
            let path = path.clone();
            Ok(Opened::awaited(
                Kind::Unix,
                Box::new(move || Ok(connect::unix(&path, limit)?.into())),
            ))
        }
        Target::Tcp { host, port } => {
            let (host, port) = (host.clone(), *port);
            Ok(Opened::awaited(
                Kind::Tcp,
                Box::new(move || Ok(OwnedFd::from(tcp(&host, port, limit)?).into())),
            ))
        }
        _ => Err(Errno::NOTSUP.into()),
    }
}

fn open_command(command: &OsStr) -> Result<Opened, Trouble> {
    let (child, stdin) = Child::start(command)?;
    Ok(Opened {
        child: Some(child),
        ..Opened::now(Kind::Exec, stdin, true)
    })
}

/// Without waiting: a FIFO without a reader is `ENXIO`.
///
/// Not created at once, because Linux refuses `O_CREAT` on other people's FIFOs in
/// shared folders (`protected_fifos`; man page proc_sys_fs(5)).
fn open_or_create(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    match rustix::fs::open(path, flags, Mode::empty()) {
        Err(Errno::NOENT) => {
            let everybody = Mode::from_raw_mode(0o666);
            rustix::fs::open(path, flags | OFlags::CREATE, everybody)
        }
        opened => opened,
    }
}

/// Whether standard output was closed when the process was started: Rust's start-up
/// code puts `/dev/null` in its place, open for reading and writing, which hardly
/// anybody does who redirects output on purpose.
fn stands_in_for_closed(handle: &OwnedFd, stat: &Stat) -> Result<bool, Errno> {
    let access = fcntl_getfl(handle)? & OFlags::RWMODE;
    let is_null = rustix::fs::stat("/dev/null").is_ok_and(|null| {
        FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
            && null.st_rdev == stat.st_rdev
    });
    Ok(is_null && access == OFlags::RDWR)
}

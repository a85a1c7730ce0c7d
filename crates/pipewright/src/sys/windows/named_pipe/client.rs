//! The client's end: opening a pipe that somebody else serves.

use std::ffi::OsStr;
use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::ptr::{null, null_mut};
use std::task::{Context, Poll};
use std::time::Duration;

use pipewright_core::Mode;
use windows_sys::Win32::Foundation::{
    ERROR_FILE_NOT_FOUND, ERROR_PIPE_BUSY, GENERIC_READ, INVALID_HANDLE_VALUE,
};
use windows_sys::Win32::Storage::FileSystem::{
    CreateFileW, FILE_FLAG_OVERLAPPED, FILE_WRITE_ATTRIBUTES, FILE_WRITE_DATA, OPEN_EXISTING,
    READ_CONTROL, SECURITY_ANONYMOUS, SECURITY_DELEGATION, SECURITY_IDENTIFICATION,
    SECURITY_IMPERSONATION, SECURITY_SQOS_PRESENT,
};
use windows_sys::Win32::System::Pipes::{
    PIPE_READMODE_MESSAGE, PIPE_WAIT, SetNamedPipeHandleState,
};

use super::backoff::Backoff;
use super::name::Name;
use super::sid::Sid;
use super::{is_code, timed_out};
use crate::sys::windows::kind;
use crate::wait::Wait;

/// How far the server may act as the client ("Impersonation Levels").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Impersonation {
    /// The server learns nothing about the client, and cannot act as it.
    #[default]
    Anonymous,
    /// The server may learn who the client is, and cannot act as it.
    Identification,
    /// The server may act as the client on its own computer: open the client's
    /// files, for example. Only for servers that are trusted with that.
    Impersonation,
    /// The server may act as the client, on other computers too.
    Delegation,
}

/// Whose server a client talks to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum ServerOwner {
    /// The current user's, the administrators' or the system's. They could do as
    /// the user anyway.
    #[default]
    Trusted,
    /// This one's, and nobody else's.
    Only(Sid),
    /// Anybody's. What is sent may reach whoever took the name first.
    Any,
}

impl ServerOwner {
    /// Whether the client talks to a server of this owner.
    pub(super) fn accepts(
        &self,
        owner: &Sid,
        user: impl FnOnce() -> io::Result<Sid>,
    ) -> io::Result<bool> {
        match self {
            ServerOwner::Any => Ok(true),
            ServerOwner::Only(only) => Ok(owner == only),
            ServerOwner::Trusted => Ok(*owner == Sid::local_system()
                || *owner == Sid::administrators()
                || *owner == user()?),
        }
    }
}

/// How to open the client's end of a pipe.
///
/// Without any option: for writing; on this computer; the server can neither learn
/// who the client is nor act as it; the pipe must belong to the current user, the
/// administrators or the system; child processes do not inherit the handle. Each
/// option changes one of these, whatever the order in which they are set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct ClientOptions {
    duplex: bool,
    read_messages: bool,
    allow_remote: bool,
    wait_for_server: bool,
    impersonation: Impersonation,
    server_owner: ServerOwner,
}

impl ClientOptions {
    /// Strict defaults.
    pub fn new() -> Self {
        ClientOptions::default()
    }

    /// Whether the client reads too; not unless set.
    pub fn duplex(mut self, duplex: bool) -> Self {
        self.duplex = duplex;
        self
    }

    /// Whether reads keep the boundaries of what the server wrote; not unless set.
    /// For a [`duplex`](Self::duplex) client; opening as another is refused with
    /// [`InvalidInput`](io::ErrorKind::InvalidInput). A pipe that keeps no messages has
    /// none, and is read as it is.
    pub fn read_messages(mut self, messages: bool) -> Self {
        self.read_messages = messages;
        self
    }

    /// Whether the name may be one of another computer, `\\HOST\pipe\NAME`; not
    /// unless set. Opening one signs in there, with the user's credentials, to
    /// whatever host the name says, and may block for the time of the network.
    ///
    /// Who owns a pipe on another computer is known as far as that computer says.
    pub fn allow_remote(mut self, allow: bool) -> Self {
        self.allow_remote = allow;
        self
    }

    /// Whether to wait for a pipe that does not exist yet; not unless set.
    pub fn wait_for_server(mut self, wait: bool) -> Self {
        self.wait_for_server = wait;
        self
    }

    /// How far the server may act as the client; [`Anonymous`] unless set.
    ///
    /// [`Anonymous`]: Impersonation::Anonymous
    pub fn impersonation(mut self, level: Impersonation) -> Self {
        self.impersonation = level;
        self
    }

    /// Whose the pipe must be; [`Trusted`](ServerOwner::Trusted) unless set. Others
    /// can take a name first, if the true server is not there, and would be sent
    /// what is for it.
    pub fn server_owner(mut self, owner: ServerOwner) -> Self {
        self.server_owner = owner;
        self
    }

    /// Opens it if it is free now: `None` if all instances are busy, or if it does
    /// not exist and is to be [waited for](Self::wait_for_server). Never waits for
    /// the server.
    ///
    /// # Errors
    ///
    /// As [`open`](super::open), never `TimedOut`.
    pub fn try_open(&self, name: impl AsRef<OsStr>) -> io::Result<Option<OwnedHandle>> {
        let opening = self.opening(name.as_ref())?;
        match opening.attempt()? {
            Ok(pipe) => Ok(Some(pipe)),
            Err(_) => Ok(None),
        }
    }

    /// Opens it as soon as an instance is free; blocks the thread for at most
    /// `timeout`.
    ///
    /// # Errors
    ///
    /// As [`open`](super::open).
    pub fn open(&self, name: impl AsRef<OsStr>, timeout: Duration) -> io::Result<OwnedHandle> {
        let mut opening = self.opening(name.as_ref())?;
        match (&mut opening).wait_timeout(timeout) {
            Some(opened) => opened,
            None => Err(timed_out(match opening.last {
                Refusal::Busy => "all instances of the pipe are busy",
                Refusal::Absent => "there is no such pipe",
            })),
        }
    }

    /// Opens it as soon as an instance is free, as a task.
    ///
    /// # Errors
    ///
    /// As [`open`](super::open), never `TimedOut`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn open_async(&self, name: impl AsRef<OsStr>) -> io::Result<OwnedHandle> {
        let mut opening = self.opening(name.as_ref())?;
        (&mut opening).wait().await
    }

    fn opening(&self, name: &OsStr) -> io::Result<Opening> {
        let name = Name::parse(name, self.allow_remote)?;
        if self.read_messages && !self.duplex {
            let why = "a client that does not read cannot read messages";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        Ok(Opening {
            name,
            parameters: self.parameters(),
            owner: self.server_owner.clone(),
            wait_for_server: self.wait_for_server,
            last: Refusal::Busy,
            backoff: Backoff::new(),
        })
    }

    /// What the system is told.
    pub(super) fn parameters(&self) -> Parameters {
        // Not GENERIC_WRITE: that is also the right to make instances of the pipe,
        // which a careful server gives to nobody.
        let mut access = FILE_WRITE_DATA;
        if self.server_owner != ServerOwner::Any {
            access |= READ_CONTROL;
        }
        if self.duplex {
            access |= GENERIC_READ;
        }
        if self.read_messages {
            access |= FILE_WRITE_ATTRIBUTES;
        }
        let level = match self.impersonation {
            Impersonation::Anonymous => SECURITY_ANONYMOUS,
            Impersonation::Identification => SECURITY_IDENTIFICATION,
            Impersonation::Impersonation => SECURITY_IMPERSONATION,
            Impersonation::Delegation => SECURITY_DELEGATION,
        };
        Parameters {
            access,
            // Without the first, the level would be Impersonation ("CreateFile").
            flags: SECURITY_SQOS_PRESENT | level | FILE_FLAG_OVERLAPPED,
            read_mode: self
                .read_messages
                .then_some(PIPE_READMODE_MESSAGE | PIPE_WAIT),
        }
    }
}

/// The numbers that CreateFile and SetNamedPipeHandleState take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parameters {
    pub(super) access: u32,
    pub(super) flags: u32,
    pub(super) read_mode: Option<u32>,
}

/// Why it is not open yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    Busy,
    Absent,
}

/// Until there is an instance that is free: tried again and again, at growing
/// intervals.
struct Opening {
    name: Name,
    parameters: Parameters,
    owner: ServerOwner,
    wait_for_server: bool,
    last: Refusal,
    backoff: Backoff,
}

impl Opening {
    fn attempt(&self) -> io::Result<Result<OwnedHandle, Refusal>> {
        let pipe = match self.create_file() {
            Ok(pipe) => pipe,
            Err(error) if is_code(&error, ERROR_PIPE_BUSY) => return Ok(Err(Refusal::Busy)),
            Err(error) if self.wait_for_server && is_code(&error, ERROR_FILE_NOT_FOUND) => {
                return Ok(Err(Refusal::Absent));
            }
            Err(error) => return Err(error),
        };
        // Nothing was sent yet, and an anonymous client has shown nothing of itself.
        self.check_owner(&pipe)?;
        if let Some(mode) = self.parameters.read_mode {
            // Of a pipe of bytes the system refuses it ("SetNamedPipeHandleState").
            if kind::pipe_mode(pipe.as_handle()) == Some(Mode::Message) {
                set_mode(pipe.as_handle(), mode)?;
            }
        }
        Ok(Ok(pipe))
    }

    /// Overlapped, and not inheritable.
    fn create_file(&self) -> io::Result<OwnedHandle> {
        let Parameters { access, flags, .. } = self.parameters;
        // SAFETY: the name ends with a NUL (its invariant); null stands for none.
        let pipe = unsafe {
            CreateFileW(
                self.name.as_ptr(),
                access,
                0,
                null(),
                OPEN_EXISTING,
                flags,
                null_mut(),
            )
        };
        if pipe == INVALID_HANDLE_VALUE {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: it was just opened, and is ours.
        Ok(unsafe { OwnedHandle::from_raw_handle(pipe) })
    }

    fn check_owner(&self, pipe: &OwnedHandle) -> io::Result<()> {
        if self.owner == ServerOwner::Any {
            return Ok(());
        }
        let owner = Sid::owner_of(pipe.as_handle())?;
        if self.owner.accepts(&owner, Sid::current_user)? {
            return Ok(());
        }
        let message = format!("{:?} belongs to {owner}, who is not trusted", self.name);
        Err(io::Error::new(io::ErrorKind::PermissionDenied, message))
    }
}

impl Wait for &mut Opening {
    type Output = io::Result<OwnedHandle>;

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.attempt()? {
            Ok(pipe) => return Poll::Ready(Ok(pipe)),
            Err(refusal) => self.last = refusal,
        }
        self.backoff.poll(cx).map(Err)
    }
}

fn set_mode(pipe: BorrowedHandle<'_>, mode: u32) -> io::Result<()> {
    // SAFETY: the handle is open while it is borrowed; null stands for no change.
    let ok =
        unsafe { SetNamedPipeHandleState(pipe.as_raw_handle(), &raw const mode, null(), null()) };
    if ok == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

//! The server's end: what a pipe is to be, and making it.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::windows::io::{AsHandle, FromRawHandle, OwnedHandle};
use std::sync::Arc;

use windows_sys::Win32::Foundation::INVALID_HANDLE_VALUE;
use windows_sys::Win32::Security::SECURITY_ATTRIBUTES;
use windows_sys::Win32::Storage::FileSystem::{
    FILE_FLAG_FIRST_PIPE_INSTANCE, FILE_FLAG_OVERLAPPED, PIPE_ACCESS_DUPLEX, PIPE_ACCESS_OUTBOUND,
};
use windows_sys::Win32::System::Pipes::{
    CreateNamedPipeW, PIPE_ACCEPT_REMOTE_CLIENTS, PIPE_READMODE_BYTE, PIPE_READMODE_MESSAGE,
    PIPE_REJECT_REMOTE_CLIENTS, PIPE_TYPE_BYTE, PIPE_TYPE_MESSAGE, PIPE_WAIT,
};

use super::accept::Server;
use super::name::Name;
use super::security::SecurityDescriptor;
use super::sid::Sid;
use super::size_of_u32;

/// What the server's end of a pipe is to be.
///
/// Without any option: the server writes and clients read; bytes, not messages;
/// nobody but the current user may open it; clients on other computers are
/// refused; nobody else has a pipe of this name; child processes do not inherit
/// it. Each option changes one of these, whatever the order in which they are set.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct ServerOptions {
    name: OsString,
    duplex: bool,
    messages: bool,
    max_instances: u8,
    out_buffer: u32,
    first_instance: bool,
    reject_remote_clients: bool,
    sddl: Option<String>,
}

impl ServerOptions {
    /// Strict defaults, for a pipe of this name: `\\.\pipe\NAME`.
    ///
    /// A name has at most 256 characters, prefix included, and no backslash after
    /// the prefix ("Pipe Names"), but for the `LOCAL\` of apps in a container.
    /// Other names, also those of pipes on other computers, are refused by
    /// [`create`](Self::create).
    pub fn new(name: impl AsRef<OsStr>) -> Self {
        ServerOptions {
            name: name.as_ref().to_owned(),
            duplex: false,
            messages: false,
            max_instances: u8::MAX,
            out_buffer: 64 * 1024,
            first_instance: true,
            reject_remote_clients: true,
            sddl: None,
        }
    }

    /// Whether clients may write too, and the server read; not unless set. Only of a
    /// duplex pipe can a server learn that a client has read everything
    /// ([`wait_read`](crate::PipeWriter::wait_read)).
    pub fn duplex(mut self, duplex: bool) -> Self {
        self.duplex = duplex;
        self
    }

    /// Whether the pipe keeps the boundaries of what is written, so that one send
    /// is one message; not unless set. If the pipe is not [`duplex`](Self::duplex) as
    /// well, its server's end cannot be asked for that: tell a writer to it by
    /// [`Builder::mode`](crate::Builder::mode).
    pub fn messages(mut self, messages: bool) -> Self {
        self.messages = messages;
        self
    }

    /// How many instances there may be at a time, connected ones included: 1 to
    /// 254, or 255 for as many as the system can make, which is the default. The
    /// system takes it from the first instance.
    pub fn max_instances(mut self, most: u8) -> Self {
        self.max_instances = most;
        self
    }

    /// How much the pipe takes before its reader reads, in bytes; 65,536 unless
    /// set. "The input and output buffer sizes are advisory" ("CreateNamedPipe").
    pub fn out_buffer(mut self, bytes: u32) -> Self {
        self.out_buffer = bytes;
        self
    }

    /// Whether [`create`](Self::create) refuses to join a pipe of this name that
    /// exists already; so unless set to false. Somebody else's pipe of the same
    /// name would have somebody else's security, and its clients would be shared
    /// with them.
    pub fn first_instance(mut self, first: bool) -> Self {
        self.first_instance = first;
        self
    }

    /// Whether clients on other computers are refused; so unless set to false.
    pub fn reject_remote_clients(mut self, reject: bool) -> Self {
        self.reject_remote_clients = reject;
        self
    }

    /// Who owns the pipe and who may open it, in the system's own language
    /// ("Security Descriptor String Format"), such as `D:P(A;;FR;;;AU)(A;;FA;;;OW)`
    /// for every signed-in user as a reader. It must have a DACL (`D:`) that is not
    /// NULL. Unless set: the current user, and nobody else.
    ///
    /// Give others `FR`, or `0x12019b` if they write too, but not `FW`, `GW` or
    /// `FA`: these include the right to make instances of the pipe, that is to be
    /// its server ("Named Pipe Security and Access Rights"). The server needs that
    /// right itself, for all instances but the first.
    pub fn sddl(mut self, sddl: impl Into<String>) -> Self {
        self.sddl = Some(sddl.into());
        self
    }

    /// Makes the first instance. Clients can connect to it from now on; they wait
    /// until they are [accepted](Server::accept).
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a name or security that is
    /// none, before the system is asked; else the system's:
    ///
    /// * `ERROR_ACCESS_DENIED` (5): somebody has a pipe of this name;
    /// * `ERROR_PIPE_BUSY` (231): it has as many instances as it may have;
    /// * `ERROR_INVALID_OWNER` (1307): the security names an owner that the current
    ///   user cannot give things to.
    pub fn create(&self) -> io::Result<Server> {
        let mut listener = Listener::of(self)?;
        let instance = listener.make(&self.parameters(self.first_instance))?;
        listener.owner = Some(Sid::owner_of(instance.as_handle())?);
        Ok(Server::new(Arc::new(listener), instance))
    }

    /// What the system is told. `first`: there must be no pipe of this name yet.
    pub(super) fn parameters(&self, first: bool) -> Parameters {
        let mut open_mode = FILE_FLAG_OVERLAPPED;
        open_mode |= match self.duplex {
            true => PIPE_ACCESS_DUPLEX,
            false => PIPE_ACCESS_OUTBOUND,
        };
        if first {
            open_mode |= FILE_FLAG_FIRST_PIPE_INSTANCE;
        }
        let mut pipe_mode = PIPE_WAIT;
        pipe_mode |= match self.messages {
            true => PIPE_TYPE_MESSAGE,
            false => PIPE_TYPE_BYTE,
        };
        pipe_mode |= match self.messages && self.duplex {
            true => PIPE_READMODE_MESSAGE,
            false => PIPE_READMODE_BYTE,
        };
        pipe_mode |= match self.reject_remote_clients {
            true => PIPE_REJECT_REMOTE_CLIENTS,
            false => PIPE_ACCEPT_REMOTE_CLIENTS,
        };
        Parameters {
            open_mode,
            pipe_mode,
            max_instances: self.max_instances.into(),
            out_buffer: self.out_buffer,
            in_buffer: if self.duplex { self.out_buffer } else { 0 },
        }
    }
}

/// The numbers that CreateNamedPipe takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parameters {
    pub(super) open_mode: u32,
    pub(super) pipe_mode: u32,
    pub(super) max_instances: u32,
    pub(super) out_buffer: u32,
    pub(super) in_buffer: u32,
}

impl Parameters {
    /// Whether clients may write too.
    pub(super) fn duplex(&self) -> bool {
        self.open_mode & PIPE_ACCESS_DUPLEX == PIPE_ACCESS_DUPLEX
    }
}

/// All that instances are made from.
#[derive(Debug)]
pub(super) struct Listener {
    name: Name,
    pub(super) parameters: Parameters,
    security: SecurityDescriptor,
    /// Whom the first instance belonged to.
    pub(super) owner: Option<Sid>,
}

impl Listener {
    /// What the options say, checked before anything is made.
    pub(super) fn of(options: &ServerOptions) -> io::Result<Listener> {
        let name = Name::parse(&options.name, false)?;
        if options.max_instances == 0 {
            let why = "a pipe has at least one instance";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let security = match &options.sddl {
            Some(text) => SecurityDescriptor::from_sddl(text)?,
            None => SecurityDescriptor::owner_only()?,
        };
        Ok(Listener {
            name,
            parameters: options.parameters(false),
            security,
            owner: None,
        })
    }

    /// Another instance than the first.
    pub(super) fn instance(&self) -> io::Result<OwnedHandle> {
        let instance = self.make(&self.parameters)?;
        // If the name was free for a moment, somebody else may have taken it. All
        // instances share the security of the first, which would be theirs.
        let owner = Some(Sid::owner_of(instance.as_handle())?);
        if owner != self.owner {
            let message = format!("{:?} is somebody else's pipe by now", self.name);
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
        }
        Ok(instance)
    }

    /// An instance: overlapped, and not inheritable.
    fn make(&self, parameters: &Parameters) -> io::Result<OwnedHandle> {
        let attributes = SECURITY_ATTRIBUTES {
            nLength: size_of_u32::<SECURITY_ATTRIBUTES>(),
            lpSecurityDescriptor: self.security.as_ptr(),
            bInheritHandle: 0,
        };
        // SAFETY: the name ends with a NUL, and the descriptor is a valid one (their
        // invariants); both are there until the call returns.
        let pipe = unsafe {
            CreateNamedPipeW(
                self.name.as_ptr(),
                parameters.open_mode,
                parameters.pipe_mode,
                parameters.max_instances,
                parameters.out_buffer,
                parameters.in_buffer,
                0,
                &raw const attributes,
            )
        };
        if pipe == INVALID_HANDLE_VALUE {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: it was just made, and is ours.
        Ok(unsafe { OwnedHandle::from_raw_handle(pipe) })
    }
}

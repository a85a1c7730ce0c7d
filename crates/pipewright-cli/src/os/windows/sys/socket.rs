//! Waiting for a socket: until it takes something, or until it has something.

use std::io;
use std::os::windows::io::{AsRawHandle, AsRawSocket, OwnedHandle};

use socket2::Socket;
use windows_sys::Win32::Foundation::{WAIT_FAILED, WAIT_OBJECT_0};
use windows_sys::Win32::Networking::WinSock::{
    FD_CLOSE, FD_WRITE, POLLRDNORM, SOCKET, WSAEVENT, WSAEnumNetworkEvents, WSAEventSelect,
    WSANETWORKEVENTS, WSAPOLLFD, WSAPoll,
};
use windows_sys::Win32::System::Threading::{SetEvent, WaitForMultipleObjects};

use super::{check, event};

/// After so many milliseconds a write is tried again though nothing was heard. A peer
/// that has ended its own direction and dies later may be told of once only, for the
/// first of the two ("WSAEventSelect function", `FD_CLOSE`).
const PATIENCE: u32 = 1000;

/// Waits for room in a socket, for as long as somebody wants that.
pub(in super::super) struct Room {
    /// Set by the system when the socket may take something again, or is closed.
    changed: OwnedHandle,
    given_up: OwnedHandle,
}

impl Room {
    /// From now on no call waits for the socket.
    pub(in super::super) fn of(socket: &Socket) -> io::Result<Room> {
        let room = Room {
            changed: event()?,
            given_up: event()?,
        };
        let events = (FD_WRITE | FD_CLOSE).cast_signed();
        // SAFETY: the socket and the event are open. The system refers to the event by
        // itself from now on, so it may be closed first.
        done(unsafe { WSAEventSelect(raw(socket), winsock(&room.changed), events) })?;
        Ok(room)
    }

    /// After a write that the socket had no room for: waits until another may get
    /// further. False if nobody wants that any more.
    pub(in super::super) fn wait(&self, socket: &Socket) -> io::Result<bool> {
        let handles = [&self.given_up, &self.changed].map(|event| event.as_raw_handle());
        // SAFETY: two handles, which are open, for `self` owns them.
        match unsafe { WaitForMultipleObjects(2, handles.as_ptr(), 0, PATIENCE) } {
            WAIT_OBJECT_0 => return Ok(false),
            WAIT_FAILED => return Err(io::Error::last_os_error()),
            _ => {}
        }
        let mut seen = WSANETWORKEVENTS::default();
        // SAFETY: the socket and the event are open; `seen` lives for the call. It takes
        // the event back as well.
        done(unsafe { WSAEnumNetworkEvents(raw(socket), winsock(&self.changed), &raw mut seen) })?;
        Ok(true)
    }

    /// Ends the current and every later wait.
    pub(in super::super) fn give_up(&self) {
        // SAFETY: the event is open, for `self` owns it.
        let set = check(unsafe { SetEvent(self.given_up.as_raw_handle()) });
        debug_assert!(set.is_ok(), "{set:?}");
    }
}

/// Waits until a read gets something: data, the end, or an error.
pub(in super::super) fn wait_readable(socket: &Socket) -> io::Result<()> {
    let mut asked = WSAPOLLFD {
        fd: raw(socket),
        events: POLLRDNORM,
        revents: 0,
    };
    // SAFETY: one entry, which lives for the call; the socket is open.
    done(unsafe { WSAPoll(&raw mut asked, 1, -1) }.min(0))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "it is one, only spelt as 64 bits"
)]
fn raw(socket: &Socket) -> SOCKET {
    socket.as_raw_socket() as SOCKET
}

/// An event, as the calls for sockets have it: the same handle, as a number.
fn winsock(event: &OwnedHandle) -> WSAEVENT {
    event.as_raw_handle() as WSAEVENT
}

/// What calls for sockets answer: 0, or that there is an error ("WSAGetLastError
/// function", which is the thread's last error).
fn done(answer: i32) -> io::Result<()> {
    if answer != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

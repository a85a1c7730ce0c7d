//! Qt's own pipe writer, `QWindowsPipeWriter`, in a `Qt6Core.dll` that is found at run
//! time. Qt exports the class, though it is private, because its other libraries use
//! it.
//!
//! # Invariants
//!
//! 1. A decorated name of the Microsoft compiler spells its function out: its class,
//!    what it takes, what it gives back. So a library that has the name has the
//!    function, and each is called as its name says; the object comes first, as for
//!    every member function. None of them unwinds into Rust: an exception ends the
//!    process.
//! 2. The library stays loaded until the process ends, and so do its functions.
//! 3. `Kept` has room for any Qt's object, which takes 152 bytes in Qt 6.12, and is
//!    aligned for it. The object in it is constructed, and is destroyed by `close`
//!    only.
//! 4. An object is used by the thread that made it, as Qt asks: a `Writer` is not
//!    `Send`, because of its pointer.
//! 5. While a write is in flight, `bytesToWrite` is not 0: the data leaves Qt's buffer
//!    when the write has ended.
//! 6. `Kept`, and with it the pipe's handle, is freed by `close` only, when no write is
//!    in flight and the object is destroyed.
//!
//! A writer that is dropped, and not closed, is leaked, and its pipe stays open until
//! the process ends. Qt's destructor would cancel a write and not wait for its end, so
//! the system could still use the object's memory.

use std::ffi::{CStr, c_char, c_void};
use std::io;
use std::mem::{MaybeUninit, transmute_copy};
use std::os::windows::ffi::OsStrExt;
use std::os::windows::io::{AsRawHandle, OwnedHandle};
use std::path::{self, Path};
use std::ptr;

use windows_sys::Win32::Foundation::{HANDLE, HMODULE, WAIT_OBJECT_0};
use windows_sys::Win32::System::LibraryLoader::{
    GetProcAddress, LOAD_WITH_ALTERED_SEARCH_PATH, LoadLibraryExW,
};
use windows_sys::Win32::System::Threading::{INFINITE, WaitForSingleObject};

/// More than an object takes in any Qt 6.
const SPACE: usize = 1024;

/// An object of Qt's.
type This = *mut c_void;

/// What is called of a `Qt6Core.dll`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Library {
    construct: unsafe extern "system" fn(This, HANDLE, *mut c_void) -> This,
    destroy: unsafe extern "system" fn(This),
    write: unsafe extern "system" fn(This, *const c_char, i64),
    bytes_to_write: unsafe extern "system" fn(This) -> i64,
    sync_event: unsafe extern "system" fn(This) -> HANDLE,
    check_for_write: unsafe extern "system" fn(This) -> bool,
}

impl Library {
    /// Loads it, and what lies beside it. A Qt that was built by another compiler than
    /// Microsoft's has other names, and is refused.
    pub(crate) fn load(path: &Path) -> io::Result<Library> {
        let library = open(path).and_then(|module| {
            Ok(Library {
                construct: function(module, c"??0QWindowsPipeWriter@@QEAA@PEAXPEAVQObject@@@Z")?,
                destroy: function(module, c"??1QWindowsPipeWriter@@UEAA@XZ")?,
                write: function(module, c"?write@QWindowsPipeWriter@@QEAAXPEBD_J@Z")?,
                bytes_to_write: function(module, c"?bytesToWrite@QWindowsPipeWriter@@QEBA_JXZ")?,
                sync_event: function(module, c"?syncEvent@QWindowsPipeWriter@@QEBAPEAXXZ")?,
                check_for_write: function(module, c"?checkForWrite@QWindowsPipeWriter@@QEAA_NXZ")?,
            })
        });
        library.map_err(|error| {
            let text = format!("cannot use {} as Qt's library: {error}", path.display());
            io::Error::new(error.kind(), text)
        })
    }
}

fn open(path: &Path) -> io::Result<HMODULE> {
    // The search beside the library is not defined for a relative path.
    let name = path::absolute(path)?;
    let name: Vec<u16> = name.as_os_str().encode_wide().chain([0]).collect();
    // SAFETY: the name ends with a zero. What the library does when it is loaded is
    // up to whoever named it.
    let module = unsafe {
        LoadLibraryExW(
            name.as_ptr(),
            ptr::null_mut(),
            LOAD_WITH_ALTERED_SEARCH_PATH,
        )
    };
    if module.is_null() {
        return Err(io::Error::last_os_error());
    }
    Ok(module)
}

/// The function of this decorated name. `F` is the type that the name spells.
fn function<F: Copy>(module: HMODULE, name: &CStr) -> io::Result<F> {
    const { assert!(size_of::<F>() == size_of::<*const ()>()) };
    // SAFETY: the module is loaded (invariant 2), and the name ends with a zero.
    let found = unsafe { GetProcAddress(module, name.as_ptr().cast()) };
    let Some(found) = found else {
        let text = format!("it has no {}", name.to_string_lossy());
        return Err(io::Error::new(io::ErrorKind::NotFound, text));
    };
    // SAFETY: `F` is a pointer to the function of this name (invariant 1), and stays
    // one (invariant 2).
    Ok(unsafe { transmute_copy(&found) })
}

/// Where an object lives, and the pipe that it writes to.
#[repr(C, align(16))]
struct Kept {
    object: [MaybeUninit<u8>; SPACE],
    pipe: OwnedHandle,
}

/// A `QWindowsPipeWriter`, driven without an event loop: its event says when there is
/// something to account for.
#[derive(Debug)]
pub(crate) struct Writer {
    library: Library,
    kept: *mut Kept,
    /// Qt's event, closed with the object.
    event: HANDLE,
}

impl Writer {
    pub(crate) fn new(library: Library, pipe: OwnedHandle) -> Writer {
        let handle = pipe.as_raw_handle();
        let kept = Box::into_raw(Box::new(Kept {
            object: [MaybeUninit::uninit(); SPACE],
            pipe,
        }));
        // SAFETY: there is room at the beginning of `Kept` (invariant 3), the handle is
        // open while it is (invariant 6), and the object has no parent.
        unsafe { (library.construct)(kept.cast(), handle, ptr::null_mut()) };
        // SAFETY: the object was just constructed.
        let event = unsafe { (library.sync_event)(kept.cast()) };
        Writer {
            library,
            kept,
            event,
        }
    }

    /// Hands over a copy, and does not wait.
    pub(crate) fn write(&mut self, data: &[u8]) -> io::Result<()> {
        let len = i64::try_from(data.len()).map_err(io::Error::other)?;
        // SAFETY: the object is there (invariant 3), in its thread (invariant 4); the
        // data is borrowed for the call, which copies it.
        unsafe { (self.library.write)(self.kept.cast(), data.as_ptr().cast(), len) };
        Ok(())
    }

    /// Waits until no more than this is left to be written. Qt forgets what it has if
    /// a write fails, and tells by a signal only; so that data is missing shows at the
    /// reader.
    pub(crate) fn wait_until_left(&mut self, most: i64) -> io::Result<()> {
        while self.bytes_to_write() > most {
            // SAFETY: the event is open while the object is there (invariant 3).
            if unsafe { WaitForSingleObject(self.event, INFINITE) } != WAIT_OBJECT_0 {
                return Err(io::Error::last_os_error());
            }
            // SAFETY: the object is there (invariant 3), in its thread (invariant 4).
            unsafe { (self.library.check_for_write)(self.kept.cast()) };
        }
        Ok(())
    }

    /// What is not written, or not yet accounted for.
    fn bytes_to_write(&self) -> i64 {
        // SAFETY: the object is there (invariant 3), in its thread (invariant 4).
        unsafe { (self.library.bytes_to_write)(self.kept.cast()) }
    }

    /// Waits until all is written, and closes the pipe.
    pub(crate) fn close(mut self) -> io::Result<()> {
        self.wait_until_left(0)?;
        // SAFETY: nothing is in flight (invariant 5), and the object is not used again:
        // `self` ends here.
        unsafe { (self.library.destroy)(self.kept.cast()) };
        // SAFETY: `kept` came from a box, and nobody else frees it (invariant 6).
        drop(unsafe { Box::from_raw(self.kept) });
        Ok(())
    }
}

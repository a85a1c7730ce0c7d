//! Who may do what: the token of who runs the program, and the descriptors that
//! say who owns a pipe and who may open it. All owned, none with a bare pointer
//! outside of this file but the one that the system is lent.

use std::ffi::c_void;
use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle};
use std::ptr::null_mut;

use windows_sys::Win32::Foundation::{HANDLE, LocalFree};
use windows_sys::Win32::Security::Authorization::{
    ConvertStringSecurityDescriptorToSecurityDescriptorW, GetSecurityInfo, SDDL_REVISION_1,
    SE_KERNEL_OBJECT,
};
use windows_sys::Win32::Security::{
    GetLengthSid, GetSecurityDescriptorDacl, GetTokenInformation, IsValidSid,
    OWNER_SECURITY_INFORMATION, PSECURITY_DESCRIPTOR, PSID, SECURITY_MAX_SID_SIZE, TOKEN_USER,
    TokenUser,
};

use super::sid::Sid;
use super::{size_of_u32, system_error};

impl Sid {
    /// The user that the current thread acts for: the program's own, unless the
    /// thread impersonates another.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn current_user() -> io::Result<Sid> {
        /// Fits the longest answer, and is aligned for it.
        #[repr(C)]
        union Answer {
            user: TOKEN_USER,
            room: [u8; size_of::<TOKEN_USER>() + SECURITY_MAX_SID_SIZE as usize],
        }
        const ROOM: u32 = size_of_u32::<Answer>();
        // GetCurrentThreadEffectiveToken, which is a macro: "a pseudo-handle that
        // you can use as a shorthand way to refer to the token that is currently in
        // effect for the thread", never closed.
        let token: HANDLE = std::ptr::without_provenance_mut(6_usize.wrapping_neg());
        let mut answer = Answer {
            room: [0; size_of::<TOKEN_USER>() + SECURITY_MAX_SID_SIZE as usize],
        };
        let mut length = 0;
        let into = (&raw mut answer).cast();
        // SAFETY: `into` is `ROOM` writable bytes, aligned as a TOKEN_USER.
        let ok = unsafe { GetTokenInformation(token, TokenUser, into, ROOM, &raw mut length) };
        if ok == 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the system filled it, as a TOKEN_USER, because it succeeded.
        let user = unsafe { answer.user };
        // SAFETY: the SID lies in `answer`, where the system put it.
        unsafe { Sid::copied(user.User.Sid) }
    }

    /// Whom the pipe belongs to.
    pub(super) fn owner_of(pipe: BorrowedHandle<'_>) -> io::Result<Sid> {
        let mut owner = null_mut();
        let mut descriptor = null_mut();
        // SAFETY: the handle is open while it is borrowed; the two out parameters
        // are places for a pointer.
        let code = unsafe {
            GetSecurityInfo(
                pipe.as_raw_handle(),
                SE_KERNEL_OBJECT,
                OWNER_SECURITY_INFORMATION,
                &raw mut owner,
                null_mut(),
                null_mut(),
                null_mut(),
                &raw mut descriptor,
            )
        };
        if code != 0 {
            return Err(system_error(code));
        }
        let _descriptor = Local(descriptor);
        // SAFETY: it is null or points into the descriptor, which is still there.
        unsafe { Sid::copied(owner) }
    }

    /// A copy of the system's.
    ///
    /// # Safety
    ///
    /// Null, or a SID that the system made and that is still there.
    pub(super) unsafe fn copied(sid: PSID) -> io::Result<Sid> {
        let invalid = || io::Error::new(io::ErrorKind::InvalidData, "the system gave no SID");
        if sid.is_null() {
            return Err(invalid());
        }
        // SAFETY: a SID of the system, as the caller promises.
        let valid = unsafe { IsValidSid(sid) };
        if valid == 0 {
            return Err(invalid());
        }
        // SAFETY: as above, and valid.
        let length = unsafe { GetLengthSid(sid) };
        let length = usize::try_from(length).map_err(|_| invalid())?;
        // SAFETY: as above; it is so long.
        let bytes = unsafe { std::slice::from_raw_parts(sid.cast::<u8>(), length) };
        Sid::from_bytes(bytes).ok_or_else(invalid)
    }
}

/// Who owns a pipe and who may open it.
///
/// # Invariant
///
/// The memory holds a valid self-relative security descriptor whose DACL is there
/// and is not NULL. It is never changed.
#[derive(Debug)]
pub(super) struct SecurityDescriptor(Local);

// SAFETY: it is memory of its own that nobody changes (the invariant).
unsafe impl Send for SecurityDescriptor {}
// SAFETY: as above.
unsafe impl Sync for SecurityDescriptor {}

impl SecurityDescriptor {
    /// The current user owns it, and nobody else may do anything with it.
    pub(super) fn owner_only() -> io::Result<SecurityDescriptor> {
        Self::from_sddl(&owner_only(&Sid::current_user()?))
    }

    /// What the text says ("Security Descriptor String Format").
    pub(super) fn from_sddl(text: &str) -> io::Result<SecurityDescriptor> {
        let invalid = |why: &dyn std::fmt::Display| {
            let message = format!("{text:?} is not the security of a pipe: {why}");
            io::Error::new(io::ErrorKind::InvalidInput, message)
        };
        if text.contains('\0') {
            return Err(invalid(&"it holds a NUL"));
        }
        let wide: Vec<u16> = text.encode_utf16().chain([0]).collect();
        let mut descriptor = null_mut();
        // SAFETY: `wide` ends with a NUL; `descriptor` is a place for a pointer.
        let ok = unsafe {
            ConvertStringSecurityDescriptorToSecurityDescriptorW(
                wide.as_ptr(),
                SDDL_REVISION_1,
                &raw mut descriptor,
                null_mut(),
            )
        };
        if ok == 0 {
            return Err(invalid(&io::Error::last_os_error()));
        }
        let memory = Local(descriptor);
        // SAFETY: the system made it, and `memory` keeps it.
        let has_dacl = unsafe { has_dacl(memory.0) }?;
        if !has_dacl {
            // Without one, everybody may read what is sent ("Named Pipe Security
            // and Access Rights"); with a NULL one, everybody may do everything.
            return Err(invalid(&"it does not say who may open it (D:)"));
        }
        Ok(SecurityDescriptor(memory))
    }

    /// For the system to read, while it is borrowed.
    pub(super) fn as_ptr(&self) -> *mut c_void {
        self.0.0
    }
}

/// The owner is the user; the DACL is protected from inheritance and gives the user
/// FILE_ALL_ACCESS. Nobody else is named, so nobody else may anything.
pub(super) fn owner_only(user: &Sid) -> String {
    format!("O:{user}D:P(A;;FA;;;{user})")
}

/// Whether there is a DACL, and not a NULL one.
///
/// # Safety
///
/// A valid security descriptor.
pub(super) unsafe fn has_dacl(descriptor: PSECURITY_DESCRIPTOR) -> io::Result<bool> {
    let (mut present, mut defaulted, mut acl) = (0, 0, null_mut());
    // SAFETY: valid, as the caller promises; the others are places for answers.
    let ok = unsafe {
        GetSecurityDescriptorDacl(
            descriptor,
            &raw mut present,
            &raw mut acl,
            &raw mut defaulted,
        )
    };
    if ok == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(present != 0 && !acl.is_null())
}

/// Memory that the system allocated for us.
///
/// # Invariant
///
/// From LocalAlloc, and nobody else frees it.
#[derive(Debug)]
pub(super) struct Local(pub(super) *mut c_void);

impl Drop for Local {
    fn drop(&mut self) {
        // SAFETY: it is ours alone (the invariant), and not used afterwards.
        unsafe { LocalFree(self.0) };
    }
}

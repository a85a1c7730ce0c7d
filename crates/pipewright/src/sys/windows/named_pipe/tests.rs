//! What the system is told, and what it then says of the pipes: the parts that
//! cannot be seen from outside.
//!
//! Wine does not refuse a second first instance, and lets a server impersonate a
//! client whatever level it passed: for these, the flags are asserted.

use std::ffi::c_void;
use std::fs::OpenOptions;
use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, OwnedHandle};
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_lite::future::{block_on, poll_once};
use windows_sys::Win32::Foundation::{GENERIC_ALL, GetHandleInformation, HANDLE_FLAG_INHERIT};
use windows_sys::Win32::Security::Authorization::{GetSecurityInfo, SE_KERNEL_OBJECT};
use windows_sys::Win32::Security::{
    ACCESS_ALLOWED_ACE, ACL, DACL_SECURITY_INFORMATION, GetAce, InitializeSecurityDescriptor,
    SECURITY_DESCRIPTOR, SetSecurityDescriptorDacl,
};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_ALL_ACCESS, FILE_FLAG_FIRST_PIPE_INSTANCE, FILE_FLAG_OVERLAPPED, FILE_WRITE_DATA,
    PIPE_ACCESS_OUTBOUND, READ_CONTROL, SECURITY_ANONYMOUS, SECURITY_DELEGATION,
    SECURITY_IDENTIFICATION, SECURITY_IMPERSONATION, SECURITY_SQOS_PRESENT,
};
use windows_sys::Win32::System::IO::CancelIoEx;
use windows_sys::Win32::System::Pipes::{PIPE_REJECT_REMOTE_CLIENTS, PIPE_UNLIMITED_INSTANCES};

use super::security::{Local, SecurityDescriptor, has_dacl, owner_only};
use super::server::Listener;
use super::{
    ClientOptions, Impersonation, Server, ServerOptions, ServerOwner, Sid, client, server,
};

const LONG: Duration = Duration::from_secs(60);

fn name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    format!(r"\\.\pipe\pipewright-unit-{}-{n}", std::process::id())
}

/// The two ends of a pipe.
fn connected(options: &ServerOptions, name: &str) -> (OwnedHandle, OwnedHandle) {
    let mut server = options.create().unwrap();
    let client = OpenOptions::new().read(true).open(name).unwrap();
    (server.accept(LONG).unwrap(), client.into())
}

/// Whom the DACL names: kind, rights and who.
fn dacl(pipe: BorrowedHandle<'_>) -> Vec<(u8, u32, Sid)> {
    let mut acl: *mut ACL = null_mut();
    let mut descriptor = null_mut();
    // SAFETY: the handle is open; the out parameters are places for pointers.
    let code = unsafe {
        GetSecurityInfo(
            pipe.as_raw_handle(),
            SE_KERNEL_OBJECT,
            DACL_SECURITY_INFORMATION,
            null_mut(),
            null_mut(),
            &raw mut acl,
            null_mut(),
            &raw mut descriptor,
        )
    };
    assert_eq!(code, 0);
    let _descriptor = Local(descriptor);
    assert!(!acl.is_null(), "a NULL DACL: everybody may do everything");
    // SAFETY: it points into the descriptor.
    let count = unsafe { (*acl).AceCount };
    (0..u32::from(count))
        .map(|index| entry(acl, index))
        .collect()
}

fn entry(acl: *mut ACL, index: u32) -> (u8, u32, Sid) {
    let mut ace = null_mut();
    // SAFETY: an ACL of the system, with more entries than `index`.
    let ok = unsafe { GetAce(acl, index, &raw mut ace) };
    assert_ne!(ok, 0);
    let ace = ace.cast::<ACCESS_ALLOWED_ACE>();
    // SAFETY: entries that allow or deny look like this, and no others are made here.
    let ACCESS_ALLOWED_ACE { Header, Mask, .. } = unsafe { ace.read() };
    // SAFETY: the SID begins at this field.
    let sid = unsafe { &raw mut (*ace).SidStart };
    // SAFETY: it lies in the ACL.
    let sid = unsafe { Sid::copied(sid.cast()) };
    (Header.AceType, Mask, sid.unwrap())
}

fn is_inheritable(handle: &OwnedHandle) -> bool {
    let mut flags = 0;
    // SAFETY: the handle is open.
    let ok = unsafe { GetHandleInformation(handle.as_raw_handle(), &raw mut flags) };
    assert_ne!(ok, 0);
    flags & HANDLE_FLAG_INHERIT != 0
}

/// All orders of `n` things.
fn orders(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![vec![]];
    }
    let mut all = Vec::new();
    for shorter in orders(n - 1) {
        for at in 0..n {
            let mut order = shorter.clone();
            order.insert(at, n - 1);
            all.push(order);
        }
    }
    all
}

#[test]
fn a_server_without_options_tells_the_system_the_strict_things() {
    let options = ServerOptions::new(name());
    assert_eq!(
        options.parameters(true),
        server::Parameters {
            open_mode: PIPE_ACCESS_OUTBOUND | FILE_FLAG_OVERLAPPED | FILE_FLAG_FIRST_PIPE_INSTANCE,
            pipe_mode: PIPE_REJECT_REMOTE_CLIENTS,
            max_instances: PIPE_UNLIMITED_INSTANCES,
            out_buffer: 65536,
            in_buffer: 0,
        }
    );
    // A second instance is not the first, and differs in nothing else.
    assert_eq!(
        options.parameters(false),
        server::Parameters {
            open_mode: PIPE_ACCESS_OUTBOUND | FILE_FLAG_OVERLAPPED,
            ..options.parameters(true)
        }
    );
}

#[test]
fn the_order_in_which_a_servers_options_are_set_never_matters() {
    type Setter = fn(ServerOptions) -> ServerOptions;
    let setters: [Setter; 7] = [
        |o| o.duplex(true),
        |o| o.messages(true),
        |o| o.max_instances(3),
        |o| o.out_buffer(1000),
        |o| o.first_instance(false),
        |o| o.reject_remote_clients(true),
        |o| o.sddl("D:P(A;;FA;;;OW)"),
    ];
    let name = name();
    let set = |order: &[usize]| {
        order
            .iter()
            .fold(ServerOptions::new(&name), |o, &n| setters[n](o))
    };
    // Every subset, in every order.
    for order in orders(setters.len()) {
        for length in 0..=order.len() {
            let part = &order[..length];
            let mut sorted = part.to_vec();
            sorted.sort_unstable();
            let (one, other) = (set(part), set(&sorted));
            assert_eq!(one, other, "{part:?}");
            assert_eq!(one.parameters(true), other.parameters(true), "{part:?}");
            // What no setter named is as strict as before: RUSTSEC-2023-0001.
            let remote = one.parameters(true).pipe_mode & PIPE_REJECT_REMOTE_CLIENTS;
            assert_ne!(remote, 0, "{part:?}");
            let first = one.parameters(!part.contains(&4)).open_mode;
            assert_eq!(
                first & FILE_FLAG_FIRST_PIPE_INSTANCE == 0,
                part.contains(&4)
            );
        }
    }
}

#[test]
fn the_order_in_which_a_clients_options_are_set_never_matters() {
    type Setter = fn(ClientOptions) -> ClientOptions;
    let setters: [Setter; 6] = [
        |o| o.duplex(true),
        |o| o.read_messages(true),
        |o| o.allow_remote(true),
        |o| o.wait_for_server(true),
        |o| o.impersonation(Impersonation::Identification),
        |o| o.server_owner(ServerOwner::Any),
    ];
    let set = |order: &[usize]| {
        order
            .iter()
            .fold(ClientOptions::new(), |o, &n| setters[n](o))
    };
    for order in orders(setters.len()) {
        for length in 0..=order.len() {
            let part = &order[..length];
            let mut sorted = part.to_vec();
            sorted.sort_unstable();
            assert_eq!(set(part), set(&sorted), "{part:?}");
            assert_eq!(set(part).parameters(), set(&sorted).parameters());
            assert_ne!(set(part).parameters().flags & SECURITY_SQOS_PRESENT, 0);
        }
    }
}

#[test]
fn a_client_passes_the_level_that_was_asked_for_and_none_unless_asked() {
    let strict = ClientOptions::new().parameters();
    assert_eq!(
        strict,
        client::Parameters {
            access: FILE_WRITE_DATA | READ_CONTROL,
            flags: SECURITY_SQOS_PRESENT | SECURITY_ANONYMOUS | FILE_FLAG_OVERLAPPED,
            read_mode: None,
        }
    );
    for (level, flag) in [
        (Impersonation::Anonymous, SECURITY_ANONYMOUS),
        (Impersonation::Identification, SECURITY_IDENTIFICATION),
        (Impersonation::Impersonation, SECURITY_IMPERSONATION),
        (Impersonation::Delegation, SECURITY_DELEGATION),
    ] {
        let parameters = ClientOptions::new().impersonation(level).parameters();
        assert_eq!(parameters.flags, strict.flags | flag);
    }
}

#[test]
fn nobody_but_the_owner_may_open_a_pipe() {
    let user = Sid::current_user().unwrap();
    let name = name();
    let (server, client) = connected(&ServerOptions::new(&name), &name);
    for end in [&server, &client] {
        assert_eq!(Sid::owner_of(end.as_handle()).unwrap(), user);
        let dacl = dacl(end.as_handle());
        let [(0, mask, who)] = &dacl[..] else {
            panic!("more than one entry, or one that does not allow: {dacl:?}");
        };
        assert_eq!(*who, user);
        assert!([FILE_ALL_ACCESS, GENERIC_ALL].contains(mask), "{mask:#x}");
    }
}

#[test]
fn a_descriptor_from_text_is_the_pipes() {
    let name = name();
    let user = Sid::current_user().unwrap();
    let options = ServerOptions::new(&name).sddl(format!("D:P(A;;FA;;;{user})(A;;FR;;;AU)"));
    let (server, _client) = connected(&options, &name);
    let who: Vec<Sid> = dacl(server.as_handle())
        .into_iter()
        .map(|(_, _, sid)| sid)
        .collect();
    assert_eq!(who, [user, "S-1-5-11".parse().unwrap()]);
}

#[test]
fn a_descriptor_that_lets_everybody_in_by_saying_nothing_is_refused() {
    let user = Sid::current_user().unwrap();
    for text in ["", &format!("O:{user}"), "nonsense", "D:P(A;;FA;;;OW)\0"] {
        let error = SecurityDescriptor::from_sddl(text).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{text}");
        let error = ServerOptions::new(name()).sddl(text).create().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{text}");
    }
    SecurityDescriptor::from_sddl(&owner_only(&user)).unwrap();
}

#[test]
fn a_null_dacl_is_none() {
    // Not from text: Wine makes an empty one of `D:NO_ACCESS_CONTROL`.
    let mut descriptor = SECURITY_DESCRIPTOR::default();
    let descriptor: *mut c_void = (&raw mut descriptor).cast();
    // SAFETY: it has room for an absolute descriptor.
    let ok = unsafe { InitializeSecurityDescriptor(descriptor, 1) };
    assert_ne!(ok, 0);
    // SAFETY: it was initialized.
    assert!(!unsafe { has_dacl(descriptor) }.unwrap(), "no DACL");
    // SAFETY: as above; null is a DACL that lets everybody do everything.
    let ok = unsafe { SetSecurityDescriptorDacl(descriptor, 1, null_mut(), 0) };
    assert_ne!(ok, 0);
    // SAFETY: as above.
    assert!(!unsafe { has_dacl(descriptor) }.unwrap(), "a NULL DACL");
}

#[test]
fn no_handle_is_inheritable() {
    let name = name();
    let mut server = ServerOptions::new(&name).duplex(true).create().unwrap();
    let mut next = server.next_instance().unwrap();
    let clients = [(); 2].map(|()| super::open(&name, LONG).unwrap());
    let accepted = [server.accept(LONG).unwrap(), next.accept(LONG).unwrap()];
    for handle in clients.iter().chain(&accepted) {
        assert!(!is_inheritable(handle));
    }
}

#[test]
fn an_instance_of_somebody_elses_pipe_is_not_taken_for_ours() {
    let name = name();
    let options = ServerOptions::new(&name);
    let first = options.create().unwrap();
    // As if the first one had been another's.
    let mut listener = Listener::of(&options).unwrap();
    listener.owner = Some(Sid::local_system());
    let error = listener.instance().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    assert!(error.to_string().contains("somebody else"), "{error}");
    drop::<Server>(first);
}

#[test]
fn a_cancel_by_somebody_else_does_not_end_a_wait() {
    let name = name();
    let mut server = ServerOptions::new(&name).create().unwrap();
    let raw = server.raw_instance();
    let mut accepting = Box::pin(server.accept_async());
    for _ in 0..100 {
        assert!(block_on(poll_once(&mut accepting)).is_none());
        // SAFETY: the instance is open; null stands for all its operations.
        let ok = unsafe { CancelIoEx(raw, null()) };
        assert_ne!(ok, 0, "there was something to cancel");
    }
    let _client = OpenOptions::new().read(true).open(&name).unwrap();
    block_on(accepting).unwrap();
}

#[test]
fn only_the_owners_that_were_asked_for_are_talked_to() {
    let sid = |text: &str| text.parse::<Sid>().unwrap();
    let user = sid("S-1-5-21-1-2-3-1000");
    let stranger = sid("S-1-5-21-1-2-3-1001");
    let accepts =
        |whose: &ServerOwner, owner: &Sid| whose.accepts(owner, || Ok(user.clone())).unwrap();
    for (owner, trusted) in [
        (&user, true),
        (&sid("S-1-5-18"), true),
        (&sid("S-1-5-32-544"), true),
        (&stranger, false),
        // Everyone, the users, a service, and what differs from a trusted one by a bit.
        (&sid("S-1-1-0"), false),
        (&sid("S-1-5-32-545"), false),
        (&sid("S-1-5-19"), false),
        (&sid("S-1-5-18-0"), false),
        (&sid("S-1-6-18"), false),
    ] {
        assert_eq!(accepts(&ServerOwner::Trusted, owner), trusted, "{owner}");
        assert!(accepts(&ServerOwner::Any, owner));
        let only = ServerOwner::Only(owner.clone());
        assert!(accepts(&only, owner));
        assert_eq!(accepts(&only, &user), *owner == user);
    }
    // Who the user is cannot be found out: nobody is trusted by mistake.
    let unknown = || Err(io::ErrorKind::Other.into());
    assert!(ServerOwner::Trusted.accepts(&stranger, unknown).is_err());
}

#[test]
fn an_identifier_reads_as_it_is_written() {
    for text in [
        "S-1-5-18",
        "S-1-0-0",
        "S-1-5-21-4294967295-0-1-1000",
        "S-1-0x0123456789AB-1",
    ] {
        assert_eq!(text.parse::<Sid>().unwrap().to_string(), text);
    }
    for text in [
        "",
        "S-1-5",
        "S-1-5-",
        "S-2-5-18",
        "S-1-5-4294967296",
        "S-1-5-+18",
        "S-1-5--18",
        "BA",
        "S-1-0x-1",
        "S-1-0x+1-1",
        "S-1-0x1000000000000-1",
        "S-1-5-18 ",
        "S-1-281474976710656-1",
        "S-1-5-1-2-3-4-5-6-7-8-9-10-11-12-13-14-15-16",
    ] {
        assert!(text.parse::<Sid>().is_err(), "{text}");
    }
    let system = [1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0];
    assert_eq!(Sid::from_bytes(&system).unwrap(), Sid::local_system());
    for wrong in [
        &system[..11],
        &system[..7],
        &[],
        &[2, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0],
    ] {
        assert_eq!(Sid::from_bytes(wrong), None);
    }
}

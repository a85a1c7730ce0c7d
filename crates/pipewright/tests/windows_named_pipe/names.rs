//! Which names are taken, and that the others are refused before the system is
//! asked.

use std::io::ErrorKind;
use std::time::Duration;

use pipewright::named_pipe::{self, ClientOptions, ServerOptions};

use super::name;

#[track_caller]
fn refused(name: &str, because: &str) {
    for error in [
        ServerOptions::new(name).create().unwrap_err(),
        named_pipe::open(name, Duration::ZERO).unwrap_err(),
        ClientOptions::new().try_open(name).unwrap_err(),
        futures_lite::future::block_on(ClientOptions::new().open_async(name)).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name}");
        assert_eq!(error.raw_os_error(), None, "{name}");
        assert!(error.to_string().contains(because), "{error}");
    }
}

#[test]
fn a_name_without_the_prefix_is_refused() {
    for name in [
        "events",
        r"\\.\pipe",
        r"\\.\pip\events",
        r"\\.\pipes\events",
        r"\.\pipe\events",
        r"\\\pipe\events",
        r"\\?\pipe\events",
        r"\\.\UNC\host\pipe\events",
        r"\\.\C:\pipe\events",
        r"\??\pipe\events",
        r"C:\pipe\events",
        r" \\.\pipe\events",
        "\\\\.\\pıpe\\events",
    ] {
        refused(name, r"\\.\pipe\");
    }
    refused("", "empty");
}

#[test]
fn a_name_that_the_system_would_read_as_another_is_refused() {
    refused(r"\\.\pipe\", "nothing follows");
    refused(r"\\.\pipe\LOCAL\", "nothing follows");
    refused(r"\\.\pipe\..\C:\secret", "backslash");
    refused(r"\\.\pipe\one\two", "backslash");
    refused(r"\\.\pipe\LOCAL\one\two", "backslash");
    refused(r"\\.\pipe\..", "dots");
    refused(r"\\.\pipe\. .", "dots");
    refused(r"\\.\pipe\../C:/secret", "slash");
    refused("//./pipe/events", "slash");
    refused("\\\\.\\pipe\\events\0.txt", "NUL");
}

#[test]
fn a_name_may_have_256_characters_and_no_more() {
    let start = name();
    let longest = format!("{start}{}", "x".repeat(256 - start.len()));
    ServerOptions::new(&longest).create().unwrap();
    refused(&format!("{longest}x"), "256");
    // Counted as the system counts: UTF-16 units.
    let wide = format!("{start}{}", "𝄞".repeat((256 - start.len()) / 2));
    ServerOptions::new(&wide).create().unwrap();
    refused(&format!("{wide}𝄞"), "256");
}

#[test]
fn case_does_not_matter() {
    let name = name();
    let shouted = name.to_uppercase();
    let mut server = ServerOptions::new(&name).duplex(true).create().unwrap();
    let _client = named_pipe::open(&shouted, Duration::ZERO).unwrap();
    assert!(server.try_accept().unwrap().is_some());
}

#[test]
fn a_pipe_on_another_computer_is_refused_unless_asked_for() {
    for name in [
        r"\\host\pipe\events",
        r"\\localhost\pipe\events",
        r"\\127.0.0.1\pipe\events",
    ] {
        refused(name, "another computer");
    }
    // Allowed, it is the system that answers: here, that there is none.
    let remote = ClientOptions::new().allow_remote(true);
    let error = remote
        .try_open(r"\\pipewright.invalid\pipe\events")
        .unwrap_err();
    assert!(error.raw_os_error().is_some(), "{error}");
    // Also then, only a name of the documented form.
    for name in [
        r"\\host\share\events",
        r"\\?\pipe\events",
        r"\\host\pipe\a\b",
        r"\\\pipe\x",
    ] {
        let error = remote.try_open(name).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name}");
    }
}

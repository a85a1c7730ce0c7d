//! Every form of a sink, and every way to get it wrong. The parser asks no system
//! anything, so paths of all systems are tried on each.

use super::*;

fn target(typed: &str) -> Target {
    Spec::parse(OsStr::new(typed)).unwrap().target
}

fn path(path: &str) -> Target {
    Target::Path(path.into())
}

/// The error, and the part of the sink that it points at.
fn error(typed: &str) -> (String, String) {
    let error = Spec::parse(OsStr::new(typed)).unwrap_err();
    (error.at.clone(), error.to_string())
}

#[test]
fn kinds_are_told_by_their_word() {
    assert_eq!(target("-"), Target::Stdout);
    assert_eq!(target("out.bin"), path("out.bin"));
    assert_eq!(target("file:-"), path("-"));
    assert_eq!(target("file:exec:x"), path("exec:x"));
    assert_eq!(
        target("unix:/run/x.sock"),
        Target::Unix("/run/x.sock".into())
    );
    assert_eq!(target("listen:a:b"), Target::Listen("a:b".into()));
    assert_eq!(target("listen:unix:a:b"), Target::ListenUnix("a:b".into()));
    assert_eq!(target("listen:./unix:a"), Target::Listen("./unix:a".into()));
    assert_eq!(target("listen:unix"), Target::Listen("unix".into()));
}

#[test]
fn an_address_has_a_host_and_a_port() {
    for (typed, host, port) in [
        ("tcp:localhost:80", "localhost", 80),
        ("tcp:127.0.0.1:65535", "127.0.0.1", 65_535),
        ("retry=1@tcp:[::1]:9000", "::1", 9000),
    ] {
        let host = host.into();
        assert_eq!(target(typed), Target::Tcp { host, port });
    }
}

#[test]
fn a_sink_has_its_own_options() {
    let typed = "required=yes,retry=always,in-doubt=resend,connect-timeout=2m@unix:x";
    let own = Own {
        connect_timeout: Some(Duration::from_secs(120)),
        in_doubt: Some(InDoubt::Resend),
        required: Some(true),
        retry: Some(u64::MAX),
        ..Own::default()
    };
    assert_eq!(Spec::parse(OsStr::new(typed)).unwrap().own, own);
}

#[test]
fn a_command_is_taken_verbatim() {
    for command in [
        "gzip > out.gz",
        "a=b c@d,e",
        " x",
        "name=v@-",
        "exec:x",
        "a\nb",
    ] {
        assert_eq!(
            target(&format!("exec:{command}")),
            Target::Exec(command.into())
        );
        assert_eq!(
            target(&format!("buffer=1K@exec:{command}")),
            Target::Exec(command.into())
        );
    }
}

#[test]
fn what_has_no_kind_is_a_path() {
    for typed in [
        "a/b:c",
        "./a:b",
        "/a:b",
        "./exec:x",
        "12:30.log",
        "C:\\x",
        "c:x",
        ":x",
        "a b:c",
        "a=b",
        "./a=b@c",
        "@x",
        "a@b",
        "=a@b",
        "--",
        "x_y:z",
        "[::1]:80",
        "1=2@3",
    ] {
        assert_eq!(target(typed), path(typed), "{typed}");
    }
}

#[test]
fn paths_of_windows_need_no_escaping() {
    for typed in [
        r"C:\a,b@c",
        r"C:a=b@c",
        r"C:\a=b,c=d@e:f",
        r"\\server\share\a=b@c:d",
        r"\\?\C:\a=b@c",
        r".\a=b@c",
        r"..\exec:x",
        r"\exec:x",
    ] {
        assert_eq!(target(typed), path(typed), "{typed}");
        for options in ["buffer=1K", "name=a,on-full=wait"] {
            let with_options = format!("{options}@{typed}");
            assert_eq!(target(&with_options), path(typed), "{with_options}");
        }
        assert_eq!(target(&format!("file:{typed}")), path(typed), "{typed}");
        let listen = Target::Listen(typed.into());
        assert_eq!(target(&format!("listen:{typed}")), listen, "{typed}");
    }
    // What begins with `NAME=` and holds an `@` has options, also in a file's name.
    let (pointed, message) = error(r"dir=x\a@b");
    assert_eq!(pointed, "dir");
    assert!(message.contains(r"is written ./dir=x\a@b"), "{message}");
}

#[cfg(windows)]
#[test]
fn names_of_pipes_need_no_escaping() {
    for typed in [r"\\.\pipe\x", r"\\.\pipe\x@y", r"\\.\pipe\a=b@c,d:e"] {
        assert_eq!(target(typed), path(typed), "{typed}");
        assert_eq!(
            target(&format!("buffer=1K@{typed}")),
            path(typed),
            "{typed}"
        );
    }
}

#[cfg(not(windows))]
#[test]
fn names_of_pipes_are_for_windows() {
    for pipe in [r"\\.\pipe\", r"\\?\pipe\"] {
        let (pointed, message) = error(&format!("{pipe}x"));
        assert_eq!(pointed, pipe);
        assert!(message.contains("Windows only"), "{message}");
    }
}

#[test]
fn options_end_at_the_first_at_sign() {
    let spec = Spec::parse(OsStr::new("on-full=detach,buffer=64K,name=n@a=b@c")).unwrap();
    let expected = Spec {
        target: path("a=b@c"),
        name: "n".into(),
        own: Own {
            buffer: NonZeroU64::new(65_536),
            on_full: Some(OnFull::Detach),
            name: Some("n".into()),
            ..Own::default()
        },
    };
    assert_eq!(spec, expected);
}

#[test]
fn errors_point_at_the_word_that_is_wrong() {
    for (typed, at, problem) in [
        ("buffr=1@-", "buffr", "no option 'buffr'"),
        ("buffer=1,colour=red@-", "colour", "no option 'colour'"),
        ("name=a,@-", "", "no option ''"),
        ("buffer=0@-", "0", "0 bytes"),
        ("buffer=1X,name=a@-", "1X", "unknown unit 'X'"),
        (
            "on-full=panic@-",
            "panic",
            "'panic' is not one of: wait, drop-newest, drop-oldest, detach",
        ),
        ("in-doubt=x@-", "x", "'x' is not one of: skip, resend"),
        ("required=maybe@-", "maybe", "not one of: yes, no"),
        ("retry=-1@exec:x", "-1", "not a number, and not always"),
        ("retry=3@-", "-", "cannot be opened again"),
        ("connect-timeout=1y@unix:x", "1y", "unknown unit 'y'"),
        ("retry=3", "", "no target"),
        ("name=@-", "", "name is empty"),
        ("buffer=1M@", "", "no target"),
        ("buffer=1M", "", "no target"),
        ("", "", "no target"),
        ("gopher:x", "gopher:", "no kind of sink 'gopher:'"),
        ("EXEC:x", "EXEC:", "no kind of sink 'EXEC:'"),
        ("buffer=1K@gopher:x", "gopher:", "no kind of sink 'gopher:'"),
        ("exec:", "exec:", "nothing follows 'exec:'"),
        ("file:", "file:", "nothing follows 'file:'"),
        (
            "listen:unix:",
            "listen:unix:",
            "nothing follows 'listen:unix:'",
        ),
        ("tcp:", "tcp:", "nothing follows 'tcp:'"),
        ("tcp:host", "host", "no port"),
        ("buffer=1K@tcp::80", "", "no host"),
        ("tcp:host:", "", "a number from 1 to 65535"),
        ("tcp:host:0", "0", "a number from 1 to 65535"),
        ("tcp:host:+1", "+1", "a number from 1 to 65535"),
        ("tcp:host:http", "http", "a number from 1 to 65535"),
        ("tcp:::1:80", "::1:80", "in brackets"),
    ] {
        let (pointed, message) = error(typed);
        assert_eq!(pointed, at, "{typed}");
        assert!(message.contains(problem), "{typed}: {message}");
        assert!(
            message.contains(&format!("'{typed}'")),
            "{typed}: {message}"
        );
    }
}

#[test]
fn an_error_shows_where() {
    let (_, message) = error("buffer=1K@gopher:x");
    assert!(
        message.contains("    buffer=1K@gopher:x\n              ^^^^^^^\n"),
        "{message}"
    );
}

#[cfg(unix)]
#[test]
fn paths_and_commands_need_not_be_utf_8() {
    use std::os::unix::ffi::OsStrExt;
    let typed = OsStr::from_bytes(b"name=a@exec:cat > \xff");
    let Target::Exec(command) = Spec::parse(typed).unwrap().target else {
        panic!()
    };
    assert_eq!(command.as_bytes(), b"cat > \xff");
    assert!(Spec::parse(OsStr::from_bytes(b"name=\xff@-")).is_err());
}

#[cfg(windows)]
#[test]
fn paths_and_commands_need_not_be_unicode() {
    use std::ffi::OsString;
    use std::os::windows::ffi::{OsStrExt, OsStringExt};
    /// A half of a pair, by itself.
    const LONE: u16 = 0xD800;
    let with_lone = |text: &str| {
        OsString::from_wide(&[&text.encode_utf16().collect::<Vec<_>>()[..], &[LONE]].concat())
    };
    for start in ["", "buffer=1K@", "name=\u{e9}\u{1F600}@"] {
        let typed = with_lone(&format!("{start}exec:type > \u{1F600}"));
        let Target::Exec(command) = Spec::parse(&typed).unwrap().target else {
            panic!()
        };
        assert_eq!(command, with_lone("type > \u{1F600}"));
        assert_eq!(command.encode_wide().last(), Some(LONE));
    }
    let mut options = with_lone("name=");
    options.push("@-");
    assert!(Spec::parse(&options).is_err());
}

//! The commands that sinks run: this test program itself, so that they are the same on
//! every system.

use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

/// A shell's command line that runs the helper, which says nothing itself.
pub(crate) fn command(what: &str) -> String {
    let program = std::env::current_exe().unwrap();
    let null = if cfg!(windows) { "NUL" } else { "/dev/null" };
    format!(
        "\"{}\" --ignored --exact common::helper::run {what} > {null} 2>&1",
        program.display()
    )
}

/// A sink that runs it, called by what it does unless the options say otherwise.
pub(crate) fn exec(options: &str, what: &str) -> String {
    match options {
        "" => format!("name={what}@exec:{}", command(what)),
        options => format!("{options}@exec:{}", command(what)),
    }
}

#[test]
#[ignore = "it is what other tests run as a command"]
fn run() {
    let args: Vec<String> = std::env::args()
        .skip_while(|arg| arg != "common::helper::run")
        .collect();
    let args: Vec<&str> = args.iter().skip(1).map(String::as_str).collect();
    match args[..] {
        // Writes all of its input to a file.
        ["cat", file] => cat(usize::MAX, file),
        // Writes the first bytes to a file, and reads no further.
        ["head", len, file] => cat(len.parse().unwrap(), file),
        // Writes all to a file, and fails.
        ["fail", status, file] => {
            cat(usize::MAX, file);
            std::process::exit(status.parse().unwrap());
        }
        // Reads nothing, and waits for a file.
        ["until", file] => until(file),
        // Reads all, and then waits for a file.
        ["cat-until", copy, file] => {
            cat(usize::MAX, copy);
            until(file);
        }
        _ => panic!("{args:?}"),
    }
    std::process::exit(0);
}

/// In reads as large as a pipe is: each costs its time.
fn cat(len: usize, file: &str) {
    let (mut left, mut block) = (len, vec![0; 64 * 1024]);
    let mut file = std::fs::File::create(file).unwrap();
    while left > 0 {
        let most = left.min(block.len());
        let got = std::io::stdin().read(&mut block[..most]).unwrap();
        if got == 0 {
            break;
        }
        file.write_all(&block[..got]).unwrap();
        left -= got;
    }
}

/// Ends in any case: who waits for too long is not needed any more.
fn until(file: &str) {
    for _ in 0..6000 {
        if Path::new(file).exists() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

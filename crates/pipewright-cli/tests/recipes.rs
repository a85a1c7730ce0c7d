//! README.md and docs/recipes.md: what they show is what happens.

#![cfg(target_os = "linux")]

#[cfg(test)]
mod common;

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use common::system::Process;
use common::{Folder, MIB, assert_same, random, watch};

/// A block of the page: commands, and what they print.
#[derive(Debug)]
struct Session {
    commands: String,
    output: String,
}

fn sessions(page: &str) -> Vec<Session> {
    let blocks = page.split("```console\n").skip(1);
    let session = |block: &str| {
        let lines = block.split("```").next().unwrap_or_default().lines();
        let (mut commands, mut output) = (String::new(), String::new());
        for line in lines {
            match line.strip_prefix("$ ") {
                Some(command) => commands += &format!("{command}\n"),
                None => output += &format!("{line}\n"),
            }
        }
        Session { commands, output }
    };
    blocks.map(session).collect()
}

#[test]
fn the_recipes_print_what_the_page_says() {
    let page = include_str!("../../../docs/recipes.md");
    let sessions = sessions(page);
    assert_eq!(sessions.len(), page.matches("```console").count());
    assert!(sessions.len() >= 4, "{sessions:?}");
    for session in sessions {
        let printed = run(&Folder::new(), &session);
        assert_eq!(printed, session.output, "{}", session.commands);
    }
}

/// What a shell prints that is given the commands of a session.
#[cfg(test)]
fn run(folder: &Folder, session: &Session) -> String {
    let command = Path::new(env!("CARGO_BIN_EXE_pipewright"));
    let found = command.parent().unwrap().display();
    let path = format!("{found}:{}", std::env::var("PATH").unwrap());
    folder.write("session", session.commands.as_bytes());
    let child = Command::new("sh")
        .args(["-c", "exec sh ./session 2>&1"])
        .current_dir(folder.path(""))
        .env("PATH", &path)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let _watched = watch(Process::of(&child));
    let output = child.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// With a smaller input than that of the page, so its figures are others.
#[test]
fn the_readme_shows_what_a_slow_sink_does_to_the_others() {
    if let Err(error) = Command::new("python3").arg("--version").output() {
        eprintln!("skipped: python3 cannot be run here ({error})");
        return;
    }
    let session = sessions(include_str!("../../../README.md")).remove(0);
    let (_, rest) = session.output.split_once("import os").unwrap();
    let (script, _) = rest.split_once("(0.01)\n").unwrap();
    let script = format!("import os{script}(0.01)\n");
    let (folder, input) = (Folder::new(), random(64 * MIB));
    folder.write("toolchain.tar", &input);
    folder.write("slow.py", script.as_bytes());
    let printed = run(&folder, &session);
    let rest = printed.strip_prefix(&script).unwrap();
    let lines: Vec<_> = rest.lines().collect();
    let hash = folder.shell("sha256sum < toolchain.tar");
    assert_eq!(lines[0], hash.trim_end(), "{printed}");
    for (line, start) in lines[1..].iter().zip([
        "pipewright: slow: ",
        "copy.tar complete 67108864 ",
        "exec:sha256sum complete 67108864 ",
        "slow dropped ",
    ]) {
        assert!(line.starts_with(start), "{start}: {printed}");
    }
    assert_eq!(lines.len(), 5, "{printed}");
    assert_same(&folder.read("copy.tar"), &input);
}

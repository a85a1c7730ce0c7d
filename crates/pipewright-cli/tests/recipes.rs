//! docs/recipes.md: what it shows is what happens.

#![cfg(target_os = "linux")]

#[cfg(test)]
mod common;

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use common::system::Process;
use common::{Folder, watch};

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
    let command = Path::new(env!("CARGO_BIN_EXE_pipewright"));
    let found = command.parent().unwrap().display();
    let path = format!("{found}:{}", std::env::var("PATH").unwrap());
    for session in sessions {
        let folder = Folder::new();
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
        let printed = String::from_utf8(output.stdout).unwrap();
        assert_eq!(printed, session.output, "{}", session.commands);
    }
}

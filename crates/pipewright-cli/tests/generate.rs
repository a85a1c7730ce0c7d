//! Man pages and completions for those who package the command.

#[cfg(test)]
mod common;

use std::collections::BTreeSet;
use std::process::Command;

#[cfg(test)]
fn pipewright(args: &[&str]) -> String {
    let output = Command::new(common::binary()).args(args).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// The long options that the help of a command has in its list.
#[cfg(test)]
fn options(args: &[&str]) -> Vec<String> {
    let help = pipewright(args);
    let options: Vec<String> = help
        .lines()
        .filter(|line| line.starts_with("  ") && line[..12.min(line.len())].contains('-'))
        .filter_map(|line| line.split_once("--"))
        .filter(|(before, _)| before.trim().len() <= 3)
        .map(|(_, option)| {
            let end = option.find(|c: char| !c.is_ascii_lowercase() && c != '-');
            option[..end.unwrap_or(option.len())].to_owned()
        })
        .collect();
    assert!(options.contains(&"buffer".to_owned()), "{options:?}");
    assert!(options.contains(&"help".to_owned()), "{options:?}");
    options
}

#[test]
fn the_man_pages_name_every_option_of_the_help() {
    for (page, help) in [
        ("man", &["--help"][..]),
        ("man-relay", &["relay", "--help"]),
    ] {
        let page = pipewright(&["--generate", page]);
        for option in options(help) {
            let shown = format!("\\-\\-{}", option.replace('-', "\\-"));
            assert!(page.contains(&shown), "{shown}: {page}");
        }
    }
}

#[test]
fn the_man_pages_have_the_usual_sections() {
    for (page, own) in [("man", "SINKS"), ("man-relay", "TARGETS")] {
        let page = pipewright(&["--generate", page]);
        let titles: Vec<_> = page
            .lines()
            .filter_map(|line| line.strip_prefix(".SH "))
            .map(|title| title.trim_matches('"'))
            .collect();
        for title in [
            "NAME",
            "SYNOPSIS",
            "DESCRIPTION",
            "OPTIONS",
            own,
            "EXIT STATUS",
            "EXAMPLES",
            "ENVIRONMENT",
            "SEE ALSO",
        ] {
            assert!(titles.contains(&title), "{title}: {titles:?}");
        }
    }
}

#[test]
fn the_completions_name_every_option_of_the_help() {
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let script = pipewright(&["--generate", &format!("complete-{shell}")]);
        assert!(script.contains("relay"), "{shell}: {script}");
        for option in options(&["--help"])
            .into_iter()
            .chain(options(&["relay", "--help"]))
        {
            let shown = match shell {
                "fish" => format!("-l {option}"),
                _ => format!("--{option}"),
            };
            assert!(script.contains(&shown), "{shell}, {shown}: {script}");
        }
    }
}

/// All words in a text that look like long options.
#[cfg(test)]
fn long_options(text: &str) -> BTreeSet<String> {
    text.match_indices("--")
        .map(|(at, dashes)| &text[at + dashes.len()..])
        .filter(|name| name.starts_with(|c: char| c.is_ascii_lowercase()))
        .map(|name| {
            let end = name.find(|c: char| !c.is_ascii_lowercase() && c != '-');
            name[..end.unwrap_or(name.len())].to_owned()
        })
        .collect()
}

#[test]
fn the_completions_offer_no_option_that_the_help_hides() {
    let shown: BTreeSet<String> = [options(&["--help"]), options(&["relay", "--help"])]
        .concat()
        .into_iter()
        .collect();
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let script = pipewright(&["--generate", &format!("complete-{shell}")]);
        let offered = match shell {
            "fish" => script
                .lines()
                .filter(|line| line.starts_with("complete "))
                .flat_map(|line| long_options(&line.replace(" -l ", " --")))
                .collect(),
            _ => long_options(&script),
        };
        assert_eq!(offered, shown, "{shell}");
    }
}

/// What bash offers for the last word, as its own completion asks for it: by the function
/// that the script has registered.
#[cfg(unix)]
#[cfg(test)]
fn offered(script: &std::path::Path, words: &[&str]) -> Vec<String> {
    let ask = r#"
        script=$1; shift
        source "$script" || exit
        registered=$(complete -p pipewright) || exit
        function=${registered##* -F }; function=${function%% *}
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
        "$function" pipewright "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let output = Command::new("bash")
        .args(["--norc", "--noprofile", "-c", ask, "bash"])
        .arg(script)
        .args(words)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{words:?}");
    assert!(output.status.success(), "{words:?}");
    let words = String::from_utf8(output.stdout).unwrap();
    words.split_whitespace().map(str::to_owned).collect()
}

#[cfg(unix)]
#[test]
fn bash_completes_options_their_values_and_files() {
    if let Err(error) = Command::new("bash").arg("--version").output() {
        eprintln!("skipped: bash cannot be run here ({error})");
        return;
    }
    let folder = common::Folder::new();
    folder.write(
        "complete",
        pipewright(&["--generate", "complete-bash"]).as_bytes(),
    );
    let script = folder.path("complete");
    let typed = script.to_str().unwrap();
    let begun = &typed[..typed.len() - 2];
    for (words, expected) in [
        (&["pipewright", "--connect"][..], &["--connect-timeout"][..]),
        (&["pipewright", "re"], &["relay"]),
        (
            &["pipewright", "-", "--stats"],
            &["--stats", "--stats-file"],
        ),
        (
            &["pipewright", "--on-full", "drop"],
            &["drop-newest", "drop-oldest"],
        ),
        (&["pipewright", "--stats", ""], &["text", "json"]),
        (&["pipewright", "--input", begun], &[typed]),
        (&["pipewright", "relay", "--ex"], &["--exit-on-eof"]),
        (&["pipewright", "relay", "--exit-on-eof", "t"], &["target"]),
        (&["pipewright", "--gen"], &[]),
        (&["pipewright", "relay", "--eof"], &[]),
        // Left to bash, which knows files.
        (&["pipewright", "-", begun], &[]),
    ] {
        assert_eq!(offered(&script, words), expected, "{words:?}");
    }
}

#[test]
fn a_generated_text_is_asked_for_alone() {
    let output = Command::new(common::binary())
        .args(["--generate", "man", "sink"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
}

#[test]
fn the_help_is_never_coloured() {
    for args in [&["--help"][..], &["relay", "--help"]] {
        assert!(!pipewright(args).contains('\x1b'));
    }
}

#[test]
fn the_help_of_the_relay_fits_a_screen() {
    let help = pipewright(&["relay", "--help"]);
    assert!(help.lines().count() <= 56, "{help}");
    assert!(
        help.lines().all(|line| line.chars().count() <= 80),
        "{help}"
    );
}

//! Man pages and completions, from the one definition of the command line.

use std::io::{self, Write};

use clap::{Arg, Command, ValueEnum};
use clap_complete::Shell;
use clap_mangen::Man;

/// What can be generated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Text {
    /// The man page pipewright(1)
    Man,
    /// The man page pipewright-relay(1)
    ManRelay,
    /// Completions for bash
    CompleteBash,
    /// Completions for zsh
    CompleteZsh,
    /// Completions for fish
    CompleteFish,
    /// Completions for PowerShell
    CompletePowershell,
}

/// Writes one of them. Nothing is written if it cannot be made.
pub(crate) fn write(text: Text, definition: Command, to: &mut dyn Write) -> io::Result<()> {
    let mut all = Vec::new();
    match text {
        Text::Man => man_page(definition, &mut all)?,
        Text::ManRelay => man_page(relay(definition), &mut all)?,
        Text::CompleteBash => complete(Shell::Bash, definition, &mut all),
        Text::CompleteZsh => complete(Shell::Zsh, definition, &mut all),
        Text::CompleteFish => complete(Shell::Fish, definition, &mut all),
        Text::CompletePowershell => complete(Shell::PowerShell, definition, &mut all),
    }
    to.write_all(&all)?;
    to.flush()
}

fn complete(shell: Shell, mut definition: Command, to: &mut dyn Write) {
    definition.build();
    let name = definition.get_name().to_owned();
    clap_complete::generate(shell, &mut without_hidden(&definition), name, to);
}

/// A definition, which is built, as far as it is offered to who types: without the
/// options that the help does not show. The shells' generators ask for no more than
/// this of it, and would offer those too.
fn without_hidden(definition: &Command) -> Command {
    let shown = |arg: &&Arg| arg.is_positional() || !arg.is_hide_set();
    Command::new(definition.get_name().to_owned())
        .about(definition.get_about().cloned().unwrap_or_default())
        .version(definition.get_version().unwrap_or_default().to_owned())
        // What is usually added was added when it was built, or is not wanted.
        .disable_help_flag(true)
        .disable_version_flag(true)
        .disable_help_subcommand(true)
        .args(definition.get_arguments().filter(shown).cloned())
        .subcommands(definition.get_subcommands().map(without_hidden))
}

/// The command `relay`, as a program with a page of its own.
fn relay(mut definition: Command) -> Command {
    definition.build();
    let relay = definition.find_subcommand("relay").cloned();
    relay
        .unwrap_or(definition)
        .name("pipewright-relay")
        .display_name("pipewright-relay")
        .version(env!("CARGO_PKG_VERSION"))
}

/// The definition's own parts, and what the help says after the options.
fn man_page(definition: Command, to: &mut dyn Write) -> io::Result<()> {
    let usage = definition.clone().render_usage().to_string();
    let after = definition.get_after_help().map(ToString::to_string);
    let about = definition.get_about().map(ToString::to_string);
    let about = about.unwrap_or_default();
    // The line with the name is an entry of an index: man page mandb(8).
    let (first, _) = about.split_once(". ").unwrap_or((&about, ""));
    let definition = definition.about(first.to_owned()).long_about(about);
    let man = Man::new(definition).manual("Pipewright");
    man.render_title(to)?;
    man.render_name_section(to)?;
    section(&Section::usage(&usage), to)?;
    man.render_description_section(to)?;
    man.render_options_section(to)?;
    for part in sections(&after.unwrap_or_default()) {
        section(&part, to)?;
    }
    to.write_all(ENVIRONMENT.as_bytes())
}

const ENVIRONMENT: &str = "\
.SH ENVIRONMENT
.TP
\\fBNO_COLOR\\fR
Has nothing to switch off: nothing is ever coloured.
.SH \"SEE ALSO\"
\\fBpipewright\\fR(1), \\fBpipewright-relay\\fR(1), \\fBtee\\fR(1), \\fBmkfifo\\fR(1)
";

/// A part of a page: text whose lines stay as they are.
struct Section {
    title: String,
    lines: Vec<String>,
}

impl Section {
    fn usage(usage: &str) -> Self {
        let usage = usage.strip_prefix("Usage:").unwrap_or(usage);
        let lines = usage.lines().map(|line| line.trim().to_owned());
        Section {
            title: "SYNOPSIS".into(),
            lines: lines.collect(),
        }
    }
}

/// Takes the text after the options apart: a paragraph that begins with a title, a
/// colon and a space or the line's end is a section, and a paragraph without belongs to
/// the section before.
fn sections(text: &str) -> Vec<Section> {
    let mut found: Vec<Section> = Vec::new();
    for paragraph in text.split("\n\n").filter(|text| !text.trim().is_empty()) {
        let (title, rest) = match (titled(paragraph), found.last_mut()) {
            (Some(parts), _) => parts,
            (None, Some(before)) => {
                before.lines.push(String::new());
                before.lines.extend(paragraph.lines().map(str::to_owned));
                continue;
            }
            (None, None) => ("NOTES", paragraph),
        };
        // The section is indented as a whole.
        let lines = rest
            .lines()
            .map(|line| line.strip_prefix("  ").unwrap_or(line));
        found.push(Section {
            title: title.to_uppercase(),
            lines: lines.map(str::to_owned).collect(),
        });
    }
    found
}

/// The title in front of a paragraph, without what is in brackets, and the rest.
fn titled(paragraph: &str) -> Option<(&str, &str)> {
    let is_title = |text: &&str| text.len() <= 80 && !text.contains('\n');
    let at = paragraph.find(":\n").or_else(|| paragraph.find(": "))?;
    let title = Some(&paragraph[..at]).filter(is_title)?;
    let title = title.split(" (").next()?;
    Some((title, &paragraph[at + 2..]))
}

fn section(part: &Section, to: &mut dyn Write) -> io::Result<()> {
    writeln!(to, ".SH \"{}\"\n.nf", roff(&part.title))?;
    for line in &part.lines {
        writeln!(to, "{}", roff(line))?;
    }
    writeln!(to, ".fi")
}

/// Text that roff takes as it is: groff_man(7), "Portability".
fn roff(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '\\' => escaped.push_str("\\e"),
            '-' => escaped.push_str("\\-"),
            '\'' => escaped.push_str("\\(aq"),
            '"' => escaped.push_str("\\(dq"),
            '^' => escaped.push_str("\\(ha"),
            '~' => escaped.push_str("\\(ti"),
            '`' => escaped.push_str("\\(ga"),
            c => escaped.push(c),
        }
    }
    match escaped.strip_prefix('.') {
        Some(rest) => format!("\\&.{rest}"),
        None => escaped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_no_request_to_the_formatter() {
        assert_eq!(roff(r"a\b"), r"a\eb");
        assert_eq!(roff(".SH 'x'"), r"\&.SH \(aqx\(aq");
        assert_eq!(roff("'br"), r"\(aqbr");
    }

    #[test]
    fn paragraphs_with_a_title_are_sections() {
        let text = "One (of 2: a, b):\n  first\n  second\n\nno title\nhere\n\nTwo: 1\n2";
        let found: Vec<_> = sections(text)
            .into_iter()
            .map(|section| (section.title, section.lines))
            .collect();
        let lines = |of: &[&str]| of.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            found,
            [
                (
                    "ONE".to_owned(),
                    lines(&["first", "second", "", "no title", "here"])
                ),
                ("TWO".to_owned(), lines(&["1", "2"])),
            ]
        );
    }
}

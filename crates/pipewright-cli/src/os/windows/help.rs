//! The parts of the help that are about this system.

pub(crate) const SINKS: &str = r"  -              standard output
  PATH           a file (created or emptied), a device, or a pipe that somebody
                 serves, \\.\pipe\NAME
  exec:COMMAND   the standard input of a shell command; all after exec: is cmd's
  listen:NAME    a named pipe \\.\pipe\NAME, for you alone; waits for a reader
  file:PATH      a path that looks like something else, as - or a=b@c;
                 what begins with .\ or \ is a path as well";

pub(crate) const EXAMPLES: &str = r#"  pipewright copy.img "exec:findstr /n foo > found.txt" < disk.img
  producer | pipewright --lines - on-full=drop-oldest,retry=9@\\.\pipe\logs
  producer | pipewright - on-full=detach@listen:tap | consumer"#;

/// Goes on after the first words of a line.
pub(crate) const SIGNALS: &str = "130 Ctrl-C, Ctrl-Break
or 143 console closed: sinks had time for what was read (a second ends at once).";

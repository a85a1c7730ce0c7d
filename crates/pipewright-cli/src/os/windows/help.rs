//! The parts of the help that are about this system.

pub(crate) const SINKS: &str = r"  -              standard output
  PATH           a file (created or emptied), a device, or a pipe that somebody
                 serves, \\.\pipe\NAME
  exec:COMMAND   the standard input of a shell command; all after exec: is cmd's
  unix:PATH, tcp:HOST:PORT   a socket that somebody listens on
  listen:NAME    a named pipe \\.\pipe\NAME, for you alone; waits for a reader
  file:PATH      a path that looks like something else, as - or a=b@c;
                 what begins with .\ or \ is a path as well";

pub(crate) const EXAMPLES: &str = r#"  pipewright copy.img "exec:findstr /n foo > found.txt" < disk.img
  producer | pipewright --lines - on-full=drop-oldest,retry=9@\\.\pipe\logs
  producer | pipewright - on-full=detach@listen:tap | consumer"#;

pub(crate) const TARGETS: &str = r"  \\.\pipe\NAME   a named pipe that somebody serves, for reading and writing;
                  //./pipe/NAME is the same
  unix:PATH       a Unix socket that somebody listens on
  tcp:HOST:PORT   a TCP port that somebody listens on";

pub(crate) const ENDS: &str = "\
Ends: a socket is closed for writing when standard input has ended and all of it
was written. A pipe is closed as a whole, so its server hears of that end only
by --eof-message, or when the relay ends. Standard output is closed when the
target has said its last, a pipe's server by an empty message. The relay ends
when both have ended, when the server has closed the pipe, or when standard
output cannot be written.";

pub(crate) const RELAY_EXAMPLES: &str = r"  pipewright relay --wait=10 //./pipe/openssh-ssh-agent
  pipewright relay --eof-message \\.\pipe\docker_engine
  pipewright relay tcp:localhost:9000 < question > answer";

pub(crate) const RELAY_SIGNALS: &str = "130 Ctrl-C, Ctrl-Break or 143 console closed
(a second one ends at once).";

/// Goes on after the first words of a line.
pub(crate) const SIGNALS: &str = "130 Ctrl-C, Ctrl-Break
or 143 console closed: sinks had time for what was read (a second ends at once).";

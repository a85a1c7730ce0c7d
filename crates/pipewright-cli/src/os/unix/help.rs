//! The parts of the help that are about this system.

pub(crate) const SINKS: &str = "  -              standard output
  PATH           a file (created or emptied), a device, an existing FIFO
  exec:COMMAND   the standard input of a shell command; all after exec: is sh's
  unix:PATH, tcp:HOST:PORT   a socket that somebody listens on
  listen:PATH, listen:unix:PATH   a FIFO or socket, made here and removed again
  file:PATH      a path that looks like something else, as -, a:b or a=b@c;
                 what begins with ./ or / is a path as well";

pub(crate) const EXAMPLES: &str =
    "  pipewright copy.img exec:sha256sum 'exec:gzip > copy.gz' < disk.img
  tail -f log | pipewright --lines - on-full=drop-oldest,retry=9@tcp:logs:514
  producer | pipewright - on-full=detach@listen:tap | consumer";

pub(crate) const TARGETS: &str = "  unix:PATH       a Unix socket that somebody listens on
  tcp:HOST:PORT   a TCP port that somebody listens on
  fifo:TO,FROM    two FIFOs: standard input goes into TO, standard output comes
                  out of FROM";

pub(crate) const ENDS: &str = "\
Ends: a socket is closed for writing when standard input has ended and all of it
was written; standard output is closed when the target has said its last. The
relay ends when both have ended, when a socket's other side has gone altogether,
or when standard output cannot be written.";

pub(crate) const RELAY_EXAMPLES: &str = r#"  pipewright relay unix:"$SSH_AUTH_SOCK"
  printf 'GET / HTTP/1.0\r\n\r\n' | pipewright relay tcp:localhost:80
  socat UNIX-LISTEN:here.sock,fork EXEC:'pipewright relay --wait=10 tcp:there:9'"#;

pub(crate) const RELAY_SIGNALS: &str = "130, 143 SIGINT or SIGTERM came (a second one ends at
once).";

/// Goes on after the first words of a line.
pub(crate) const SIGNALS: &str = "130, 143 SIGINT or
SIGTERM came: sinks had time to take what was read (a second one ends at once).";

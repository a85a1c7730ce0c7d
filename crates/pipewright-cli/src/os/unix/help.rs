//! The parts of the help that are about this system.

pub(crate) const SINKS: &str = "  -              standard output
  PATH           a file (created or emptied), a device, an existing FIFO
  exec:COMMAND   the standard input of a shell command; all after exec: is sh's
  unix:PATH, tcp:HOST:PORT   a socket that somebody listens on
  listen:PATH    a FIFO, created here and removed at the end; waits for a reader
  file:PATH      a path that looks like something else, as -, a:b or a=b@c;
                 what begins with ./ or / is a path as well";

pub(crate) const EXAMPLES: &str =
    "  pipewright copy.img exec:sha256sum 'exec:gzip > copy.gz' < disk.img
  tail -f log | pipewright --lines - on-full=drop-oldest,retry=9@tcp:logs:514
  producer | pipewright - on-full=detach@listen:tap | consumer";

/// Goes on after the first words of a line.
pub(crate) const SIGNALS: &str = "130, 143 SIGINT or
SIGTERM came: sinks had time to take what was read (a second one ends at once).";

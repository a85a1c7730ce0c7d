//! What one would use to write to a pipe: one file each, behind [`Stream`], [`Call`]
//! and [`Many`].

#[cfg(unix)]
mod async_io;
mod buf_writer;
mod channel;
#[cfg(any(target_os = "linux", windows))]
mod completions;
mod joining;
#[cfg(target_os = "linux")]
mod libuv;
#[cfg(unix)]
mod mio;
mod pipewright;
#[cfg(windows)]
pub(crate) mod qt;
mod raw;
mod tokio;

use std::io;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;

use crate::os::Pipe;

/// The reference: all ratios are to it.
pub(crate) const RAW: &str = "raw";

/// A time that no contender waits for to its end: the trial is given up before.
const LONG: Duration = Duration::from_secs(3600);

/// One way to write to pipes, and what it can do.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) stream: Open<dyn Stream>,
    /// Whether each message goes out at once, without waiting for a next one.
    pub(crate) prompt: bool,
    /// For a thread that hands over a message and goes on.
    pub(crate) call: Option<Open<dyn Call>>,
    /// For many pipes at once.
    pub(crate) many: Option<fn(Vec<Pipe>) -> io::Result<Many>>,
    /// How many pipes it is good for: a thread for each is not for 10,000.
    pub(crate) most: usize,
}

/// Takes a pipe.
type Open<T> = fn(Pipe) -> io::Result<Box<T>>;

/// Messages to be written, in order.
pub(crate) trait Source {
    /// The next one; none at the end. May wait, if the messages do not come faster.
    fn next(&mut self) -> io::Result<Option<&Bytes>>;
}

/// Writes what a source has.
pub(crate) trait Stream {
    /// All of it, and returns when the system has taken the last byte.
    fn feed(&mut self, source: &mut dyn Source) -> io::Result<()>;

    /// Closes the pipe.
    fn close(self: Box<Self>) -> io::Result<()>;
}

/// Takes single messages from a thread that has other things to do.
pub(crate) trait Call {
    /// Takes one, and leaves it to the caller. What this costs is measured.
    fn call(&mut self, message: &Bytes) -> io::Result<()>;

    /// Writes what is left, and closes the pipe.
    fn close(self: Box<Self>) -> io::Result<()>;
}

/// Writes a chunk to each of many pipes, so many times, and closes them.
pub(crate) type Many = Box<dyn FnOnce(&Bytes, usize) -> io::Result<()>>;

/// All contenders that this system can have, the reference first.
pub(crate) const ALL: &[Contender] = &[
    raw::CONTENDER,
    pipewright::CONTENDER,
    tokio::CONTENDER,
    #[cfg(unix)]
    async_io::CONTENDER,
    #[cfg(unix)]
    mio::CONTENDER,
    #[cfg(target_os = "linux")]
    libuv::CONTENDER,
    #[cfg(any(target_os = "linux", windows))]
    completions::CONTENDER,
    channel::CONTENDER,
    joining::CONTENDER,
    buf_writer::CONTENDER,
    #[cfg(windows)]
    qt::CONTENDER,
];

/// A contender that is not here, and why.
pub(crate) struct LeftOut {
    pub(crate) name: &'static str,
    pub(crate) why: String,
}

pub(crate) fn left_out() -> Vec<LeftOut> {
    let asked: &[fn() -> Option<LeftOut>] = &[
        #[cfg(target_os = "linux")]
        libuv::left_out,
        #[cfg(target_os = "linux")]
        completions::left_out,
        #[cfg(windows)]
        qt::left_out,
    ];
    asked.iter().filter_map(|left_out| left_out()).collect()
}

pub(crate) fn find(name: &str) -> io::Result<&'static Contender> {
    let found = ALL.iter().find(|contender| contender.name == name);
    found.ok_or_else(|| io::Error::other(format!("there is no contender '{name}'")))
}

/// The names of those that are here and can do something.
pub(crate) fn names(able: impl Fn(&Contender) -> bool) -> Vec<&'static str> {
    let left_out = left_out();
    let is_here = |name| left_out.iter().all(|left_out| left_out.name != name);
    let names = ALL.iter().filter(|contender| able(contender));
    let names = names.map(|contender| contender.name);
    names.filter(|name| is_here(*name)).collect()
}

/// What a contender was asked for and cannot do.
pub(crate) struct Lacking(pub(crate) &'static str);

impl From<Lacking> for io::Error {
    fn from(lacking: Lacking) -> Self {
        let text = format!("it is not made for {}", lacking.0);
        io::Error::new(io::ErrorKind::Unsupported, text)
    }
}

/// A message of this size. Its bytes differ, so that a part that is missing shows.
pub(crate) fn payload(size: usize) -> Bytes {
    (0..=250).cycle().take(size).collect()
}

/// The outcome of a thread.
fn joined(thread: JoinHandle<io::Result<()>>) -> io::Result<()> {
    let outcome = thread.join();
    outcome.unwrap_or_else(|_| Err(io::Error::other("the writing thread panicked")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_comes_first_and_no_name_twice() {
        let mut all = names(|_| true);
        assert_eq!(all[0], RAW);
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn a_message_shifted_by_any_part_of_it_differs() {
        let message = payload(600);
        for shift in 1..250 {
            assert_ne!(message[shift..], message[..600 - shift]);
        }
    }
}

//! Standard input, and how a read of it is ended.
//!
//! Nothing waits for a pipe, a console and a file alike, and a read that has begun
//! cannot be taken back safely. So a thread reads, and only when asked; a read that is
//! ended is left behind in it, and what it may still get is nobody's.

use std::io::{self, ErrorKind, Read};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

pub(crate) struct Input {
    /// Memory to read to.
    asked: Sender<Vec<u8>>,
    answers: Receiver<Answer>,
    /// Between two reads.
    memory: Vec<u8>,
    woken: bool,
}

/// Ends the current and every later read.
pub(crate) struct Waker(Sender<Answer>);

enum Answer {
    Read(Vec<u8>, io::Result<usize>),
    Woken,
}

impl Input {
    pub(crate) fn new() -> io::Result<(Input, Waker)> {
        let (asked, questions) = channel::<Vec<u8>>();
        let (answer, answers) = channel();
        let waker = Waker(answer.clone());
        let reading = move || {
            for mut memory in questions {
                let read = read(&mut memory);
                if answer.send(Answer::Read(memory, read)).is_err() {
                    break;
                }
            }
        };
        thread::Builder::new().name("input".into()).spawn(reading)?;
        let input = Input {
            asked,
            answers,
            memory: Vec::new(),
            woken: false,
        };
        Ok((input, waker))
    }

    /// Reads what there is, once there is something: 0 bytes at the end, `None`
    /// when woken.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        if self.woken {
            return Ok(None);
        }
        let mut memory = std::mem::take(&mut self.memory);
        memory.resize(buffer.len(), 0);
        let gone = |_| io::Error::other("the thread that reads has ended");
        self.asked.send(memory).map_err(|_| gone(()))?;
        match self.answers.recv().map_err(|_| gone(()))? {
            Answer::Woken => {
                self.woken = true;
                Ok(None)
            }
            Answer::Read(memory, read) => {
                if let Ok(len) = read {
                    buffer[..len].copy_from_slice(&memory[..len]);
                }
                self.memory = memory;
                read.map(Some)
            }
        }
    }
}

/// The standard library's own standard input: it turns what a console gives into
/// UTF-8, takes a pipe without a writer for the end, and finds nothing where there is
/// no standard input. Its own buffer is smaller than any read, and stays unused.
fn read(memory: &mut [u8]) -> io::Result<usize> {
    loop {
        let read = io::stdin().read(memory);
        if !matches!(&read, Err(error) if error.kind() == ErrorKind::Interrupted) {
            return read;
        }
    }
}

impl Waker {
    pub(crate) fn wake(&mut self) {
        // It fails only if nobody reads any more, and then nobody need be woken.
        let _ = self.0.send(Answer::Woken);
    }
}

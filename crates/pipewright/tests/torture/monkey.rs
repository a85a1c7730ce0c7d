//! Many threads do anything with a few writers, while callbacks, wakers and destructors
//! do so too, and some of them panic. Nobody hangs, and at the end the books agree with
//! what everybody was told.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver};
use std::task::{Poll, Waker};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use futures_lite::future::block_on;
use pipewright::{Builder, Permit, PipeWriter, Progress};

use crate::common::accounts::{Heard, assert_balanced};
use crate::common::data::{stream, when_freed};
use crate::common::ends::{on_a_thread, pipe, stallables};
use crate::common::wakers::{poll_once, poll_with, when_woken};
use crate::common::{Random, rounds, until, watched};
use crate::times;
use crate::zoo::{Book, Zoo};

/// What one thread has of one writer, some of it for later.
struct Monkey {
    zoo: Arc<Zoo>,
    number: usize,
    random: Random,
    writers: Vec<PipeWriter>,
    permits: Vec<Permit>,
}

impl Monkey {
    fn book(&self) -> &Book {
        &self.zoo.books[self.number]
    }

    fn play(&mut self) {
        let weak = self.book().weak.get().unwrap();
        if let Some(writer) = self.writers.last().cloned().or_else(|| weak.upgrade()) {
            self.act(&writer);
        }
    }

    /// Memory whose destructor is user code.
    fn message(&mut self) -> bytes::Bytes {
        let data = stream(0, self.random.message_len());
        if !self.random.one_in(4) {
            return data.into();
        }
        let zoo = Arc::clone(&self.zoo);
        when_freed(data, move || zoo.user_code())
    }

    /// A waker that is user code.
    fn waker(&self) -> Waker {
        let zoo = Arc::clone(&self.zoo);
        when_woken(move || zoo.bad_user_code())
    }

    fn act(&mut self, writer: &PipeWriter) {
        match self.random.below(5) {
            0 => self.look(writer),
            1 => self.keep(writer),
            2 => self.wait(writer),
            3 if self.random.one_in(12) => self.end(writer),
            _ => self.send(writer),
        }
    }

    fn look(&mut self, writer: &PipeWriter) {
        assert_balanced(&writer.progress());
        assert_balanced(&writer.take_progress());
        let written = writer.progress().written;
        assert!(writer.position().get() >= written);
        let _ = format!("{writer:?}");
        if self.random.one_in(4) {
            let _ = writer.waitable().unwrap();
        }
        let (_reader, another) = pipe();
        assert!(writer.attach(another).is_err());
    }

    /// Handles and permits come and go.
    fn keep(&mut self, writer: &PipeWriter) {
        match self.random.below(6) {
            0 => self.writers.push(writer.clone()),
            1 => drop(self.writers.pop()),
            2 => self.writers.extend(writer.downgrade().upgrade()),
            3 => self
                .permits
                .extend(writer.try_reserve(self.random.below(500))),
            _ => {
                let message = self.message();
                let len = message.len();
                if let Some(permit) = self.permits.pop() {
                    if permit.send(message).is_ok() {
                        self.book().accept(len);
                    }
                }
            }
        }
    }

    fn wait(&mut self, writer: &PipeWriter) {
        let short = Duration::from_micros(self.random.below(500) as u64);
        let waker = self.waker();
        match self.random.below(6) {
            0 => drop(writer.flush_timeout(short)),
            1 => drop(writer.wait_read(short)),
            2 => drop(writer.wait_ended(short)),
            3 => {
                let mut flush = Box::pin(writer.flush());
                // The second waker takes the place of the first.
                if poll_with(&mut flush, &waker).is_pending() {
                    let _ = poll_once(&mut flush);
                }
            }
            4 => {
                let mut reserve = Box::pin(writer.reserve(self.random.below(5_000)));
                if let Poll::Ready(permit) = poll_with(&mut reserve, &waker) {
                    self.permits.extend(permit);
                }
            }
            _ => {
                let mut ended = Box::pin(writer.ended());
                let _ = poll_with(&mut ended, &waker);
            }
        }
    }

    fn send(&mut self, writer: &PipeWriter) {
        let short = Duration::from_micros(self.random.below(500) as u64);
        let message = self.message();
        let len = message.len();
        let sent = match self.random.below(5) {
            0 => writer.try_send_slice(&message).map_or(0, |_| len),
            1 => writer.send_timeout(message, short).map_or(0, |_| len),
            2 => match poll_with(&mut Box::pin(writer.send(message)), &self.waker()) {
                Poll::Ready(Ok(_)) => len,
                _ => 0,
            },
            #[cfg(feature = "futures-io")]
            3 => {
                use futures_lite::AsyncWriteExt;
                let mut writer = writer.async_writer();
                let mut write = Box::pin(writer.write(&message));
                match poll_with(&mut write, &self.waker()) {
                    Poll::Ready(Ok(n)) => n,
                    _ => 0,
                }
            }
            _ => writer.try_send(message).map_or(0, |_| len),
        };
        self.book().accept(sent);
    }

    /// Waits for room without a limit, for which its thread must keep none.
    fn write(&mut self) {
        let message = self.message();
        if let Some(mut writer) = self.writers.last() {
            let written = writer.write(&message).unwrap_or(0);
            self.book().accept(written);
        }
    }

    fn end(&mut self, writer: &PipeWriter) {
        let short = Duration::from_micros(self.random.below(2_000) as u64);
        match self.random.below(8) {
            0 => writer.finish(),
            1 => writer.cancel(),
            2 => self.book().take(&writer.stop()),
            3 => self.book().take(&writer.clone().into_parts().1),
            4 => {
                if let Err(error) = writer.close_timeout(short) {
                    self.book().take(&error.into_unsent());
                }
            }
            5 => {
                if let Err(error) = block_on(writer.close(short)) {
                    self.book().take(&error.into_unsent());
                }
            }
            6 => {
                if let Some(unsent) = writer.take_unsent() {
                    self.book().take(&unsent);
                }
            }
            // The handles that it has kept.
            _ => self.writers.clear(),
        }
    }
}

/// Reads all there is, now and then with a pause, or dies.
fn read(mut reader: impl Read, random: &mut Random) -> Heard {
    let mut dies_after = if random.one_in(4) {
        random.below(200)
    } else {
        usize::MAX
    };
    let mut buffer = [0; 10_000];
    let mut len = 0;
    while dies_after > 0 {
        dies_after -= 1;
        match reader.read(&mut buffer).unwrap() {
            0 => return Heard { len, is_all: true },
            n => len += n as u64,
        }
        if random.one_in(20) {
            thread::sleep(Duration::from_micros(random.below(500) as u64));
        }
    }
    Heard { len, is_all: false }
}

/// One writer, what reads its pipe, and what its callback is told.
struct Cage {
    writer: PipeWriter,
    reading: JoinHandle<Heard>,
    told: Option<Receiver<Progress>>,
}

impl Cage {
    fn new<R: Read + Send + 'static>(
        zoo: &Arc<Zoo>,
        random: &mut Random,
        make: impl FnOnce(Builder) -> (R, PipeWriter),
    ) -> Self {
        let mut builder = PipeWriter::builder()
            .capacity([1, 500, 10_000, 300_000][random.below(4)])
            .linger(Duration::from_millis(random.below(3) as u64));
        let mut told = None;
        if random.one_in(2) {
            let (tells, hears) = mpsc::channel();
            told = Some(hears);
            let zoo = Arc::clone(zoo);
            builder = builder.on_progress(move |progress| {
                let _ = tells.send(progress);
                if zoo.choose(3) == 0 {
                    zoo.bad_user_code();
                }
            });
        }
        let (reader, writer) = make(builder);
        let mut random = random.fork();
        Cage {
            writer,
            reading: thread::spawn(move || read(reader, &mut random)),
            told,
        }
    }

    /// Lets go of the writer while the monkeys play, if its callback will tell how it
    /// ends; otherwise it is kept.
    fn open(self, random: &mut Random) -> OpenCage {
        let kept = self.told.is_none() || random.one_in(2);
        OpenCage {
            kept: kept.then_some(self.writer),
            reading: self.reading,
            told: self.told,
        }
    }
}

struct OpenCage {
    kept: Option<PipeWriter>,
    reading: JoinHandle<Heard>,
    told: Option<Receiver<Progress>>,
}

impl OpenCage {
    fn check(self, book: &Book) {
        let end = match self.kept {
            Some(writer) => {
                book.take(&writer.stop());
                Some(writer.progress())
            }
            // The last call, unless one before has panicked.
            None => self.told.and_then(|told| told.iter().last()),
        };
        let heard = self.reading.join().unwrap();
        let Some(end) = end.filter(|end| end.outcome.is_some()) else {
            return;
        };
        assert_balanced(&end);
        assert_eq!(end.in_flight, 0);
        // Whoever has sent says so a little later.
        until(|| book.accepted.load(Ordering::SeqCst) >= end.accepted);
        assert_eq!(book.accepted.load(Ordering::SeqCst), end.accepted);
        assert!(book.taken.load(Ordering::SeqCst) <= end.queued);
        heard.assert_fits(&end);
    }
}

/// Four threads with three writers.
fn monkeys_play(random: &mut Random, mut cage: impl FnMut(&Arc<Zoo>, usize, &mut Random) -> Cage) {
    let zoo = Zoo::new(3, random);
    let cages: Vec<_> = (0..3).map(|n| cage(&zoo, n, random)).collect();
    for (book, cage) in zoo.books.iter().zip(&cages) {
        book.weak.set(cage.writer.downgrade()).unwrap();
    }
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let mut monkeys: Vec<_> = cages
                .iter()
                .enumerate()
                .map(|(number, cage)| Monkey {
                    zoo: Arc::clone(&zoo),
                    number,
                    random: random.fork(),
                    writers: vec![cage.writer.clone()],
                    permits: Vec::new(),
                })
                .collect();
            let mut random = random.fork();
            thread::spawn(move || {
                for _ in 0..200 {
                    monkeys[random.below(3)].play();
                    if random.one_in(20) {
                        monkeys.iter_mut().for_each(|monkey| monkey.permits.clear());
                        monkeys[random.below(3)].write();
                    }
                }
            })
        })
        .collect();
    let cages: Vec<_> = cages.into_iter().map(|cage| cage.open(random)).collect();
    for thread in threads {
        thread.join().unwrap();
    }
    for (cage, book) in cages.into_iter().zip(&zoo.books) {
        cage.check(book);
    }
}

#[test]
fn monkeys_on_pipes_of_two_kinds_find_the_books_balanced() {
    rounds(times(150), |random| {
        watched(|| {
            monkeys_play(random, |zoo, number, random| {
                if number == 0 {
                    // A Unix socket, or the client's end of a named pipe.
                    let other = stallables().swap_remove(2);
                    return Cage::new(zoo, random, |builder| {
                        (other.reader, builder.build(other.pipe).unwrap())
                    });
                }
                let (reader, pipe) = pipe();
                Cage::new(zoo, random, |b| (reader, b.build(pipe).unwrap()))
            });
        });
    });
}

#[test]
fn monkeys_on_threads_find_the_books_balanced() {
    rounds(times(100), |random| {
        watched(|| {
            monkeys_play(random, |zoo, _, random| {
                Cage::new(zoo, random, |builder| {
                    on_a_thread(|pipe| builder.build(pipe).unwrap())
                })
            });
        });
    });
}

//! C7, one end: exactly one outcome, which never changes, with the system's own
//! error number; everybody who waits learns of it, in whatever way he waits, and
//! whoever sends later gets his data back with it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking, like the tests"
)]

mod common;

use std::error::Error;
use std::io::{self, Write};
use std::thread;

use common::data::{read_exact, stream};
use common::ends::{Pipe, Stallable, pipe, pipe_label, stallables};
use common::outcomes::{assert_broken, ended, full_writer, of_io, text_of};
use common::{LONG, rounds, until, watched};
use futures_lite::future::block_on;
use pipewright::{Outcome, PipeError, PipeWriter, TrySendError};

#[test]
fn a_reader_that_dies_at_any_byte_is_reported_as_it_was() {
    watched(|| {
        rounds(100, |random| {
            let (mut reader, pipe) = pipe();
            let writer = PipeWriter::builder()
                .name("the collector")
                .build(pipe)
                .unwrap();
            for _ in 0..10 {
                let _ = writer.try_send(stream(0, random.message_len()));
            }
            writer.try_send(stream(0, 70_000)).unwrap();
            let total = usize::try_from(writer.position().get()).unwrap();
            // So that at least one byte does not fit.
            let read = random.below(total - 65_536);
            read_exact(&mut reader, read);
            drop(reader);
            let summary = block_on(writer.ended());
            let reason = text_of(assert_broken(&summary.outcome).raw_os_error().unwrap());
            let text = summary.to_string();
            assert!(
                text.contains("the collector") && text.contains(&reason),
                "{text}"
            );
        });
    });
}

#[test]
fn the_first_end_is_the_only_one() {
    watched(|| {
        let later: [fn(&PipeWriter); 4] = [
            PipeWriter::finish,
            PipeWriter::cancel,
            |writer| drop(writer.stop()),
            |writer| drop(writer.close_timeout(LONG)),
        ];
        for later in later {
            let (writer, reader, _) = full_writer();
            drop(reader);
            assert_broken(&block_on(writer.ended()).outcome);
            later(&writer);
            assert_broken(&writer.progress().outcome.unwrap());

            let (writer, reader, _) = full_writer();
            let _ = writer.stop();
            drop(reader);
            later(&writer);
            assert!(matches!(writer.progress().outcome, Some(Outcome::Stopped)));

            let (_reader, pipe) = pipe();
            let writer = PipeWriter::new(pipe).unwrap();
            writer.try_send("all of it").unwrap();
            writer.close_timeout(LONG).unwrap();
            later(&writer);
            assert!(matches!(writer.progress().outcome, Some(Outcome::Closed)));
        }
    });
}

#[test]
fn ends_that_race_each_other_agree_on_one() {
    watched(|| {
        rounds(200, |random| {
            let (reader, pipe) = pipe();
            let writer = PipeWriter::new(pipe).unwrap();
            writer
                .try_send(stream(0, random.between(1, 200_000)))
                .unwrap();
            let reading = random.one_in(2);
            let ends: [Box<dyn FnOnce(PipeWriter) + Send>; 3] = [
                Box::new(|writer| writer.cancel()),
                Box::new(|writer| writer.finish()),
                Box::new(move |_| {
                    if reading {
                        let mut reader = reader;
                        let _ = io::copy(&mut reader, &mut io::sink());
                    } else {
                        drop(reader);
                    }
                }),
            ];
            let ends = ends.map(|end| {
                let writer = writer.clone();
                thread::spawn(move || end(writer))
            });
            let observers: Vec<_> = (0..3)
                .map(|_| {
                    let writer = writer.clone();
                    thread::spawn(move || format!("{:?}", block_on(writer.ended()).outcome))
                })
                .collect();
            let seen: Vec<_> = observers.into_iter().map(|o| o.join().unwrap()).collect();
            let last = format!("{:?}", writer.progress().outcome.unwrap());
            assert!(seen.iter().all(|one| *one == last), "{seen:?} and {last}");
            drop(writer);
            for end in ends {
                end.join().unwrap();
            }
        });
    });
}

#[test]
fn who_sends_after_the_end_gets_his_data_back_with_it() {
    watched(|| {
        let (writer, reader, _) = full_writer();
        let permit = writer.try_reserve(0).unwrap();
        drop(reader);
        block_on(writer.ended());
        match writer.try_send("late") {
            Err(TrySendError::Closed(back, outcome)) => {
                assert_eq!(back, "late");
                assert_broken(&outcome);
            }
            other => panic!("{other:?}"),
        }
        match permit.send("late too") {
            Err(TrySendError::Closed(back, outcome)) => {
                assert_eq!(back, "late too");
                assert_broken(&outcome);
            }
            other => panic!("{other:?}"),
        }
        assert_broken(&block_on(writer.send("late")).unwrap_err().1);
        assert_broken(&block_on(writer.reserve(1)).unwrap_err().0);
        assert!(matches!(
            writer.try_send_slice(b"late"),
            Err(TrySendError::Closed((), _))
        ));
        assert!(matches!(
            writer.try_reserve(1),
            Err(TrySendError::Closed((), _))
        ));
        let error = Write::write_all(&mut &writer, b"late").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        assert_broken(&of_io(error));
        assert_eq!(writer.progress().accepted, 100);
    });
}

#[test]
fn after_a_clean_end_what_was_written_still_counts_as_written() {
    watched(|| {
        let (_reader, pipe) = pipe();
        let writer = PipeWriter::new(pipe).unwrap();
        let end = writer.try_send("all of it").unwrap();
        writer.close_timeout(LONG).unwrap();
        writer.wait_written(end, LONG).unwrap();
        writer.flush_timeout(LONG).unwrap();
        Write::flush(&mut &writer).unwrap();
        assert!(matches!(
            ended(writer.wait_written(pipewright::Position::new(end.get() + 1), LONG)),
            Outcome::Closed
        ));
    });
}

#[test]
fn a_reader_that_died_is_noticed_on_every_kind_of_pipe() {
    watched(|| {
        for Stallable { kind, reader, pipe } in stallables() {
            let writer = PipeWriter::builder().name(kind).build(pipe).unwrap();
            writer.try_send(stream(0, 10_000_000)).unwrap();
            until(|| writer.progress().written > 0);
            drop(reader);
            match block_on(writer.ended()).outcome {
                Outcome::Failed(error) => {
                    assert!(error.raw_os_error().is_some(), "{kind}");
                    assert!(error.to_string().contains(kind));
                }
                other => panic!("{kind}: {other:?}"),
            }
        }
    });
}

#[test]
fn a_reader_that_dies_while_the_writer_is_idle_is_noticed_by_the_next_send() {
    watched(|| {
        for (reader, pipe) in ends() {
            let writer = PipeWriter::new(pipe).unwrap();
            writer.try_send("heard").unwrap();
            writer.flush_timeout(LONG).unwrap();
            drop(reader);
            assert!(writer.progress().outcome.is_none());
            // A TCP peer has to answer first that it is gone.
            until(|| writer.try_send("unheard").is_err());
            assert!(matches!(
                writer.progress().outcome,
                None | Some(Outcome::Failed(_))
            ));
            assert!(matches!(
                block_on(writer.ended()).outcome,
                Outcome::Failed(_)
            ));
        }
    });
}

/// Readers that can go while their writer is idle.
fn ends() -> Vec<(Box<dyn Send>, Pipe)> {
    fn boxed<R: Send + 'static>((reader, pipe): (R, Pipe)) -> (Box<dyn Send>, Pipe) {
        (Box::new(reader), pipe)
    }
    vec![
        boxed(pipe()),
        #[cfg(unix)]
        boxed(common::ends::unix_stream()),
        #[cfg(unix)]
        boxed(common::ends::tcp()),
    ]
}

#[test]
fn errors_say_what_and_where_and_keep_their_source() {
    watched(|| {
        let (reader, pipe) = pipe();
        let what = pipe_label(&pipe);
        let writer = PipeWriter::new(pipe).unwrap();
        drop(reader);
        let _ = writer.try_send("x");
        let error = writer.close_timeout(LONG).unwrap_err();
        assert!(!error.timed_out());
        let text = error.to_string();
        assert!(
            text.contains(&what) && text.contains("0 of 1 bytes"),
            "{text}"
        );
        let failed = assert_broken(&error.summary().outcome);
        let as_io: io::Error = failed.clone().into();
        assert_eq!(as_io.kind(), io::ErrorKind::BrokenPipe);
        let inner = as_io.get_ref().unwrap();
        let inner: &PipeError = inner.downcast_ref().unwrap();
        assert_eq!(inner.raw_os_error(), failed.raw_os_error());
        let _: &dyn Error = &error;
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_reader_that_died_is_reported_as_such_by_a_pipe_that_was_opened_by_its_path() {
    use std::os::fd::AsRawFd;
    watched(|| {
        let (reader, pipe) = pipe();
        let path = format!("/proc/self/fd/{}", pipe.as_raw_fd());
        let opened = std::fs::OpenOptions::new().write(true).open(path).unwrap();
        drop(pipe);
        let writer = PipeWriter::new(opened).unwrap();
        drop(reader);
        writer.try_send("unheard").unwrap();
        assert_broken(&block_on(writer.ended()).outcome);
    });
}

//! The two `AsyncWrite`s: each copies a stream through a slow reader whole, reports
//! the end, and takes nothing with it when a write or a flush is given up.

#![cfg(any(feature = "futures-io", feature = "tokio"))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking, like the tests"
)]

mod common;

const TOTAL: usize = 1_500_000;

#[cfg(feature = "futures-io")]
mod futures {
    use std::io::Read;

    use futures_lite::future::{block_on, poll_once};
    use futures_lite::{AsyncWriteExt, io};
    use pipewright::{PipeWriter, Position};

    use super::TOTAL;
    use super::common::data::{assert_stream, read_exact, slow_reader, stream};
    use super::common::ends::{full_pipe, pipe};
    use super::common::watched;

    #[test]
    fn a_copy_goes_through_a_slow_reader_whole() {
        watched(|| {
            for capacity in [100, 65_536, 1 << 20] {
                let (reader, pipe) = pipe();
                let reading = slow_reader(reader);
                let writer = PipeWriter::builder()
                    .capacity(capacity)
                    .build(pipe)
                    .unwrap();
                let source = stream(0, TOTAL);
                block_on(async {
                    let mut sink = writer.async_writer();
                    io::copy(&source[..], &mut sink).await.unwrap();
                    sink.flush().await.unwrap();
                    assert_eq!(writer.progress().written, TOTAL as u64);
                    sink.close().await.unwrap();
                    assert!(sink.write_all(b"late").await.is_err());
                    sink.close().await.unwrap();
                });
                assert_eq!(reading.join().unwrap(), TOTAL);
            }
        });
    }

    #[test]
    fn a_flush_that_was_given_up_does_not_stand_for_what_came_later() {
        watched(|| {
            let (mut reader, pipe, filling) = full_pipe();
            let writer = PipeWriter::new(pipe).unwrap();
            let mut sink = writer.async_writer();
            block_on(async {
                sink.write_all(&stream(0, 1_000)).await.unwrap();
                assert!(poll_once(sink.flush()).await.is_none());
                sink.write_all(&stream(1_000, 60_000)).await.unwrap();
                writer.try_send(stream(61_000, 400_000)).unwrap();
                sink.write_all(&stream(461_000, 1_000)).await.unwrap();
                // The first 1,000 bytes get into the pipe, the last do not.
                read_exact(&mut reader, filling);
                writer.written_to(Position::new(1_000)).await.unwrap();
                let flushed = poll_once(sink.flush()).await;
                assert!(
                    flushed.is_none() || writer.progress().written == 462_000,
                    "flushed before all was written"
                );
            });
        });
    }

    #[test]
    fn a_write_that_was_given_up_does_not_keep_others_from_writing() {
        watched(|| {
            let (mut reader, pipe, filling) = full_pipe();
            let writer = PipeWriter::builder().capacity(100).build(pipe).unwrap();
            writer.try_send(stream(0, 100)).unwrap();
            let mut sink = writer.async_writer();
            block_on(async {
                assert!(poll_once(sink.write(&[0; 100])).await.is_none());
                read_exact(&mut reader, filling + 100);
                writer.flush().await.unwrap();
                // The sink is still there, and nobody waits for it.
                let _ = sink.flush().await;
                writer.send("next").await.unwrap();
            });
        });
    }

    #[test]
    fn a_sink_that_is_dropped_leaves_the_line() {
        watched(|| {
            let (mut reader, pipe, filling) = full_pipe();
            let writer = PipeWriter::builder().capacity(100).build(pipe).unwrap();
            writer.try_send(stream(0, 100)).unwrap();
            let mut sink = writer.async_writer();
            block_on(async {
                assert!(poll_once(sink.write(&[0; 100])).await.is_none());
                drop(sink);
                read_exact(&mut reader, filling);
                writer.flush().await.unwrap();
                writer.send("next").await.unwrap();
            });
        });
    }

    #[test]
    fn a_sink_may_come_back_with_another_buffer() {
        watched(|| {
            let (mut reader, pipe, filling) = full_pipe();
            let writer = PipeWriter::builder().capacity(100).build(pipe).unwrap();
            writer.try_send(stream(0, 100)).unwrap();
            let mut sink = writer.async_writer();
            block_on(async {
                assert!(poll_once(sink.write(&[0; 10])).await.is_none());
                read_exact(&mut reader, filling);
                sink.write_all(&stream(100, 90)).await.unwrap();
                sink.close().await.unwrap();
            });
            let mut heard = Vec::new();
            reader.read_to_end(&mut heard).unwrap();
            assert_stream(0, &heard);
            assert_eq!(heard.len(), 190);
        });
    }

    #[test]
    fn a_sink_reports_the_end() {
        watched(|| {
            let (reader, pipe, _) = full_pipe();
            let writer = PipeWriter::builder().capacity(10).build(pipe).unwrap();
            let mut sink = writer.async_writer();
            block_on(async {
                sink.write_all(&[0; 10]).await.unwrap();
                drop(reader);
                let error = sink.flush().await.unwrap_err();
                assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
                let error = sink.write(b"x").await.unwrap_err();
                assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
                assert!(sink.close().await.is_err());
            });
        });
    }
}

#[cfg(feature = "tokio")]
mod with_tokio {
    use pipewright::PipeWriter;
    use tokio::io::{AsyncWriteExt, copy};

    use super::TOTAL;
    use super::common::data::{reading, slow_reader, stream};
    use super::common::ends::pipe;
    use super::common::{LONG, watched};

    #[test]
    fn a_copy_goes_through_a_slow_reader_whole() {
        watched(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap();
            for capacity in [100, 65_536, 1 << 20] {
                let (reader, pipe) = pipe();
                let reading = slow_reader(reader);
                let writer = PipeWriter::builder()
                    .capacity(capacity)
                    .build(pipe)
                    .unwrap();
                let source = stream(0, TOTAL);
                runtime.block_on(async {
                    let mut sink = writer.async_writer();
                    let copied = copy(&mut &source[..], &mut sink).await.unwrap();
                    assert_eq!(copied, TOTAL as u64);
                    sink.flush().await.unwrap();
                    assert_eq!(writer.progress().written, TOTAL as u64);
                    sink.shutdown().await.unwrap();
                    assert!(sink.write_all(b"late").await.is_err());
                });
                assert_eq!(reading.join().unwrap(), TOTAL);
            }
        });
    }

    #[test]
    fn tasks_of_a_runtime_share_a_writer() {
        watched(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap();
            let (reader, pipe) = pipe();
            let reading = reading(reader);
            let writer = PipeWriter::builder().capacity(3_000).build(pipe).unwrap();
            runtime.block_on(async {
                let tasks: Vec<_> = (0..20_u8)
                    .map(|task| {
                        let writer = writer.clone();
                        tokio::spawn(async move {
                            for _ in 0..50 {
                                writer.send(vec![task; 1_000]).await.unwrap();
                            }
                        })
                    })
                    .collect();
                for task in tasks {
                    task.await.unwrap();
                }
                writer.close(LONG).await.unwrap();
            });
            let heard = reading.join().unwrap();
            assert_eq!(heard.len(), 1_000_000);
            let whole = heard.chunks(1_000).all(|m| m.iter().all(|b| *b == m[0]));
            assert!(whole, "each message is contiguous");
        });
    }
}

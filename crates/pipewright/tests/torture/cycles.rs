//! Made, used and let go of, thousands of times in a row: no handle, no thread and
//! no memory is left of any of it. Each kind has a process of its own.

use std::io::Read;
use std::time::Duration;

use futures_lite::future::block_on;
use pipewright::PipeWriter;

use crate::common::data::{Fate, stream, tracked};
use crate::common::ends::{Pipe, full_pipe, pipe};
use crate::common::process::{handles, memory, our_threads, pool_for, threads};
use crate::common::wakers::poll_once;
use crate::common::{LONG, Random, alone, rounds, until};
use crate::times;

/// How many writers of each kind are made.
const CYCLES: u64 = 4_000;

/// What a process may grow by when nothing is left behind, however many cycles it makes:
/// the allocator keeps some of what it got (up to 2 MB were seen). A sanitizer keeps what
/// was freed for a while, up to its quarantine (256 MB), and finds leaks by itself.
fn slack() -> usize {
    match std::env::var_os("PIPEWRIGHT_SANITIZED") {
        None => 4 << 20,
        Some(_) => 512 << 20,
    }
}

/// Makes a writer, uses some of everything, and lets go of it.
fn cycle(reader: impl Read, pipe: Pipe, random: &mut Random) {
    let linger = Duration::from_millis(random.below(2) as u64);
    let builder = PipeWriter::builder()
        .capacity([100, 10_000, 1_000_000][random.below(3)])
        .sole_owner(random.one_in(2))
        .linger(linger);
    let builder = if random.one_in(3) {
        let held = stream(0, 100);
        builder.on_progress(move |_| drop(held.clone()))
    } else {
        builder
    };
    let writer = builder.build(pipe).unwrap();
    let (other, weak) = (writer.clone(), writer.downgrade());
    let short = Duration::from_micros(1);
    let lens = [random.below(20), random.below(5_000), random.below(200_000)];
    let fates = lens.map(|len| {
        let (message, fate) = tracked(stream(0, len));
        let _ = writer.try_send(message);
        let _ = writer.try_send_slice(&stream(0, len / 2));
        fate
    });
    if random.one_in(3) {
        drop(writer.waitable().unwrap());
    }
    if random.one_in(3) {
        let _ = writer.send_timeout(stream(0, 1_000), short);
        let _ = writer.flush_timeout(short);
        let _ = writer.wait_read(short);
        let _ = writer.try_reserve(10).map(|permit| permit.send("x"));
    }
    if random.one_in(3) {
        // Waits that are given up.
        let mut send = Box::pin(other.send(stream(0, 10)));
        let mut flush = Box::pin(other.flush());
        let mut ended = Box::pin(other.ended());
        let _ = poll_once(&mut send);
        let _ = poll_once(&mut flush);
        let _ = poll_once(&mut ended);
    }
    drop((other, weak.upgrade()));
    // It is stalled at its end, or broken, or neither.
    let reader = if random.one_in(3) { None } else { Some(reader) };
    match random.below(6) {
        0 => drop(writer.stop()),
        1 => drop(writer.clone().into_parts()),
        2 => drop(writer.close_timeout(short)),
        3 => drop(block_on(writer.close(short))),
        4 => writer.cancel(),
        _ => {}
    }
    drop(writer);
    assert!(weak.upgrade().is_none());
    drop(reader);
    // Somebody may still have the last reference for a moment. Were it not waited for,
    // the writers would pile up where the machine is busy, and memory with them.
    until(|| fates.iter().all(Fate::is_freed));
}

/// Cycles, and looks at what is there before and after.
fn nothing_is_left_of(mut one: impl FnMut(&mut Random)) {
    // The thread that is always there, and room for the most that is alive at once.
    let threads_without = threads();
    drop(
        PipeWriter::builder()
            .sole_owner(true)
            .build(pipe().1)
            .unwrap(),
    );
    // Threads, and with them the last references, go a little later than the end is told.
    // Those of the system's pool stay as long as it likes, and have handles.
    let at_rest = || {
        pipewright::wait_lingering(LONG).unwrap();
        until(|| our_threads() == 1 && threads() <= threads_without + 1 + pool_for(0));
    };
    rounds(times(CYCLES / 4), &mut one);
    at_rest();
    let (had_handles, had_memory) = (handles(), memory());
    rounds(times(CYCLES), one);
    at_rest();
    // The last reference may have been there when the first were counted, too.
    until(|| handles() <= had_handles + pool_for(0));
    let grown = memory().saturating_sub(had_memory);
    assert!(
        grown < slack(),
        "{grown} bytes more after {} cycles",
        times(CYCLES)
    );
}

#[test]
fn nothing_is_left_of_writers_to_pipes() {
    alone(|| {
        nothing_is_left_of(|random| {
            let (reader, pipe) = pipe();
            cycle(reader, pipe, random);
        });
    });
}

#[cfg(unix)]
#[test]
fn nothing_is_left_of_writers_to_fifos() {
    alone(|| {
        let folder = tempfile::tempdir().unwrap();
        let mut n = 0;
        nothing_is_left_of(|random| {
            // One that lingers has the last one's pipe still open.
            n = (n + 1) % 50;
            let path = folder.path().join(n.to_string());
            if !path.exists() {
                pipewright::fifo::create(&path).unwrap();
            }
            let (reader, pipe) = crate::common::ends::open_fifo(&path);
            cycle(reader, pipe, random);
        });
    });
}

#[cfg(unix)]
#[test]
fn nothing_is_left_of_writers_to_sockets() {
    alone(|| {
        nothing_is_left_of(|random| {
            let (reader, pipe) = crate::common::ends::unix_stream();
            cycle(reader, pipe, random);
        });
    });
}

#[cfg(unix)]
#[test]
fn nothing_is_left_of_writers_to_terminals() {
    alone(|| {
        nothing_is_left_of(|random| {
            let (master, slave) = crate::common::ends::terminal();
            cycle(std::fs::File::from(master), slave, random);
        });
    });
}

#[cfg(windows)]
#[test]
fn nothing_is_left_of_writers_to_clients_of_named_pipes() {
    alone(|| {
        nothing_is_left_of(|random| {
            let (reader, pipe) = crate::common::ends::client_end();
            cycle(reader, pipe, random);
        });
    });
}

#[cfg(windows)]
#[test]
fn nothing_is_left_of_writers_to_synchronous_named_pipes() {
    alone(|| {
        let synchronous = crate::common::ends::Named {
            overlapped: false,
            ..crate::common::ends::Named::DEFAULT
        };
        nothing_is_left_of(|random| {
            let (reader, pipe) = synchronous.pair();
            cycle(reader, pipe, random);
        });
    });
}

#[cfg(windows)]
#[test]
fn nothing_is_left_of_writers_to_anonymous_pipes() {
    alone(|| {
        nothing_is_left_of(|random| {
            let (reader, pipe) = crate::common::ends::anonymous();
            cycle(reader, pipe, random);
        });
    });
}

#[test]
fn nothing_is_left_of_writers_to_files() {
    alone(|| {
        nothing_is_left_of(|random| {
            let file = tempfile::tempfile().unwrap();
            cycle(std::io::empty(), file.into(), random);
        });
    });
}

#[test]
fn nothing_is_left_of_waits_for_lingering_writers_that_were_given_up() {
    alone(|| {
        let (_reader, stalled, _) = full_pipe();
        let builder = PipeWriter::builder().sole_owner(true).linger(LONG);
        let writer = builder.build(stalled).unwrap();
        writer.try_send("last words").unwrap();
        drop(writer);
        let give_up = || pipewright::wait_lingering(Duration::ZERO).unwrap_err();
        give_up();
        let had_memory = memory();
        for _ in 0..times(100_000) {
            assert_eq!(give_up().writers, 1);
        }
        let grown = memory().saturating_sub(had_memory);
        assert!(grown < slack(), "{grown} bytes more");
    });
}

//! When a splice may pass the writer. Linux.

use super::*;

/// A feed that may be passed, and what reads its pipe.
fn passable() -> (Arc<Feed>, PipeReader, Receiver<Event>) {
    let manner = Manner {
        on_full: OnFull::Wait,
        buffer: 8 << 20,
        lines: false,
        in_doubt: InDoubt::Skip,
        splice: true,
    };
    let (sender, events) = channel();
    let feed = Arc::new(Feed::new(0, &manner, sender));
    let reader = attach(&feed);
    assert!(feed.is_passable());
    (feed, reader, events)
}

#[test]
fn nothing_passes_while_something_is_on_its_way() {
    watched(|| {
        let (feed, mut reader, _events) = passable();
        // More than the pipe holds, which was made larger.
        let piece = Bytes::from(vec![7; 4 << 20]);
        feed.offer(piece.clone()).ok().unwrap();
        assert!(!feed.is_passable());
        let mut got = vec![0; piece.len()];
        reader.read_exact(&mut got).unwrap();
        assert!(got == piece);
        while !feed.is_passable() {
            thread::yield_now();
        }
        assert_eq!(feed.accounts().unsent, 0);
    });
}

#[test]
fn nothing_passes_after_the_end_and_the_reader_sees_it() {
    watched(|| {
        let ends: [fn(&Feed); 2] = [|feed| feed.finish(Waits::ForNobody), Feed::stop];
        for end in ends {
            let (feed, reader, events) = passable();
            end(&feed);
            assert!(!feed.is_passable());
            ended(&events);
            // The feed is still there, and has the pipe nowhere open.
            assert!(read_all(reader).is_empty());
            assert!(!feed.is_passable());
        }
    });
}

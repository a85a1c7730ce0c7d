use super::*;

/// Everything that can be handed on, in pieces of at most `max`.
fn drain(backlog: &mut Backlog, max: usize) -> String {
    let mut all = Vec::new();
    while let Some(piece) = backlog.next(max) {
        assert!(piece.len() <= max && !piece.is_empty());
        backlog.gone(piece.len() as u64);
        all.extend_from_slice(&piece);
    }
    String::from_utf8(all).unwrap()
}

fn offer(backlog: &mut Backlog, text: &'static str, on_full: OnFull) {
    backlog
        .offer(Bytes::from_static(text.as_bytes()), on_full)
        .unwrap();
}

#[test]
fn what_does_not_fit_is_given_back_unless_it_may_be_dropped() {
    for on_full in [OnFull::Wait, OnFull::Detach] {
        let mut backlog = Backlog::new(4, false);
        offer(&mut backlog, "abc", on_full);
        assert_eq!(
            backlog.offer(Bytes::from_static(b"de"), on_full),
            Err(Bytes::from_static(b"de"))
        );
        assert_eq!(backlog.len(), 3);
    }
}

#[test]
fn the_newest_or_the_oldest_is_dropped() {
    for (on_full, left) in [(OnFull::DropNewest, "aabb"), (OnFull::DropOldest, "bbcc")] {
        let mut backlog = Backlog::new(5, false);
        for piece in ["aa", "bb", "cc"] {
            offer(&mut backlog, piece, on_full);
        }
        assert_eq!(backlog.len(), 4);
        assert_eq!(drain(&mut backlog, 100), left);
    }
}

#[test]
fn what_was_handed_on_takes_up_room_until_it_is_gone_and_is_not_dropped() {
    let mut backlog = Backlog::new(4, false);
    offer(&mut backlog, "aabb", OnFull::DropOldest);
    assert_eq!(backlog.next(2).unwrap(), "aa");
    offer(&mut backlog, "ccc", OnFull::DropOldest);
    assert_eq!(
        (backlog.len(), backlog.outside()),
        (0, 2),
        "the newest does not fit either"
    );
    offer(&mut backlog, "dd", OnFull::DropOldest);
    backlog.put_back([Bytes::from_static(b"aa")].into_iter());
    backlog.gone(2);
    assert_eq!(drain(&mut backlog, 100), "aadd");
}

#[test]
fn no_more_is_outside_than_asked_for() {
    let mut backlog = Backlog::new(30, false);
    offer(&mut backlog, "aaaa", OnFull::Wait);
    offer(&mut backlog, "bbbb", OnFull::Wait);
    assert_eq!(backlog.next(6).unwrap(), "aaaa");
    assert_eq!(backlog.next(6), None);
    backlog.gone(2);
    assert_eq!(backlog.next(6).unwrap(), "bbbb");
    let mut longer = Backlog::new(100, false);
    offer(&mut longer, "aaaabb", OnFull::Wait);
    assert_eq!(longer.next(4).unwrap(), "aaaa");
}

#[test]
fn a_line_goes_on_only_when_it_has_its_end() {
    let mut backlog = Backlog::new(100, true);
    offer(&mut backlog, "one\ntw", OnFull::DropNewest);
    assert_eq!(drain(&mut backlog, 100), "one\n");
    offer(&mut backlog, "o\nthree", OnFull::DropNewest);
    assert_eq!(drain(&mut backlog, 100), "two\n");
    backlog.end();
    assert_eq!(drain(&mut backlog, 100), "three");
    assert_eq!(backlog.len(), 0);
}

#[test]
fn a_line_that_was_begun_is_finished_whatever_is_dropped() {
    let mut backlog = Backlog::new(12, true);
    offer(&mut backlog, "long long\nb\n", OnFull::DropOldest);
    let begun = backlog.next(4).unwrap();
    backlog.gone(4);
    offer(&mut backlog, "c\nd\ne\nf\n", OnFull::DropOldest);
    assert_eq!(begun, "long");
    assert_eq!(drain(&mut backlog, 4), " long\nd\ne\nf\n");
}

#[test]
fn a_line_larger_than_the_buffer_is_dropped_whole_however_it_comes() {
    for on_full in [OnFull::DropNewest, OnFull::DropOldest] {
        for cut in 1..10 {
            let mut backlog = Backlog::new(8, true);
            let text = "a\n123456789\nb\n";
            let (first, rest) = text.split_at(cut);
            offer(&mut backlog, first, on_full);
            offer(&mut backlog, rest, on_full);
            let got = drain(&mut backlog, 100);
            assert!(got.ends_with("b\n"), "{on_full:?} {cut} {got}");
            assert!(got == "b\n" || got == "a\nb\n", "{on_full:?} {cut} {got}");
        }
    }
}

#[test]
fn lines_are_whole_however_they_are_cut() {
    for most_joined in [0, 2, 5, 100] {
        cut_everywhere(most_joined);
    }
}

/// Every way to cut a text in three, every capacity and piece, every policy: lines
/// arrive whole and in order, and what is counted is what is there.
fn cut_everywhere(most_joined: usize) {
    let text = "a\n\nbbb\ncc\ndddddd\ne\nff";
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    for on_full in [OnFull::DropNewest, OnFull::DropOldest] {
        for capacity in 1..=12 {
            for max in 1..=4 {
                for first in 0..text.len() {
                    for second in first..text.len() {
                        let mut backlog = Backlog::new(capacity, true);
                        backlog.most_joined = most_joined;
                        let mut got = String::new();
                        for part in [&text[..first], &text[first..second], &text[second..]] {
                            offer(&mut backlog, part, on_full);
                            assert!(backlog.len() <= capacity);
                            // Hand on a little, which may begin a line.
                            if let Some(piece) = backlog.next(max) {
                                backlog.gone(piece.len() as u64);
                                got += std::str::from_utf8(&piece).unwrap();
                            }
                        }
                        backlog.end();
                        got += &drain(&mut backlog, max);
                        assert_eq!((backlog.len(), backlog.outside()), (0, 0));
                        let mut expected = lines.iter();
                        for line in got.split_inclusive('\n') {
                            assert!(
                                expected.any(|whole| *whole == line),
                                "{on_full:?} {capacity} {max} {first} {second}: {got:?}"
                            );
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn short_lines_do_not_keep_long_blocks() {
    let block = Bytes::from("x".repeat(50_000) + "\nshort\n");
    let mut backlog = Backlog::new(1000, true);
    backlog.offer(block.clone(), OnFull::DropNewest).unwrap();
    assert!(block.is_unique());
    assert_eq!(drain(&mut backlog, 100), "short\n");
}

#[test]
fn small_pieces_are_kept_together_in_their_order() {
    let mut backlog = Backlog::new(1 << 20, false);
    let mut expected = String::new();
    for number in 0..20_000 {
        // Now and then one that is not small.
        let large = SMALL + 1;
        let piece = match number % 5000 {
            0 => format!("{number:large$} "),
            _ => format!("{number} "),
        };
        expected += &piece;
        backlog.offer(piece.into(), OnFull::Wait).unwrap();
    }
    assert!(backlog.queue.len() < 30, "{}", backlog.queue.len());
    assert_eq!(backlog.len(), expected.len() as u64);
    assert_eq!(drain(&mut backlog, 1000), expected);
}

#[test]
fn of_small_pieces_no_more_is_dropped_than_has_to_be() {
    let mut backlog = Backlog::new(80, false);
    for _ in 0..100 {
        offer(&mut backlog, "abcd", OnFull::DropOldest);
        offer(&mut backlog, "e", OnFull::DropOldest);
    }
    assert!(backlog.len() > 80 - 10, "{}", backlog.len());
}

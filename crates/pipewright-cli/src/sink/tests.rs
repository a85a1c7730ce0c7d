use std::sync::mpsc::channel;

use super::*;
use crate::args::planned;
use crate::os::Input;

/// Nobody listens there, and nobody tries.
const TARGET: &str = "retry=9@tcp:localhost:1";

#[test]
fn a_sink_that_was_stopped_is_not_failed_by_an_attempt_that_ends_later() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("input");
    std::fs::write(&path, "").unwrap();
    let (input, _waker) = Input::open(Some(&path)).unwrap();
    let (events, _conductor) = channel();
    let now = Instant::now();
    for stopped in [true, false] {
        let plan = planned(&[TARGET]);
        let mut sink = Sink::open(0, &plan[0], &mut Opener::new(&input), &events);
        if stopped {
            sink.stop();
        }
        sink.not_connected(Trouble::own("nobody listens"), now);
        assert_eq!(sink.retry_at().is_some(), !stopped);
        assert!(sink.report(0, now).trouble.is_none());
    }
}

//! Progress in words: one line for each sink, and one for the input.

use std::time::{Duration, Instant};

use super::meter::Meter;
use super::{Phase, SinkState, Snapshot};
use crate::quantity::in_short;

/// Longer names are cut, so that the numbers stay in sight.
const LONGEST_NAME: usize = 24;
const TOTAL: &str = "total";
const BAR: usize = 20;

pub(super) fn lines(
    snapshot: &Snapshot<'_>,
    sinks: &[Meter],
    input: &Meter,
    now: Instant,
) -> Vec<String> {
    let names: Vec<String> = snapshot.sinks.iter().map(|sink| cut(sink.name)).collect();
    let widest = names.iter().map(|name| name.chars().count()).max();
    let width = widest.unwrap_or_default().max(TOTAL.len());
    let mut lines = Vec::with_capacity(names.len() + 1);
    for ((sink, meter), name) in snapshot.sinks.iter().zip(sinks).zip(&names) {
        lines.push(format!(
            "{name:width$}  {}",
            of_sink(sink, meter, snapshot.size)
        ));
    }
    lines.push(format!(
        "{TOTAL:width$}  {}",
        of_input(snapshot, input, now)
    ));
    lines
}

fn of_sink(sink: &SinkState<'_>, meter: &Meter, size: Option<u64>) -> String {
    let mut line = amount(sink.written, meter);
    match sink.phase {
        Phase::Over(how) => return format!("{}  {how}", in_short_aligned(sink.written)),
        Phase::Awaited => line += "  waits for a reader",
        Phase::Retrying => line += "  is opened again",
        Phase::Running => {}
    }
    line += &format!("  queued {}", in_short(sink.queued));
    if let Some(stalled) = sink.stalled_for {
        line += &format!("  stalled {}", time(stalled));
    } else if let Some(size) = size {
        line += &eta(meter, size.saturating_sub(sink.written));
    }
    line
}

fn of_input(snapshot: &Snapshot<'_>, meter: &Meter, now: Instant) -> String {
    let mut line = amount(snapshot.read, meter);
    match snapshot.size {
        Some(size) => {
            line += &format!("  {}  of {}", bar(snapshot.read, size), in_short(size));
            line += &eta(meter, size.saturating_sub(snapshot.read));
        }
        None => line += &format!("  {}", time(meter.age(now))),
    }
    line
}

fn amount(bytes: u64, meter: &Meter) -> String {
    format!(
        "{}  {:>8}/s",
        in_short_aligned(bytes),
        in_short(meter.rate())
    )
}

fn in_short_aligned(bytes: u64) -> String {
    format!("{:>8}", in_short(bytes))
}

fn eta(meter: &Meter, rest: u64) -> String {
    match meter.time_for(rest) {
        Some(Duration::ZERO) => String::new(),
        Some(left) => format!("  ETA {}", time(left)),
        None => "  ETA -:--".into(),
    }
}

fn bar(done: u64, size: u64) -> String {
    // An input may turn out longer than was said.
    let share = |parts: usize| {
        let share = u128::from(done.min(size)) * parts as u128;
        usize::try_from(share.checked_div(u128::from(size)).unwrap_or(parts as u128))
            .unwrap_or(parts)
    };
    let filled = share(BAR);
    let (filled, rest) = ("#".repeat(filled), "-".repeat(BAR - filled));
    format!("[{filled}{rest}] {:>3}%", share(100))
}

/// `m:ss` or `h:mm:ss`.
fn time(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

fn cut(name: &str) -> String {
    if name.chars().count() <= LONGEST_NAME {
        return name.to_owned();
    }
    name.chars().take(LONGEST_NAME - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn sink(name: &str, phase: Phase, written: u64, stalled: u64) -> SinkState<'_> {
        SinkState {
            name,
            phase,
            written,
            queued: 2 * MIB,
            stalled_for: (stalled > 0).then_some(Duration::from_secs(stalled)),
        }
    }

    fn shown(size: Option<u64>) -> Vec<String> {
        let start = Instant::now();
        let now = start + Duration::from_secs(2);
        let sinks = vec![
            sink("copy", Phase::Running, 10 * MIB, 0),
            sink("exec:a command that is long", Phase::Running, 4 * MIB, 65),
            sink("late", Phase::Awaited, 0, 3),
            sink("gone", Phase::Over("failed"), 5, 0),
        ];
        let meter = |written| {
            let mut meter = Meter::new(start);
            meter.note(written, now);
            meter
        };
        let meters: Vec<_> = sinks.iter().map(|sink| meter(sink.written)).collect();
        let snapshot = Snapshot {
            sinks,
            read: 12 * MIB,
            size,
        };
        lines(&snapshot, &meters, &meter(12 * MIB), now)
    }

    #[test]
    fn every_sink_has_a_line_and_the_input_too() {
        let expected = [
            "copy                      10.0 MiB   5.0 MiB/s  queued 2.0 MiB",
            "exec:a command that is …   4.0 MiB   2.0 MiB/s  queued 2.0 MiB  stalled 1:05",
            "late                           0 B       0 B/s  waits for a reader  queued 2.0 MiB  stalled 0:03",
            "gone                           5 B  failed",
            "total                     12.0 MiB   6.0 MiB/s  0:02",
        ];
        assert_eq!(shown(None), expected);
    }

    #[test]
    fn what_is_left_is_foreseen_when_the_size_is_known() {
        let lines = shown(Some(24 * MIB));
        assert!(
            lines[0].ends_with("queued 2.0 MiB  ETA 0:03"),
            "{}",
            lines[0]
        );
        assert!(lines[1].ends_with("stalled 1:05"), "{}", lines[1]);
        assert!(
            lines[4].ends_with("[##########----------]  50%  of 24.0 MiB  ETA 0:02"),
            "{}",
            lines[4]
        );
    }

    #[test]
    fn sizes_that_were_wrong_do_not_overflow_the_bar() {
        for (done, size, percent) in [
            (5, 4, "100%"),
            (0, 0, "100%"),
            (u64::MAX, u64::MAX, "100%"),
            (0, 7, "  0%"),
        ] {
            let bar = bar(done, size);
            assert!(bar.ends_with(percent) && bar.len() == 27, "{bar}");
        }
    }

    #[test]
    fn times_are_as_on_a_clock() {
        assert_eq!(time(Duration::from_millis(59_900)), "0:59");
        assert_eq!(time(Duration::from_secs(3_723)), "1:02:03");
    }
}

//! Scripts of what users, tasks and a system do, against the whole library on a
//! scripted kernel: sends in every way, tasks that are polled, woken and given up,
//! handles that come and go, time that passes, and every answer that a system can
//! give. One thread, so that every script can be repeated.
//!
//! Whatever happens: the accounts agree with what the kernel has seen, to the byte; a
//! task that can go on was woken; the callback hears of the end once and last; and
//! after the end no memory, no handle and no timer is left.

#![no_main]

#[path = "../../../crates/pipewright/tests/common/wakers.rs"]
#[allow(dead_code, reason = "it has more than is needed here")]
mod wakers;

mod script;
mod task;
mod trial;

use libfuzzer_sys::fuzz_target;

use script::Plan;
use trial::Trial;

fuzz_target!(|plan: Plan| {
    let mut trial = Trial::new(&plan);
    for step in &plan.steps {
        trial.take(*step);
    }
    trial.wind_up();
});

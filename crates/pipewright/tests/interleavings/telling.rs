//! Callbacks and the waitable object: all news arrives, the last of them too.

use loom::sync::Notify;
use loom::thread;
use pipewright::Builder;
use pipewright::scripted::{Answer, End, Fault};

use super::*;

/// Options with a callback that is given the writer itself, once `slot` holds it.
fn calling(act: impl Fn(&PipeWriter, &Progress) + Send + 'static) -> (Builder, Slot) {
    let slot = Slot::default();
    let inside = slot.clone();
    let builder = PipeWriter::builder().on_progress(move |progress| {
        let writer = inside.0.lock().unwrap().clone();
        if let Some(writer) = writer {
            act(&writer, &progress);
        }
    });
    (builder, slot)
}

/// Where a callback finds its writer.
#[derive(Clone, Default)]
struct Slot(Arc<Mutex<Option<PipeWriter>>>);

impl Slot {
    fn put(&self, writer: &PipeWriter) {
        let replaced = self.0.lock().unwrap().replace(writer.clone());
        drop(replaced);
    }

    fn clear(&self) {
        let writer = self.0.lock().unwrap().take();
        drop(writer);
    }
}

#[test]
fn a_callback_hears_all_and_of_the_end_once_and_at_last() {
    explore(|| {
        let kernel = kernel([SLOW]);
        let (accepted, told) = (Accepted::default(), Told::default());
        let calls = told.clone();
        let writer = PipeWriter::builder()
            .on_progress(move |progress| calls.note(progress))
            .build(kernel.pipe())
            .unwrap();
        let system = serve(&kernel);
        let sender = {
            let (writer, accepted) = (writer.clone(), accepted.clone());
            thread::spawn(move || accepted.send(&writer, "abc"))
        };
        accepted.send(&writer, "de");
        sender.join().unwrap();
        writer.close_timeout(LONG).unwrap();
        system.join().unwrap();
        settle(&kernel, &writer, &accepted);
        told.assert_complete(5);
    });
}

#[test]
fn news_that_comes_during_a_callback_is_told_although_none_follows() {
    explore(|| {
        let kernel = kernel([SLOW, SLOW]);
        let (accepted, told) = (Accepted::default(), Told::default());
        let (calls, called) = (told.clone(), Arc::new(Notify::new()));
        let calling = Arc::clone(&called);
        let writer = PipeWriter::builder()
            .on_progress(move |progress| {
                calls.note(progress);
                calling.notify();
            })
            .build(kernel.pipe())
            .unwrap();
        let system = serve(&kernel);
        accepted.send(&writer, "abc");
        accepted.send(&writer, "de");
        while told.written() < 5 {
            // The other thread may be in the callback.
            if !kernel.step(0) {
                called.wait();
            }
        }
        writer.close_timeout(LONG).unwrap();
        system.join().unwrap();
        settle(&kernel, &writer, &accepted);
        told.assert_complete(5);
    });
}

#[test]
fn a_callback_that_sends_is_heard_and_told_of_it() {
    explore(|| {
        let kernel = kernel([SLOW]);
        let (accepted, told) = (Accepted::default(), Told::default());
        let (calls, sends) = (told.clone(), accepted.clone());
        let (builder, slot) = calling(move |writer, progress| {
            if progress.written == 3 && progress.outcome.is_none() {
                sends.send(writer, "echo");
                writer.finish();
            }
            calls.note(progress.clone());
        });
        let writer = builder.build(kernel.pipe()).unwrap();
        slot.put(&writer);
        let system = serve(&kernel);
        accepted.send(&writer, "abc");
        writer.wait_ended(LONG).unwrap();
        system.join().unwrap();
        assert_eq!(settle(&kernel, &writer, &accepted).written, 7);
        told.assert_complete(7);
        slot.clear();
    });
}

#[test]
fn the_last_handle_may_be_dropped_inside_a_callback() {
    explore(|| {
        let kernel = kernel([SLOW]);
        let told = Told::default();
        let calls = told.clone();
        let slot = Slot::default();
        let inside = slot.clone();
        let writer = PipeWriter::builder()
            .on_progress(move |progress| {
                calls.note(progress);
                inside.clear();
            })
            .build(kernel.pipe())
            .unwrap();
        slot.put(&writer);
        let system = serve(&kernel);
        writer.try_send("abc").unwrap();
        drop(writer);
        system.join().unwrap();
        pipewright::wait_lingering(LONG).unwrap();
        assert_eq!(kernel.account().received, b"abc");
        assert_eq!(kernel.account().closed, 1);
        told.assert_complete(3);
    });
}

#[test]
fn a_callback_may_stop_the_writer_that_another_closes() {
    explore(|| {
        let kernel = kernel([SLOW, STALLED]);
        let (accepted, told) = (Accepted::default(), Told::default());
        let calls = told.clone();
        let (builder, slot) = calling(move |writer, progress| {
            calls.note(progress.clone());
            writer.cancel();
        });
        let writer = builder.build(kernel.pipe()).unwrap();
        slot.put(&writer);
        let system = serve(&kernel);
        accepted.send(&writer, "abc");
        accepted.send(&writer, "de");
        writer.finish();
        writer.wait_ended(LONG).unwrap();
        system.join().unwrap();
        let progress = settle(&kernel, &writer, &accepted);
        told.assert_complete(progress.written);
        slot.clear();
    });
}

#[test]
fn a_callback_may_wait_for_its_writer_while_another_thread_serves_it() {
    explore(|| {
        let kernel = kernel([SLOW, SLOW]);
        let accepted = Accepted::default();
        let (builder, slot) = calling(move |writer, progress| {
            if progress.outcome.is_none() {
                writer.flush_timeout(LONG).unwrap();
            }
        });
        let writer = builder.build(kernel.pipe()).unwrap();
        slot.put(&writer);
        let systems = [serve(&kernel), serve(&kernel)];
        accepted.send(&writer, "abc");
        accepted.send(&writer, "de");
        writer.close_timeout(LONG).unwrap();
        for system in systems {
            system.join().unwrap();
        }
        assert_eq!(settle(&kernel, &writer, &accepted).written, 5);
        slot.clear();
    });
}

#[test]
fn a_waitable_object_misses_no_news() {
    explore(|| {
        let kernel = kernel([SLOW, SLOW]);
        let (writer, accepted) = (writer(&kernel), Accepted::default());
        let waitable = writer.waitable().unwrap();
        let system = serve(&kernel);
        accepted.send(&writer, "abc");
        accepted.send(&writer, "de");
        while writer.take_progress().written < 5 {
            waitable.wait();
        }
        writer.finish();
        while writer.take_progress().outcome.is_none() {
            waitable.wait();
        }
        system.join().unwrap();
        settle(&kernel, &writer, &accepted);
    });
}

#[test]
fn a_waitable_object_is_set_while_there_is_news_that_nobody_took() {
    explore(|| {
        let fault = Fault::refused(32);
        let kernel = kernel_of_threes([SLOW, Answer::Ends(End::Failed(fault))]);
        let (writer, accepted) = (writer(&kernel), Accepted::default());
        let waitable = writer.waitable().unwrap();
        let system = serve(&kernel);
        accepted.send(&writer, "abc");
        let taken = writer.take_progress();
        accepted.send(&writer, "de");
        system.join().unwrap();
        assert!(taken.outcome.is_some() || waitable.is_set());
        assert!(writer.take_progress().outcome.is_some());
        assert!(!waitable.is_set());
        settle(&kernel, &writer, &accepted);
    });
}

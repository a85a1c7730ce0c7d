//! A client that comes in the one moment in which an accept has looked and is not yet
//! registered to be woken.

#![cfg(windows)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod common;

use std::fs::{File, OpenOptions};
use std::future::Future;
use std::io::Write;
use std::mem::ManuallyDrop;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

use pipewright::named_pipe::ServerOptions;

use common::data::read_exact;
use common::watched;

/// Runs once, when the waker is cloned: between the look and the registration.
type Moment = Mutex<Option<Box<dyn FnOnce() + Send>>>;

static VTABLE: RawWakerVTable = RawWakerVTable::new(
    |data| {
        // SAFETY: `data` is from `Arc::into_raw`, and the waker that is cloned holds
        // that reference.
        let moment = ManuallyDrop::new(unsafe { Arc::from_raw(data.cast::<Moment>()) });
        let act = moment.lock().unwrap().take();
        if let Some(act) = act {
            act();
        }
        raw(Arc::clone(&moment))
    },
    // SAFETY: a wake uses up the waker, and its reference with it.
    |data| drop(unsafe { Arc::from_raw(data.cast::<Moment>()) }),
    |_| {},
    // SAFETY: the waker ends here, and its reference with it.
    |data| drop(unsafe { Arc::from_raw(data.cast::<Moment>()) }),
);

fn raw(moment: Arc<Moment>) -> RawWaker {
    RawWaker::new(Arc::into_raw(moment).cast(), &VTABLE)
}

#[test]
fn a_client_that_comes_between_the_look_and_the_registration_is_seen() {
    watched(|| {
        for n in 0..100 {
            let name = format!(r"\\.\pipe\pipewright-wakeup-{}-{n}", std::process::id());
            let mut server = ServerOptions::new(&name).create().unwrap();
            let client: Arc<Mutex<Option<File>>> = Arc::default();
            let comes = Arc::clone(&client);
            let moment = move || {
                let file = OpenOptions::new().read(true).open(&name).unwrap();
                *comes.lock().unwrap() = Some(file);
            };
            let moment: Moment = Mutex::new(Some(Box::new(moment)));
            // SAFETY: the table's functions treat the data as the references that it is.
            let waker = unsafe { Waker::from_raw(raw(Arc::new(moment))) };
            let mut accepting = pin!(server.accept_async());
            let polled = accepting.as_mut().poll(&mut Context::from_waker(&waker));
            let mut client = client.lock().unwrap().take().unwrap();
            // It is there: whether the pool has told of it or not, it is seen at once.
            let Poll::Ready(accepted) = polled else {
                panic!("the client is not seen, and nobody is woken for it");
            };
            File::from(accepted.unwrap()).write_all(b"!").unwrap();
            assert_eq!(read_exact(&mut client, 1), b"!");
        }
    });
}

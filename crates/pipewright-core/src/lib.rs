//! The state machine of one pipe writer.
//!
//! This crate does no I/O, starts no thread, reads no clock and takes no lock.
//! It decides; a driver acts. The same core serves a readiness driver (write,
//! and wait when the pipe is full), a completion driver (hand the buffer to the
//! kernel and hear later what became of it) and a thread that simply blocks.
//!
//! # The four kinds of methods
//!
//! * **Getters** look and change nothing: [`progress`](Core::progress),
//!   [`wants_turn`](Core::wants_turn), …
//! * **Commands** are what the user asks for: [`send`](Core::send),
//!   [`reserve`](Core::reserve), [`attach`](Core::attach),
//!   [`finish`](Core::finish), [`stop`](Core::stop), …
//! * **`poll_*`** say what the driver should do next:
//!   [`poll_submit`](Core::poll_submit), [`poll_cancel`](Core::poll_cancel),
//!   [`poll_close`](Core::poll_close); and what the user should hear:
//!   [`poll_event`](Core::poll_event).
//! * **`handle_*`** report what the system did:
//!   [`handle_completed`](Core::handle_completed),
//!   [`handle_not_ready`](Core::handle_not_ready),
//!   [`handle_failed`](Core::handle_failed), …
//!
//! After every command and every `handle_*`, poll: first what to do, then what
//! to tell. One operation is in flight at a time, so the order of the stream
//! needs no proof: [`poll_submit`](Core::poll_submit) moves the data out to the
//! driver, and exactly one `handle_*` call brings the operation back.
//!
//! # The ledger
//!
//! At all times `accepted = written + in_flight + queued + in_doubt`, where
//! `in_doubt` is what a failed or cancelled operation left that the operating
//! system does not account for. After the end nothing is in flight, and what is
//! still queued is *unsent*: it can be taken back with
//! [`take_unsent`](Core::take_unsent), byte-exact and without a copy.
//!
//! # Example: a driver in a few lines
//!
//! ```
//! use bytes::Bytes;
//! use pipewright_core::{Config, Core, Limits, Outcome};
//!
//! let mut core = Core::new(Config::default());
//! core.attach(Limits::default());
//! let end = core.send(&mut Bytes::from_static(b"hello")).unwrap();
//! core.finish();
//!
//! let mut pipe = Vec::new();
//! while let Some(operation) = core.poll_submit() {
//!     for slice in operation.slices() {
//!         pipe.extend_from_slice(slice);
//!     }
//!     let written = operation.len();
//!     drop(core.handle_completed(operation, written));
//! }
//! assert!(core.poll_close());
//! core.handle_closed();
//!
//! assert_eq!(pipe, b"hello");
//! assert_eq!(core.progress().written, end.get());
//! assert_eq!(core.progress().outcome, Some(Outcome::Closed));
//! ```

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod chunk;
mod ledger;
mod lifecycle;
mod line;
mod lists;
mod machine;
mod operation;
mod queue;

pub use crate::ledger::{Position, Progress};
pub use crate::lifecycle::{Failure, Outcome};
pub use crate::line::{Reservation, Ticket, TicketId};
pub use crate::machine::{Config, Core, Direct, Event, Mode, Refused, Retry, Unsent};
pub use crate::operation::{Limits, OpId, Operation, Rest, Spent};
pub use crate::queue::JOIN_MAX;

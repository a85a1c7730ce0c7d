//! The ways to use a writer: all thin, all over the same shared piece.

pub(crate) mod async_write;
pub(crate) mod closing;
pub(crate) mod io_write;
pub(crate) mod sending;
pub(crate) mod waitable;
pub(crate) mod waiting;

//! A naive model of one writer, and what is needed to hold the core against it.
//!
//! * `naive`, with `news`: the model. It keeps the whole stream in one vector and
//!   spells every rule of the contract out in the most obvious way. It shares with
//!   the core only the words (outcomes, events, limits), no data structure and no
//!   shortcut.
//! * `script`: the steps that a user, a driver and a system can take.
//! * `trial`: a core and a model that take the same steps side by side, and every
//!   comparison of what can be observed; `finale` brings both to their end.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "helpers of tests: each test uses its part, and they fail by panicking"
)]

pub(crate) mod finale;
pub(crate) mod naive;
pub(crate) mod news;
pub(crate) mod script;
pub(crate) mod trial;

use std::sync::LazyLock;

use bytes::Bytes;

/// The longest payload there is.
pub(crate) const PAYLOAD_MAX: usize = 256 * 1024;

/// What is sent at a position of the stream: noise, so that bytes that are lost,
/// repeated or moved are seen. Slices of one allocation, so that it costs nothing.
pub(crate) fn payload(position: usize, len: usize) -> Bytes {
    static NOISE: LazyLock<Bytes> = LazyLock::new(|| {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let mut noise = Vec::new();
        while noise.len() < 2 * PAYLOAD_MAX {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            noise.extend_from_slice(&state.to_le_bytes());
        }
        Bytes::from(noise)
    });
    let start = position.wrapping_mul(7919) % (NOISE.len() - PAYLOAD_MAX);
    NOISE.slice(start..start + len)
}

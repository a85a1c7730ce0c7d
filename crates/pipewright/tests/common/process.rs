//! What a process can see of itself. The names that Linux and Windows both have:
//! `threads` and `threads_named`, how many threads there are; `pool_for`, how many of
//! them the system may have made for so many waits; `handles`, how many handles
//! (descriptors) are open; `raise_handle_limit`; `cpu_time`, of the thread with a name.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub(crate) use linux::*;

#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub(crate) use windows::*;

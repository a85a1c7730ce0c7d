//! libuv's pipes (libuv documentation, "uv_pipe_t — Pipe handle", "uv_stream_t — Stream
//! handle"), in a `libuv.so.1` that is found at run time.
//!
//! # Invariants
//!
//! 1. A library of this name keeps the interface of libuv 1, which its documentation
//!    tells: each function is called as it is there, and none of them unwinds. The
//!    `data` of a request is its first field (`UV_REQ_FIELDS` in `uv.h`).
//! 2. The library stays loaded until the process ends, and so do its functions.
//! 3. The memory of loops, handles and requests has the size that the library asks for,
//!    fits everything that can be aligned, and is never freed; requests are used again
//!    when they are over.
//! 4. A loop and what belongs to it are used by the thread that made it: a `Loop` is not
//!    `Send`, because of its pointers.
//! 5. A request's `data` points to its `Write`, which is a `Box` that is given away with
//!    the request and taken back by its callback, which libuv calls once. If it never
//!    does, because nobody runs the loop any more, they are never freed.

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, c_int, c_uint, c_void};
use std::io;
use std::mem::transmute_copy;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::rc::Rc;

use bytes::Bytes;

/// A loop, a handle, or a request.
type This = *mut c_void;

/// `uv_buf_t` of Unix.
#[repr(C)]
struct Buffer {
    base: *const u8,
    len: usize,
}

/// `UV_NAMED_PIPE`, `UV_WRITE`.
const NAMED_PIPE: c_int = 7;
const WRITE: c_int = 3;

/// `UV_RUN_DEFAULT`, `UV_RUN_ONCE`, `UV_RUN_NOWAIT`.
const DEFAULT: c_int = 0;
const ONCE: c_int = 1;
const NOWAIT: c_int = 2;

/// What is called of the library.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Library {
    loop_size: unsafe extern "C" fn() -> usize,
    handle_size: unsafe extern "C" fn(c_int) -> usize,
    req_size: unsafe extern "C" fn(c_int) -> usize,
    loop_init: unsafe extern "C" fn(This) -> c_int,
    run: unsafe extern "C" fn(This, c_int) -> c_int,
    pipe_init: unsafe extern "C" fn(This, This, c_int) -> c_int,
    pipe_open: unsafe extern "C" fn(This, c_int) -> c_int,
    write: unsafe extern "C" fn(This, This, *const Buffer, c_uint, Wrote) -> c_int,
    queue_size: unsafe extern "C" fn(This) -> usize,
    set_data: unsafe extern "C" fn(This, *mut c_void),
    close: unsafe extern "C" fn(This, Option<unsafe extern "C" fn(This)>),
}

type Wrote = unsafe extern "C" fn(This, c_int);

impl Library {
    pub(crate) fn load() -> io::Result<Library> {
        // SAFETY: the name ends with a zero. What the library does when it is loaded is up
        // to whoever installed it.
        let library = unsafe { libc::dlopen(c"libuv.so.1".as_ptr(), libc::RTLD_NOW) };
        if library.is_null() {
            // SAFETY: it is called by the thread whose call failed, before another.
            let why = unsafe { libc::dlerror() };
            // SAFETY: after a failure it is a text, which ends with a zero.
            let why = unsafe { CStr::from_ptr(why) };
            return Err(io::Error::other(why.to_string_lossy().into_owned()));
        }
        Ok(Library {
            loop_size: function(library, c"uv_loop_size")?,
            handle_size: function(library, c"uv_handle_size")?,
            req_size: function(library, c"uv_req_size")?,
            loop_init: function(library, c"uv_loop_init")?,
            run: function(library, c"uv_run")?,
            pipe_init: function(library, c"uv_pipe_init")?,
            pipe_open: function(library, c"uv_pipe_open")?,
            write: function(library, c"uv_write")?,
            queue_size: function(library, c"uv_stream_get_write_queue_size")?,
            set_data: function(library, c"uv_req_set_data")?,
            close: function(library, c"uv_close")?,
        })
    }
}

/// The function of this name. `F` is its type in libuv's documentation.
fn function<F: Copy>(library: *mut c_void, name: &CStr) -> io::Result<F> {
    const { assert!(size_of::<F>() == size_of::<*const ()>()) };
    // SAFETY: the library is loaded (invariant 2), and the name ends with a zero.
    let found = unsafe { libc::dlsym(library, name.as_ptr()) };
    if found.is_null() {
        let text = format!("libuv.so.1 has no {}", name.to_string_lossy());
        return Err(io::Error::new(io::ErrorKind::NotFound, text));
    }
    // SAFETY: `F` is a pointer to the function of this name (invariant 1), and stays one
    // (invariant 2).
    Ok(unsafe { transmute_copy(&found) })
}

/// A loop with pipes that are written to.
pub(crate) struct Loop {
    library: Library,
    this: This,
    pipes: Vec<This>,
    books: Rc<Books>,
}

/// What callbacks account for.
#[derive(Default)]
struct Books {
    on_their_way: Cell<usize>,
    /// The first that failed.
    error: Cell<c_int>,
    /// Requests that are over.
    requests: RefCell<Vec<This>>,
}

/// What is written, until it is.
struct Write {
    _chunks: Vec<Bytes>,
    books: Rc<Books>,
}

impl Loop {
    pub(crate) fn new(library: Library, pipes: Vec<OwnedFd>) -> io::Result<Loop> {
        // SAFETY: the function takes nothing.
        let this = memory(unsafe { (library.loop_size)() });
        // SAFETY: it is memory for a loop (invariant 3).
        checked(unsafe { (library.loop_init)(this) })?;
        let open = |pipe: OwnedFd| {
            // SAFETY: the function takes a number.
            let handle = memory(unsafe { (library.handle_size)(NAMED_PIPE) });
            // SAFETY: the loop is one, and there is memory for a pipe (invariant 3).
            checked(unsafe { (library.pipe_init)(this, handle, 0) })?;
            // SAFETY: it is a pipe, and the descriptor is open.
            checked(unsafe { (library.pipe_open)(handle, pipe.as_raw_fd()) })?;
            // From here on the handle owns it.
            let _ = pipe.into_raw_fd();
            Ok(handle)
        };
        let pipes: io::Result<_> = pipes.into_iter().map(open).collect();
        Ok(Loop {
            library,
            this,
            pipes: pipes?,
            books: Rc::default(),
        })
    }

    /// Hands chunks over to be written to a pipe, by number, and does not wait.
    pub(crate) fn write(&mut self, n: usize, chunks: Vec<Bytes>) -> io::Result<()> {
        let buffer = |chunk: &Bytes| Buffer {
            base: chunk.as_ptr(),
            len: chunk.len(),
        };
        let buffers: Vec<_> = chunks.iter().map(buffer).collect();
        let count = c_uint::try_from(buffers.len()).map_err(io::Error::other)?;
        let request = self.request();
        let write = Box::new(Write {
            _chunks: chunks,
            books: Rc::clone(&self.books),
        });
        let data = Box::into_raw(write);
        // SAFETY: it is memory for a request, and no request is in it.
        unsafe { (self.library.set_data)(request, data.cast()) };
        // SAFETY: the pipe is one, and open; the buffers, which are copied, point to the
        // chunks in `Write`, which live until the callback (invariant 5).
        let started = checked(unsafe {
            (self.library.write)(request, self.pipes[n], buffers.as_ptr(), count, wrote)
        });
        match started {
            Ok(()) => self.books.on_their_way.update(|count| count + 1),
            // SAFETY: nothing was started, so no callback has it (invariant 5).
            Err(_) => drop(unsafe { Box::from_raw(data) }),
        }
        started
    }

    fn request(&self) -> This {
        let over = self.books.requests.borrow_mut().pop();
        // SAFETY: the function takes a number.
        over.unwrap_or_else(|| memory(unsafe { (self.library.req_size)(WRITE) }))
    }

    /// How many bytes of a pipe are not written yet.
    pub(crate) fn left(&self, n: usize) -> usize {
        // SAFETY: it is a pipe.
        unsafe { (self.library.queue_size)(self.pipes[n]) }
    }

    /// How many requests nobody has heard of yet.
    pub(crate) fn on_their_way(&self) -> usize {
        self.books.on_their_way.get()
    }

    /// Does what there is to do now.
    pub(crate) fn turn(&mut self) -> io::Result<()> {
        self.run(NOWAIT)
    }

    /// Waits until something has happened.
    pub(crate) fn wait(&mut self) -> io::Result<()> {
        self.run(ONCE)
    }

    /// Waits until everything is written.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        while self.on_their_way() > 0 {
            self.wait()?;
        }
        Ok(())
    }

    /// Closes the pipes, when everything is written.
    pub(crate) fn close(mut self) -> io::Result<()> {
        self.flush()?;
        for pipe in self.pipes.drain(..) {
            // SAFETY: it is a pipe, closed once; its memory stays (invariant 3).
            unsafe { (self.library.close)(pipe, None) };
        }
        self.run(DEFAULT)
    }

    fn run(&self, mode: c_int) -> io::Result<()> {
        // SAFETY: it is a loop, on its own thread (invariant 4).
        unsafe { (self.library.run)(self.this, mode) };
        checked(self.books.error.get())
    }
}

/// libuv's callback: the system has taken it all, or never will.
unsafe extern "C" fn wrote(request: This, status: c_int) {
    let data: *mut *mut Write = request.cast();
    // SAFETY: libuv calls back with a request of ours, which begins with its `data`
    // (invariant 1).
    let data = unsafe { *data };
    // SAFETY: it is the request's `Write`, which is taken back here, once (invariant 5).
    let write = unsafe { Box::from_raw(data) };
    let books = &write.books;
    books.on_their_way.update(|count| count - 1);
    if books.error.get() == 0 {
        books.error.set(status);
    }
    books.requests.borrow_mut().push(request);
}

fn memory(size: usize) -> This {
    let memory = vec![0_u128; size.div_ceil(size_of::<u128>())];
    memory.leak().as_mut_ptr().cast()
}

/// libuv's errors are the system's, negated.
fn checked(status: c_int) -> io::Result<()> {
    match status {
        0.. => Ok(()),
        error => Err(io::Error::from_raw_os_error(-error)),
    }
}

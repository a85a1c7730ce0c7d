//! What one would write by hand to copy standard input to several files: loops that know
//! nothing but to go on with the next file.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;

use crate::tools::BLOCK;

/// Reads, and writes to each of the files, one after the other.
pub(crate) fn copy(files: &[PathBuf]) -> io::Result<()> {
    let (mut input, mut files) = open(files)?;
    let mut buffer = vec![0; BLOCK];
    loop {
        let read = input.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        for file in &mut files {
            file.write_all(&buffer[..read])?;
        }
    }
}

fn open(files: &[PathBuf]) -> io::Result<(File, Vec<File>)> {
    let input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let open = |file: &PathBuf| File::options().write(true).open(file);
    let files: io::Result<_> = files.iter().map(open).collect();
    Ok((input, files?))
}

/// The same without reading (Linux man pages tee(2), splice(2)): the pages of the input,
/// which must be a pipe, are handed on.
///
/// A file that takes only a part of them would lack the rest for ever, because `tee`
/// begins with the first page each time. So each has a pipe of its own before it, as
/// large as the input and empty when the next pages come.
#[cfg(target_os = "linux")]
pub(crate) fn tee(files: &[PathBuf]) -> io::Result<()> {
    use rustix::pipe::{SpliceFlags, fcntl_getpipe_size, fcntl_setpipe_size, tee};

    let (input, mut files) = open(files)?;
    let size = fcntl_getpipe_size(&input)?;
    let way = |file: File| -> io::Result<_> {
        let (from, to) = io::pipe()?;
        fcntl_setpipe_size(&to, size)?;
        Ok((from, to, file))
    };
    // The one whose pages the others are handed.
    let (from, to, file) = way(files.pop().ok_or(io::ErrorKind::NotFound)?)?;
    let others: io::Result<Vec<_>> = files.into_iter().map(way).collect();
    let others = others?;
    loop {
        let taken = splice(&input, &to, BLOCK)?;
        if taken == 0 {
            return Ok(());
        }
        for (_, to, _) in &others {
            let same = tee(&from, to, taken, SpliceFlags::empty())?;
            if same != taken {
                let why = format!("{same} of {taken} bytes were handed on");
                return Err(io::Error::other(why));
            }
        }
        for (from, _, file) in &others {
            pass(from, file, taken)?;
        }
        pass(&from, &file, taken)?;
    }
}

/// Moves all of so many bytes.
#[cfg(target_os = "linux")]
fn pass(from: impl AsFd, to: impl AsFd, mut bytes: usize) -> io::Result<()> {
    while bytes > 0 {
        match splice(&from, &to, bytes)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            passed => bytes -= passed,
        }
    }
    Ok(())
}

/// Moves at most so many bytes, and waits until there are some.
#[cfg(target_os = "linux")]
fn splice(from: impl AsFd, to: impl AsFd, bytes: usize) -> io::Result<usize> {
    use rustix::pipe::{SpliceFlags, splice};
    let flags = SpliceFlags::MOVE;
    Ok(splice(from, None, to, None, bytes, flags)?)
}

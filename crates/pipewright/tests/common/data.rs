//! Data that tells where in the stream it belongs, and memory that tells when it
//! is freed.

use std::fs::File;
use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread::{self, JoinHandle};

use bytes::Bytes;

use super::Random;

/// A prime number of bytes, after which the stream repeats itself: a shift by a
/// page, a piece or a message cannot go unnoticed.
const PERIOD: usize = 65_521;

static STREAM: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut random = Random::new(1);
    (0..PERIOD)
        .map(|_| random.next().to_be_bytes()[0])
        .collect()
});

/// The bytes of the stream from `position` on.
pub(crate) fn stream(position: u64, len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len);
    let mut at = usize::try_from(position % PERIOD as u64).unwrap();
    while bytes.len() < len {
        let piece = (PERIOD - at).min(len - bytes.len());
        bytes.extend_from_slice(&STREAM[at..at + piece]);
        at = 0;
    }
    bytes
}

/// Checks that bytes are those of the stream from `position` on.
#[track_caller]
pub(crate) fn assert_stream(position: u64, bytes: &[u8]) {
    let expected = stream(position, bytes.len());
    if bytes != expected {
        let at = bytes.iter().zip(&expected).take_while(|(a, b)| a == b);
        let at = position + at.count() as u64;
        panic!("the stream differs at byte {at}");
    }
}

/// Reads to the end of the stream and checks every byte; tells how many there were.
#[track_caller]
pub(crate) fn read_stream(reader: &mut impl Read, from: u64) -> u64 {
    let mut buffer = vec![0; 64 * 1024];
    let mut position = from;
    loop {
        let n = reader.read(&mut buffer).unwrap();
        if n == 0 {
            return position;
        }
        assert_stream(position, &buffer[..n]);
        position += n as u64;
    }
}

/// Reads everything in a thread of its own.
pub(crate) fn reading(mut reader: File) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut heard = Vec::new();
        reader.read_to_end(&mut heard).unwrap();
        heard
    })
}

/// Reads in pieces of a random size, and checks them.
pub(crate) fn slow_reader(mut reader: File) -> JoinHandle<usize> {
    thread::spawn(move || {
        let mut random = Random::new(11);
        let mut heard = 0;
        loop {
            let mut piece = vec![0; random.between(1, 9_000)];
            let n = reader.read(&mut piece).unwrap();
            if n == 0 {
                return heard;
            }
            assert_stream(heard as u64, &piece[..n]);
            heard += n;
        }
    })
}

/// Reads exactly so many bytes.
#[track_caller]
pub(crate) fn read_exact(reader: &mut impl Read, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    reader.read_exact(&mut bytes).unwrap();
    bytes
}

/// What became of some memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fate(Arc<AtomicUsize>);

impl Fate {
    /// Whether it was freed. Freeing it twice fails the test.
    #[track_caller]
    pub(crate) fn is_freed(&self) -> bool {
        match self.0.load(Ordering::SeqCst) {
            0 => false,
            1 => true,
            times => panic!("freed {times} times"),
        }
    }
}

/// Memory that tells when it is freed.
pub(crate) fn tracked(data: Vec<u8>) -> (Bytes, Fate) {
    let fate = Fate::default();
    let told = fate.clone();
    let bytes = when_freed(data, move || {
        told.0.fetch_add(1, Ordering::SeqCst);
    });
    (bytes, fate)
}

/// Memory that runs user code when it is freed.
pub(crate) fn when_freed(data: Vec<u8>, act: impl FnOnce() + Send + 'static) -> Bytes {
    struct Owner(Vec<u8>, Option<Box<dyn FnOnce() + Send>>);
    impl AsRef<[u8]> for Owner {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    impl Drop for Owner {
        fn drop(&mut self) {
            if let Some(act) = self.1.take() {
                act();
            }
        }
    }
    Bytes::from_owner(Owner(data, Some(Box::new(act))))
}

//! Security identifiers: who a user, a group or a service is.

use std::fmt;
use std::io;
use std::str::FromStr;

/// The most parts that follow the authority (`SID_MAX_SUB_AUTHORITIES`).
const MOST_PARTS: usize = 15;

/// A security identifier: the name that the system itself has for a user, a group
/// or a service, as in `S-1-5-18`.
///
/// It is written and read as text ("SID Components"); [`current_user`] is who the
/// program runs for.
///
/// [`current_user`]: Self::current_user
///
/// ```
/// use pipewright::named_pipe::Sid;
///
/// let system: Sid = "S-1-5-18".parse()?;
/// assert_ne!(Sid::current_user()?, system);
/// assert_eq!(system.to_string(), "S-1-5-18");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Sid {
    /// 48 bits.
    authority: u64,
    /// At most [`MOST_PARTS`].
    parts: Vec<u32>,
}

impl Sid {
    /// The operating system itself.
    pub(super) fn local_system() -> Sid {
        Sid::nt([18])
    }

    /// The group of this computer's administrators.
    pub(super) fn administrators() -> Sid {
        Sid::nt([32, 544])
    }

    fn nt<const N: usize>(parts: [u32; N]) -> Sid {
        Sid {
            authority: 5,
            parts: parts.into(),
        }
    }

    /// From the form that it has in memory: the revision, the number of parts, the
    /// authority (6 bytes, high to low), the parts (4 bytes each, low to high).
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Sid> {
        let (&[1, count, ref authority @ ..], rest) = bytes.split_first_chunk::<8>()? else {
            return None;
        };
        let count = usize::from(count);
        if count > MOST_PARTS || rest.len() != count * 4 {
            return None;
        }
        let parts = rest
            .chunks_exact(4)
            .map(|part| <[u8; 4]>::try_from(part).ok());
        Some(Sid {
            authority: authority
                .iter()
                .fold(0, |high, &low| high << 8 | u64::from(low)),
            parts: parts
                .map(|part| part.map(u32::from_le_bytes))
                .collect::<Option<_>>()?,
        })
    }

    fn parse(text: &str) -> Option<Sid> {
        let rest = text.strip_prefix("S-1-").or(text.strip_prefix("s-1-"))?;
        let mut numbers = rest.split('-');
        let authority = match numbers.next()? {
            hex if hex.starts_with("0x") => {
                let digits = hex
                    .get(2..)
                    .filter(|digits| is_all(digits, u8::is_ascii_hexdigit))?;
                u64::from_str_radix(digits, 16).ok()?
            }
            number => decimal(number)?,
        };
        let parts: Vec<u32> = numbers
            .map(|number| u32::try_from(decimal(number)?).ok())
            .collect::<Option<_>>()?;
        let fits = authority < 1 << 48 && !parts.is_empty() && parts.len() <= MOST_PARTS;
        fits.then_some(Sid { authority, parts })
    }
}

/// Digits only: no sign, which numbers would otherwise take.
fn decimal(digits: &str) -> Option<u64> {
    digits
        .parse()
        .ok()
        .filter(|_| is_all(digits, u8::is_ascii_digit))
}

fn is_all(text: &str, kind: impl Fn(&u8) -> bool) -> bool {
    !text.is_empty() && text.as_bytes().iter().all(kind)
}

impl FromStr for Sid {
    type Err = io::Error;

    /// From its text, such as `S-1-5-32-544`.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput). The two-letter names of the
    /// descriptor language (`BA`, `SY`) are not taken.
    fn from_str(text: &str) -> io::Result<Sid> {
        Sid::parse(text).ok_or_else(|| {
            let message = format!("{text:?} is not a security identifier");
            io::Error::new(io::ErrorKind::InvalidInput, message)
        })
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.authority < 1 << 32 {
            write!(f, "S-1-{}", self.authority)?;
        } else {
            write!(f, "S-1-0x{:012X}", self.authority)?;
        }
        self.parts.iter().try_for_each(|part| write!(f, "-{part}"))
    }
}

impl fmt::Debug for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

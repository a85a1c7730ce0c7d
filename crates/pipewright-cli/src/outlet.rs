//! What is written through: the library's writer, and behind its pipe, where the library
//! cannot write to the target itself, a [`Carrier`]. It has ended when both have.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use pipewright::{Builder, Outcome, PipeError, PipeWriter};

use crate::os::{Carried, Carrier, Handle, Trouble, WayOut};

pub(crate) struct Outlet {
    writer: PipeWriter,
    carrier: Option<Carrier>,
    /// The writer's pipe once more, for what passes it.
    pipe: Option<Arc<Handle>>,
}

/// How it ended.
#[derive(Clone, Debug)]
pub(crate) enum End {
    /// The target took everything, and was told that this was all.
    Closed,
    /// Somebody stopped it.
    Stopped,
    Failed(Cause),
}

/// Why the target did not take everything.
#[derive(Clone, Debug)]
pub(crate) enum Cause {
    Writer(PipeError),
    Carrier(Trouble),
}

impl Outlet {
    /// `told` is called when the carrier has ended, if there is one; of the writer the
    /// builder's own callback tells.
    ///
    /// # Errors
    ///
    /// What the system says of a handle that cannot be written to.
    pub(crate) fn open(
        builder: Builder,
        way_out: WayOut,
        told: impl FnOnce() + Send + 'static,
    ) -> Result<Outlet, Trouble> {
        let WayOut {
            handle,
            mut carrier,
        } = way_out;
        // Nothing goes on behind our back.
        let builder = builder.linger(Duration::ZERO);
        let writer = builder.build(handle).map_err(|unfit| Trouble {
            message: unfit.error().to_string(),
            os_error: unfit.error().raw_os_error(),
        })?;
        if let Some(carrier) = &mut carrier {
            carrier.start(told)?;
        }
        Ok(Outlet {
            writer,
            carrier,
            pipe: None,
        })
    }

    /// The writer's pipe once more, for what is to pass the writer. Its reader sees the
    /// end when the outlet has gone as well.
    pub(crate) fn with_pipe(self, pipe: Option<Handle>) -> Self {
        Outlet {
            pipe: pipe.map(Arc::new),
            ..self
        }
    }

    pub(crate) fn writer(&self) -> &PipeWriter {
        &self.writer
    }

    /// The pipe, if there is one to be written to past the writer.
    pub(crate) fn pipe(&self) -> Option<Arc<Handle>> {
        self.pipe.clone()
    }

    /// What was not taken yet will not be. Does not wait.
    pub(crate) fn cancel(&self) {
        self.writer.cancel();
        if let Some(carrier) = &self.carrier {
            carrier.stop();
        }
    }

    /// To be asked when the carrier has ended: without it the writer gets nowhere, so it
    /// need not find that out by itself.
    pub(crate) fn follow_carrier(&self) {
        if let Some(Carried::Failed(_)) = self.carrier.as_ref().and_then(Carrier::end) {
            self.writer.cancel();
        }
    }

    /// How all of it ended, once it has, if this is how the writer did.
    pub(crate) fn end(&self, outcome: &Outcome) -> Option<End> {
        let carried = match &self.carrier {
            Some(carrier) => carrier.end()?,
            None => &Carried::All,
        };
        Some(match (carried, outcome) {
            // The writer's own end follows from it, or was too early.
            (Carried::Failed(trouble), _) => End::Failed(Cause::Carrier(trouble.clone())),
            (Carried::Stopped, _) | (Carried::All, Outcome::Stopped) => End::Stopped,
            (Carried::All, Outcome::Failed(error)) => End::Failed(Cause::Writer(error.clone())),
            (Carried::All, Outcome::Closed) => End::Closed,
        })
    }

    /// How many bytes the target took, where the carrier counts them and not the writer.
    pub(crate) fn carried(&self) -> Option<u64> {
        self.carrier.as_ref().map(Carrier::taken)
    }

    /// How many bytes the carrier, if there is one, may have that the target did not take.
    pub(crate) fn carrier_holds(&self) -> Option<usize> {
        self.carrier.as_ref().map(Carrier::holds)
    }
}

impl Cause {
    /// For who knows what was written to.
    pub(crate) fn trouble(&self) -> Trouble {
        match self {
            Cause::Carrier(trouble) => trouble.clone(),
            Cause::Writer(error) => match error.raw_os_error() {
                Some(code) => io::Error::from_raw_os_error(code).into(),
                None => Trouble::own(error.to_string()),
            },
        }
    }

    /// For who does not.
    pub(crate) fn in_words(&self, target: &str) -> String {
        match self {
            Cause::Carrier(trouble) => format!("writing to {target} failed: {}", trouble.message),
            Cause::Writer(error) => error.to_string(),
        }
    }
}

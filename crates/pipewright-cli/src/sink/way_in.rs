//! From an open pipe to a sink's feed.

use std::sync::Arc;

use pipewright::AttachError;

use crate::feed::Feed;
use crate::os::{Handle, Kind, Remains, Trouble};

/// How a pipe comes to the sink's feed, from whatever thread.
pub(super) struct WayIn {
    pub(super) feed: Arc<Feed>,
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) may_be_reopened: bool,
}

impl WayIn {
    pub(super) fn attach(&self, handle: Handle, sole_owner: bool) -> Result<(), Trouble> {
        let remains = self
            .may_be_reopened
            .then(|| Remains::of(self.kind, &handle))
            .flatten();
        self.feed
            .attach(&self.name, handle, sole_owner, remains)
            .map_err(unfit)
    }
}

/// A handle that cannot be written to.
fn unfit(error: AttachError) -> Trouble {
    Trouble {
        message: error.error().to_string(),
        os_error: error.error().raw_os_error(),
    }
}

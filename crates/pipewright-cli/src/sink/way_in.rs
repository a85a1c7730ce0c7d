//! From an open pipe to a sink's feed.

use std::sync::Arc;

use crate::feed::Feed;
use crate::os::{Kind, Remains, Trouble, WayOut};

/// How a pipe comes to the sink's feed, from whatever thread.
pub(super) struct WayIn {
    pub(super) feed: Arc<Feed>,
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) may_be_reopened: bool,
}

impl WayIn {
    pub(super) fn attach(&self, way_out: WayOut, sole_owner: bool) -> Result<(), Trouble> {
        let remains = self
            .may_be_reopened
            .then(|| Remains::of(self.kind, &way_out.handle))
            .flatten();
        self.feed.attach(&self.name, way_out, sole_owner, remains)
    }
}

//! What the sinks of one run have in use.

use std::collections::HashMap;
use std::hash::Hash;

use super::Trouble;

/// Files and pipes that are in use, and as what: two sinks would write over each
/// other, or the copy would feed itself.
pub(crate) struct InUse<Identity>(HashMap<Identity, String>);

impl<Identity> Default for InUse<Identity> {
    fn default() -> Self {
        InUse(HashMap::new())
    }
}

impl<Identity: Eq + Hash> InUse<Identity> {
    /// Notes that `user` uses it.
    ///
    /// # Errors
    ///
    /// Somebody does already.
    pub(crate) fn claim(&mut self, identity: Identity, user: String) -> Result<(), Trouble> {
        if let Some(user) = self.0.get(&identity) {
            let what = format!("it is the same file or pipe as {user}");
            return Err(Trouble::own(what));
        }
        self.0.insert(identity, user);
        Ok(())
    }
}

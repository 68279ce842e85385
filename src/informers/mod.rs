//! The informers: LIST and watch of each kind, turned into facts and entered into the index.

pub(crate) mod confirm;
pub(crate) mod discovery;
pub(crate) mod endpoint_slices;
pub(crate) mod list_watch;
pub(crate) mod remote;
pub(crate) mod resource_version;
pub(crate) mod sources;
pub(crate) mod watch;

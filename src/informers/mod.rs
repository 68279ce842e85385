//! The informers: LIST and watch of each kind, turned into facts and entered into the index.
//!
//! [`watch`] runs every informer of this cluster: it lists, watches and retries, and [`reflector`] enters the
//! events and keeps what is synced.
//! What differs from one to another is one implementation of [`source::Source`], a file in [`sources`].
//!
//! To add an informer: add its [`WatchedResource`](crate::index::resource::WatchedResource), implement
//! [`source::Source`] in a file there, and add one line to [`sources::follow_all`].
//! A kind of managed object needs neither: every [`Kind`](crate::kinds::Kind) is watched.
//!
//! [`listing`] lists the same once, for the commands that people run.
//! [`remote`] has the informers of linked clusters, and [`confirm`] the LISTs past the watches.

pub(crate) mod confirm;
pub(crate) mod discovery;
pub(crate) mod endpoint_slices;
pub(crate) mod freeze_end;
pub(crate) mod linkerd_config;
pub(crate) mod list_watch;
pub(crate) mod listing;
pub(crate) mod reflector;
pub(crate) mod remote;
pub mod replay;
pub(crate) mod resource_version;
pub(crate) mod source;
pub(crate) mod sources;
pub(crate) mod watch;
pub(crate) mod watch_scope;

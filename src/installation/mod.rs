//! The installation: its manifests, and how every author's objects are given back before it goes.
//!
//! ```text
//!  install      manifests/install.yaml, which a test compares with the chart ──► text
//!  release      label off, through the webhook; where none runs, the same admission code here
//!  uninstall    webhooks, then every object and profile, then a list of the rest ──► text; what is left behind, by
//!               a selector that was another before, is named
//! ```

pub(crate) mod left_behind;
pub(crate) mod local_release;
pub(crate) mod manifest;
pub(crate) mod profiles;
pub(crate) mod release;
pub(crate) mod remains;

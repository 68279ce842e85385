//! The rules of admission, one a file.

pub(crate) mod advice;
pub(crate) mod grants;
pub(crate) mod in_outage;
pub(crate) mod owner;
pub(crate) mod rules_left_alone;
pub(crate) mod service_profile;
pub(crate) mod services;
pub(crate) mod serving;

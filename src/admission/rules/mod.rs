//! The rules of admission, one a file.

pub mod advice;
pub mod grants;
pub mod in_outage;
pub mod owner;
pub mod rules_left_alone;
pub mod service_profile;
pub mod services;
pub mod serving;

//! Manifests as people write them: the objects of YAML and JSON, and the lines of their fields.

pub(crate) mod documents;
mod encoding;
pub(crate) mod files;
mod json;
pub(crate) mod malformed;
pub(crate) mod not_a_manifest;
pub(crate) mod position;

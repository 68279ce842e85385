//! The names of backends and sets, and maps by them.

use serde_json::Value;
use std::collections::BTreeMap;

/// A map by the name of a set.
pub type BySet<T> = BTreeMap<String, T>;

/// The weights of backends as an author wrote them, by name: one for each entry that names it.
pub(crate) type AuthoredText = BTreeMap<String, Vec<Value>>;

/// The Service in a backend's name.
pub(crate) fn service_of(backend: &str) -> &str {
    backend.split_once(':').map_or(backend, |(service, _)| service)
}

/// The other name under which a backend with a port may be recorded: its set had the Service with one
/// port then, and has it with several now, or the reverse.
pub(crate) fn other_name(name: &str, port: Option<u16>) -> Option<String> {
    let service = service_of(name);
    let port = port?;
    Some(if service == name { format!("{service}:{port}") } else { service.to_owned() })
}

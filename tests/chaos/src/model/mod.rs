//! What the observer knows by itself: a small model of what is ready, what each object declares, and where its
//! traffic may be. It is written from the documentation, and shares no code with the program: two readers who
//! agree have not made the same mistake.

mod expected;
mod health;
mod object;
mod policy;
mod services;
mod world;
mod writer;

pub use expected::{Expected, expected};
pub use health::Health;
pub use object::{Backend, FailoverObject, LABEL, PROGRAM, ServiceName, Set};
pub use policy::{PREFIX, Policy};
pub use services::Services;
pub use world::{Applied, Consequence, FOLLOWS, World, key_of};
pub use writer::{Writer, writer};

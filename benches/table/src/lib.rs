//! Figures of benchmarks: quantiles and their ratios with 95% intervals, and the table of them as
//! text, Markdown and JSON.

mod bootstrap;
mod layout;
mod quantile;
mod row;
mod table;

pub use bootstrap::{Interval, of_one, ratio};
pub use quantile::quantile;
pub use row::{Measure, Row};
pub use table::Table;

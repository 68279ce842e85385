//! Figures of benchmarks: quantiles and their ratios with 95% intervals, and the table of them as
//! text, Markdown and JSON; and [`Claims`], in which every command that proves something ends.

mod bootstrap;
mod claims;
mod layout;
mod machine;
mod quantile;
mod row;
mod table;

pub use bootstrap::{Interval, of_one, ratio};
pub use claims::{Claim, Claims, Verdict};
pub use quantile::quantile;
pub use row::{Measure, Row};
pub use table::Table;

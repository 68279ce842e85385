//! Figures of benchmarks: quantiles and their ratios with 95% intervals, and the table of them as
//! text, Markdown and JSON; and [`Claims`], in which every command that proves something ends.

mod audit;
mod bootstrap;
pub mod budgets;
mod claims;
mod layout;
mod load;
mod machine;
mod micro;
mod page;
mod quantile;
mod row;
mod table;

pub use audit::{calls, caused};
pub use bootstrap::{Interval, of_one, ratio};
pub use claims::{Claim, Claims, Verdict};
pub use load::Load;
pub use micro::{Baseline, Counts, instructions, judge};
pub use page::Figures;
pub use quantile::quantile;
pub use row::{Measure, Row};
pub use table::Table;

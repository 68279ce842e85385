//! What scenarios share.

pub(crate) mod audit;
pub(crate) mod bare_client;
pub(crate) mod bench;
pub(crate) mod budget;
pub(crate) mod child;
pub(crate) mod empty_handler;
pub(crate) mod figures;
pub(crate) mod follow;
pub(crate) mod lean;
pub(crate) mod load;
pub(crate) mod observer;
pub(crate) mod open_loop;
pub(crate) mod options;
pub(crate) mod pair;
pub(crate) mod population;
pub(crate) mod process;
pub(crate) mod reviews;
pub(crate) mod stages;
pub(crate) mod subject;
pub(crate) mod transport;
pub(crate) mod updates;

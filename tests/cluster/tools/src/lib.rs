//! The programs that a test cluster is made of: etcd, kube-apiserver, kube-controller-manager,
//! kubectl, helm and kwok, built from the Go modules beside this crate; and Alertmanager, Prometheus and
//! promtool, which tests of alerts use, and what shows what Argo CD does.

mod alerting;
mod argo_cd;
mod cache;
mod go_module;
mod paths;
mod tools;

pub use alerting::AlertingTools;
pub use argo_cd::argo_cd_compare;
pub use go_module::GoModule;
pub use paths::{scratch, target_dir, workspace_root};
pub use tools::Tools;

//! Runs a cluster until it is ended itself; with the argument `keep`, the
//! cluster stays. Prints the cluster's folder, then the ids of its processes,
//! one a line, then an empty line.

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cluster = test_cluster::Cluster::start().await?;
    if std::env::args().nth(1).is_some_and(|arg| arg == "keep") {
        eprintln!("{}", cluster.keep().await?);
    }
    println!("{}", cluster.folder().display());
    for (_, pid) in cluster.pids() {
        println!("{pid}");
    }
    println!();
    std::future::pending().await
}

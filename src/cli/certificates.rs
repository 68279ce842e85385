//! Flags of the webhook's certificates and its TLS.

use crate::certificates::CertificateSource;
use crate::cli::values::Expected;
use anyhow::Context;
use jiff::SignedDuration;
use std::path::PathBuf;
use webhook_certs::{Lifetimes, TlsVersions};

#[derive(Debug, clap::Args)]
pub(super) struct CertificateArgs {
    /// Serve the certificate in this folder (tls.crt and tls.key), which somebody else renews, and
    /// leave caBundle to them. Absent: issue certificates from a CA in a Secret
    #[arg(long, env = "LINKERD_FAILOVER_WEBHOOK_TLS_DIR", value_name = "DIR")]
    webhook_tls_dir: Option<PathBuf>,
    /// Oldest version of TLS that the webhook speaks
    #[arg(
        long,
        env = "LINKERD_FAILOVER_TLS_MIN_VERSION",
        value_enum,
        value_name = "VERSION",
        default_value = "1.3"
    )]
    tls_min_version: MinVersion,
    /// Require of whoever calls the webhook a certificate from one of the CAs in this file, which is
    /// read again when it changes
    #[arg(long, env = "LINKERD_FAILOVER_CLIENT_CA", value_name = "FILE")]
    client_ca: Option<PathBuf>,
    /// How long the webhook's CA is valid
    #[arg(long, env = "LINKERD_FAILOVER_WEBHOOK_CA_LIFE", default_value = "8760h", value_parser = parse_life, hide = true)]
    webhook_ca_life: SignedDuration,
    /// How long the webhook's certificate is valid
    #[arg(long, env = "LINKERD_FAILOVER_WEBHOOK_LEAF_LIFE", default_value = "168h", value_parser = parse_life, hide = true)]
    webhook_leaf_life: SignedDuration,
    /// How long a new CA is in every caBundle before it is used
    #[arg(long, env = "LINKERD_FAILOVER_WEBHOOK_CA_SETTLE", default_value = "10m", value_parser = parse_life, hide = true)]
    webhook_ca_settle: SignedDuration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum MinVersion {
    #[value(name = "1.2")]
    Tls12,
    #[value(name = "1.3")]
    Tls13,
}

fn parse_life(text: &str) -> Result<SignedDuration, Expected> {
    let life = text.parse::<SignedDuration>().ok().filter(|life| !life.is_negative());
    life.ok_or_else(|| Expected("a duration such as 30s, 10m or 8760h".to_owned()))
}

impl CertificateArgs {
    /// Where certificates come from.
    pub(super) fn source(&self) -> anyhow::Result<CertificateSource> {
        if let Some(folder) = &self.webhook_tls_dir {
            return Ok(CertificateSource::Files(folder.clone()));
        }
        let lifetimes = Lifetimes {
            ca: self.webhook_ca_life,
            leaf: self.webhook_leaf_life,
            propagation: self.webhook_ca_settle,
        };
        let flags = "--webhook-ca-life, --webhook-leaf-life, --webhook-ca-settle";
        Ok(CertificateSource::Own(lifetimes.checked().context(flags)?))
    }

    /// Whether the webhook issues them itself.
    pub(super) fn is_own(&self) -> bool {
        self.webhook_tls_dir.is_none()
    }

    /// The versions of TLS that are spoken.
    pub(super) fn tls_versions(&self) -> TlsVersions {
        match self.tls_min_version {
            MinVersion::Tls12 => TlsVersions::Tls12And13,
            MinVersion::Tls13 => TlsVersions::Tls13Only,
        }
    }

    /// The file with the CAs of clients; none: no client needs a certificate.
    pub(super) fn client_ca(&self) -> Option<PathBuf> {
        self.client_ca.clone()
    }
}

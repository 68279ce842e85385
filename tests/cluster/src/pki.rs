//! The certificates and keys of a cluster.

use crate::slot::Slot;
use anyhow::Context;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use std::net::IpAddr;

/// A certificate and its key, in PEM.
pub(crate) struct Identity {
    pub certificate: String,
    pub key: String,
}

/// Everything a control plane proves and signs itself with. Valid for
/// centuries: a cluster runs for minutes.
pub(crate) struct Pki {
    /// Trusted for the server's certificate and for the clients'.
    pub ca: String,
    pub server: Identity,
    /// For whatever stands before the API server; at the slot's address too.
    pub api_proxy: Identity,
    pub admin: Identity,
    pub controller_manager: Identity,
    /// Signs ServiceAccount tokens. The API server reads an EC key to verify
    /// with only as a public key, or as a private one in an older encoding.
    pub service_account_key: String,
    pub service_account_public_key: String,
}

impl Pki {
    pub(crate) fn generate(slot: &Slot) -> anyhow::Result<Self> {
        generate(slot).context("cannot generate the cluster's certificates")
    }
}

fn generate(slot: &Slot) -> anyhow::Result<Pki> {
    let ca_key = KeyPair::generate()?;
    let mut ca = CertificateParams::default();
    ca.distinguished_name.push(DnType::CommonName, "test-cluster");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca_certificate = ca.self_signed(&ca_key)?.pem();
    let issuer = Issuer::new(ca, ca_key);

    let mut names: Vec<String> = [
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "localhost",
    ]
    .map(String::from)
    .into();
    names.extend(
        [slot.address(), slot.kubernetes_service()]
            .map(|address| IpAddr::from(address).to_string()),
    );
    let service_account = KeyPair::generate()?;
    Ok(Pki {
        ca: ca_certificate,
        server: issue(
            &issuer,
            names,
            ("kube-apiserver", None),
            ExtendedKeyUsagePurpose::ServerAuth,
        )?,
        api_proxy: issue(
            &issuer,
            vec![slot.address().to_string()],
            ("api-proxy", None),
            ExtendedKeyUsagePurpose::ServerAuth,
        )?,
        admin: client(&issuer, "admin", Some("system:masters"))?,
        controller_manager: client(&issuer, "system:kube-controller-manager", None)?,
        service_account_key: service_account.serialize_pem(),
        service_account_public_key: service_account.public_key_pem(),
    })
}

fn client(
    issuer: &Issuer<'_, KeyPair>,
    user: &str,
    group: Option<&str>,
) -> anyhow::Result<Identity> {
    issue(issuer, Vec::new(), (user, group), ExtendedKeyUsagePurpose::ClientAuth)
}

fn issue(
    issuer: &Issuer<'_, KeyPair>,
    names: Vec<String>,
    (user, group): (&str, Option<&str>),
    purpose: ExtendedKeyUsagePurpose,
) -> anyhow::Result<Identity> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, user);
    if let Some(group) = group {
        params.distinguished_name.push(DnType::OrganizationName, group);
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![purpose];
    Ok(Identity { certificate: params.signed_by(&key, issuer)?.pem(), key: key.serialize_pem() })
}

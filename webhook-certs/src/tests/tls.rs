//! Handshakes, in memory.

use super::*;
use rcgen::{CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use std::sync::Arc;

struct Client {
    bundle: String,
    name: &'static str,
    versions: &'static [&'static rustls::SupportedProtocolVersion],
    identity: Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>,
}

impl Client {
    fn trusting(bundle: &str) -> Self {
        let versions = rustls::ALL_VERSIONS;
        Self { bundle: bundle.to_owned(), name: NAME, versions, identity: None }
    }

    /// What the client sees as the server's certificate, or why one of both refuses.
    fn connect(self, server: ServerConfig) -> Result<Vec<u8>, String> {
        let mut roots = RootCertStore::empty();
        for cert in CertificateDer::pem_slice_iter(self.bundle.as_bytes()) {
            roots.add(cert.unwrap()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(self.versions)
            .unwrap()
            .with_root_certificates(roots);
        let client = match self.identity {
            Some((cert, key)) => client.with_client_auth_cert(vec![cert], key).unwrap(),
            None => client.with_no_client_auth(),
        };
        let name = ServerName::try_from(self.name).unwrap();
        let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
        let mut server = ServerConnection::new(Arc::new(server)).unwrap();
        for _ in 0..10 {
            let mut wire = vec![];
            while client.wants_write() {
                client.write_tls(&mut wire).unwrap();
            }
            server.read_tls(&mut wire.as_slice()).unwrap();
            server.process_new_packets().map_err(|e| e.to_string())?;
            let mut wire = vec![];
            while server.wants_write() {
                server.write_tls(&mut wire).unwrap();
            }
            client.read_tls(&mut wire.as_slice()).unwrap();
            client.process_new_packets().map_err(|e| e.to_string())?;
            if !client.is_handshaking() && !server.is_handshaking() {
                return Ok(client.peer_certificates().unwrap()[0].to_vec());
            }
        }
        Err("no end of the handshake".into())
    }
}

fn plain(resolver: &Arc<ReloadingResolver>) -> ServerConfig {
    server_config(resolver.clone(), TlsVersions::default(), ClientAuth::None).unwrap()
}

fn serving(authority: &Authority, names: &[String]) -> Arc<ReloadingResolver> {
    let resolver = Arc::new(ReloadingResolver::default());
    resolver.set(authority.issue(names, &lifetimes(), Timestamp::now()).unwrap());
    resolver
}

#[test]
fn a_client_that_trusts_the_bundle_trusts_the_leaf_for_our_name_and_no_other() {
    let authority = authority(Timestamp::now());
    let resolver = serving(&authority, &names());
    let bundle = authority.cert_pem();
    Client::trusting(&bundle).connect(plain(&resolver)).unwrap();
    let other = Client { name: "kubernetes.default.svc", ..Client::trusting(&bundle) };
    assert!(other.connect(plain(&resolver)).is_err());
}

#[test]
fn the_ca_cannot_vouch_for_anything_but_the_webhook() {
    let authority = authority(Timestamp::now());
    let name = "kubernetes.default.svc";
    let resolver = serving(&authority, &[name.to_owned()]);
    let client = Client { name, ..Client::trusting(&authority.cert_pem()) };
    let refused = client.connect(plain(&resolver)).unwrap_err();
    assert!(refused.contains("NameConstraint"), "{refused}");
}

#[test]
fn without_a_leaf_there_is_no_handshake_and_a_new_leaf_is_served_to_the_next_connection() {
    let authority = authority(Timestamp::now());
    let bundle = authority.cert_pem();
    let resolver = Arc::new(ReloadingResolver::default());
    assert!(Client::trusting(&bundle).connect(plain(&resolver)).is_err());
    resolver.set(authority.issue(&names(), &lifetimes(), Timestamp::now()).unwrap());
    let first = Client::trusting(&bundle).connect(plain(&resolver)).unwrap();
    resolver.set(authority.issue(&names(), &lifetimes(), Timestamp::now()).unwrap());
    assert_ne!(Client::trusting(&bundle).connect(plain(&resolver)).unwrap(), first);
}

#[test]
fn an_older_version_of_tls_is_spoken_only_where_it_was_asked_for() {
    let authority = authority(Timestamp::now());
    let resolver = serving(&authority, &names());
    static ONLY: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS12];
    let old = || Client { versions: ONLY, ..Client::trusting(&authority.cert_pem()) };
    assert!(old().connect(plain(&resolver)).is_err());
    let both = server_config(resolver.clone(), TlsVersions::Tls12And13, ClientAuth::None).unwrap();
    old().connect(both).unwrap();
}

#[test]
fn where_client_certificates_are_required_only_their_cas_clients_are_let_in() {
    let ca = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        (pem, Issuer::new(params, key))
    };
    let client = |issuer: &Issuer<'_, KeyPair>| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        let cert = params.signed_by(&key, issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        Some((cert.der().clone(), key))
    };
    let ((known, issuer), (_, stranger)) = (ca("known"), ca("stranger"));
    let authority = authority(Timestamp::now());
    let resolver = serving(&authority, &names());
    let connect_to = |clients: fn(ClientCas) -> ClientAuth, identity| {
        let clients = clients(ClientCas::from_pem(known.as_bytes()).unwrap());
        let server = server_config(resolver.clone(), TlsVersions::default(), clients);
        Client { identity, ..Client::trusting(&authority.cert_pem()) }.connect(server.unwrap())
    };
    let connect = |identity| connect_to(ClientAuth::Required, identity);
    connect(client(&issuer)).unwrap();
    assert!(connect(client(&stranger)).is_err());
    // Where peers show tokens, none is let in too; a strange one still is not.
    connect_to(ClientAuth::Optional, client(&issuer)).unwrap();
    connect_to(ClientAuth::Optional, None).unwrap();
    assert!(connect_to(ClientAuth::Optional, client(&stranger)).is_err());
    assert!(connect(None).unwrap_err().contains("no certificates"));
    let none = ClientCas::from_pem(b"").unwrap_err().to_string();
    assert_eq!(none, "found no certificate, expected the certificates of CAs in PEM");
}

//! The server's certificate and its key.

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

type Chain = Vec<CertificateDer<'static>>;

/// Makes a configuration with the certificates and the key in these files, or with new ones that
/// are valid for this machine only.
///
/// # Errors
/// Which of the files is invalid, or that they do not match.
pub(crate) fn config(files: Option<(String, String)>) -> Result<ServerConfig, String> {
    let (chain, key) = match &files {
        Some((cert, key)) => read(cert, key)?,
        None => make().map_err(|error| format!("no certificate: {error}"))?,
    };
    ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| format!("the certificate and its key: {error}"))
}

fn read(cert: &str, key: &str) -> Result<(Chain, PrivateKeyDer<'static>), String> {
    let chain = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect::<Result<Chain, _>>)
        .map_err(|error| format!("{cert}: {error}"))?;
    if chain.is_empty() {
        return Err(format!("{cert}: there is no certificate in it"));
    }
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| format!("{key}: {error}"))?;
    Ok((chain, key))
}

fn make() -> Result<(Chain, PrivateKeyDer<'static>), rcgen::Error> {
    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names)?;
    let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
    Ok((vec![cert.der().clone()], key.into()))
}

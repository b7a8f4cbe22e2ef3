//! TLS for a connection: which certificates are trusted, and what is checked of the server's.
//!
//! rustls checks as a browser does, which is stricter than libpq in one way: only the names of the subject alternative
//! name extension count, never the common name. One thing that libpq takes is taken too: a server's own self-signed
//! certificate given as `sslrootcert`. rustls refuses such a one when it says it is an authority, as those of
//! `openssl req -x509` do; being the very certificate that the user trusts is enough here, with its name and its
//! signature still checked.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::address::PgAddress;
use crate::live::fault::LiveFault;
use crate::live::protection::TlsMode;
use crate::live::secret::check_mode;

/// The settings of a TLS connection to a server. Its mode must not be [`TlsMode::Disable`].
///
/// # Errors
/// [`LiveFault::File`] for certificates that cannot be read.
pub(crate) fn client_config(address: &PgAddress) -> Result<ClientConfig, LiveFault> {
    let provider = Arc::new(ring::default_provider());
    let verifier = PgVerifier::new(address, &provider)?;
    let fault = |path: &Path, error: &dyn std::fmt::Display| LiveFault::File {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    let no_file = Path::new("TLS");
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| fault(no_file, &error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    // As libpq: a key alone is not used.
    let Some(certificate) = &address.files.certificate else { return Ok(builder.with_no_client_auth()) };
    let no_key = || LiveFault::File { path: certificate.clone(), reason: "needs a key, which sslkey names".to_owned() };
    let key = address.files.key.as_ref().ok_or_else(no_key)?;
    check_mode(key)?;
    let chain = certificates(certificate)?;
    let key_der = PrivateKeyDer::from_pem_file(key).map_err(|error| fault(key, &error))?;
    builder.with_client_auth_cert(chain, key_der).map_err(|error| fault(certificate, &error))
}

/// All certificates of a PEM file, at least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, LiveFault> {
    let fault = |reason: String| LiveFault::File { path: path.to_owned(), reason };
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<_, _>>)
        .map_err(|error| fault(error.to_string()))?;
    if found.is_empty() { Err(fault("has no PEM certificate".to_owned())) } else { Ok(found) }
}

/// Checks a server's certificate as far as the mode says.
#[derive(Debug)]
struct PgVerifier {
    mode: TlsMode,
    /// None where the certificate is not looked at.
    chain: Option<Arc<WebPkiServerVerifier>>,
    /// Certificates of `sslrootcert`.
    given: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl PgVerifier {
    fn new(address: &PgAddress, provider: &Arc<CryptoProvider>) -> Result<Self, LiveFault> {
        let mut store = RootCertStore::empty();
        let mut given = Vec::new();
        let mut mode = address.tls;
        let place = match &address.files.roots {
            Some(path) => {
                given = certificates(path)?;
                store.add_parsable_certificates(given.iter().cloned());
                // As libpq: with a file to trust, `require` is `verify-ca`.
                if mode == TlsMode::Require {
                    mode = TlsMode::VerifyCa;
                }
                path.as_path()
            }
            None => {
                if mode == TlsMode::Require {
                    return Ok(Self { mode, chain: None, given, provider: Arc::clone(provider) });
                }
                store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                Path::new("the certificates of the system")
            }
        };
        let fault = |reason: String| LiveFault::File { path: place.to_owned(), reason };
        let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(provider))
            .build()
            .map_err(|error| fault(error.to_string()))?;
        Ok(Self { mode, chain: Some(chain), given, provider: Arc::clone(provider) })
    }
}

impl ServerCertVerifier for PgVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        let checked = chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match checked {
            // The name is checked last, so everything else is well.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.mode == TlsMode::VerifyCa => Ok(ServerCertVerified::assertion()),
            // An authority's certificate in the place of a server's; its time has been checked before.
            Err(Error::InvalidCertificate(CertificateError::Other(_))) if self.given.contains(end_entity) => {
                if self.mode == TlsMode::VerifyFull {
                    verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                }
                Ok(ServerCertVerified::assertion())
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

//! The cryptography of TLS for rustls, over RustCrypto's crates: what today's servers speak, and no more.
//!
//! Key exchange by X25519, P-256 or P-384; AES-GCM and ChaCha20-Poly1305. No static RSA and no CBC, which rustls does not
//! speak, and no signatures: certificates are not verified.

use std::sync::Arc;

use aes_gcm::{Aes128Gcm, Aes256Gcm};
use chacha20poly1305::ChaCha20Poly1305;
use rustls::crypto::tls12::PrfUsingHmac;
use rustls::crypto::tls13::HkdfUsingHmac;
use rustls::crypto::{
    CipherSuiteCommon, CryptoProvider, GetRandomFailed, KeyExchangeAlgorithm, KeyProvider,
    SecureRandom, WebPkiSupportedAlgorithms,
};
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::SigningKey;
use rustls::{
    CipherSuite, Error, SignatureScheme, SupportedCipherSuite, Tls12CipherSuite, Tls13CipherSuite,
};
use sha2::{Sha256, Sha384};

use super::digest::{Hash, Hmac};
use super::exchange::{P256, P384, X25519};
use super::record::Cipher;
use crate::io::sys;

/// Everything that rustls asks of a provider.
pub(super) fn provider() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: SUITES.to_vec(),
        kx_groups: vec![&X25519, &P256, &P384],
        signature_verification_algorithms: WebPkiSupportedAlgorithms {
            all: &[],
            mapping: &[],
        },
        secure_random: &Kernel,
        key_provider: &NoKeys,
    }
}

/// The signatures that a server may show us.
pub(super) const SIGNATURES: &[SignatureScheme] = &[
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ECDSA_NISTP521_SHA512,
    SignatureScheme::ED25519,
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PSS_SHA512,
    SignatureScheme::RSA_PKCS1_SHA256,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::RSA_PKCS1_SHA512,
];

const ECDSA: &[SignatureScheme] = &[
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ECDSA_NISTP521_SHA512,
    SignatureScheme::ED25519,
];
const RSA: &[SignatureScheme] = &[
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PSS_SHA512,
    SignatureScheme::RSA_PKCS1_SHA256,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::RSA_PKCS1_SHA512,
];

static SHA256: Hash<Sha256> = Hash::new();
static SHA384: Hash<Sha384> = Hash::new();
static HMAC256: Hmac<Sha256> = Hmac::new();
static HMAC384: Hmac<Sha384> = Hmac::new();
static AES128: Cipher<Aes128Gcm> = Cipher::GCM;
static AES256: Cipher<Aes256Gcm> = Cipher::GCM;
static CHACHA: Cipher<ChaCha20Poly1305> = Cipher::CHACHA;

static SUITES: &[SupportedCipherSuite] = &[
    SupportedCipherSuite::Tls13(&TLS13_CHACHA),
    SupportedCipherSuite::Tls13(&TLS13_AES128),
    SupportedCipherSuite::Tls13(&TLS13_AES256),
    SupportedCipherSuite::Tls12(&ECDSA_CHACHA),
    SupportedCipherSuite::Tls12(&ECDSA_AES128),
    SupportedCipherSuite::Tls12(&ECDSA_AES256),
    SupportedCipherSuite::Tls12(&RSA_CHACHA),
    SupportedCipherSuite::Tls12(&RSA_AES128),
    SupportedCipherSuite::Tls12(&RSA_AES256),
];

const fn common(
    suite: CipherSuite,
    hash_provider: &'static dyn rustls::crypto::hash::Hash,
) -> CipherSuiteCommon {
    CipherSuiteCommon {
        suite,
        hash_provider,
        // Never reached: a check reads one page. That of AES-GCM (RFC 8446 section 5.5).
        confidentiality_limit: 1 << 24,
    }
}

static TLS13_CHACHA: Tls13CipherSuite = Tls13CipherSuite {
    common: common(CipherSuite::TLS13_CHACHA20_POLY1305_SHA256, &SHA256),
    hkdf_provider: &HkdfUsingHmac(&HMAC256),
    aead_alg: &CHACHA,
    quic: None,
};
static TLS13_AES128: Tls13CipherSuite = Tls13CipherSuite {
    common: common(CipherSuite::TLS13_AES_128_GCM_SHA256, &SHA256),
    hkdf_provider: &HkdfUsingHmac(&HMAC256),
    aead_alg: &AES128,
    quic: None,
};
static TLS13_AES256: Tls13CipherSuite = Tls13CipherSuite {
    common: common(CipherSuite::TLS13_AES_256_GCM_SHA384, &SHA384),
    hkdf_provider: &HkdfUsingHmac(&HMAC384),
    aead_alg: &AES256,
    quic: None,
};
static ECDSA_CHACHA: Tls12CipherSuite = Tls12CipherSuite {
    common: common(
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        &SHA256,
    ),
    prf_provider: &PrfUsingHmac(&HMAC256),
    kx: KeyExchangeAlgorithm::ECDHE,
    sign: ECDSA,
    aead_alg: &CHACHA,
};
static ECDSA_AES128: Tls12CipherSuite = Tls12CipherSuite {
    common: common(
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        &SHA256,
    ),
    prf_provider: &PrfUsingHmac(&HMAC256),
    kx: KeyExchangeAlgorithm::ECDHE,
    sign: ECDSA,
    aead_alg: &AES128,
};
static ECDSA_AES256: Tls12CipherSuite = Tls12CipherSuite {
    common: common(
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        &SHA384,
    ),
    prf_provider: &PrfUsingHmac(&HMAC384),
    kx: KeyExchangeAlgorithm::ECDHE,
    sign: ECDSA,
    aead_alg: &AES256,
};
static RSA_CHACHA: Tls12CipherSuite = Tls12CipherSuite {
    common: common(
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        &SHA256,
    ),
    prf_provider: &PrfUsingHmac(&HMAC256),
    kx: KeyExchangeAlgorithm::ECDHE,
    sign: RSA,
    aead_alg: &CHACHA,
};
static RSA_AES128: Tls12CipherSuite = Tls12CipherSuite {
    common: common(CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, &SHA256),
    prf_provider: &PrfUsingHmac(&HMAC256),
    kx: KeyExchangeAlgorithm::ECDHE,
    sign: RSA,
    aead_alg: &AES128,
};
static RSA_AES256: Tls12CipherSuite = Tls12CipherSuite {
    common: common(CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, &SHA384),
    prf_provider: &PrfUsingHmac(&HMAC384),
    kx: KeyExchangeAlgorithm::ECDHE,
    sign: RSA,
    aead_alg: &AES256,
};

/// Random bytes of the kernel.
#[derive(Debug)]
struct Kernel;

impl SecureRandom for Kernel {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), GetRandomFailed> {
        random(bytes)
    }
}

/// Fills with random bytes of the kernel.
pub(super) fn random(bytes: &mut [u8]) -> Result<(), GetRandomFailed> {
    sys::random(bytes).map_err(|_| GetRandomFailed)
}

/// We show no certificate, so that there are no keys.
#[derive(Debug)]
struct NoKeys;

impl KeyProvider for NoKeys {
    fn load_private_key(&self, _: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, Error> {
        Err(Error::General("no client certificates".to_owned()))
    }
}

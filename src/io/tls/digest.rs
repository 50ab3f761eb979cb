//! Hashes and keyed hashes of RustCrypto as rustls wants them.

use core::marker::PhantomData;

use hmac::{EagerHash, KeyInit, Mac};
use rustls::crypto::hash::{self, Context, HashAlgorithm, Output};
use rustls::crypto::hmac::{self as keyed, Key, Tag};
use sha2::{Digest, Sha256, Sha384};

/// A hash with its number in TLS.
pub(super) trait Numbered: Digest + EagerHash + Clone + Send + Sync + 'static {
    const ALGORITHM: HashAlgorithm;
}

impl Numbered for Sha256 {
    const ALGORITHM: HashAlgorithm = HashAlgorithm::SHA256;
}

impl Numbered for Sha384 {
    const ALGORITHM: HashAlgorithm = HashAlgorithm::SHA384;
}

pub(super) struct Hash<D>(PhantomData<D>);

impl<D> Hash<D> {
    pub(super) const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<D: Numbered> hash::Hash for Hash<D> {
    fn start(&self) -> Box<dyn Context> {
        Box::new(Running(D::new()))
    }

    fn hash(&self, data: &[u8]) -> Output {
        Output::new(&D::digest(data))
    }

    fn output_len(&self) -> usize {
        <D as Digest>::output_size()
    }

    fn algorithm(&self) -> HashAlgorithm {
        D::ALGORITHM
    }
}

struct Running<D>(D);

impl<D: Numbered> Context for Running<D> {
    fn fork_finish(&self) -> Output {
        Output::new(&self.0.clone().finalize())
    }

    fn fork(&self) -> Box<dyn Context> {
        Box::new(Self(self.0.clone()))
    }

    fn finish(self: Box<Self>) -> Output {
        Output::new(&self.0.finalize())
    }

    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }
}

pub(super) struct Hmac<D>(PhantomData<D>);

impl<D> Hmac<D> {
    pub(super) const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<D: Numbered> keyed::Hmac for Hmac<D>
where
    hmac::Hmac<D>: Mac + KeyInit + Clone + Send + Sync,
{
    fn with_key(&self, key: &[u8]) -> Box<dyn Key> {
        match hmac::Hmac::<D>::new_from_slice(key) {
            Ok(mac) => Box::new(Keyed::<D>(mac)),
            // HMAC takes keys of any length.
            Err(_) => Box::new(Keyed::<D>(hmac::Hmac::<D>::new(&Default::default()))),
        }
    }

    fn hash_output_len(&self) -> usize {
        <D as Digest>::output_size()
    }
}

struct Keyed<D: Numbered>(hmac::Hmac<D>);

impl<D: Numbered> Key for Keyed<D>
where
    hmac::Hmac<D>: Mac + Clone + Send + Sync,
{
    fn sign_concat(&self, first: &[u8], middle: &[&[u8]], last: &[u8]) -> Tag {
        let mut mac = self.0.clone();
        mac.update(first);
        for part in middle {
            mac.update(part);
        }
        mac.update(last);
        Tag::new(&mac.finalize().into_bytes())
    }

    fn tag_len(&self) -> usize {
        <D as Digest>::output_size()
    }
}

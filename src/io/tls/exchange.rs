//! Key exchange on elliptic curves (RFC 7748, RFC 8422).

use core::marker::PhantomData;

use p256::NistP256;
use p256::elliptic_curve::sec1::{FromSec1Point, ModulusSize, ToSec1Point};
use p256::elliptic_curve::{
    AffinePoint, CurveArithmetic, FieldBytesSize, PublicKey, SecretKey, ecdh,
};
use p384::NistP384;
use rustls::crypto::{ActiveKeyExchange, SharedSecret, SupportedKxGroup};
use rustls::{Error, NamedGroup, PeerMisbehaved};
use x25519_dalek::{X25519_BASEPOINT_BYTES, x25519};

use super::provider::random;

/// Curve25519.
#[derive(Debug)]
pub(super) struct X25519;

struct Curve25519 {
    secret: [u8; 32],
    public: [u8; 32],
}

impl SupportedKxGroup for X25519 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let mut secret = [0; 32];
        random(&mut secret)?;
        let public = x25519(secret, X25519_BASEPOINT_BYTES);
        Ok(Box::new(Curve25519 { secret, public }))
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

impl ActiveKeyExchange for Curve25519 {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        let peer: [u8; 32] = peer.try_into().map_err(|_| bad_share())?;
        let shared = x25519(self.secret, peer);
        // A point of small order makes it zero (RFC 8446 section 7.4.2).
        match shared.iter().all(|byte| *byte == 0) {
            true => Err(bad_share()),
            false => Ok(SharedSecret::from(shared.as_slice())),
        }
    }

    fn pub_key(&self) -> &[u8] {
        &self.public
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

/// A curve of NIST with its number in TLS.
pub(super) trait Numbered: CurveArithmetic {
    const GROUP: NamedGroup;
}

impl Numbered for NistP256 {
    const GROUP: NamedGroup = NamedGroup::secp256r1;
}

impl Numbered for NistP384 {
    const GROUP: NamedGroup = NamedGroup::secp384r1;
}

#[derive(Debug)]
pub(super) struct Nist<C>(PhantomData<C>);

pub(super) static P256: Nist<NistP256> = Nist(PhantomData);
pub(super) static P384: Nist<NistP384> = Nist(PhantomData);

struct NistCurve<C: CurveArithmetic> {
    secret: SecretKey<C>,
    public: Box<[u8]>,
}

impl<C: Numbered> SupportedKxGroup for Nist<C>
where
    FieldBytesSize<C>: ModulusSize,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
{
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let mut bytes = p256::elliptic_curve::FieldBytes::<C>::default();
        loop {
            random(&mut bytes)?;
            // All but a few numbers are scalars: out of 2^32 for P-256, fewer for P-384.
            if let Ok(secret) = SecretKey::<C>::from_bytes(&bytes) {
                let public = secret.public_key().to_sec1_point(false).as_bytes().into();
                return Ok(Box::new(NistCurve { secret, public }));
            }
        }
    }

    fn name(&self) -> NamedGroup {
        C::GROUP
    }
}

impl<C: Numbered> ActiveKeyExchange for NistCurve<C>
where
    FieldBytesSize<C>: ModulusSize,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
{
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        // Which sees to it that it lies on the curve.
        let peer = PublicKey::<C>::from_sec1_bytes(peer).map_err(|_| bad_share())?;
        let shared = ecdh::diffie_hellman(self.secret.to_nonzero_scalar(), peer.as_affine());
        Ok(SharedSecret::from(shared.raw_secret_bytes().as_slice()))
    }

    fn pub_key(&self) -> &[u8] {
        &self.public
    }

    fn group(&self) -> NamedGroup {
        C::GROUP
    }
}

fn bad_share() -> Error {
    PeerMisbehaved::InvalidKeyShare.into()
}

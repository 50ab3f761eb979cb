//! Records sealed and opened by the ciphers of RustCrypto, as rustls wants it (RFC 8446 section 5.2, RFC 5288, RFC 7905).

use core::marker::PhantomData;

use aes_gcm::aead::array::typenum::{U12, U16};
use aes_gcm::aead::{AeadCore, AeadInOut, Key, KeyInit, Tag};
use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, KeyBlockShape, MessageDecrypter,
    MessageEncrypter, Nonce, OutboundOpaqueMessage, OutboundPlainMessage, PrefixedPayload,
    Tls12AeadAlgorithm, Tls13AeadAlgorithm, UnsupportedOperationError, make_tls12_aad,
    make_tls13_aad,
};
use rustls::{ConnectionTrafficSecrets, ContentType, Error, ProtocolVersion};

/// Bytes of the tag behind a record.
const TAG: usize = 16;

/// A cipher that authenticates.
pub(super) trait Aead:
    AeadInOut + AeadCore<NonceSize = U12, TagSize = U16> + KeyInit + Send + Sync + 'static
{
}

impl<A> Aead for A where
    A: AeadInOut + AeadCore<NonceSize = U12, TagSize = U16> + KeyInit + Send + Sync + 'static
{
}

/// How a cipher is used in TLS.
pub(super) struct Cipher<A> {
    /// Bytes of the nonce that stand in front of each record of TLS 1.2.
    explicit: usize,
    cipher: PhantomData<A>,
}

impl<A> Cipher<A> {
    pub(super) const GCM: Self = Self {
        explicit: 8,
        cipher: PhantomData,
    };
    pub(super) const CHACHA: Self = Self {
        explicit: 0,
        cipher: PhantomData,
    };
}

impl<A: Aead> Cipher<A> {
    fn sealer(key: &AeadKey, iv: Iv, form: Form) -> Box<Sealer<A>> {
        let mut fitting = Key::<A>::default();
        for (to, from) in fitting.iter_mut().zip(key.as_ref()) {
            *to = *from;
        }
        let cipher = A::new(&fitting);
        Box::new(Sealer { cipher, iv, form })
    }
}

impl<A: Aead> Tls13AeadAlgorithm for Cipher<A> {
    fn encrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageEncrypter> {
        Self::sealer(&key, iv, Form::V13)
    }

    fn decrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageDecrypter> {
        Self::sealer(&key, iv, Form::V13)
    }

    fn key_len(&self) -> usize {
        A::key_size()
    }

    fn extract_keys(
        &self,
        _: AeadKey,
        _: Iv,
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Err(UnsupportedOperationError)
    }
}

impl<A: Aead> Tls12AeadAlgorithm for Cipher<A> {
    fn encrypter(&self, key: AeadKey, iv: &[u8], extra: &[u8]) -> Box<dyn MessageEncrypter> {
        let form = Form::V12 {
            explicit: self.explicit,
        };
        Self::sealer(&key, whole(iv, extra), form)
    }

    fn decrypter(&self, key: AeadKey, iv: &[u8]) -> Box<dyn MessageDecrypter> {
        let form = Form::V12 {
            explicit: self.explicit,
        };
        Self::sealer(&key, whole(iv, &[]), form)
    }

    fn key_block_shape(&self) -> KeyBlockShape {
        KeyBlockShape {
            enc_key_len: A::key_size(),
            fixed_iv_len: 12 - self.explicit,
            explicit_nonce_len: self.explicit,
        }
    }

    fn extract_keys(
        &self,
        _: AeadKey,
        _: &[u8],
        _: &[u8],
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Err(UnsupportedOperationError)
    }
}

/// The two parts of a nonce, zeros for what is not there.
fn whole(iv: &[u8], extra: &[u8]) -> Iv {
    let mut nonce = [0; 12];
    for (to, from) in nonce.iter_mut().zip(iv.iter().chain(extra)) {
        *to = *from;
    }
    Iv::new(nonce)
}

/// How records are written.
#[derive(Clone, Copy)]
enum Form {
    V12 { explicit: usize },
    V13,
}

impl Form {
    const fn explicit(self) -> usize {
        match self {
            Self::V12 { explicit } => explicit,
            Self::V13 => 0,
        }
    }
}

struct Sealer<A> {
    cipher: A,
    iv: Iv,
    form: Form,
}

impl<A: Aead> MessageEncrypter for Sealer<A> {
    fn encrypt(
        &mut self,
        message: OutboundPlainMessage<'_>,
        sequence: u64,
    ) -> Result<OutboundOpaqueMessage, Error> {
        let length = self.encrypted_payload_len(message.payload.len());
        let mut sealed = PrefixedPayload::with_capacity(length);
        let nonce = Nonce::new(&self.iv, sequence).0;
        let explicit = self.form.explicit();
        sealed.extend_from_slice(nonce.get(12 - explicit..).unwrap_or_default());
        sealed.extend_from_chunks(&message.payload);
        let (kind, version) = match self.form {
            Form::V12 { .. } => (message.typ, message.version),
            Form::V13 => {
                sealed.extend_from_slice(&message.typ.to_array());
                (ContentType::ApplicationData, ProtocolVersion::TLSv1_2)
            }
        };
        let plain = sealed.as_mut().get_mut(explicit..).unwrap_or_default();
        let nonce = nonce.into();
        let tag = match self.form {
            Form::V12 { .. } => {
                let about = make_tls12_aad(sequence, kind, version, message.payload.len());
                self.cipher
                    .encrypt_inout_detached(&nonce, &about, plain.into())
            }
            Form::V13 => {
                let about = make_tls13_aad(length);
                self.cipher
                    .encrypt_inout_detached(&nonce, &about, plain.into())
            }
        };
        sealed.extend_from_slice(&tag.map_err(|_| Error::EncryptError)?);
        Ok(OutboundOpaqueMessage::new(kind, version, sealed))
    }

    fn encrypted_payload_len(&self, payload: usize) -> usize {
        let inner = match self.form {
            Form::V12 { explicit } => explicit,
            Form::V13 => 1,
        };
        payload.saturating_add(inner + TAG)
    }
}

impl<A: Aead> MessageDecrypter for Sealer<A> {
    fn decrypt<'a>(
        &mut self,
        mut message: InboundOpaqueMessage<'a>,
        sequence: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        let (kind, version) = (message.typ, message.version);
        let sealed = &mut message.payload;
        let total = sealed.len();
        let explicit = self.form.explicit();
        let (front, rest) = sealed
            .split_at_mut_checked(explicit)
            .ok_or(Error::DecryptError)?;
        let end = rest.len().checked_sub(TAG).ok_or(Error::DecryptError)?;
        let (text, tag) = rest.split_at_mut_checked(end).ok_or(Error::DecryptError)?;
        let mut nonce = Nonce::new(&self.iv, if explicit == 0 { sequence } else { 0 }).0;
        for (to, from) in nonce.iter_mut().skip(12 - explicit).zip(front.iter()) {
            *to = *from;
        }
        let tag = Tag::<A>::try_from(&*tag).map_err(|_| Error::DecryptError)?;
        let nonce = nonce.into();
        let opened = match self.form {
            Form::V12 { .. } => {
                let about = make_tls12_aad(sequence, kind, version, end);
                self.cipher
                    .decrypt_inout_detached(&nonce, &about, text.into(), &tag)
            }
            Form::V13 => {
                let about = make_tls13_aad(total);
                self.cipher
                    .decrypt_inout_detached(&nonce, &about, text.into(), &tag)
            }
        };
        opened.map_err(|_| Error::DecryptError)?;
        sealed.copy_within(explicit..explicit + end, 0);
        sealed.truncate(end);
        match self.form {
            Form::V12 { .. } => Ok(message.into_plain_message()),
            Form::V13 => message.into_tls13_unpadded_message(),
        }
    }
}

//! Digests: names of content, and the different things they name.
//!
//! A [`Digest`] names bytes as stored or sent. [`DiffId`], [`ChainId`] and [`ImageId`] are digests
//! of particular things and are types of their own, so that one is never taken for another.
//! (OCI image specification: "Digests", "Layer DiffID", "Layer ChainID", "ImageID".)

use std::fmt;
use std::io::{self, Read, Write};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::digest::common::hazmat::{SerializableState, SerializedState};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

/// Why a string is not a digest, or content is not what its digest says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// No `algorithm:encoded` form, or characters outside the grammar.
    #[error("parse digest {0:?}: want algorithm:hex, as sha256:2c26b46b…")]
    Malformed(String),
    /// A registered algorithm with an encoded part of the wrong length.
    #[error("parse digest {digest:?}: {algorithm} wants {want} hex characters, not {actual}")]
    Length {
        /// The whole string.
        digest: String,
        /// The registered algorithm.
        algorithm: &'static str,
        /// How many characters it wants.
        want: usize,
        /// How many there are.
        actual: usize,
    },
    /// A registered algorithm with an encoded part that is not lowercase hex.
    #[error("parse digest {digest:?}: {algorithm} wants lowercase hex characters")]
    Encoded {
        /// The whole string.
        digest: String,
        /// The registered algorithm.
        algorithm: &'static str,
    },
    /// An algorithm that can be named but not computed here.
    #[error("verify {0}: its algorithm is not one of sha256, sha384, sha512")]
    Unsupported(Digest),
    /// Content that is not what the digest says.
    #[error("verify content: it is {actual}, not the expected {expected}")]
    Mismatch {
        /// What was asked for.
        expected: Digest,
        /// What came.
        actual: Digest,
    },
    /// Content of another length than the descriptor says.
    #[error("verify {digest}: got {actual_bytes} bytes instead of {expected_bytes}")]
    Size {
        /// What was asked for.
        digest: Digest,
        /// Length by the descriptor, in bytes.
        expected_bytes: u64,
        /// Length that came (or at which reading stopped, one past the expected), in bytes.
        actual_bytes: u64,
    },
}

/// The digest of bytes as stored or sent: `algorithm:encoded`, valid by the OCI grammar, and of
/// the right length where the algorithm is a registered one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

/// The hash algorithms that are registered and computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// SHA-256, what everybody uses.
    Sha256,
    /// SHA-384, known to go-digest.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// The algorithm's name in a digest.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// Length of the hex form.
    #[must_use]
    pub fn hex_len(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha384 => 96,
            Self::Sha512 => 128,
        }
    }

    fn by_name(name: &str) -> Option<Self> {
        [Self::Sha256, Self::Sha384, Self::Sha512]
            .into_iter()
            .find(|a| a.name() == name)
    }
}

impl Digest {
    /// The SHA-256 digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        hasher.update(bytes);
        hasher.finish()
    }

    /// The digest that a finished SHA-256 computation gives.
    #[must_use]
    pub fn from_sha256(hash: [u8; 32]) -> Self {
        Self(format!("sha256:{}", hex(&hash)))
    }

    /// The whole string.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the colon.
    #[must_use]
    pub fn algorithm_name(&self) -> &str {
        self.0
            .split_once(':')
            .map_or("", |(algorithm, _)| algorithm)
    }

    /// The part after the colon: lowercase hex for every registered algorithm.
    #[must_use]
    pub fn encoded(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, encoded)| encoded)
    }

    /// The algorithm, if it is one that can be computed.
    #[must_use]
    pub fn algorithm(&self) -> Option<Algorithm> {
        Algorithm::by_name(self.algorithm_name())
    }

    /// A hasher of this digest's algorithm.
    ///
    /// # Errors
    /// [`DigestError::Unsupported`] for an algorithm that is not computed here.
    pub fn hasher(&self) -> Result<Hasher, DigestError> {
        self.algorithm()
            .map(Hasher::new)
            .ok_or_else(|| DigestError::Unsupported(self.clone()))
    }

    /// Checks `bytes` against this digest.
    ///
    /// # Errors
    /// [`DigestError::Mismatch`] or [`DigestError::Unsupported`].
    pub fn verify(&self, bytes: &[u8]) -> Result<(), DigestError> {
        let mut hasher = self.hasher()?;
        hasher.update(bytes);
        hasher.expect(self)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(s: &str) -> Result<Self, DigestError> {
        // What nearly all are. A list of images reads thousands.
        if s.strip_prefix("sha256:").is_some_and(is_sha256_hex) {
            return Ok(Self(s.to_owned()));
        }
        let malformed = || DigestError::Malformed(s.chars().take(200).collect());
        let (algorithm, encoded) = s.split_once(':').ok_or_else(malformed)?;
        let component = |c: &str| {
            !c.is_empty()
                && c.bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        };
        let well_formed = algorithm.split(['+', '.', '_', '-']).all(component)
            && !encoded.is_empty()
            && encoded
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"=_-".contains(&b));
        if !well_formed {
            return Err(malformed());
        }
        if let Some(known) = Algorithm::by_name(algorithm) {
            let digest = || s.chars().take(200).collect();
            let (want, actual) = (known.hex_len(), encoded.len());
            if actual != want {
                let algorithm = known.name();
                return Err(DigestError::Length {
                    digest: digest(),
                    algorithm,
                    want,
                    actual,
                });
            }
            if !encoded
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
            {
                return Err(DigestError::Encoded {
                    digest: digest(),
                    algorithm: known.name(),
                });
            }
        }
        Ok(Self(s.to_owned()))
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;

    fn try_from(s: String) -> Result<Self, DigestError> {
        s.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! digest_of {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Digest);

        impl $name {
            /// The digest itself.
            #[must_use]
            pub fn digest(&self) -> &Digest {
                &self.0
            }

            /// The hex part.
            #[must_use]
            pub fn hex(&self) -> &str {
                self.0.encoded()
            }
        }

        impl From<Digest> for $name {
            fn from(digest: Digest) -> Self {
                Self(digest)
            }
        }

        impl FromStr for $name {
            type Err = DigestError;

            fn from_str(s: &str) -> Result<Self, DigestError> {
                s.parse().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

digest_of! {
    /// The digest of a layer's uncompressed tar.
    DiffId
}
digest_of! {
    /// The digest that names a stack of layers: see [`ChainId::of`].
    ChainId
}
digest_of! {
    /// The digest of an image's config.
    ImageId
}

impl ChainId {
    /// The ChainID of layers, base first: the DiffID itself for one layer, and
    /// `sha256(ChainID(below) + " " + DiffID(top))` for more. `None` for no layer.
    #[must_use]
    pub fn of(layers: &[DiffId]) -> Option<Self> {
        let (first, rest) = layers.split_first()?;
        let chain = rest.iter().fold(first.0.clone(), |below, top| {
            Digest::of(format!("{below} {top}").as_bytes())
        });
        Some(Self(chain))
    }
}

/// A running hash.
#[derive(Clone)]
pub struct Hasher(State);

#[derive(Clone)]
enum State {
    Sha256(Sha256),
    Sha384(Sha384),
    Sha512(Sha512),
}

impl Hasher {
    /// Starts a hash.
    #[must_use]
    pub fn new(algorithm: Algorithm) -> Self {
        Self(match algorithm {
            Algorithm::Sha256 => State::Sha256(Sha256::new()),
            Algorithm::Sha384 => State::Sha384(Sha384::new()),
            Algorithm::Sha512 => State::Sha512(Sha512::new()),
        })
    }

    /// Takes more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Sha256(hash) => hash.update(bytes),
            State::Sha384(hash) => hash.update(bytes),
            State::Sha512(hash) => hash.update(bytes),
        }
    }

    /// The digest of all bytes taken.
    #[must_use]
    pub fn finish(self) -> Digest {
        Digest(match self.0 {
            State::Sha256(hash) => format!("sha256:{}", hex(&hash.finalize())),
            State::Sha384(hash) => format!("sha384:{}", hex(&hash.finalize())),
            State::Sha512(hash) => format!("sha512:{}", hex(&hash.finalize())),
        })
    }

    /// The state, to go on from elsewhere: [`Self::resume`] reads it. It lets whoever has it go on with
    /// the hash, and holds up to a block of the bytes themselves.
    #[must_use]
    pub fn save(&self) -> Vec<u8> {
        match &self.0 {
            State::Sha256(hash) => hash.serialize().to_vec(),
            State::Sha384(hash) => hash.serialize().to_vec(),
            State::Sha512(hash) => hash.serialize().to_vec(),
        }
    }

    /// Goes on from a state of the same algorithm; none if it is not one.
    #[must_use]
    pub fn resume(algorithm: Algorithm, state: &[u8]) -> Option<Self> {
        fn of<H: SerializableState>(state: &[u8]) -> Option<H> {
            H::deserialize(&SerializedState::<H>::try_from(state).ok()?).ok()
        }
        Some(Self(match algorithm {
            Algorithm::Sha256 => State::Sha256(of(state)?),
            Algorithm::Sha384 => State::Sha384(of(state)?),
            Algorithm::Sha512 => State::Sha512(of(state)?),
        }))
    }

    /// Ends the hash and compares.
    ///
    /// # Errors
    /// [`DigestError::Mismatch`].
    pub fn expect(self, expected: &Digest) -> Result<(), DigestError> {
        let actual = self.finish();
        if actual == *expected {
            Ok(())
        } else {
            Err(DigestError::Mismatch {
                expected: expected.clone(),
                actual,
            })
        }
    }
}

impl Default for Hasher {
    fn default() -> Self {
        Self::new(Algorithm::Sha256)
    }
}

impl Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A reader that yields at most `size_bytes` and ends well only if the bytes are what `digest`
/// says: reading past the end, too few bytes, or another digest is an [`io::Error`] of kind
/// `InvalidData` that holds the [`DigestError`].
pub struct VerifyingReader<R> {
    inner: R,
    digest: Digest,
    size_bytes: u64,
    seen_bytes: u64,
    hasher: Option<Hasher>,
}

impl<R: Read> VerifyingReader<R> {
    /// Wraps `inner`, whose content must be `size_bytes` long and have `digest`.
    ///
    /// # Errors
    /// [`DigestError::Unsupported`].
    pub fn new(inner: R, digest: Digest, size_bytes: u64) -> Result<Self, DigestError> {
        let hasher = Some(digest.hasher()?);
        Ok(Self {
            inner,
            digest,
            size_bytes,
            seen_bytes: 0,
            hasher,
        })
    }

    fn wrong_size(&self) -> io::Error {
        io::Error::new(
            io::ErrorKind::InvalidData,
            DigestError::Size {
                digest: self.digest.clone(),
                expected_bytes: self.size_bytes,
                actual_bytes: self.seen_bytes,
            },
        )
    }
}

impl<R: Read> Read for VerifyingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let count = self.inner.read(buffer)?;
        self.seen_bytes += count as u64;
        if self.seen_bytes > self.size_bytes || (count == 0 && self.seen_bytes < self.size_bytes) {
            return Err(self.wrong_size());
        }
        if count > 0 {
            if let Some(hasher) = &mut self.hasher {
                hasher.update(&buffer[..count]);
            }
        } else if let Some(hasher) = self.hasher.take() {
            hasher
                .expect(&self.digest)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        }
        Ok(count)
    }
}

/// Whether `text` is 64 lowercase hex digits.
pub(crate) fn is_sha256_hex(text: &str) -> bool {
    let is_hex = |byte: u8| byte.is_ascii_digit() | (b'a'..=b'f').contains(&byte);
    // All are looked at, so that it is done for many at once.
    text.len() == 64 && text.bytes().fold(true, |all, byte| all & is_hex(byte))
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]])
        .map(char::from)
        .collect()
}

#[cfg(test)]
mod tests;

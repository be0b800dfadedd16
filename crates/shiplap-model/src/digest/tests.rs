#![allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]

use proptest::prelude::*;

use super::*;

const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn hashes_what_everybody_hashes() {
    assert_eq!(Digest::of(b"").as_str(), EMPTY);
    let mut hasher = Hasher::new(Algorithm::Sha512);
    hasher.update(b"abc");
    let digest = hasher.finish();
    assert!(
        digest
            .as_str()
            .starts_with("sha512:ddaf35a193617abacc417349ae204131")
    );
    assert_eq!(digest.verify(b"abc"), Ok(()));
    assert!(matches!(
        digest.verify(b"abd"),
        Err(DigestError::Mismatch { .. })
    ));
    let unknown: Digest = "md5:d41d8cd98f00b204e9800998ecf8427e".parse().unwrap();
    assert!(matches!(
        unknown.verify(b""),
        Err(DigestError::Unsupported(_))
    ));
}

#[test]
fn chains_as_the_specification_says() {
    let layer = |content: &[u8]| DiffId::from(Digest::of(content));
    let (a, b, c) = (layer(b"a"), layer(b"b"), layer(b"c"));
    assert_eq!(ChainId::of(&[]), None);
    assert_eq!(
        ChainId::of(std::slice::from_ref(&a)).unwrap().digest(),
        a.digest()
    );
    let two = Digest::of(format!("{a} {b}").as_bytes());
    let three = Digest::of(format!("{two} {c}").as_bytes());
    assert_eq!(ChainId::of(&[a, b, c]).unwrap().digest(), &three);
}

#[test]
fn a_verifying_reader_yields_only_the_right_bytes() {
    fn read(content: &[u8], digest: Digest, size_bytes: u64) -> Result<Vec<u8>, DigestError> {
        let mut bytes = Vec::new();
        let mut reader = VerifyingReader::new(content, digest, size_bytes)?;
        match reader.read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(error) => Err(error
                .into_inner()
                .unwrap()
                .downcast_ref::<DigestError>()
                .unwrap()
                .clone()),
        }
    }
    let digest = Digest::of(b"content");
    assert_eq!(read(b"content", digest.clone(), 7).unwrap(), b"content");
    assert!(matches!(
        read(b"contenu", digest.clone(), 7),
        Err(DigestError::Mismatch { .. })
    ));
    assert!(matches!(
        read(b"content", digest.clone(), 8),
        Err(DigestError::Size {
            actual_bytes: 7,
            ..
        })
    ));
    assert!(matches!(
        read(b"content+", digest, 7),
        Err(DigestError::Size { .. })
    ));
}

#[test]
fn a_hash_goes_on_from_its_state() {
    let content: Vec<u8> = (0..1000_u32).map(|n| (n * n) as u8).collect();
    for algorithm in [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512] {
        let mut whole = Hasher::new(algorithm);
        whole.update(&content);
        let wanted = whole.finish();
        for cut in [0, 1, 63, 64, 65, 127, 128, 999, 1000] {
            let mut first = Hasher::new(algorithm);
            first.update(&content[..cut]);
            let mut second = Hasher::resume(algorithm, &first.save()).unwrap();
            second.update(&content[cut..]);
            assert_eq!(second.finish(), wanted, "{algorithm:?} cut at {cut}");
        }
        for state in [&b""[..], &[0; 7], &[255; 1000]] {
            assert!(Hasher::resume(algorithm, state).is_none(), "{state:?}");
        }
    }
}

proptest! {
    #[test]
    fn reads_back_what_it_takes(text in ".{0,100}|[a-z0-9+._-]{1,10}:[a-zA-Z0-9=_-]{1,80}") {
        if let Ok(digest) = text.parse::<Digest>() {
            prop_assert_eq!(digest.to_string(), text.clone());
            prop_assert_eq!(format!("{}:{}", digest.algorithm_name(), digest.encoded()), text);
        }
    }
}

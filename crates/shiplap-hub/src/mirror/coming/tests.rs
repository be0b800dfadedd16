#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use axum::body::to_bytes;

use super::*;

/// A storage that has the whole, and counts how often it was asked.
fn storage(whole: &'static [u8]) -> Rest {
    Box::new(move |from| {
        let from = usize::try_from(from).unwrap();
        Box::pin(std::future::ready(Ok(Body::from(&whole[from..]))))
    })
}

fn nothing() -> Rest {
    Box::new(|_| {
        Box::pin(std::future::ready(Err(Refusal::Upstream {
            message: "nobody should ask".to_owned(),
        })))
    })
}

async fn frame(body: &mut Body) -> Option<Bytes> {
    body.frame()
        .await
        .map(|frame| frame.unwrap().into_data().unwrap())
}

#[tokio::test]
async fn what_comes_is_passed_on_but_for_the_last_byte() {
    let coming = Arc::new(Coming::new());
    coming.begun(6);
    assert_eq!(coming.length().await.unwrap(), Some(6));
    let mut body = coming.follow(6, nothing());
    coming.push(Bytes::from_static(b"abc"));
    assert_eq!(frame(&mut body).await.unwrap(), "abc");
    coming.push(Bytes::from_static(b"def"));
    assert_eq!(frame(&mut body).await.unwrap(), "de");
    let mut last = Box::pin(frame(&mut body));
    let early = std::future::poll_fn(|context| Poll::Ready(last.as_mut().poll(context))).await;
    assert!(early.is_pending(), "the last byte went before the proof");
    coming.end(Ok(()));
    assert_eq!(last.await.unwrap(), "f");
    assert_eq!(frame(&mut body).await, None);
    // Who comes after it finds it in the window still.
    let late = to_bytes(coming.follow(6, nothing()), 10).await.unwrap();
    assert_eq!(late, "abcdef");
}

#[tokio::test]
async fn what_is_wrong_never_ends_well() {
    let coming = Arc::new(Coming::new());
    coming.begun(3);
    let body = coming.follow(3, nothing());
    coming.push(Bytes::from_static(b"abc"));
    coming.end(Err(Arc::new(Refusal::Upstream {
        message: "not what its digest says".to_owned(),
    })));
    assert!(to_bytes(body, 10).await.is_err());
    assert!(coming.ended().await.is_err());
    assert!(coming.length().await.is_err());
}

#[tokio::test]
async fn who_is_slow_gets_the_rest_from_the_storage() {
    const WHOLE: &[u8] = &[7; WINDOW + 100];
    let coming = Arc::new(Coming::new());
    coming.begun(WHOLE.len() as u64);
    let mut body = coming.follow(WHOLE.len() as u64, storage(WHOLE));
    coming.push(Bytes::from_static(&WHOLE[..50]));
    assert_eq!(frame(&mut body).await.unwrap().len(), 50);
    for piece in WHOLE[50..].chunks(1 << 20) {
        coming.push(Bytes::from_static(piece));
    }
    coming.end(Ok(()));
    let rest = to_bytes(body, WHOLE.len()).await.unwrap();
    assert_eq!(rest.len(), WHOLE.len() - 50);
}

#[tokio::test]
async fn nothing_is_followed_to_its_end() {
    let coming = Arc::new(Coming::new());
    coming.begun(0);
    let body = coming.follow(0, nothing());
    coming.end(Ok(()));
    assert!(to_bytes(body, 10).await.unwrap().is_empty());
}

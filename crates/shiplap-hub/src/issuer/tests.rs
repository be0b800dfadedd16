#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;

fn bearer() -> Bearer {
    Bearer {
        user: Some(7),
        level: Level::Write,
        grants: Some(vec![Grant {
            repository: "team/app".to_owned(),
            actions: vec!["pull".to_owned(), "push".to_owned()],
        }]),
    }
}

fn now() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_second()).unwrap()
}

#[test]
fn a_token_means_what_it_was_made_for() {
    let issuer = Issuer::of(b"a key");
    for bearer in [
        bearer(),
        Bearer {
            user: None,
            level: Level::Public,
            grants: Some(Vec::new()),
        },
        Bearer {
            grants: None,
            ..bearer()
        },
    ] {
        let token = issuer.issue(&bearer, now(), 60).unwrap();
        assert_eq!(issuer.read(&token), Some(bearer));
    }
}

#[test]
fn bad_tokens_mean_nothing() {
    let issuer = Issuer::of(b"a key");
    let good = issuer.issue(&bearer(), now(), 60).unwrap();
    let parts: Vec<&str> = good.split('.').collect();
    let [header, claims, signature] = parts[..] else {
        unreachable!("because a token has three parts");
    };
    let claimed = String::from_utf8(URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    let raised = URL_SAFE_NO_PAD.encode(claimed.replace("\"write\"", "\"admin\""));
    let unsigned = URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"none"}"#);
    let other_algorithm = URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"HS512"}"#);
    let check = |token: String| assert_eq!(issuer.read(&token), None, "{token}");
    check(format!("{header}.{raised}.{signature}"));
    check(format!("{unsigned}.{claims}."));
    check(format!("{unsigned}.{raised}.{signature}"));
    check(format!("{other_algorithm}.{claims}.{signature}"));
    check(format!("{header}.{claims}."));
    check(format!("{header}.{claims}"));
    check(String::new());
    check("a.b.c".to_owned());
    check(Issuer::of(b"another").issue(&bearer(), now(), 60).unwrap());
    check(issuer.issue(&bearer(), now() - 61, 60).unwrap());
}

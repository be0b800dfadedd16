#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use super::*;

#[test]
fn passwords_are_known_by_their_hashes() {
    let kept = hash("correct horse").unwrap();
    assert!(kept.starts_with("$argon2id$"), "{kept}");
    assert!(is_known(&kept) && is_right("correct horse", &kept));
    assert!(!is_right("correct hors", &kept) && !is_right("", &kept));
    assert_ne!(kept, hash("correct horse").unwrap());
    // As `htpasswd -B` writes it.
    let bcrypt = "$2b$04$Uo21IxhafXUeKE2ql0jkfum52xlfVK.A1rwXK3NZrNJlEbCNuwiu2";
    assert!(is_known(bcrypt) && is_right("lap-secret", bcrypt));
    assert!(!is_right("lap-secre", bcrypt));
    for strange in ["", "secret", "$apr1$x$y", "$2b$", "$argon2id$", "{SHA}x"] {
        assert!(
            !is_known(strange) && !is_right("secret", strange),
            "{strange}"
        );
    }
}

#[test]
fn bad_passwords_are_not_taken() {
    assert!(matches!(hash("short"), Err(PasswordError::Short { .. })));
    let long = "x".repeat(limits::PASSWORD_BYTES + 1);
    assert!(matches!(hash(&long), Err(PasswordError::Long { .. })));
}

#[tokio::test]
async fn a_good_password_is_believed_until_it_changes() {
    let checker = Checker::new().unwrap();
    let (old, new) = (
        hash("correct horse").unwrap(),
        hash("battery staple").unwrap(),
    );
    for _ in 0..2 {
        assert_eq!(
            checker.check("correct horse", Some(&old)).await,
            Checked::Right
        );
    }
    assert_eq!(
        checker.check("correct horse", Some(&new)).await,
        Checked::Wrong
    );
    assert_eq!(checker.check("correct horse", None).await, Checked::Wrong);
    assert_eq!(checker.check("", Some(&old)).await, Checked::Wrong);
}

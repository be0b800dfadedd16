#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use super::*;

#[test]
fn addresses_are_told_by_urls_and_never_show_who_asks() {
    let check = |text: &str, wanted: &str| {
        let address = Address::parse(text, Some("hidden")).unwrap();
        assert_eq!(address.place(), wanted, "{text}");
        let shown = format!("{address:?}");
        assert!(
            !shown.contains("hidden") && !shown.contains("user"),
            "{shown}"
        );
    };
    check("postgres://user@host/db", "postgres://host:5432/db");
    check("postgresql://user:hidden@host:1/db", "postgres://host:1/db");
    check(
        "postgres://user@host/db?sslmode=require",
        "postgres://host:5432/db",
    );
    check(
        "postgres://user@%2Frun%2Fpostgresql/db?sslmode=disable",
        "postgres:///run/postgresql/db",
    );
}

#[test]
fn what_is_no_address_is_told() {
    let check = |text: &str, wanted: AddressError| {
        assert_eq!(Address::parse(text, None).err(), Some(wanted), "{text}");
    };
    check("sqlite://x", AddressError::Scheme);
    check("postgres://host", AddressError::Nameless);
    check(
        "postgres://host/db?sslmode=allow",
        AddressError::Mode("allow".to_owned()),
    );
    let form = Address::parse("postgres://host:x/db", None);
    assert!(matches!(form, Err(AddressError::Form(_))));
}

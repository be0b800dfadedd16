//! Waits.

use reqwest::header::HeaderValue;

use super::*;

#[test]
fn retry_after_in_both_forms() {
    let in_an_hour = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(3600));
    for (value, want) in [
        ("0", Some(0..=0)),
        (" 120 ", Some(120..=120)),
        ("Wed, 21 Oct 2015 07:28:00 GMT", Some(0..=0)),
        (in_an_hour.as_str(), Some(3590..=3600)),
        ("-1", None),
        ("soon", None),
        ("99999999999999999999999", None),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_str(value).unwrap());
        let got = retry_after(&headers);
        match want {
            Some(range) => assert!(range.contains(&got.unwrap().as_secs()), "{value}: {got:?}"),
            None => assert_eq!(got, None, "{value}"),
        }
    }
    assert_eq!(retry_after(&HeaderMap::new()), None);
}

#[test]
fn backoff_doubles_up_to_its_bound() {
    let patience = Patience {
        backoff: Duration::from_millis(100),
        backoff_max: Duration::from_millis(500),
        ..Patience::default()
    };
    for (attempt, most) in [
        (0, 100),
        (1, 200),
        (2, 400),
        (3, 500),
        (40, 500),
        (u32::MAX, 500),
    ] {
        let most = Duration::from_millis(most);
        let wait = backoff(&patience, attempt);
        assert!(wait >= most / 2 && wait <= most, "{attempt}: {wait:?}");
    }
}

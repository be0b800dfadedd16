#![allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]

use proptest::prelude::*;

use super::*;

#[test]
fn reads_sizes() {
    fn check(text: &str, decimal: Option<u64>, binary: Option<u64>) {
        assert_eq!(
            parse_size(text, SizeBase::Decimal).ok(),
            decimal,
            "{text:?}"
        );
        assert_eq!(parse_size(text, SizeBase::Binary).ok(), binary, "{text:?}");
    }
    let all = |bytes| (Some(bytes), Some(bytes));
    for text in ["32", "32b", "32B", "32 b", "32ib", "32.3"] {
        let (decimal, binary) = all(32);
        check(text, decimal, binary);
    }
    for text in ["32k", "32K", "32kb", "32KB", "32Kib", "32 KiB"] {
        check(text, Some(32_000), Some(32_768));
    }
    check("32.5kB", Some(32_500), Some(33_280));
    // Go multiplies binary fractions, too.
    check("32.3 mb", Some(32_299_999), Some(33_869_004));
    check("1.5GB", Some(1_500_000_000), Some(1_610_612_736));
    check("32tb", Some(32_000_000_000_000), Some(35_184_372_088_832));
    check(
        "32P",
        Some(32_000_000_000_000_000),
        Some(36_028_797_018_963_968),
    );
    check("0", Some(0), Some(0));
    for text in [
        "", "hello", "-32", ".3kB", " 32 ", "32m b", "32bm", "32.", "1..2", "1.2.3", "+1", "1e3",
        "32  k", "32kk", "32bb", "k", "10000p", "32é",
    ] {
        check(text, None, None);
    }
    check(&"9".repeat(400), None, None);
}

#[test]
fn writes_sizes() {
    fn check(bytes: u64, four: &str, three: &str, binary: &str) {
        assert_eq!(human_size(bytes), four);
        assert_eq!(human_size_with_digits(bytes, 3), three);
        assert_eq!(binary_size(bytes), binary);
    }
    check(0, "0B", "0B", "0B");
    check(1, "1B", "1B", "1B");
    check(999, "999B", "999B", "999B");
    check(1000, "1kB", "1kB", "1000B");
    check(1024, "1.024kB", "1.02kB", "1KiB");
    check(72_800_000, "72.8MB", "72.8MB", "69.43MiB");
    check(1_021_000_000, "1.021GB", "1.02GB", "973.7MiB");
    check(999_999, "1000kB", "1e+03kB", "976.6KiB");
    check(999_949, "999.9kB", "1e+03kB", "976.5KiB");
    check(1_048_576, "1.049MB", "1.05MB", "1MiB");
    check(3_420_000_000_000_000, "3.42PB", "3.42PB", "3.038PiB");
    check(u64::MAX, "18.45EB", "18.4EB", "16EiB");
}

#[test]
fn writes_durations() {
    fn check(seconds: u64, wanted: &str) {
        assert_eq!(
            human_duration(Duration::from_secs(seconds)),
            wanted,
            "{seconds} s"
        );
    }
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    assert_eq!(
        human_duration(Duration::from_millis(450)),
        "Less than a second"
    );
    check(1, "1 second");
    check(45, "45 seconds");
    check(59, "59 seconds");
    check(60, "About a minute");
    check(119, "About a minute");
    check(3 * MINUTE + 40, "3 minutes");
    check(40 * MINUTE, "40 minutes");
    check(59 * MINUTE + 59, "59 minutes");
    check(HOUR, "About an hour");
    check(HOUR + 29 * MINUTE, "About an hour");
    check(HOUR + 31 * MINUTE, "2 hours");
    check(3 * HOUR + 29 * MINUTE, "3 hours");
    check(47 * HOUR, "47 hours");
    check(48 * HOUR, "2 days");
    check(13 * DAY, "13 days");
    check(14 * DAY, "2 weeks");
    check(20 * DAY, "2 weeks");
    check(59 * DAY, "8 weeks");
    check(60 * DAY, "2 months");
    check(729 * DAY, "24 months");
    check(730 * DAY, "2 years");
    check(200 * 365 * DAY, "200 years");
    assert_eq!(human_duration(Duration::MAX), "584942417355 years");
}

#[test]
fn reads_durations() {
    fn check(text: &str, nanoseconds: Option<i64>) {
        assert_eq!(parse_duration(text).ok(), nanoseconds, "{text:?}");
    }
    // Go's own cases (time/time_test.go), as facts.
    const S: i64 = 1_000_000_000;
    check("0", Some(0));
    check("-0", Some(0));
    check("5s", Some(5 * S));
    check("-5s", Some(-5 * S));
    check("+5s", Some(5 * S));
    check("5.s", Some(5 * S));
    check(".5s", Some(S / 2));
    check("1.004s", Some(1_004_000_000));
    check("10ns", Some(10));
    check("12µs", Some(12_000));
    check("12μs", Some(12_000));
    check("13ms", Some(13_000_000));
    check("3h30m", Some(12_600 * S));
    check("39h9m14.425s", Some(140_954_425_000_000));
    check("0.9007199254740991s", Some(900_719_925));
    check("0.100000000000000000000h", Some(360 * S));
    check("9223372036854775807ns", Some(i64::MAX));
    check("-9223372036854775808ns", Some(i64::MIN));
    for text in [
        "",
        "3",
        "-",
        "s",
        ".",
        "-.",
        ".s",
        "1d",
        "5x",
        "1.1.1s",
        "+-1s",
        "9223372036854775808ns",
        "3000000h",
    ] {
        check(text, None);
    }
}

proptest! {
    #[test]
    fn never_panics(text in ".{0,60}|[0-9.hmsnuµkKiBb +-]{0,60}", bytes: u64, digits in 0_usize..30) {
        let _ = parse_size(&text, SizeBase::Decimal);
        let _ = parse_duration(&text);
        let _ = human_size_with_digits(bytes, digits);
    }

    #[test]
    fn a_size_reads_back_nearly(bytes in 0_u64..1 << 62) {
        let read = parse_size(&human_size(bytes), SizeBase::Decimal);
        if bytes < 1_000_000_000_000_000_000 {
            let read = read.unwrap();
            prop_assert!(read.abs_diff(bytes) <= bytes / 1000, "{} {}", bytes, read);
        }
    }
}

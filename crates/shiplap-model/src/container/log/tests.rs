#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use super::*;

#[test]
fn options_come_to_bounds() {
    let check = |options: &[&str], want: Result<(u64, u32), &str>| {
        let given: Vec<String> = options.iter().map(|option| (*option).into()).collect();
        let found = LogOptions::new(LogDriver::JsonFile, &given);
        let found = found.map(|log| (log.max_file_bytes, log.max_files));
        assert_eq!(found.map_err(|e| e.to_string()), want.map_err(Into::into));
    };
    check(&[], Ok((FILE_BYTES, FILES)));
    check(&["max-size=10m"], Ok((10_000_000, 1)));
    check(&["max-size=10k", "max-file=3"], Ok((10_000, 3)));
    check(&["max-file=3", "max-size=10k"], Ok((10_000, 3)));
    check(&["max-file=5"], Ok((FILE_BYTES, 5)));
    check(&["max-size=-1"], Ok((0, 1)));
    let size = |text| format!("invalid log opt 'max-size={text}': want a size as 10m, or -1");
    check(&["max-size=0"], Err(&size("0")));
    check(&["max-size=x"], Err(&size("x")));
    let files = "invalid log opt 'max-file=0': want a number of at least 1";
    check(&["max-file=0"], Err(files));
    let tag = "unknown log opt 'tag'; there are 'max-size' and 'max-file'";
    check(&["tag=x"], Err(tag));
    check(&["tag"], Err("invalid log option 'tag': want NAME=VALUE"));
}

#[test]
fn drivers_have_words() {
    assert_eq!(parse_driver("").unwrap(), LogDriver::JsonFile);
    for driver in [LogDriver::JsonFile, LogDriver::None] {
        assert_eq!(parse_driver(driver.word()).unwrap(), driver);
        let json = serde_json::to_value(driver).unwrap();
        assert_eq!(json, driver.word());
    }
    let error = parse_driver("syslog").unwrap_err().to_string();
    assert_eq!(
        error,
        "unknown log driver 'syslog'; there are 'json-file' and 'none'"
    );
}

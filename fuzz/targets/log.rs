//! Logs of containers, cut and tampered with: what is no entry is passed over, and an entry is
//! written as a line that reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shiplap_run::log::read_entry;

fuzz_target!(|bytes: &[u8]| {
    let mut rest = bytes;
    while let Ok(Some(entry)) = read_entry(&mut rest, &mut Vec::new()) {
        let mut line = serde_json::to_vec(&entry).expect("because its keys are text");
        assert!(!line.contains(&b'\n'));
        line.push(b'\n');
        let again = read_entry(&mut line.as_slice(), &mut Vec::new());
        assert_eq!(again.expect("because memory is read"), Some(entry));
    }
});

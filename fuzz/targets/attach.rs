//! What supervisor and attached say to each other: every stream ends, and a message that was read
//! is sent as one that reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shiplap_run::attach::Message;

fuzz_target!(|bytes: &[u8]| {
    let mut rest = bytes;
    while let Ok(Some(message)) = Message::read(&mut rest) {
        let mut sent = Vec::new();
        message.write(&mut sent).expect("because memory takes it");
        // Text that was no UTF-8 is replaced, and so may outgrow what a message holds.
        if let Ok(again) = Message::read(&mut sent.as_slice()) {
            assert_eq!(again, Some(message));
        }
    }
});

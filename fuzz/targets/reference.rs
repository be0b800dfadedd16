//! Names from the command line, from archives and from configuration: what parses is shown again
//! as something that parses to the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shiplap_model::Reference;

fuzz_target!(|text: &str| {
    if let Ok(reference) = Reference::parse(text) {
        for shown in [reference.to_string(), reference.familiar()] {
            assert_eq!(
                Reference::parse(&shown).as_ref(),
                Ok(&reference),
                "{shown:?}"
            );
        }
    }
});

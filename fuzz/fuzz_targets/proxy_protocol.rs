//! The PROXY protocol, versions 1 and 2.

#![no_main]

use access::proxy_protocol::{Parse, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    match parse(data) {
        Ok(Parse::Done { consumed, .. }) => {
            assert!(consumed > 0 && consumed <= data.len());
            // What follows the header never changes how it is read.
            let alone = data.get(..consumed).unwrap_or_default();
            assert!(
                matches!(parse(alone), Ok(Parse::Done { consumed: again, .. }) if again == consumed)
            );
            for cut in 0..consumed {
                let part = data.get(..cut).unwrap_or_default();
                assert!(!matches!(parse(part), Ok(Parse::Done { .. })));
            }
        }
        Ok(Parse::Incomplete) => assert!(data.len() < 4096),
        Err(_) => {}
    }
});

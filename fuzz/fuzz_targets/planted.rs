//! What `make fuzz` has to notice, or its table says nothing: the fault that `FUZZ_PLANTED` names.
#![no_main]

use linkerd_failover_fuzz::{measured, planted};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    measured(|| planted(input));
});

#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    linkerd_failover_fuzz::run(linkerd_failover::fuzz::Target::Records, input);
});

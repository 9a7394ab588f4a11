#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| chipmill_store::fuzzing::shard_index(bytes));

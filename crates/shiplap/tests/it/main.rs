//! Every end-to-end test of the binary, in one test binary.

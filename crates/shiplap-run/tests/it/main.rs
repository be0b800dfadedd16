//! The OCI runtimes and podman as judges.

mod judge;

//! What lists of mounts say of control groups.

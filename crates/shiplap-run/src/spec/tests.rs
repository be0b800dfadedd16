//! What becomes of a container's facts.

//! The verbs on images: each module is one verb, an `Options` in and a `Report` out, with
//! progress told through [`progress::Progress`].
//!
//! Nothing here prints, reads the environment or exits: that is the face's. Nothing here knows
//! SQL, HTTP or EROFS: that is the floor's below.
#![forbid(unsafe_code)]

pub mod progress;

//! Reads gzip of any number of members into buffers of any size, checksums and lengths verified.
//! Zeros after the last member are padding (tapes, `dd`); anything else there is an error.

use std::io::{self, BufRead, Read};

use flate2::{Decompress, FlushDecompress, Status};

use super::{Format, trailing_data};

/// The largest window; a gzip header doesn't say what was used.
const WINDOW_BITS: u8 = 15;

pub(super) struct Gunzip<R> {
    inner: R,
    state: State,
}

enum State {
    First,
    Member(Box<Decompress>),
    BetweenMembers,
    Padding,
    End,
}

impl<R: BufRead> Gunzip<R> {
    pub(super) fn new(inner: R) -> Self {
        Self {
            inner,
            state: State::First,
        }
    }
}

impl<R: BufRead> Read for Gunzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let input = self.inner.fill_buf()?;
            match &mut self.state {
                State::End => return Ok(0),
                State::First => self.state = State::member(),
                State::BetweenMembers => {
                    self.state = match input.first() {
                        None => State::End,
                        Some(0) => State::Padding,
                        Some(0x1f) => State::member(),
                        Some(_) => return Err(trailing_data(Format::Gzip)),
                    }
                }
                State::Padding => {
                    if input.iter().any(|b| *b != 0) {
                        return Err(trailing_data(Format::Gzip));
                    }
                    let count = input.len();
                    self.inner.consume(count);
                    if count == 0 {
                        self.state = State::End;
                    }
                }
                State::Member(inflate) => {
                    let at_end = input.is_empty();
                    let (consumed, produced) = (inflate.total_in(), inflate.total_out());
                    let status = inflate.decompress(input, buffer, FlushDecompress::None)?;
                    let consumed = inflate.total_in() - consumed;
                    let produced = inflate.total_out() - produced;
                    if status == Status::StreamEnd {
                        self.state = State::BetweenMembers;
                    }
                    self.inner
                        .consume(usize::try_from(consumed).map_err(io::Error::other)?);
                    if produced > 0 {
                        return usize::try_from(produced).map_err(io::Error::other);
                    }
                    if at_end && status != Status::StreamEnd {
                        let reason = "gzip data ends within a member";
                        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, reason));
                    }
                    if consumed == 0 && status != Status::StreamEnd {
                        return Err(io::Error::new(
                            io::ErrorKind::InvalidData,
                            "gzip data makes no progress",
                        ));
                    }
                }
            }
        }
    }
}

impl State {
    fn member() -> Self {
        Self::Member(Box::new(Decompress::new_gzip(WINDOW_BITS)))
    }
}

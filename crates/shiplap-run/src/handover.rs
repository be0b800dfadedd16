//! A message with open files, over a Unix stream socket: eight bytes for the length (big-endian),
//! which the files come with, and so many bytes.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// Most files with one message.
const FILES: usize = 3;

/// Longest message that is read, in bytes: both sides are the same program, so more is a mistake.
const MESSAGE_BYTES: u64 = 64 << 20;

/// Sends a message and at most three open files.
///
/// # Errors
/// Of the system; `InvalidInput` for more files.
pub fn send(line: &mut UnixStream, message: &[u8], files: &[BorrowedFd<'_>]) -> io::Result<()> {
    let length = (message.len() as u64).to_be_bytes();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let rights = SendAncillaryMessage::ScmRights(files);
    if files.len() > FILES || (!files.is_empty() && !ancillary.push(rights)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let sent = sendmsg(
        &*line,
        &[IoSlice::new(&length)],
        &mut ancillary,
        SendFlags::NOSIGNAL,
    )?;
    line.write_all(&length[sent..])?;
    line.write_all(message)
}

/// Waits for a message; what it says and the files that came with it.
///
/// # Errors
/// Of the system; `UnexpectedEof` if the other side is gone, `InvalidData` for one too long.
pub fn receive(line: &mut UnixStream) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut length = [0; 8];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(
        &*line,
        &mut [IoSliceMut::new(&mut length)],
        &mut ancillary,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    if received.bytes == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut files = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(handed) = message {
            files.extend(handed);
        }
    }
    line.read_exact(&mut length[received.bytes..])?;
    let length = u64::from_be_bytes(length);
    if length > MESSAGE_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the message is too long",
        ));
    }
    let mut message = Vec::new();
    line.take(length).read_to_end(&mut message)?;
    if (message.len() as u64) < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok((message, files))
}

#[cfg(test)]
mod tests;

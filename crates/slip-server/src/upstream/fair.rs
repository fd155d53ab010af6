//! An upstream's connection that lets others have their turn, however fast the peer writes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Most bytes taken in one read: more would be parsed before anybody else on this worker is served.
const PIECE: usize = 64 * 1024;
/// Reads in a row that may bring something. hyper goes on reading by itself while a head is not complete or interim heads (1xx)
/// follow one another; an honest reply brings nothing long before.
const IN_A_ROW: u8 = 8;

pub struct Fair<T> {
    io: T,
    in_a_row: u8,
}

impl<T> Fair<T> {
    pub fn new(io: T) -> Fair<T> {
        Fair { io, in_a_row: 0 }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Fair<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.in_a_row >= IN_A_ROW {
            self.in_a_row = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let room = buf.remaining().min(PIECE);
        let mut piece = ReadBuf::new(buf.initialize_unfilled_to(room));
        let read = Pin::new(&mut self.io).poll_read(cx, &mut piece);
        let n = piece.filled().len();
        self.in_a_row = if read.is_pending() { 0 } else { self.in_a_row + 1 };
        ready!(read)?;
        buf.advance(n);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Fair<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::io::AsyncReadExt;

    #[tokio::test]
    async fn a_peer_that_never_pauses_is_made_to_wait_and_loses_nothing() {
        let sent: Vec<u8> = (0..PIECE * 20).map(|n| (n % 251) as u8).collect();
        let mut fair = Fair::new(&sent[..]);
        let mut got = Vec::new();
        fair.read_to_end(&mut got).await.expect("memory can be read");
        assert_eq!(got, sent);

        let mut endless = Fair::new(tokio::io::repeat(b'a'));
        let mut pauses = 0;
        for _ in 0..100 {
            let mut room = vec![0; 1024 * 1024];
            let mut buf = ReadBuf::new(&mut room);
            let read = poll_fn(|cx| Poll::Ready(Pin::new(&mut endless).poll_read(cx, &mut buf))).await;
            pauses += usize::from(read.is_pending());
            assert!(buf.filled().len() <= PIECE);
        }
        assert_eq!(pauses, 100 / (usize::from(IN_A_ROW) + 1));
    }
}

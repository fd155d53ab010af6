//! A cable between a store and its database that can be cut, plugged in again, or cut at the worst moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

pub struct Proxy {
    pub port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// Nobody is let through, and whoever was is cut off.
    cut: AtomicBool,
    /// So many commits reach the server whose answers do not come back.
    swallow: AtomicUsize,
    swallowed: AtomicUsize,
    over: Notify,
}

impl Proxy {
    /// On a thread of its own: a test may well block its own.
    pub fn to(server: String) -> Proxy {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a socket");
        listener.set_nonblocking(true).expect("a socket of tokio's");
        let port = listener.local_addr().expect("an address").port();
        let state = Arc::new(State::default());
        let shared = state.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).expect("a socket of tokio's");
                let accepting = async {
                    while let Ok((client, _)) = listener.accept().await {
                        if !shared.cut.load(Ordering::SeqCst) {
                            tokio::spawn(carry(client, server.clone(), shared.clone()));
                        }
                    }
                };
                tokio::select! {
                    () = accepting => {}
                    () = shared.over.notified() => {}
                }
            });
        });
        Proxy { port, state }
    }

    pub fn cut(&self) {
        self.state.cut.store(true, Ordering::SeqCst);
    }

    pub fn mend(&self) {
        self.state.cut.store(false, Ordering::SeqCst);
    }

    /// Cut the connection when the answer to the next commit of a batch comes, before it is passed on.
    pub fn swallow_commits(&self, count: usize) {
        self.state.swallow.store(count, Ordering::SeqCst);
    }

    pub fn swallowed(&self) -> usize {
        self.state.swallowed.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.over.notify_one();
    }
}

async fn carry(mut client: TcpStream, server: String, state: Arc<State>) {
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    let (mut up, mut down) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    let mut batch = false;
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let Ok(n @ 1..) = read else { return };
                let holds = |words: &[u8]| up[..n].windows(words.len()).any(|w| w == words);
                batch |= holds(b"INSERT INTO generations");
                if server.write_all(&up[..n]).await.is_err() {
                    return;
                }
            }
            read = server.read(&mut down) => {
                let Ok(n @ 1..) = read else { return };
                // The answer to a commit says so.
                if batch && down[..n].windows(7).any(|w| w == b"COMMIT\0") {
                    batch = false;
                    let take = state.swallow.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
                    if take.is_ok() {
                        state.swallowed.fetch_add(1, Ordering::SeqCst);
                        return;
                    }
                }
                if client.write_all(&down[..n]).await.is_err() {
                    return;
                }
            }
            () = tokio::time::sleep(Duration::from_millis(5)) => {}
        }
        if state.cut.load(Ordering::SeqCst) {
            return;
        }
    }
}

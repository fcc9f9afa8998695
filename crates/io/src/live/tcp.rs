//! PCAP-over-IP: captures that come by TCP, from those who connect or from those we connect to.
//!
//! There is no framing and nothing that says who sends: it is a capture, from its file header on. What is no
//! capture ends the connection; the service goes on.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::{self, sockopt};

use super::feed::Feed;
use super::input::{Packets, Shared, State, Stats, Stop};
use super::program::Selection;
use super::Error;

/// Senders at once; one more is turned away.
const MAX_CONNECTIONS: usize = 64;
/// Waiting before the next attempt, which doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long a connection may take to come about.
const PATIENCE: Duration = Duration::from_secs(10);
const FOREVER: Duration = Duration::from_secs(3600);

/// The way from a connection to the store.
#[derive(Clone)]
struct Way {
    selection: Arc<Selection>,
    sink: Arc<dyn Packets>,
    stats: Shared,
}

/// Waits for senders.
pub struct Listen {
    listener: TcpListener,
    way: Way,
}

/// Connects to a sender, and again when it is gone.
pub struct Connect {
    name: String,
    addresses: Vec<SocketAddr>,
    way: Way,
}

fn look_up(host: &str, port: u16) -> Result<Vec<SocketAddr>, Error> {
    let failed = |error| Error::System { what: format!("{host} port {port}"), hint: "", error };
    let found: Vec<SocketAddr> = (host, port).to_socket_addrs().map_err(failed)?.collect();
    if found.is_empty() {
        return Err(Error::Usage(format!("{host} has no address")));
    }
    Ok(found)
}

impl Listen {
    /// Listens from now on; port 0 is any that is free.
    pub fn open(
        host: &str,
        port: u16,
        selection: Arc<Selection>,
        sink: Arc<dyn Packets>,
    ) -> Result<(Self, u16), Error> {
        let failed =
            |error| Error::System { what: format!("listening on {host} port {port}"), hint: "", error };
        let listener = TcpListener::bind(&look_up(host, port)?[..]).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let stats = Shared::new(Stats::new(address.to_string(), "listen"));
        Ok((Self { listener, way: Way { selection, sink, stats } }, address.port()))
    }

    /// What is known of it.
    pub fn stats(&self) -> Shared {
        self.way.stats.clone()
    }

    /// Takes captures until it is stopped.
    pub fn run(self, stop: &Stop) {
        let stats = &self.way.stats;
        stats.state(State::Running);
        let ended = std::thread::scope(|scope| {
            let mut threads: Vec<std::thread::ScopedJoinHandle<'_, ()>> = Vec::new();
            while !stop.is_asked() {
                match self.listener.accept() {
                    Ok((stream, peer)) => {
                        threads.retain(|thread| !thread.is_finished());
                        if threads.len() >= MAX_CONNECTIONS {
                            stats.error(format!(
                                "{peer} was turned away: there are {MAX_CONNECTIONS} senders"
                            ));
                            continue;
                        }
                        let way = self.way.clone();
                        let started = std::thread::Builder::new().spawn_scoped(scope, move || {
                            if let Err(why) = receive(stream, peer, &way, stop) {
                                way.stats.error(why);
                            }
                        });
                        match started {
                            Ok(thread) => threads.push(thread),
                            Err(error) => stats.error(format!("{peer} was turned away: {error}")),
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        stop.wait(&[self.listener.as_fd()], false, FOREVER)?;
                    }
                    // The peer is gone already, or there are no descriptors: neither is for ever.
                    Err(error) => {
                        stats.error(format!("a connection could not be taken: {error}"));
                        stop.wait(&[], false, Duration::from_millis(100))?;
                    }
                }
            }
            Ok::<(), io::Error>(())
        });
        over(stats, ended);
    }
}

impl Connect {
    /// Looks the name up, once; the connection comes later.
    pub fn open(
        host: &str,
        port: u16,
        selection: Arc<Selection>,
        sink: Arc<dyn Packets>,
    ) -> Result<Self, Error> {
        let name = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let stats = Shared::new(Stats::new(name.clone(), "connect"));
        Ok(Self { name, addresses: look_up(host, port)?, way: Way { selection, sink, stats } })
    }

    /// What is known of it.
    pub fn stats(&self) -> Shared {
        self.way.stats.clone()
    }

    /// Takes captures until it is stopped.
    pub fn run(self, stop: &Stop) {
        let ended = self.connections(stop);
        over(&self.way.stats, ended);
    }

    fn connections(&self, stop: &Stop) -> io::Result<()> {
        let stats = &self.way.stats;
        let mut pause = FIRST_PAUSE;
        while !stop.is_asked() {
            stats.state(State::Waiting);
            let before = stats.lock().packets;
            match self.connect(stop) {
                Ok((stream, peer)) => {
                    stats.state(State::Running);
                    match receive(stream, peer, &self.way, stop) {
                        Ok(()) => {}
                        Err(why) => stats.error(why),
                    }
                }
                Err(error) => stats.error(format!("{}: not connected: {error}", self.name)),
            }
            if stop.is_asked() {
                break;
            }
            stats.state(State::Waiting);
            if stats.lock().packets > before {
                pause = FIRST_PAUSE;
            }
            stop.wait(&[], false, pause)?;
            pause = (2 * pause).min(LONGEST_PAUSE);
        }
        Ok(())
    }

    fn connect(&self, stop: &Stop) -> io::Result<(TcpStream, SocketAddr)> {
        let mut last = io::Error::from(io::ErrorKind::NotConnected);
        for address in &self.addresses {
            match connect(*address, stop) {
                Ok(stream) => return Ok((stream, *address)),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

fn over(stats: &Shared, ended: io::Result<()>) {
    match ended {
        Ok(()) => stats.state(State::Stopped),
        Err(error) => {
            stats.error(error.to_string());
            stats.state(State::Failed);
        }
    }
}

fn connect(address: SocketAddr, stop: &Stop) -> io::Result<TcpStream> {
    let family = if address.is_ipv4() { net::AddressFamily::INET } else { net::AddressFamily::INET6 };
    let flags = net::SocketFlags::CLOEXEC | net::SocketFlags::NONBLOCK;
    let socket = net::socket_with(family, net::SocketType::STREAM, flags, None)?;
    match net::connect(&socket, &address) {
        Ok(()) => {}
        Err(rustix::io::Errno::INPROGRESS) => {
            stop.wait(&[socket.as_fd()], true, PATIENCE)?;
            sockopt::socket_error(&socket)??;
        }
        Err(error) => return Err(error.into()),
    }
    let stream = TcpStream::from(socket);
    // Neither an error nor a peer: it has not come about yet.
    stream.peer_addr().map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?;
    Ok(stream)
}

/// Takes one capture, to its end.
fn receive(mut stream: TcpStream, peer: SocketAddr, way: &Way, stop: &Stop) -> Result<(), String> {
    let failed = |error: io::Error| format!("{peer}: {error}");
    stream.set_nonblocking(true).map_err(failed)?;
    // A sender that was switched off says nothing for ever.
    let _ = sockopt::set_socket_keepalive(&stream, true);
    let _ = sockopt::set_tcp_keepidle(&stream, Duration::from_secs(60));
    let _ = sockopt::set_tcp_keepintvl(&stream, Duration::from_secs(10));
    let _ = sockopt::set_tcp_keepcnt(&stream, 6);
    way.stats.lock().connections += 1;
    let mut feed =
        Feed::new(peer.ip().to_string(), way.selection.clone(), way.sink.clone(), way.stats.clone());
    while !stop.is_asked() {
        match feed.read(&mut stream) {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => return Ok(()),
            Ok(Err(why)) => return Err(format!("{peer}: {why}")),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                stop.wait(&[stream.as_fd()], false, FOREVER).map_err(failed)?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(())
}

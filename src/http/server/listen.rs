//! Where the server listens: addresses and Unix sockets.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use tokio::net::{TcpListener, TcpSocket, UnixListener, UnixStream};

use super::stream::Stream;

/// Who may connect to a Unix socket: its owner and its group.
const SOCKET_MODE: u32 = 0o660;

/// What the kernel may hold of an answer that its client has not taken, as it counts. Left to itself it
/// takes megabytes for each connection, so that a crowd costs gigabytes and some of it waits for seconds.
const SEND_BUFFER: u32 = 256 << 10;

/// As many connections as may wait to be accepted.
const BACKLOG: u32 = 1024;

/// Where to listen: `127.0.0.1:10048`, `[::1]:10048`, `localhost:10048`, `:10048` for all addresses
/// of the machine, or `unix:/run/vminsights.sock`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    Tcp(SocketAddr),
    Everywhere { port: u16 },
    Unix(PathBuf),
}

/// A text that is no [`Address`].
#[derive(Debug, thiserror::Error)]
#[error("must be ADDRESS:PORT, :PORT for all addresses, or unix:/PATH")]
pub struct AddressError;

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = Path::new(path);
            return path
                .is_absolute()
                .then(|| Self::Unix(path.into()))
                .ok_or(AddressError);
        }
        let port = |text: &str| text.parse::<u16>().map_err(|_| AddressError);
        if let Some(text) = text.strip_prefix(':') {
            return Ok(Self::Everywhere { port: port(text)? });
        }
        if let Some(text) = text.strip_prefix("localhost:") {
            return Ok(Self::Tcp((Ipv4Addr::LOCALHOST, port(text)?).into()));
        }
        text.parse().map(Self::Tcp).map_err(|_| AddressError)
    }
}

/// Why the server cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("address {0} is in use by another program; choose another with --web.listen-address")]
    InUse(Endpoint),
    #[error(
        "address {endpoint} is listed twice: this exporter listens on {held} already; list it once with --web.listen-address"
    )]
    Twice { endpoint: Endpoint, held: Endpoint },
    #[error("{} is there and is no socket; choose another path with --web.listen-address", .0.display())]
    NoSocket(PathBuf),
    #[error("cannot listen on {endpoint}")]
    Other {
        endpoint: Endpoint,
        #[source]
        source: io::Error,
    },
}

/// A place that is or would be listened on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Endpoint {
    /// Whether other machines may reach it.
    pub fn is_exposed(&self) -> bool {
        matches!(self, Self::Tcp(address) if !address.ip().is_loopback())
    }

    /// Whether nobody else can listen on `other` while this is listened on.
    pub fn holds(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tcp(this), Self::Tcp(other)) => {
                let all = this.ip().is_unspecified() || other.ip().is_unspecified();
                this.port() == other.port() && (all || this.ip() == other.ip())
            }
            _ => self == other,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A bound address.
pub struct Listener {
    socket: Socket,
    endpoint: Endpoint,
    /// Dropped with the listener.
    _file: Option<SocketFile>,
}

enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    pub async fn bind(address: &Address) -> Result<Self, BindError> {
        match address {
            Address::Tcp(address) => Self::tcp(*address),
            Address::Unix(path) => Self::unix(path).await,
            Address::Everywhere { port } => {
                // An IPv6 socket takes IPv4, too; a machine may have only the latter.
                match Self::tcp((Ipv6Addr::UNSPECIFIED, *port).into()) {
                    Err(BindError::Other { .. }) => {
                        Self::tcp((Ipv4Addr::UNSPECIFIED, *port).into())
                    }
                    bound => bound,
                }
            }
        }
    }

    fn tcp(address: SocketAddr) -> Result<Self, BindError> {
        let endpoint = Endpoint::Tcp(address);
        match listen(address).and_then(|listener| Ok((listener.local_addr()?, listener))) {
            Ok((address, listener)) => Ok(Self {
                socket: Socket::Tcp(listener),
                endpoint: Endpoint::Tcp(address),
                _file: None,
            }),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                Err(BindError::InUse(endpoint))
            }
            Err(source) => Err(BindError::Other { endpoint, source }),
        }
    }

    /// A socket file that a program left behind is replaced, if nobody answers on it.
    async fn unix(path: &Path) -> Result<Self, BindError> {
        let endpoint = Endpoint::Unix(path.into());
        let other = |source| BindError::Other {
            endpoint: endpoint.clone(),
            source,
        };
        match std::fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(other(error)),
            Ok(file) if !file.file_type().is_socket() => {
                return Err(BindError::NoSocket(path.into()));
            }
            Ok(_) => match UnixStream::connect(path).await {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    std::fs::remove_file(path).map_err(other)?;
                }
                Err(error) => return Err(other(error)),
                Ok(_) => return Err(BindError::InUse(endpoint)),
            },
        }
        let listener = UnixListener::bind(path).map_err(other)?;
        let file = SocketFile::of(path).map_err(other)?;
        let mode = std::fs::Permissions::from_mode(SOCKET_MODE);
        std::fs::set_permissions(path, mode).map_err(other)?;
        Ok(Self {
            socket: Socket::Unix(listener),
            endpoint,
            _file: Some(file),
        })
    }

    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// A connection, and the address of its other end; a Unix socket's has none.
    pub async fn accept(&self) -> io::Result<(Box<dyn Stream>, Option<IpAddr>)> {
        match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                // An answer's last piece shall not wait for the client's acknowledgement. If the
                // client is gone already, that shows with the first read.
                let _ = stream.set_nodelay(true);
                Ok((Box::new(stream), Some(peer.ip())))
            }
            Socket::Unix(listener) => Ok((Box::new(listener.accept().await?.0), None)),
        }
    }
}

/// As `TcpListener::bind`, with a bounded send buffer that accepted connections inherit.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Removes the socket's file at the end, unless another program's is there by then.
struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.into(),
            identity: Self::identity(path)?,
        })
    }

    fn identity(path: &Path) -> io::Result<(u64, u64)> {
        let file = std::fs::symlink_metadata(path)?;
        Ok((file.dev(), file.ino()))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if Self::identity(&self.path).is_ok_and(|now| now == self.identity) {
            // It is there, and a folder that we may no longer write to is not worth a word.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_exporters_take_them() {
        let read = |text: &str| text.parse::<Address>().ok();
        let tcp = |text: &str| Some(Address::Tcp(text.parse().unwrap()));
        assert_eq!(read("127.0.0.1:10048"), tcp("127.0.0.1:10048"));
        assert_eq!(read("[::1]:0"), tcp("[::1]:0"));
        assert_eq!(read("localhost:9100"), tcp("127.0.0.1:9100"));
        assert_eq!(read(":10048"), Some(Address::Everywhere { port: 10048 }));
        let unix = Address::Unix("/run/x.sock".into());
        assert_eq!(read("unix:/run/x.sock"), Some(unix));
        for bad in [
            "",
            ":",
            "10048",
            "unix:",
            "unix:x.sock",
            "example.org:1",
            ":70000",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn all_addresses_hold_each_of_them() {
        let holds = |this: &str, other: &str| {
            let [this, other] = [this, other].map(|text| Endpoint::Tcp(text.parse().unwrap()));
            assert_eq!(this.holds(&other), other.holds(&this));
            this.holds(&other)
        };
        assert!(holds("127.0.0.1:1", "127.0.0.1:1") && holds("[::]:1", "127.0.0.1:1"));
        assert!(!holds("127.0.0.1:1", "127.0.0.1:2") && !holds("127.0.0.1:1", "127.0.0.2:1"));
        let unix = |path: &str| Endpoint::Unix(path.into());
        assert!(unix("/x").holds(&unix("/x")) && !unix("/x").holds(&unix("/y")));
    }

    #[test]
    fn loopback_and_unix_sockets_are_not_exposed() {
        let exposed = |text: &str| Endpoint::Tcp(text.parse().unwrap()).is_exposed();
        assert!(exposed("0.0.0.0:1") && exposed("[::]:1") && exposed("192.0.2.1:1"));
        assert!(!exposed("127.0.0.1:1") && !exposed("[::1]:1"));
        assert!(!Endpoint::Unix("/x".into()).is_exposed());
    }
}

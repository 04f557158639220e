//! What the system allows, and what is asked of it.

use tokio::net::{TcpListener, TcpStream};

/// Bytes of a connection that the kernel takes ahead of what the service has read. A slow one would
/// otherwise fill buffers of several megabytes, which count in the cgroup.
pub const KERNEL_BUFFER: usize = 256 << 10;
/// The same for what it has not sent to the client, beyond what is on its way.
#[cfg(any(target_os = "linux", target_os = "android"))]
const MAX_UNSENT: u32 = 16 << 10;

/// Connections that may wait to be accepted, where the system allows so many: those beyond it try
/// again only after a second.
const BACKLOG: i32 = 4096;

/// Lets more connections wait than usual.
pub fn raise_backlog(listener: &TcpListener) {
    // Where that is refused it is as it was.
    drop(socket2::SockRef::from(listener).listen(BACKLOG));
}

/// Bounds the kernel's buffers of a connection.
pub fn limit_buffers(stream: &TcpStream) {
    let socket = socket2::SockRef::from(stream);
    // How far it may send is left to the kernel; only what waits behind that is bounded. Where the
    // system has no such option, it is as it was.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    drop(socket.set_tcp_notsent_lowat(MAX_UNSENT));
    drop(socket.set_recv_buffer_size(KERNEL_BUFFER));
}

/// An open socket, to ask what lies in it.
#[derive(Debug, Clone, Copy)]
pub struct Socket {
    #[cfg(target_os = "linux")]
    descriptor: std::os::fd::RawFd,
}

impl Socket {
    pub fn new(stream: &TcpStream) -> Self {
        #[cfg(not(target_os = "linux"))]
        let _ = stream;
        Self {
            #[cfg(target_os = "linux")]
            descriptor: std::os::fd::AsRawFd::as_raw_fd(stream),
        }
    }

    /// Bytes that were written and that the other side has not acknowledged: the kernel keeps them.
    /// None are known on systems other than Linux.
    pub fn unacknowledged(self) -> u64 {
        #[cfg(target_os = "linux")]
        {
            let mut bytes: libc::c_int = 0;
            // SAFETY: SIOCOUTQ, which is TIOCOUTQ, writes one `int`: `tcp(7)`.
            let code = unsafe { libc::ioctl(self.descriptor, libc::TIOCOUTQ, &raw mut bytes) };
            if code == 0 {
                return u64::try_from(bytes).unwrap_or(0);
            }
        }
        0
    }
}

/// File descriptors that the process may open, after it has asked for as many as it can get.
#[cfg(unix)]
pub fn max_open_files() -> Option<usize> {
    use rustix::process::{getrlimit, setrlimit, Resource, Rlimit};

    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let current = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    usize::try_from(current?).ok()
}

#[cfg(not(unix))]
pub const fn max_open_files() -> Option<usize> {
    None
}

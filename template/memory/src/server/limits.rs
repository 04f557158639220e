//! Limits of the operating system, and the socket options that the service sets.

use tokio::net::{TcpListener, TcpStream};

/// Bytes that the kernel buffers of a connection before the service reads them. With a slow reader,
/// buffers would otherwise grow to megabytes, which count towards the cgroup.
pub const KERNEL_BUFFER: usize = 256 << 10;
/// Bytes that the kernel buffers for a client, beyond those in flight.
#[cfg(any(target_os = "linux", target_os = "android"))]
const MAX_UNSENT: u32 = 16 << 10;

/// Connections that may wait to be accepted, if the system allows as many. A client beyond that
/// retries only after a second.
const BACKLOG: i32 = 4096;

/// Lets more connections wait than by default.
pub fn raise_backlog(listener: &TcpListener) {
    // If the system refuses, the default stays.
    drop(socket2::SockRef::from(listener).listen(BACKLOG));
}

/// Limits the kernel's buffers of a connection.
pub fn limit_buffers(stream: &TcpStream) {
    let socket = socket2::SockRef::from(stream);
    // How much is in flight is left to the kernel: only what waits behind that is limited. If the
    // system refuses, the default stays.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    drop(socket.set_tcp_notsent_lowat(MAX_UNSENT));
    drop(socket.set_recv_buffer_size(KERNEL_BUFFER));
}

/// An open socket, to ask how much it has buffered.
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

    /// Bytes written that the other side has not acknowledged, so that the kernel keeps them.
    /// Always 0 on systems other than Linux.
    pub fn unacknowledged(self) -> u64 {
        #[cfg(target_os = "linux")]
        {
            let mut bytes: libc::c_int = 0;
            // SAFETY: SIOCOUTQ, an alias of TIOCOUTQ, writes one `int`: `tcp(7)`.
            let code = unsafe { libc::ioctl(self.descriptor, libc::TIOCOUTQ, &raw mut bytes) };
            if code == 0 {
                return u64::try_from(bytes).unwrap_or(0);
            }
        }
        0
    }
}

/// How many file descriptors the process may have open, after raising its limit as far as possible.
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

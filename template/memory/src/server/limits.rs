//! What the system allows, and what is asked of it.

use tokio::net::{TcpListener, TcpStream};

/// Bytes of a connection that the kernel takes ahead of what the client, or the service, has read.
/// A slow one would otherwise fill buffers of several megabytes, which count in the cgroup.
const KERNEL_BUFFER: u32 = 256 << 10;

/// Connections that may wait to be accepted, where the system allows so many: those beyond it try
/// again only after a second.
const BACKLOG: i32 = 4096;

/// Lets more connections wait than usual.
pub fn lengthen_backlog(listener: &TcpListener) {
    // Where that is refused it is as it was.
    drop(socket2::SockRef::from(listener).listen(BACKLOG));
}

/// Bounds the kernel's buffers of a connection.
pub fn bound_buffers(stream: &TcpStream) {
    let socket = socket2::SockRef::from(stream);
    // How far it may send is left to the kernel; only what waits behind that is bounded. Where the
    // system has no such option, it is as it was.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    drop(socket.set_tcp_notsent_lowat(KERNEL_BUFFER / 2));
    drop(socket.set_recv_buffer_size(KERNEL_BUFFER as usize));
}

/// File descriptors that the process may open, after it has asked for as many as it can get.
#[cfg(unix)]
pub fn file_descriptors() -> Option<usize> {
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
pub const fn file_descriptors() -> Option<usize> {
    None
}

//! File systems on which a lock may be kept to one machine.

use std::path::Path;

/// Returns the name of the file system of `path` if its locks may not be seen by other machines: that depends on how it is
/// mounted. `None` for other file systems, and where the system does not say.
#[cfg(target_os = "linux")]
pub fn locks_may_be_local(path: &Path) -> Option<&'static str> {
    // The numbers are those of statfs(2); Lustre, GPFS and BeeGFS have theirs outside the kernel.
    match rustix::fs::statfs(path).ok()?.f_type as u64 {
        0x6969 => Some("NFS"),
        0x0BD0_0BD0 => Some("Lustre"),
        0x4750_4653 => Some("GPFS"),
        0x1983_0326 => Some("BeeGFS"),
        _ => None,
    }
}

/// `None`: the system does not say.
#[cfg(not(target_os = "linux"))]
pub fn locks_may_be_local(_path: &Path) -> Option<&'static str> {
    None
}

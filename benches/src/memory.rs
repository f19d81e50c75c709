//! The most memory that this process ever had.

use crate::Result;

/// `VmHWM`: the peak of what was resident, in bytes. It counts C libraries too, which a counting allocator does not see.
///
/// # Errors
///
/// Where there is no `/proc`: only Linux tells.
pub fn peak_bytes() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .ok_or("/proc/self/status has no line `VmHWM`")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib << 10)
}

//! The most memory that this process ever had, and how it may grow.

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

/// Bytes as MiB.
pub fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// A straight line that memory stays on or below: so much for any payload, and so much for each byte of it.
#[derive(Debug, Clone, Copy)]
pub struct Line {
    /// At no payload at all, in MiB.
    pub base_mib: f64,
    /// For each MiB of payload, in MiB.
    pub slope: f64,
}

impl Line {
    /// The most memory for a payload of so many MiB, in MiB.
    pub fn at(self, payload_mib: f64) -> f64 {
        self.base_mib + self.slope * payload_mib
    }

    /// The line through the smallest and the largest payload that were measured, for the reader who wants to know how it grows.
    ///
    /// `None` for fewer than two different payloads.
    pub fn through(measured: &[(f64, f64)]) -> Option<Self> {
        let by_payload = |a: &&(f64, f64), b: &&(f64, f64)| a.0.total_cmp(&b.0);
        let &(small, small_peak) = measured.iter().min_by(by_payload)?;
        let &(large, large_peak) = measured.iter().max_by(by_payload)?;
        if small >= large {
            return None;
        }
        let slope = (large_peak - small_peak) / (large - small);
        Some(Self {
            base_mib: small_peak - slope * small,
            slope,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_goes_through_the_smallest_and_the_largest_payload() {
        let line = Line::through(&[(2.0, 9.0), (6.0, 15.0), (1.0, 5.0)]).unwrap();
        assert!((line.at(1.0) - 5.0).abs() < 1e-9);
        assert!((line.at(6.0) - 15.0).abs() < 1e-9);
        assert!((line.at(0.0) - 3.0).abs() < 1e-9);
        // What bends away between them does not lie on it.
        assert!(line.at(2.0) < 9.0);
    }

    #[test]
    fn one_payload_is_no_line() {
        assert!(Line::through(&[]).is_none());
        assert!(Line::through(&[(1.0, 5.0), (1.0, 6.0)]).is_none());
    }
}

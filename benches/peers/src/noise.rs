//! How much other processes used the machine during a pass.
//!
//! That is the kernel's count of busy processor time (with the time stolen by the hypervisor) less our
//! own and the Go co-process's. The kernel counts in ticks of 10 ms, so a whole pass over a row's
//! contenders is judged, and not a single round.

use std::time::{Duration, Instant};

/// Time that others may use in a pass of any length: the error of four cores' tick counts.
const SLACK: Duration = Duration::from_millis(40);
/// Share of one core that others may use in addition.
const SHARE: f64 = 0.10;

/// Readings at the start of a pass.
pub struct Watch {
    at: Instant,
    machine: Option<Duration>,
    own: Duration,
}

/// What others used during a pass.
#[derive(Clone, Copy, Debug)]
pub struct Noise {
    /// Cores used by others: 0.5 is half of one core.
    pub others: f64,
    pub noisy: bool,
}

impl Watch {
    pub fn start(child: Option<u32>) -> Self {
        Self { at: Instant::now(), machine: machine_busy(), own: own_busy(child) }
    }

    pub fn stop(self, child: Option<u32>) -> Noise {
        let wall = self.at.elapsed();
        let own = own_busy(child).saturating_sub(self.own);
        match (machine_busy(), self.machine) {
            (Some(after), Some(before)) => judge(wall, after.saturating_sub(before), own),
            // Without /proc the noise is unknown.
            _ => Noise { others: f64::NAN, noisy: false },
        }
    }
}

fn judge(wall: Duration, machine: Duration, own: Duration) -> Noise {
    let others = machine.saturating_sub(own);
    Noise {
        others: others.as_secs_f64() / wall.as_secs_f64(),
        noisy: others > SLACK + wall.mul_f64(SHARE),
    }
}

/// Busy time of all cores since boot, with the time stolen by the hypervisor.
fn machine_busy() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/stat").ok()?;
    busy_ticks(&text).map(|ticks| Duration::from_millis(ticks * 1000 / ticks_per_second()))
}

/// The sum of `user nice system irq softirq steal` in the first line; `user` contains `guest`.
fn busy_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.lines().next()?.split_whitespace().skip(1);
    let mut field = || fields.next()?.parse::<u64>().ok();
    let (user, nice, system) = (field()?, field()?, field()?);
    let (_idle, _iowait) = (field()?, field()?);
    let (irq, softirq, steal) = (field()?, field()?, field()?);
    Some(user + nice + system + irq + softirq + steal)
}

fn ticks_per_second() -> u64 {
    // SAFETY: sysconf only reads; any name is allowed.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    u64::try_from(ticks).unwrap_or(100).max(1)
}

/// Processor time of this process and of the co-process.
fn own_busy(child: Option<u32>) -> Duration {
    process_time() + child.and_then(child_time).unwrap_or_default()
}

/// Processor time that this process has used, in all its threads.
fn process_time() -> Duration {
    clock(libc::CLOCK_PROCESS_CPUTIME_ID).unwrap_or_default()
}

/// Processor time that this process's other threads have used.
pub fn other_threads_time() -> Duration {
    process_time().saturating_sub(thread_time())
}

/// Processor time that this thread has used.
pub fn thread_time() -> Duration {
    clock(libc::CLOCK_THREAD_CPUTIME_ID).unwrap_or_default()
}

fn child_time(pid: u32) -> Option<Duration> {
    let mut id: libc::clockid_t = 0;
    // SAFETY: `id` outlives the call, which writes it or fails.
    let failed = unsafe { libc::clock_getcpuclockid(pid as libc::pid_t, &mut id) };
    if failed == 0 { clock(id) } else { None }
}

fn clock(id: libc::clockid_t) -> Option<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` outlives the call, which writes it or fails.
    let failed = unsafe { libc::clock_gettime(id, &mut time) };
    (failed == 0).then(|| Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_time_leaves_out_idle_and_guest() {
        let line = "cpu  100 20 30 9000 50 1 2 4 77 88\ncpu0 1 1 1 1 1 1 1 1 1 1";
        assert_eq!(busy_ticks(line), Some(157));
    }

    #[test]
    fn half_a_core_used_by_others_is_noise() {
        let ms = Duration::from_millis;
        let noise = judge(ms(400), ms(1800), ms(1600));
        assert!(noise.noisy && (noise.others - 0.5).abs() < 1e-9);
    }

    #[test]
    fn a_tick_or_two_is_not_noise() {
        let ms = Duration::from_millis;
        assert!(!judge(ms(200), ms(820), ms(800)).noisy);
    }

    #[test]
    fn own_time_beyond_the_kernels_count_is_no_noise() {
        let ms = Duration::from_millis;
        assert_eq!(judge(ms(200), ms(790), ms(800)).others, 0.0);
    }
}

//! Confines this process, and what it starts, to some of the machine's cores.

/// Lets this thread run on the first `count` of the cores that it may use now. Threads and
/// processes that it starts later inherit that.
///
/// Call it before anything asks for the number of cores: libraries ask once and keep the answer.
pub fn confine(count: usize) -> Result<(), String> {
    let mut set = allowed()?;
    let mut kept = 0;
    for core in 0..libc::CPU_SETSIZE as usize {
        // SAFETY: `core` is below CPU_SETSIZE, and `set` is initialized.
        if unsafe { libc::CPU_ISSET(core, &set) } {
            kept += 1;
            if kept > count {
                // SAFETY: as above.
                unsafe { libc::CPU_CLR(core, &mut set) };
            }
        }
    }
    if kept < count {
        return Err(format!("{count} cores asked for, and there are {kept}"));
    }
    let size = size_of::<libc::cpu_set_t>();
    // SAFETY: `set` is initialized, and `size` is its size; 0 is the calling thread.
    let failed = unsafe { libc::sched_setaffinity(0, size, &set) };
    if failed == 0 { Ok(()) } else { Err(std::io::Error::last_os_error().to_string()) }
}

/// The cores that this thread may use.
fn allowed() -> Result<libc::cpu_set_t, String> {
    // SAFETY: a `cpu_set_t` is an array of integers; all zeros is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    let size = size_of::<libc::cpu_set_t>();
    // SAFETY: `set` outlives the call, and `size` is its size; 0 is the calling thread.
    let failed = unsafe { libc::sched_getaffinity(0, size, &mut set) };
    if failed == 0 { Ok(set) } else { Err(std::io::Error::last_os_error().to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::cores;

    #[test]
    fn a_confined_thread_sees_as_many_cores_as_it_was_given() {
        let seen = std::thread::spawn(|| confine(1).map(|()| cores())).join();
        assert_eq!(seen.expect("no panic"), Ok(1));
    }

    #[test]
    fn more_cores_than_there_are_is_an_error() {
        let before = cores();
        assert!(confine(before + 1_000).is_err());
        assert_eq!(cores(), before);
    }
}

//! The allocator of every binary that runs a model.
//!
//! Training and decoding free and take the same large buffers all the time. glibc maps and unmaps each of them, and
//! mimalloc by default hands them back to the system a moment after they were freed, which then clears them when they are
//! taken again: a sixth to a third of the run either way (docs/PERFORMANCE.md).

/// Shared by all threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc.h, which the bindings do not name.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// From now on memory that was freed stays with the process, for the next buffer of its size. An environment that sets
/// `MIMALLOC_PURGE_DELAY` itself is left alone.
#[expect(unsafe_code, reason = "the allocator's settings are C")]
pub(crate) fn keep_freed_memory() {
    if std::env::var_os("MIMALLOC_PURGE_DELAY").is_none() {
        // SAFETY: mimalloc's options may be set at any time from any thread; this one is a number.
        unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, -1) };
    }
}

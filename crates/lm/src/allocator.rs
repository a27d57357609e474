//! The global allocator of every binary that runs a model.
//!
//! Training and decoding keep freeing and reallocating the same large buffers. glibc maps and unmaps each of them.
//! mimalloc, by default, returns them to the system shortly after they are freed, and the system has to clear them before
//! they are used again. Either costs a sixth to a third of the run time (docs/PERFORMANCE.md).

/// The allocator, shared by all threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` in mimalloc.h, for which the bindings have no name.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// Keeps freed memory in the process from now on, so that the next buffer of the same size can reuse it. Does nothing if
/// the environment sets `MIMALLOC_PURGE_DELAY`.
#[expect(unsafe_code, reason = "the allocator's settings are C")]
pub(crate) fn keep_freed_memory() {
    if std::env::var_os("MIMALLOC_PURGE_DELAY").is_none() {
        // SAFETY: mimalloc options may be set at any time from any thread, and this one is a number.
        unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, -1) };
    }
}

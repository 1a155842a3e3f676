/* What Swift cannot say itself: relaxed and ordered atomics on raw memory, lazily reserved memory, a per-thread flag, and
 * floating point under a given MXCSR. */
#ifndef CPLATFORM_H
#define CPLATFORM_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "CPlatformCoroutine.h"
#include "CPlatformFloats.h"
#include "CPlatformGuests.h"
#include "CPlatformTerminal.h"
#include "CPlatformUndo.h"

static inline uint64_t cp_load_relaxed_u64(const void *p) { return __atomic_load_n((const uint64_t *)p, __ATOMIC_RELAXED); }
static inline uint64_t cp_load_acquire_u64(const void *p) { return __atomic_load_n((const uint64_t *)p, __ATOMIC_ACQUIRE); }
static inline void cp_store_relaxed_u64(void *p, uint64_t v) { __atomic_store_n((uint64_t *)p, v, __ATOMIC_RELAXED); }
static inline void cp_store_release_u64(void *p, uint64_t v) { __atomic_store_n((uint64_t *)p, v, __ATOMIC_RELEASE); }
static inline uint64_t cp_fetch_add_relaxed_u64(void *p, uint64_t v) { return __atomic_fetch_add((uint64_t *)p, v, __ATOMIC_RELAXED); }
static inline bool cp_compare_exchange_u64(void *p, uint64_t *expected, uint64_t desired) {
    return __atomic_compare_exchange_n((uint64_t *)p, expected, desired, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}
static inline uint32_t cp_load_relaxed_u32(const void *p) { return __atomic_load_n((const uint32_t *)p, __ATOMIC_RELAXED); }
static inline void cp_store_release_u32(void *p, uint32_t v) { __atomic_store_n((uint32_t *)p, v, __ATOMIC_RELEASE); }
static inline bool cp_compare_exchange_u32(void *p, uint32_t expected, uint32_t desired) {
    return __atomic_compare_exchange_n((uint32_t *)p, &expected, desired, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}
static inline void cp_store_relaxed_u32(void *p, uint32_t v) { __atomic_store_n((uint32_t *)p, v, __ATOMIC_RELAXED); }
static inline uint8_t cp_exchange_acquire_u8(void *p, uint8_t v) { return __atomic_exchange_n((uint8_t *)p, v, __ATOMIC_ACQUIRE); }
static inline void cp_store_release_u8(void *p, uint8_t v) { __atomic_store_n((uint8_t *)p, v, __ATOMIC_RELEASE); }
static inline uint8_t cp_load_relaxed_u8(const void *p) { return __atomic_load_n((const uint8_t *)p, __ATOMIC_RELAXED); }
static inline void cp_store_relaxed_u8(void *p, uint8_t v) { __atomic_store_n((uint8_t *)p, v, __ATOMIC_RELAXED); }

static inline void cp_relax(void) { __builtin_ia32_pause(); }

/* Reserves `size` bytes of zeroed memory that costs nothing until touched. NULL if the system refuses. */
void *cp_reserve(size_t size);
void cp_release(void *base, size_t size);
/* Returns whole pages of a reservation to the system; they read as zero again. */
void cp_discard(void *base, size_t size);
/* Asks the system to give memory to the whole pages of a range at once; a hint that may do nothing. */
void cp_populate(void *base, size_t size);

/* Non-NULL while the calling OS thread runs explored threads: the explorer in charge. */
extern _Thread_local void *cp_explorer __attribute__((tls_model("initial-exec")));
static inline void *cp_current_explorer(void) { return cp_explorer; }
static inline void cp_set_current_explorer(void *e) { cp_explorer = e; }

#endif

/* A log of writes to the emulated machine's memory, so that an explored run can be undone, its states compared, and the
   last writer of a word named. One log at a time on an OS thread; without one a note costs a predictable branch. */
#ifndef CPLATFORM_UNDO_H
#define CPLATFORM_UNDO_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One write: a quadword (byte_count 0, old is its value before) or a run of bytes (old is their place in `saved`). */
typedef struct cp_undo_record {
    unsigned char *address;
    uint64_t old;
    uint32_t byte_count;
    uint32_t writer;
} cp_undo_record;

/* A reservation. Addresses in it count by its number and their offset, so that a state has one hash in every process. */
typedef struct cp_undo_region {
    uintptr_t base;
    size_t size;
} cp_undo_region;

typedef struct cp_undo_log {
    cp_undo_record *records;
    size_t count, capacity;
    unsigned char *saved;
    size_t saved_count, saved_capacity;
    /* The exclusive or, over all quadwords that differ from the beginning, of a hash of what they held and hold. */
    uint64_t hash;
    /* Goes up with every write and with every change that is noted elsewhere. */
    uint64_t changes;
    /* Those of them that were noted elsewhere. */
    uint64_t touches;
    /* Who writes now. */
    uint32_t writer;
    /* The reservations, in the order in which they were made; a size of 0 is a place that is free again. */
    cp_undo_region *regions;
    size_t region_count, region_capacity, last_region;
} cp_undo_log;

extern _Thread_local cp_undo_log *cp_undo __attribute__((tls_model("initial-exec")));
static inline cp_undo_log *cp_current_undo_log(void) { return cp_undo; }
static inline void cp_set_undo_log(cp_undo_log *log) { cp_undo = log; }

/* The log to which this OS thread's new reservations belong while none records: when a world is built. */
extern _Thread_local cp_undo_log *cp_undo_owner __attribute__((tls_model("initial-exec")));
static inline void cp_set_undo_owner(cp_undo_log *log) { cp_undo_owner = log; }
void cp_undo_note_reserved(void *base, size_t size);
void cp_undo_note_released(void *base);

/* NULL if there is no memory. */
cp_undo_log *cp_undo_create(void);
void cp_undo_destroy(cp_undo_log *log);
/* Writes back everything that the log holds, last write first, and empties it. */
void cp_undo_roll_back(cp_undo_log *log);
/* Empties the log: what is now is the beginning. */
void cp_undo_clear(cp_undo_log *log);
/* The last record of the quadword at an address, or -1. */
ptrdiff_t cp_undo_last(const cp_undo_log *log, const void *address);
/* What the record says the quadword at the address held before. */
uint64_t cp_undo_old(const cp_undo_log *log, size_t record, const void *address);

void cp_undo_save_word(void *address, uint64_t value);
void cp_undo_save_hidden_word(void *address);
void cp_undo_save_bytes(void *address, size_t count);
void cp_undo_finish_bytes(void *address, size_t count);
void cp_undo_forget(void *address, size_t count);

/* Before a quadword is written. */
static inline void cp_undo_note(void *address, uint64_t value) {
    if (__builtin_expect(cp_undo != NULL, 0)) cp_undo_save_word(address, value);
}
/* Before a quadword is exchanged if it has the expected value. */
static inline void cp_undo_note_exchange(void *address, uint64_t value, uint64_t expected) {
    if (__builtin_expect(cp_undo != NULL, 0) && *(uint64_t *)address == expected) cp_undo_save_word(address, value);
}
/* Before a word is written that is no part of the state: a counter that only caches look at. */
static inline void cp_undo_note_hidden(void *address) {
    if (__builtin_expect(cp_undo != NULL, 0)) cp_undo_save_hidden_word(address);
}
/* Before and after bytes are written. */
static inline void cp_undo_begin_bytes(void *address, size_t count) {
    if (__builtin_expect(cp_undo != NULL, 0)) cp_undo_save_bytes(address, count);
}
static inline void cp_undo_end_bytes(void *address, size_t count) {
    if (__builtin_expect(cp_undo != NULL, 0)) cp_undo_finish_bytes(address, count);
}
/* A change of state that is not in the machine's memory. */
static inline void cp_undo_touch(void) {
    if (__builtin_expect(cp_undo != NULL, 0)) {
        cp_undo->changes++;
        cp_undo->touches++;
    }
}

#endif

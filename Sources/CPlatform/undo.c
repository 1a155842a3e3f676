#include "CPlatform.h"
#include <stdlib.h>
#include <string.h>

_Thread_local cp_undo_log *cp_undo __attribute__((tls_model("initial-exec"))) = NULL;

_Thread_local cp_undo_log *cp_undo_owner __attribute__((tls_model("initial-exec"))) = NULL;

/* The reservation that an address is in, and how far: the same number wherever the system has put the reservation. */
static uint64_t place(cp_undo_log *log, const void *address) {
    uintptr_t a = (uintptr_t)address;
    for (size_t n = 0, i = log->last_region; n < log->region_count; n++, i = i + 1 < log->region_count ? i + 1 : 0) {
        const cp_undo_region *r = &log->regions[i];
        if (a - r->base >= r->size) continue;
        log->last_region = i;
        return ((uint64_t)i + 1) << 48 ^ (a - r->base);
    }
    return a;
}
void cp_undo_note_reserved(void *base, size_t size) {
    cp_undo_log *log = cp_undo ? cp_undo : cp_undo_owner;
    if (!log) return;
    cp_undo_note_released(base);
    size_t i = 0;
    while (i < log->region_count && log->regions[i].size) i++;
    if (i == log->region_capacity) {
        log->region_capacity *= 2;
        log->regions = realloc(log->regions, log->region_capacity * sizeof *log->regions);
        if (!log->regions) abort();
    }
    if (i == log->region_count) log->region_count++;
    log->regions[i] = (cp_undo_region){(uintptr_t)base, size};
}
void cp_undo_note_released(void *base) {
    cp_undo_log *log = cp_undo ? cp_undo : cp_undo_owner;
    if (!log) return;
    for (size_t i = 0; i < log->region_count; i++)
        if (log->regions[i].base == (uintptr_t)base) log->regions[i].size = 0;
}

static uint64_t mix(uint64_t address, uint64_t value) {
    uint64_t x = (address * 0x9e3779b97f4a7c15ull) ^ value;
    x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93ull;
    x = (x ^ (x >> 29)) * 0xd6e8feb86659fd93ull;
    return x ^ (x >> 32);
}

cp_undo_log *cp_undo_create(void) {
    cp_undo_log *log = calloc(1, sizeof *log);
    if (!log) return NULL;
    log->capacity = 1024;
    log->saved_capacity = 1 << 16;
    log->region_capacity = 32;
    log->records = malloc(log->capacity * sizeof *log->records);
    log->regions = malloc(log->region_capacity * sizeof *log->regions);
    log->saved = malloc(log->saved_capacity);
    if (!log->records || !log->saved || !log->regions) {
        cp_undo_destroy(log);
        return NULL;
    }
    return log;
}
void cp_undo_destroy(cp_undo_log *log) {
    if (cp_undo == log) cp_undo = NULL;
    if (cp_undo_owner == log) cp_undo_owner = NULL;
    free(log->regions);
    free(log->records);
    free(log->saved);
    free(log);
}
void cp_undo_clear(cp_undo_log *log) {
    log->count = 0;
    log->saved_count = 0;
    log->hash = 0;
    log->changes = 0;
    log->touches = 0;
}
void cp_undo_roll_back(cp_undo_log *log) {
    for (size_t i = log->count; i-- > 0;) {
        const cp_undo_record *r = &log->records[i];
        if (!r->address) continue;
        if (r->byte_count) memcpy(r->address, log->saved + r->old, r->byte_count);
        else *(uint64_t *)r->address = r->old;
    }
    cp_undo_clear(log);
}

static cp_undo_record *next_record(cp_undo_log *log) {
    if (log->count == log->capacity) {
        log->capacity *= 2;
        log->records = realloc(log->records, log->capacity * sizeof *log->records);
        if (!log->records) abort();
    }
    log->changes++;
    return &log->records[log->count++];
}
void cp_undo_save_word(void *address, uint64_t value) {
    cp_undo_log *log = cp_undo;
    uint64_t old = *(uint64_t *)address;
    if (old == value) return;
    *next_record(log) = (cp_undo_record){address, old, 0, log->writer};
    uint64_t where = place(log, address);
    log->hash ^= mix(where, old) ^ mix(where, value);
}
void cp_undo_save_hidden_word(void *address) {
    cp_undo_log *log = cp_undo;
    uint64_t *word = (uint64_t *)((uintptr_t)address & ~(uintptr_t)7);
    *next_record(log) = (cp_undo_record){(unsigned char *)word, *word, 0, log->writer};
    log->changes--;
}
void cp_undo_save_bytes(void *address, size_t count) {
    cp_undo_log *log = cp_undo;
    if (count == 0 || count > UINT32_MAX) return;
    if (log->saved_count + count > log->saved_capacity) {
        while (log->saved_count + count > log->saved_capacity) log->saved_capacity *= 2;
        log->saved = realloc(log->saved, log->saved_capacity);
        if (!log->saved) abort();
    }
    *next_record(log) = (cp_undo_record){address, log->saved_count, (uint32_t)count, log->writer};
    memcpy(log->saved + log->saved_count, address, count);
    log->saved_count += (count + 7) & ~(size_t)7;
}
void cp_undo_finish_bytes(void *address, size_t count) {
    cp_undo_log *log = cp_undo;
    if (count == 0 || log->count == 0) return;
    const cp_undo_record *r = &log->records[log->count - 1];
    if (r->address != address || r->byte_count != count) return;
    const unsigned char *before = log->saved + r->old;
    uint64_t where = place(log, address);
    for (size_t i = 0; i + 8 <= count; i += 8) {
        uint64_t a, b;
        memcpy(&a, before + i, 8);
        memcpy(&b, r->address + i, 8);
        if (a != b) log->hash ^= mix(where + i, a) ^ mix(where + i, b);
    }
}
void cp_undo_forget(void *address, size_t count) {
    cp_undo_log *log = cp_undo;
    for (size_t i = 0; i < log->count; i++) {
        unsigned char *a = log->records[i].address;
        if (a >= (unsigned char *)address && a < (unsigned char *)address + count) log->records[i].address = NULL;
    }
}
ptrdiff_t cp_undo_last(const cp_undo_log *log, const void *address) {
    const unsigned char *a = address;
    for (size_t i = log->count; i-- > 0;) {
        const cp_undo_record *r = &log->records[i];
        if (!r->address || a < r->address || a + 8 > r->address + (r->byte_count ? r->byte_count : 8)) continue;
        if (r->byte_count && memcmp(log->saved + r->old + (a - r->address), a, 8) == 0) continue;
        return (ptrdiff_t)i;
    }
    return -1;
}
uint64_t cp_undo_old(const cp_undo_log *log, size_t record, const void *address) {
    const cp_undo_record *r = &log->records[record];
    uint64_t value = r->old;
    if (r->byte_count) memcpy(&value, log->saved + r->old + ((const unsigned char *)address - r->address), 8);
    return value;
}

/* Stackful coroutines: a switch saves the six registers a call preserves. The x87 and MXCSR control words are not saved. */
#include "CPlatform.h"
#include <stdatomic.h>
#include <sys/mman.h>

#if !defined(__x86_64__) || defined(_WIN32)
#error "Coroutines are written for x86-64 System V"
#endif

enum { STACK_SIZE = 512 << 10, GUARD_SIZE = 4096, KEPT_MAX = 64 };

__asm__(
    ".text\n"
    ".globl cp_coroutine_switch\n"
    ".type cp_coroutine_switch,@function\n"
    "cp_coroutine_switch:\n"
    "    push %rbp\n    push %rbx\n    push %r12\n    push %r13\n    push %r14\n    push %r15\n"
    "    mov %rsp,(%rdi)\n"
    "    mov (%rsi),%rsp\n"
    "    pop %r15\n    pop %r14\n    pop %r13\n    pop %r12\n    pop %rbx\n    pop %rbp\n"
    "    ret\n"
    ".size cp_coroutine_switch,.-cp_coroutine_switch\n"
    ".type cp_coroutine_entry,@function\n"
    "cp_coroutine_entry:\n"
    "    .cfi_startproc\n"
    "    .cfi_undefined rip\n"
    "    xor %ebp,%ebp\n"
    "    mov %r12,%rdi\n"
    "    call cp_coroutine_run\n"
    "    ud2\n"
    "    .cfi_endproc\n"
    ".size cp_coroutine_entry,.-cp_coroutine_entry\n");
extern void cp_coroutine_entry(void) __attribute__((visibility("hidden")));

__attribute__((used, visibility("hidden"))) void cp_coroutine_run(cp_coroutine *self) {
    cp_coroutine *next = self->body(self->argument);
    cp_coroutine_switch(self, next);
}

static atomic_flag pool_lock = ATOMIC_FLAG_INIT;
static cp_coroutine *pool;
static size_t kept, in_use;

static void lock_pool(void) { while (atomic_flag_test_and_set_explicit(&pool_lock, memory_order_acquire)) __builtin_ia32_pause(); }
static void unlock_pool(void) { atomic_flag_clear_explicit(&pool_lock, memory_order_release); }

cp_coroutine *cp_coroutine_create(cp_coroutine *(*body)(void *), void *argument) {
    lock_pool();
    cp_coroutine *c = pool;
    if (c) { pool = c->next_free; kept--; }
    in_use++;
    unlock_pool();
    if (!c) {
        void *stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (stack == MAP_FAILED || mprotect(stack, GUARD_SIZE, PROT_NONE) != 0) {
            if (stack != MAP_FAILED) munmap(stack, STACK_SIZE);
            lock_pool();
            in_use--;
            unlock_pool();
            return NULL;
        }
        c = (cp_coroutine *)((char *)stack + STACK_SIZE - 64);
        c->stack = stack;
    }
    c->body = body;
    c->argument = argument;
    /* The frame that the first switch pops: r15, r14, r13, r12, rbx, rbp, return address; then the entry is 16-aligned. */
    uint64_t *sp = (uint64_t *)c;
    *--sp = 0;
    *--sp = 0;
    *--sp = (uint64_t)(uintptr_t)cp_coroutine_entry;
    *--sp = 0;
    *--sp = 0;
    *--sp = (uint64_t)(uintptr_t)c;
    *--sp = 0;
    *--sp = 0;
    *--sp = 0;
    c->sp = sp;
    return c;
}

void cp_coroutine_destroy(cp_coroutine *c) {
    lock_pool();
    in_use--;
    int keep = kept < KEPT_MAX;
    if (keep) { c->next_free = pool; pool = c; kept++; }
    unlock_pool();
    if (!keep) munmap(c->stack, STACK_SIZE);
}

size_t cp_coroutine_stacks_in_use(void) {
    lock_pool();
    size_t n = in_use;
    unlock_pool();
    return n;
}
size_t cp_coroutine_stacks_kept(void) {
    lock_pool();
    size_t n = kept;
    unlock_pool();
    return n;
}

/* The runtime's own interface for tracked accesses: a buffer of three words, of which the third is the next buffer in the
   chain with the kind of access in bit 0. */
void swift_beginAccess(void *pointer, void *buffer, uintptr_t flags, void *pc);
void swift_endAccess(void *buffer);
enum { ACCESS_READ_TRACKED = 0x20 };

void cp_access_mark_begin(cp_access_mark *mark) { swift_beginAccess(mark, mark->buffer, ACCESS_READ_TRACKED, NULL); }
void cp_access_mark_end(cp_access_mark *mark) { swift_endAccess(mark->buffer); }
void cp_access_mark_end_dropping_later(cp_access_mark *mark) {
    cp_access_mark last;
    swift_beginAccess(&last, last.buffer, ACCESS_READ_TRACKED, NULL);
    last.buffer[2] = (uintptr_t)mark->buffer | (last.buffer[2] & 1);
    swift_endAccess(last.buffer);
    swift_endAccess(mark->buffer);
}

static _Thread_local cp_held_locks own_held __attribute__((tls_model("initial-exec")));
static _Thread_local cp_held_locks *set_held __attribute__((tls_model("initial-exec")));
cp_held_locks *cp_current_held_locks(void) { return set_held ? set_held : &own_held; }
void cp_set_held_locks(cp_held_locks *held) { set_held = held; }

const void *cp_held_highest(const cp_held_locks *held, int64_t *order) {
    const void *highest = NULL;
    for (uint32_t i = 0; i < held->count; i++) {
        if (highest == NULL || held->orders[i] >= *order) {
            highest = held->locks[i];
            *order = held->orders[i];
        }
    }
    return highest;
}
bool cp_held_push(cp_held_locks *held, int64_t order, const void *lock) {
    if (held->count == CP_HELD_LOCKS_MAX) return false;
    held->orders[held->count] = order;
    held->locks[held->count++] = lock;
    return true;
}
bool cp_held_remove(cp_held_locks *held, const void *lock) {
    for (uint32_t i = held->count; i-- > 0;) {
        if (held->locks[i] != lock) continue;
        for (uint32_t j = i + 1; j < held->count; j++) {
            held->orders[j - 1] = held->orders[j];
            held->locks[j - 1] = held->locks[j];
        }
        held->count--;
        return true;
    }
    return false;
}
bool cp_held_contains(const cp_held_locks *held, const void *lock) {
    for (uint32_t i = 0; i < held->count; i++)
        if (held->locks[i] == lock) return true;
    return false;
}

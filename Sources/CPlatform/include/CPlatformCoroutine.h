/* Stackful coroutines on one OS thread, and the record of held locks that travels with them. x86-64 System V only. */
#ifndef CPLATFORM_COROUTINE_H
#define CPLATFORM_COROUTINE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A suspended flow of control. It lives at the top of its own stack; the OS thread's own flow needs one without a stack. */
typedef struct cp_coroutine {
    void *sp;
    void *stack;
    struct cp_coroutine *(*body)(void *);
    void *argument;
    struct cp_coroutine *next_free;
} cp_coroutine;

/* Makes a coroutine whose first switch calls body(argument). The body returns the coroutine to switch to at its end,
   and is never resumed. NULL if the system refuses the stack. A page that faults lies below the stack. */
cp_coroutine *cp_coroutine_create(cp_coroutine *(*body)(void *), void *argument);
/* Takes back the stack of a coroutine that has ended or is given up. Never call it on the running one. */
void cp_coroutine_destroy(cp_coroutine *coroutine);
/* Suspends `from`, which runs, and resumes `to`. */
void cp_coroutine_switch(cp_coroutine *from, cp_coroutine *to);
/* How many stacks exist: in use, and kept for the next coroutine. */
size_t cp_coroutine_stacks_in_use(void);
size_t cp_coroutine_stacks_kept(void);

/* The Swift runtime chains the open exclusive accesses of an OS thread through the stack frames that opened them. A mark
   remembers the chain; giving up coroutines drops what they left open, so that the chain never enters a dead stack. */
typedef struct cp_access_mark {
    uintptr_t buffer[3];
} cp_access_mark;
void cp_access_mark_begin(cp_access_mark *mark);
void cp_access_mark_end(cp_access_mark *mark);
void cp_access_mark_end_dropping_later(cp_access_mark *mark);

/* The locks that a thread holds, in the order taken, each with its place in the lock order. */
enum { CP_HELD_LOCKS_MAX = 32 };
typedef struct cp_held_locks {
    uint32_t count;
    int64_t orders[CP_HELD_LOCKS_MAX];
    const void *locks[CP_HELD_LOCKS_MAX];
} cp_held_locks;
/* The record of the running thread: the OS thread's own unless another is set. */
cp_held_locks *cp_current_held_locks(void);
/* Sets the record of an explored thread; NULL goes back to the OS thread's own. */
void cp_set_held_locks(cp_held_locks *held);
/* The held lock that comes last in the order, with its place; NULL if none is held. */
const void *cp_held_highest(const cp_held_locks *held, int64_t *order);
/* False if the record is full. */
bool cp_held_push(cp_held_locks *held, int64_t order, const void *lock);
/* False if the lock is not in the record. */
bool cp_held_remove(cp_held_locks *held, const void *lock);
bool cp_held_contains(const cp_held_locks *held, const void *lock);

#endif

// Runs a few bytes of code on the processor that the tests run on.
#ifndef NATIVE_PROCESSOR_H
#define NATIVE_PROCESSOR_H

#include <stdint.h>

// What an instruction can see and change: general registers in the order of their numbers (RSP is left alone), RFLAGS,
// the sixteen XMM registers, and x87's state as FXSAVE64 has it.
struct native_state {
    uint64_t general[16];
    uint64_t flags;
    uint64_t mxcsr;
    uint8_t vectors[16][16];
    uint8_t x87[160];
    // The signal that the code has raised, with MXCSR as it was then; 0 if none.
    uint64_t signal;
};

// Prepares a page for code and 64 KiB of data at a fixed address. Returns 0 if the system refuses.
int native_prepare(uint64_t data_address);

// Runs `count` bytes of code with a state and returns 1; 0 if it raised a signal, whose state has
// MXCSR and the signal's number. Not for several threads.
int native_run(const uint8_t *code, int count, struct native_state *state);

#endif

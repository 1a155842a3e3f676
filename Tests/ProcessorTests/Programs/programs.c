// Every program of the comparison in one binary: as a guest without an operating system (the program's number comes in RDI,
// its result goes out in RAX, and HLT ends it), or with HOSTED as a command that prints a line for each.

#include <stddef.h>
#include <stdint.h>

#ifdef HOSTED
#include <stdio.h>
#include <string.h>
#else
// Volatile, so that the compiler does not make these call themselves.
void *memcpy(void *to, const void *from, size_t count) {
    for (size_t i = 0; i < count; i++) ((volatile uint8_t *)to)[i] = ((const uint8_t *)from)[i];
    return to;
}
void *memset(void *to, int value, size_t count) {
    __asm__ volatile("mov %0, %%rdi; mov %1, %%rcx; mov %2, %%eax; rep stosb"
                     : : "r"(to), "r"(count), "r"(value) : "rdi", "rcx", "rax", "memory");
    return to;
}
void *memmove(void *to, const void *from, size_t count) {
    if ((uintptr_t)to < (uintptr_t)from) return memcpy(to, from, count);
    while (count--) ((volatile uint8_t *)to)[count] = ((const uint8_t *)from)[count];
    return to;
}
int memcmp(const void *a, const void *b, size_t count) {
    for (size_t i = 0; i < count; i++) {
        int difference = ((const volatile uint8_t *)a)[i] - ((const volatile uint8_t *)b)[i];
        if (difference) return difference;
    }
    return 0;
}
// What compilers call where the processor has no instruction for it.
int __popcountdi2(unsigned long long x) {
    int n = 0;
    for (; x; x &= x - 1) n++;
    return n;
}
int __paritydi2(unsigned long long x) { return __popcountdi2(x) & 1; }
#endif

static uint64_t random_state;
static uint64_t next_random(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state * 0x2545f4914f6cdd1du;
}

#include "hashes.c"
#include "sorts.c"
#include "compressor.c"
#include "floats.c"
#include "strings.c"
#include "integers.c"
#include "extended.c"

static const struct { const char *name; uint64_t (*run)(void); } programs[] = {
    {"hashes", hashes}, {"sorts", sorts}, {"compressor", compressor},
    {"floats", floats}, {"strings", strings}, {"integers", integers},
    {"extended", extended},
};
enum { program_count = sizeof programs / sizeof *programs };

uint64_t run_program(uint64_t number) {
    random_state = 0x1234567 + number;
    return programs[number % program_count].run();
}

#ifdef HOSTED
int main(void) {
    for (uint64_t i = 0; i < program_count; i++)
        printf("%s %016llx\n", programs[i].name, (unsigned long long)run_program(i));
    return 0;
}
#else
__asm__(".text\n.globl _start\n_start:\n call run_program\n hlt\n");
#endif

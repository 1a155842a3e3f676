// What the benchmark programs share: they run without an operating system at 1 MiB, use memory from 4 MiB on, and return
// a number that shows that they did their work. Linked so that `start` is their first byte.
#include <stdint.h>

#define HEAP ((uint8_t *)0x400000)

uint64_t work(void);

// As a guest: the stack below the heap, then HLT with the result in RAX. Natively it is called as a function, and `work` is
// called behind the first 16 bytes.
__attribute__((naked, section(".start"))) void start(void) {
    __asm__("mov $0x3ff000, %esp\n call work\n hlt\n .balign 16\n jmp work");
}

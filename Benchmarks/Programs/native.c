// Runs a benchmark program on this processor itself: prints its result and the processor time of the fastest run.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return time.tv_sec + time.tv_nsec * 1e-9;
}

int main(int count, char **arguments) {
    void *base = (void *)0x100000;
    if (count != 2 || mmap(base, 16 << 20, PROT_READ | PROT_WRITE | PROT_EXEC,
            MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != base) return 2;
    int file = open(arguments[1], O_RDONLY);
    if (file < 0 || read(file, base, 1 << 16) <= 0) return 2;
    uint64_t (*work)(void) = (uint64_t (*)(void))0x100010;
    double best = 1e9;
    uint64_t result = 0;
    for (int round = 0; round < 3; round++) {
        double start = now();
        result = work();
        double taken = now() - start;
        if (taken < best) best = taken;
    }
    printf("%lx %.9f\n", result, best);
    return 0;
}

// A recursive quicksort that compares through a pointer: calls, returns, pushes and branches that are hard to predict, as
// kernel code has them.
#include "program.h"

#define COUNT 100000

typedef int (*compare_function)(const uint64_t *, const uint64_t *);

__attribute__((noinline)) static int compare(const uint64_t *a, const uint64_t *b) { return *a < *b ? -1 : *a > *b; }

__attribute__((noinline)) static void exchange(uint64_t *a, uint64_t *b) {
    uint64_t kept = *a;
    *a = *b;
    *b = kept;
}

__attribute__((noinline)) static void sort(uint64_t *values, long first, long last, compare_function compare) {
    if (first >= last) return;
    exchange(values + first + (last - first) / 2, values + last);
    long boundary = first;
    for (long i = first; i < last; i++)
        if (compare(values + i, values + last) < 0) exchange(values + i, values + boundary++);
    exchange(values + boundary, values + last);
    sort(values, first, boundary - 1, compare);
    sort(values, boundary + 1, last, compare);
}

uint64_t work(void) {
    uint64_t *values = (uint64_t *)HEAP;
    uint64_t random = 0x9e3779b97f4a7c15, result = 0;
    volatile compare_function chosen = compare;
    for (int round = 0; round < 9; round++) {
        for (int i = 0; i < COUNT; i++) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            values[i] = random;
        }
        sort(values, 0, COUNT - 1, chosen);
        for (int i = 0; i < COUNT; i += 100) result = result * 31 + values[i];
    }
    return result;
}

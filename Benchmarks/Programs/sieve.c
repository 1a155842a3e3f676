// The sieve of Eratosthenes up to a million: loops of single stores with growing strides.
#include "program.h"

#define LIMIT (1u << 20)

uint64_t work(void) {
    uint8_t *composite = HEAP;
    uint64_t primes = 0;
    for (int round = 0; round < 60; round++) {
        for (uint64_t i = 0; i < LIMIT; i++) composite[i] = 0;
        primes = 0;
        for (uint64_t candidate = 2; candidate < LIMIT; candidate++) {
            if (composite[candidate]) continue;
            primes++;
            for (uint64_t multiple = 2 * candidate; multiple < LIMIT; multiple += candidate) composite[multiple] = 1;
        }
    }
    return primes;
}

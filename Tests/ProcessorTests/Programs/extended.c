// Numbers of 80 bits: what compilers make of long double, and what only x87 has.

static uint64_t bits_of_extended(long double x) {
    uint64_t significand;
    uint16_t head;
    memcpy(&significand, &x, 8);
    memcpy(&head, (const char *)&x + 8, 2);
    return significand ^ (uint64_t)head << 24;
}

static long double extended_unit(void) { return (long double)(int64_t)next_random() / 9223372036854775808.0L; }

static long double root(long double x) {
    __asm__("fsqrt" : "+t"(x));
    return x;
}
static long double whole(long double x) {
    __asm__("frndint" : "+t"(x));
    return x;
}
static long double rest(long double x, long double y) {
    __asm__("fprem" : "+t"(x) : "u"(y) : "cc");
    return x;
}
static long double scaled(long double x, long double y) {
    __asm__("fscale" : "+t"(x) : "u"(y));
    return x;
}

static uint64_t extended(void) {
    uint64_t sum = 0;
    long double total = 0, product = 1, least = 1;
    for (int i = 1; i <= 400; i++) {
        long double x = extended_unit() * 3, y = extended_unit() + 1.5L;
        total += x / y - y * 0.25L;
        product = product * (x > 0 ? x + 0.5L : 1.0L - x) / 1.4L;
        if (x < least) least = x;
        sum = sum * 31 + bits_of_extended(x * y + total) + (x == y) + (x >= total ? 7 : 5);
        sum ^= bits_of_extended(root(y)) + bits_of_extended(whole(x * 1000)) + bits_of_extended(rest(x * 40, y));
        sum = sum * 3 + bits_of_extended(scaled(y, (long double)(i % 50 - 25)));
        // Every conversion.
        sum += (uint64_t)(int32_t)(x * 1e6L) + (uint64_t)(int64_t)(y * 1e15L) + (uint64_t)(int16_t)(x * 1e3L);
        sum ^= bits_of((double)x) + bits_of_single((float)y) + (uint64_t)(x < 0 ? -x : x);
        sum += bits_of_extended((long double)(uint64_t)next_random()) + bits_of_extended((long double)(float)x);
        total = -total * 0.75L;
    }
    return sum + bits_of_extended(product) + bits_of_extended(least);
}

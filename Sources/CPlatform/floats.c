/* Floating point of SSE: each kernel is the host's instruction of its name. Assembly, since a compiler may exchange operands,
 * which shows in the answer when both are not numbers, and knows nothing of MXCSR. SSE4.1 is what a host must have. */
#include "CPlatform.h"
#include <emmintrin.h>
#include <string.h>

static inline __m128i load4(const void *p) {
    uint32_t value;
    memcpy(&value, p, 4);
    return _mm_cvtsi32_si128((int)value);
}
static inline __m128i load8(const void *p) { return _mm_loadl_epi64(p); }
static inline __m128i load16(const void *p) { return _mm_loadu_si128(p); }
static inline void store16(void *p, __m128i value) { _mm_storeu_si128(p, value); }

#define KERNEL(name) void cp_##name(void *core, void *d, void *s, long i)
#define VECTOR(name, bytes)                                                    \
    KERNEL(name) {                                                             \
        (void)core, (void)i;                                                   \
        __m128i a = load16(d), b = load##bytes(s);                             \
        __asm__ volatile(#name " %1, %0" : "+x"(a) : "x"(b));                  \
        store16(d, a);                                                         \
    }
#define VECTORS(name) VECTOR(name##ps, 16) VECTOR(name##pd, 16) VECTOR(name##ss, 4) VECTOR(name##sd, 8)
VECTORS(add) VECTORS(sub) VECTORS(mul) VECTORS(div) VECTORS(min) VECTORS(max) VECTORS(sqrt)
VECTOR(addsubps, 16) VECTOR(addsubpd, 16) VECTOR(haddps, 16) VECTOR(haddpd, 16) VECTOR(hsubps, 16) VECTOR(hsubpd, 16)
VECTOR(cvtss2sd, 4) VECTOR(cvtsd2ss, 8) VECTOR(cvtps2pd, 8) VECTOR(cvtpd2ps, 16) VECTOR(cvtdq2ps, 16) VECTOR(cvtdq2pd, 8)
VECTOR(cvtps2dq, 16) VECTOR(cvttps2dq, 16) VECTOR(cvtpd2dq, 16) VECTOR(cvttpd2dq, 16)

/* Immediates are part of the instruction. */
#define CASE(name, number)                                                                  \
    case number:                                                                            \
        __asm__ volatile(#name " %2, %1, %0" : "+x"(a) : "x"(b), "i"(number));              \
        break;
#define EIGHT(name, first)                                                                  \
    CASE(name, first) CASE(name, first + 1) CASE(name, first + 2) CASE(name, first + 3)     \
    CASE(name, first + 4) CASE(name, first + 5) CASE(name, first + 6) CASE(name, first + 7)
#define CHOSEN(name, bytes, mask, cases)                                                    \
    KERNEL(name) {                                                                          \
        (void)core;                                                                         \
        __m128i a = load16(d), b = load##bytes(s);                                          \
        switch (i & mask) { cases }                                                         \
        store16(d, a);                                                                      \
    }
#define COMPARE(name, bytes) CHOSEN(name, bytes, 7, EIGHT(name, 0))
#define ROUND(name, bytes) CHOSEN(name, bytes, 15, EIGHT(name, 0) EIGHT(name, 8))
COMPARE(cmpps, 16) COMPARE(cmppd, 16) COMPARE(cmpss, 4) COMPARE(cmpsd, 8)
ROUND(roundps, 16) ROUND(roundpd, 16) ROUND(roundss, 4) ROUND(roundsd, 8)

/* Products that the immediate leaves out are of zeros, which raise nothing. */
static inline __m128i lanes(long i, int doubles) {
    int bit[4];
    for (int lane = 0; lane < 4; lane++) bit[lane] = -(int)(i >> (doubles ? lane >> 1 : lane) & 1);
    return _mm_set_epi32(bit[3], bit[2], bit[1], bit[0]);
}
#define DOT(name, all, doubles)                                                              \
    KERNEL(name) {                                                                           \
        (void)core;                                                                          \
        __m128i used = lanes(i >> 4, doubles);                                               \
        __m128i a = _mm_and_si128(load16(d), used), b = _mm_and_si128(load16(s), used);      \
        __asm__ volatile(#name " %2, %1, %0" : "+x"(a) : "x"(b), "i"(all));                  \
        store16(d, _mm_and_si128(a, lanes(i, doubles)));                                     \
    }
DOT(dpps, 0xff, 0) DOT(dppd, 0x33, 1)

/* A 32-bit result clears the upper half of its register. */
#define TO_INTEGER(name, kernel, type, bytes)                                                \
    KERNEL(kernel) {                                                                         \
        (void)core, (void)i;                                                                 \
        type value;                                                                          \
        __asm__ volatile(#name " %1, %0" : "=r"(value) : "x"(load##bytes(s)));               \
        uint64_t whole = value;                                                              \
        memcpy(d, &whole, 8);                                                                \
    }
TO_INTEGER(cvtss2si, cvtss2si32, uint32_t, 4) TO_INTEGER(cvtss2si, cvtss2si64, uint64_t, 4)
TO_INTEGER(cvtsd2si, cvtsd2si32, uint32_t, 8) TO_INTEGER(cvtsd2si, cvtsd2si64, uint64_t, 8)
TO_INTEGER(cvttss2si, cvttss2si32, uint32_t, 4) TO_INTEGER(cvttss2si, cvttss2si64, uint64_t, 4)
TO_INTEGER(cvttsd2si, cvttsd2si32, uint32_t, 8) TO_INTEGER(cvttsd2si, cvttsd2si64, uint64_t, 8)

#define FROM_INTEGER(name, kernel, type)                                                     \
    KERNEL(kernel) {                                                                         \
        (void)core, (void)i;                                                                 \
        __m128i a = load16(d);                                                               \
        type value;                                                                          \
        memcpy(&value, s, sizeof value);                                                     \
        __asm__ volatile(#name " %1, %0" : "+x"(a) : "r"(value));                            \
        store16(d, a);                                                                       \
    }
FROM_INTEGER(cvtsi2ssl, cvtsi2ss32, uint32_t) FROM_INTEGER(cvtsi2ssq, cvtsi2ss64, uint64_t)
FROM_INTEGER(cvtsi2sdl, cvtsi2sd32, uint32_t) FROM_INTEGER(cvtsi2sdq, cvtsi2sd64, uint64_t)

#define ORDER(name, bytes)                                                                   \
    uint64_t cp_##name(const void *d, const void *s) {                                       \
        int carry, parity, zero;                                                             \
        __asm__ volatile(#name " %4, %3"                                                     \
                         : "=@ccc"(carry), "=@ccp"(parity), "=@ccz"(zero)                    \
                         : "x"(load##bytes(d)), "x"(load##bytes(s)));                        \
        return (uint64_t)(carry | parity << 2 | zero << 6);                                  \
    }
ORDER(comiss, 4) ORDER(comisd, 8) ORDER(ucomiss, 4) ORDER(ucomisd, 8)

/* Exact where processors give twelve bits, each its own: rounded to nearest, and no exceptions. */
static __m128i reciprocal(__m128i a, int isOfRoot) {
    uint32_t before = cp_mxcsr();
    cp_set_mxcsr(0x1f80);
    __m128i one = _mm_set1_epi32(0x3f800000);
    if (isOfRoot) __asm__ volatile("sqrtps %0, %0" : "+x"(a));
    __asm__ volatile("divps %1, %0" : "+x"(one) : "x"(a));
    cp_set_mxcsr(before);
    return one;
}
#define RECIPROCAL(name, isOfRoot)                                                           \
    KERNEL(name##ps) { (void)core, (void)i; store16(d, reciprocal(load16(s), isOfRoot)); }   \
    KERNEL(name##ss) {                                                                       \
        (void)core, (void)i;                                                                 \
        __m128i value = reciprocal(load4(s), isOfRoot);                                      \
        memcpy(d, &value, 4);                                                                \
    }
RECIPROCAL(rcp, 0) RECIPROCAL(rsqrt, 1)

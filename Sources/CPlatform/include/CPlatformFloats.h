/* Floating point of SSE by the host's own instructions, under any MXCSR.
 *
 * A kernel gets the core, its destination (a whole register of the core, 16 bytes of a vector or 8 of a general one), its source
 * (as many bytes as the instruction reads) and the immediate. It is what `Kernel` is in Swift. The thread's MXCSR decides how it
 * rounds and what it does with denormals, and collects its exceptions. */
#ifndef CPLATFORM_FLOATS_H
#define CPLATFORM_FLOATS_H
#include <stdint.h>

static inline uint32_t cp_mxcsr(void) {
    uint32_t value;
    __asm__ volatile("stmxcsr %0" : "=m"(value));
    return value;
}
/* Exceptions must be masked: nobody expects the signal. */
static inline void cp_set_mxcsr(uint32_t value) { __asm__ volatile("ldmxcsr %0" : : "m"(value)); }

#define CP_FLOAT(name) void cp_##name(void *_Nonnull core, void *_Nonnull d, void *_Nonnull s, long i);
#define CP_FLOAT_ALL(name) CP_FLOAT(name##ps) CP_FLOAT(name##pd) CP_FLOAT(name##ss) CP_FLOAT(name##sd)
CP_FLOAT_ALL(add) CP_FLOAT_ALL(sub) CP_FLOAT_ALL(mul) CP_FLOAT_ALL(div) CP_FLOAT_ALL(min) CP_FLOAT_ALL(max)
CP_FLOAT_ALL(sqrt) CP_FLOAT_ALL(cmp) CP_FLOAT_ALL(round)
CP_FLOAT(addsubps) CP_FLOAT(addsubpd) CP_FLOAT(haddps) CP_FLOAT(haddpd) CP_FLOAT(hsubps) CP_FLOAT(hsubpd)
CP_FLOAT(dpps) CP_FLOAT(dppd)
CP_FLOAT(cvtss2sd) CP_FLOAT(cvtsd2ss) CP_FLOAT(cvtps2pd) CP_FLOAT(cvtpd2ps) CP_FLOAT(cvtdq2ps) CP_FLOAT(cvtdq2pd)
CP_FLOAT(cvtps2dq) CP_FLOAT(cvttps2dq) CP_FLOAT(cvtpd2dq) CP_FLOAT(cvttpd2dq)
CP_FLOAT(cvtss2si32) CP_FLOAT(cvtss2si64) CP_FLOAT(cvtsd2si32) CP_FLOAT(cvtsd2si64)
CP_FLOAT(cvttss2si32) CP_FLOAT(cvttss2si64) CP_FLOAT(cvttsd2si32) CP_FLOAT(cvttsd2si64)
CP_FLOAT(cvtsi2ss32) CP_FLOAT(cvtsi2ss64) CP_FLOAT(cvtsi2sd32) CP_FLOAT(cvtsi2sd64)
CP_FLOAT(rcpps) CP_FLOAT(rcpss) CP_FLOAT(rsqrtps) CP_FLOAT(rsqrtss)
#undef CP_FLOAT_ALL
#undef CP_FLOAT

/* ZF, PF and CF at their places in RFLAGS. */
uint64_t cp_comiss(const void *_Nonnull d, const void *_Nonnull s);
uint64_t cp_comisd(const void *_Nonnull d, const void *_Nonnull s);
uint64_t cp_ucomiss(const void *_Nonnull d, const void *_Nonnull s);
uint64_t cp_ucomisd(const void *_Nonnull d, const void *_Nonnull s);

#endif

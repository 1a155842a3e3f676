// Floating point of SSE under the guest's MXCSR. The kernels are CPlatform's, each of them the host's own instruction: while the
// core runs, the thread's MXCSR is the guest's with every exception masked, and collects the exceptions' flags. Instructions
// that may raise one that is not masked do not come here.

internal import CPlatform

/// Kernels that set the flags of integer arithmetic.
///
/// - Deviates: RCPPS, RCPSS, RSQRTPS and RSQRTSS are exact, where processors give twelve bits, each its own
package enum FloatKernels {
    package static let comiss: Kernel = { core, d, s, _ in setArithmeticFlags(core, cp_comiss(d, s)) }
    package static let comisd: Kernel = { core, d, s, _ in setArithmeticFlags(core, cp_comisd(d, s)) }
    package static let ucomiss: Kernel = { core, d, s, _ in setArithmeticFlags(core, cp_ucomiss(d, s)) }
    package static let ucomisd: Kernel = { core, d, s, _ in setArithmeticFlags(core, cp_ucomisd(d, s)) }
}

/// Rounding, denormals and flags of MXCSR; and all exceptions masked.
private let kept: UInt32 = 0xe07f
private let masked: UInt32 = 0x1f80

/// The thread computes as the guest wants it.
package func enterFloats(_ core: Core) {
    store(core, CoreLayout.outerMXCSR, cp_mxcsr())
    cp_set_mxcsr(load(core, CoreLayout.mxcsr, as: UInt32.self) & kept | masked)
}

/// The thread computes as it did; the guest's MXCSR has the exceptions since.
package func leaveFloats(_ core: Core) {
    store(core, CoreLayout.mxcsr, load(core, CoreLayout.mxcsr, as: UInt32.self) | cp_mxcsr() & 0x3f)
    cp_set_mxcsr(load(core, CoreLayout.outerMXCSR, as: UInt32.self))
}

// The CPUID table that a launch offers the firmware: what the processor here implements of the Genoa generation, and
// the topology of the guest. The page that carries it, and the rules that judge it, are the firmware's.

/// The CPUID table of a guest.
public struct CPUIDLeaves: Sendable {
    /// The rows, at most 64; a pair of function and index that is not listed reads as zero.
    public let functions: [CPUIDFunction]

    /// Makes the table for the bootstrap processor (APIC ID 0) of a guest with one thread per core in one socket.
    ///
    /// - Parameters:
    ///   - signature: answered by functions 1 and 8000_0001
    ///   - vcpuCount: the number of virtual CPUs
    /// - Deviates: AVX, AVX-512, FMA, SSE4A, memory encryption keys, performance counters and hypervisor leaves are not offered
    public init(signature: CPUSignature, vcpuCount: Int) {
        let count = UInt32(clamping: max(1, vcpuCount))
        // The width of an APIC ID: the least number of bits that counts every virtual CPU.
        let idWidth = UInt32(32 - (count - 1).leadingZeroBitCount)
        functions = Self.basic(signature, count, idWidth) + Self.extended(signature, count, idWidth)
    }

    private static func basic(_ signature: CPUSignature, _ count: UInt32, _ idWidth: UInt32) -> [CPUIDFunction] {
        [
            CPUIDFunction(eaxIn: 0x0, eax: 0x10, ebx: vendor.0, ecx: vendor.1, edx: vendor.2),
            CPUIDFunction(
                eaxIn: 0x1, eax: signature.rawValue,
                // Cache lines of 8 quadwords; threads in the package in 23:16; APIC ID 0.
                ebx: 8 << 8 | min(count, 0xff) << 16,
                // SSE3 PCLMULQDQ SSSE3 CMPXCHG16B SSE4.1 SSE4.2 x2APIC MOVBE POPCNT AES XSAVE RDRAND
                // and "runs under a hypervisor".
                ecx: bits(0, 1, 9, 13, 19, 20, 21, 22, 23, 25, 26, 30, 31),
                // FPU to PGE but for 10, then MCA CMOV PAT PSE36 CLFLUSH MMX FXSR SSE SSE2 HTT.
                edx: bits(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 19, 23, 24, 25, 26)
                    | (count > 1 ? bits(28) : 0)),
            // ARAT.
            CPUIDFunction(eaxIn: 0x6, eax: bits(2)),
            CPUIDFunction(
                eaxIn: 0x7,
                // FSGSBASE BMI1 SMEP BMI2 ERMS RDSEED ADX SMAP CLFLUSHOPT CLWB SHA.
                ebx: bits(0, 3, 7, 8, 9, 18, 19, 20, 23, 24, 29),
                // UMIP RDPID.
                ecx: bits(2, 22)),
            // Topology: one thread in a core, then the cores of the package.
            CPUIDFunction(eaxIn: 0xb, ecxIn: 0, eax: 0, ebx: 1, ecx: 0x100),
            CPUIDFunction(eaxIn: 0xb, ecxIn: 1, eax: idWidth, ebx: min(count, 0xffff), ecx: 0x201),
            // x87 and SSE state.
            CPUIDFunction(eaxIn: 0xd, ecxIn: 0, xcr0In: 1, eax: 0x3, ebx: 0x240, ecx: 0x240),
            // XSAVEOPT XSAVEC XGETBV(1) XSAVES.
            CPUIDFunction(eaxIn: 0xd, ecxIn: 1, xcr0In: 1, eax: 0xf, ebx: 0x240),
        ]
    }

    private static func extended(_ signature: CPUSignature, _ count: UInt32, _ idWidth: UInt32) -> [CPUIDFunction] {
        [
            CPUIDFunction(eaxIn: 0x8000_0000, eax: 0x8000_0021, ebx: vendor.0, ecx: vendor.1, edx: vendor.2),
            CPUIDFunction(
                eaxIn: 0x8000_0001, eax: signature.rawValue,
                // LAHF CMP_LEGACY CR8 ABM 3DNOWPREFETCH TOPOEXT.
                ecx: bits(0, 4, 5, 8, 22) | (count > 1 ? bits(1) : 0),
                // As function 1, and SYSCALL NX MMXEXT FFXSR 1G-pages RDTSCP LM.
                edx: bits(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 20, 22, 23, 24, 25, 26, 27, 29)),
            brand(0x8000_0002, 0), brand(0x8000_0003, 16), brand(0x8000_0004, 32),
            // 64-entry TLBs, fully associative; L1 caches of 32 KiB, 8 ways, 64-byte lines.
            CPUIDFunction(eaxIn: 0x8000_0005, eax: 0xff40_ff40, ebx: 0xff40_ff40, ecx: 0x2008_0140, edx: 0x2008_0140),
            // L2 of 1 MiB, 8 ways; L3 of 32 MiB, 16 ways.
            CPUIDFunction(eaxIn: 0x8000_0006, ecx: 0x0400_6140, edx: 0x0100_8140),
            // The TSC runs at one rate.
            CPUIDFunction(eaxIn: 0x8000_0007, edx: bits(8)),
            CPUIDFunction(
                eaxIn: 0x8000_0008,
                // 52 physical and 48 linear address bits.
                eax: 0x3034,
                // CLZERO WBNOINVD IBPB IBRS STIBP.
                ebx: bits(0, 9, 12, 14, 15),
                ecx: min(count - 1, 0xff) | min(idWidth, 0xf) << 12),
            CPUIDFunction(
                eaxIn: 0x8000_001f,
                // SEV, SEV-ES, SEV-SNP, VMPL.
                eax: bits(1, 3, 4, 5),
                // The C-bit is 51; one address bit is lost to it; four VMPLs.
                ebx: 51 | 1 << 6 | 4 << 12),
            // No nested data breakpoints, LFENCE serializes, a null selector clears its base.
            CPUIDFunction(eaxIn: 0x8000_0021, eax: bits(0, 2, 6)),
        ]
    }

    /// "AuthenticAMD" in EBX, ECX, EDX.
    private static let vendor: (UInt32, UInt32, UInt32) = (0x6874_7541, 0x444d_4163, 0x6974_6e65)

    private static func bits(_ positions: UInt32...) -> UInt32 {
        positions.reduce(0) { $0 | 1 << $1 }
    }

    /// The part of the 48-byte name of the processor that starts at a byte.
    private static func brand(_ function: UInt32, _ start: Int) -> CPUIDFunction {
        let name = Array("Rampart emulated SEV-SNP processor".utf8)
        func word(_ offset: Int) -> UInt32 {
            (0..<4).reduce(0) { word, byte in
                let index = start + offset + byte
                return word | UInt32(index < name.count ? name[index] : 0) << UInt32(byte * 8)
            }
        }
        return CPUIDFunction(eaxIn: function, eax: word(0), ebx: word(4), ecx: word(8), edx: word(12))
    }
}

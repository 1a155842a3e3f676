// What works on this computer, and what is not modelled at all.

import Monitor

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// What `rampart doctor` finds.
public struct Diagnosis: Hashable, Sendable {
    /// One thing that was tried.
    public struct Check: Hashable, Sendable {
        /// What was tried.
        public var name: String
        /// Whether it works.
        public var isGood: Bool
        /// What was found.
        public var detail: String
        /// Makes a check.
        public init(_ name: String, isGood: Bool, _ detail: String) {
            self.name = name
            self.isGood = isGood
            self.detail = detail
        }
    }

    /// The processor cores that are online.
    public var coreCount: Int
    /// The computer's memory in bytes.
    public var memoryByteCount: UInt64
    /// The largest power of two of bytes that can be reserved without being touched.
    public var reservableByteCount: UInt64
    /// What was tried.
    public var checks: [Check]

    /// Whether everything that was tried works.
    public var isGood: Bool { checks.allSatisfy(\.isGood) }

    /// What a user might look for and not find.
    public static let notModelled: [String] = [
        "guests of SEV and SEV-ES without SNP; launches with an SVSM",
        "x87 arithmetic, MMX, XSAVE and AVX instructions, breakpoints",
        "interrupts of devices, which do not reach guests; PCI; live migration",
        "timing of the hardware: times shown are those of this process",
    ]

    /// Looks at this computer.
    public static func run() -> Diagnosis {
        let cores = sysconf(Int32(_SC_NPROCESSORS_ONLN))
        let pages = sysconf(Int32(_SC_PHYS_PAGES))
        let pageByteCount = sysconf(Int32(_SC_PAGESIZE))
        let memory = UInt64(max(pages, 0)).multipliedReportingOverflow(by: UInt64(max(pageByteCount, 0))).partialValue
        let reservable = largestReservation()
        let image = imageCheck()
        let crypto = CryptoSelfCheck.run().map {
            Check($0.name, isGood: $0.isGood, $0.isGood ? "gives the known answer" : "gives a wrong answer")
        }
        return Diagnosis(
            coreCount: max(cores, 0), memoryByteCount: memory, reservableByteCount: reservable,
            checks: crypto + [image, reservationCheck(reservable)])
    }

    private static func imageCheck() -> Check {
        do {
            let image = try OVMFImage(BundledImage.bytes)
            return Check(
                "bundled firmware image", isGood: true, "\(image.bytes.count) bytes, \(image.sections.count) sections")
        } catch {
            return Check("bundled firmware image", isGood: false, error.description)
        }
    }

    private static func reservationCheck(_ byteCount: UInt64) -> Check {
        let isGood = byteCount >= 1 << 40
        let size = ByteSize(byteCount)?.description ?? "\(byteCount) bytes"
        return Check(
            "memory of a 1T host", isGood: isGood,
            isGood
                ? "up to \(size) can be reserved"
                : "only \(size) can be reserved. Raise the limit of virtual memory (ulimit -v) or use a smaller --memory"
        )
    }

    /// Tries ever smaller powers of two, from 64 TiB down to 1 MiB.
    private static func largestReservation() -> UInt64 {
        for shift in stride(from: 46, through: 20, by: -1) {
            let size = 1 << shift
            let base = unsafe mmap(nil, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
            guard unsafe base != MAP_FAILED else { continue }
            unsafe munmap(base, size)
            return UInt64(size)
        }
        return 0
    }
}

// What a VMM asks the firmware to put into a guest before it runs, in order: the launch digest depends on the order.
// The plan is only data. Whoever launches the guest carries it out and takes the digest from the launch.

public import SNPArchitecture

/// The ordered launch updates of a guest.
public struct LaunchPlan: Sendable {
    /// How a page is launched; the numbers are those of the firmware's page types.
    public enum PageKind: UInt8, CaseIterable, Sendable {
        /// Contents are measured.
        case normal = 1
        /// Zero, measured as such.
        case zero = 3
        /// Contents are not measured, the page's presence is.
        case unmeasured = 4
        /// The firmware fills in the secrets.
        case secrets = 5
        /// The firmware checks the CPUID table; its contents are not measured.
        case cpuid = 6

        /// The page type that the firmware is given.
        public var pageType: PageType { PageType(rawValue: rawValue) }
    }

    /// Where a step's contents come from.
    public enum Contents: Hashable, Sendable {
        /// A range of bytes of the firmware image.
        case image(Range<Int>)
        /// These bytes.
        case bytes([UInt8])
        /// Zeros.
        case zero
        /// Made by the firmware: the secrets page.
        case secrets
        /// The guest's CPUID table.
        case cpuid
    }

    /// One run of pages of one kind.
    public struct Step: Hashable, Sendable {
        /// The first page.
        public var gfn: GFN
        /// The number of 4 KiB pages.
        public var pageCount: UInt64
        /// How the pages are launched.
        public var kind: PageKind
        /// What is in them.
        public var contents: Contents

        /// Makes a step.
        public init(gfn: GFN, pageCount: UInt64, kind: PageKind, contents: Contents) {
            self.gfn = gfn
            self.pageCount = pageCount
            self.kind = kind
            self.contents = contents
        }
    }

    /// The firmware image; nil for a guest without firmware.
    public let image: OVMFImage?
    /// The digest to start from in place of zero, when the digest of the image's own pages was given beforehand.
    ///
    /// No real launch starts from another digest than zero: with this set, the steps do not launch a whole guest.
    public let initialDigest: [UInt8]?
    /// The pages, in order. The VMSAs come after them.
    public let steps: [Step]
    /// The number of virtual CPUs, and so of VMSAs.
    public let vcpuCount: Int
    /// The state of the first virtual CPU.
    public let bootstrapVMSA: VMSA
    /// The state of each other virtual CPU.
    public let applicationVMSA: VMSA
    /// The processor's signature.
    public let signature: CPUSignature

    /// The guest's CPUID table on a host of some signature.
    ///
    /// Firmware refuses a guest whose processor is newer than the host's. The table is not measured, so such a guest is
    /// given the host's own signature.
    public func cpuid(host: CPUSignature) -> CPUIDLeaves {
        let fits = (signature.family, signature.model, signature.stepping) <= (host.family, host.model, host.stepping)
        return CPUIDLeaves(signature: fits ? signature : host, vcpuCount: vcpuCount)
    }

    /// The state of one virtual CPU.
    public func vmsa(_ index: Int) -> VMSA { index == 0 ? bootstrapVMSA : applicationVMSA }

    /// The bytes of one page of a step, or nil for pages that have no contents of their own.
    public func page(_ index: UInt64, of step: Step) -> [UInt8]? {
        let start = Int(index) * 4096
        return switch step.contents {
        case .image(let range):
            image.map { Array($0.bytes[(range.lowerBound + start)..<(range.lowerBound + start + 4096)]) }
        case .bytes(let bytes): Array(bytes[start..<(start + 4096)])
        case .zero, .secrets, .cpuid: nil
        }
    }

    /// Makes a plan without firmware of its parts.
    init(direct steps: [Step], vcpuCount: Int, signature: CPUSignature, bootstrap: VMSA, application: VMSA) {
        image = nil
        initialDigest = nil
        self.steps = steps
        self.vcpuCount = vcpuCount
        self.signature = signature
        bootstrapVMSA = bootstrap
        applicationVMSA = application
    }

    /// The end of the highest page that lies below the image: a guest needs at least so much memory.
    public var lowMemoryEnd: GPA {
        let limit = image?.gpa.frame ?? GFN(.max)
        return steps.filter { $0.gfn < limit }.map { ($0.gfn + $0.pageCount).address }.max() ?? GPA(0)
    }
}

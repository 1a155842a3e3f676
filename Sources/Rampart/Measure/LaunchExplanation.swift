// What a launch digest is made of, page by page.

internal import Monitor
public import SNPArchitecture

/// What one 4 KiB page adds to a launch digest.
public struct ExplainedPage: Hashable, Sendable {
    /// Where the guest sees the page.
    public var gpa: GPA
    /// PAGE_TYPE.
    public var type: PageType
    /// The permissions of VMPL1, VMPL2 and VMPL3, a byte each from bits 15:8 on.
    public var permissions: VMPLPermissionSet
    /// SHA-384 of the page, or zeros for a type whose content is not measured; 48 bytes.
    public var contents: [UInt8]
    /// Where the content comes from, in words. It does not count in comparisons.
    public var origin: String

    /// Makes the account of a page.
    public init(gpa: GPA, type: PageType, permissions: VMPLPermissionSet, contents: [UInt8], origin: String) {
        self.gpa = gpa
        self.type = type
        self.permissions = permissions
        self.contents = contents
        self.origin = origin
    }
}

/// What a launch digest is made of.
public struct LaunchExplanation: Hashable, Sendable {
    /// DIGEST_CUR of the first page, 48 bytes: zeros unless the digest of an image was given beforehand.
    public var start: [UInt8]
    /// The pages in the order of the launch.
    public var pages: [ExplainedPage]
    /// The launch digest, 48 bytes.
    public var digest: [UInt8]

    /// Makes an explanation of what firmware measured of a plan.
    init(_ measured: [PageInfo], of plan: LaunchPlan, digest: [UInt8]) {
        start = measured.first?.currentDigest ?? digest
        let origins = plan.origins
        pages = measured.enumerated().map { index, info in
            // VMPL0's byte is not part of what is measured.
            ExplainedPage(
                gpa: info.gpa, type: info.pageType,
                permissions: VMPLPermissionSet(rawValue: info.permissions.rawValue & ~0xff), contents: info.contents,
                origin: index < origins.count ? origins[index] : "vCPU \(index - origins.count)")
        }
        self.digest = digest
    }
}

extension LaunchPlan {
    /// For each page but the VMSAs, in order, where its content comes from.
    fileprivate var origins: [String] {
        steps.flatMap { step in
            (0..<step.pageCount).map { page in
                switch step.contents {
                case .image(let range): "image offset 0x\(String(range.lowerBound + Int(page) << 12, radix: 16))"
                case .bytes: "made by the VMM"
                case .zero: "zeros"
                case .secrets: "made by firmware"
                case .cpuid: "CPUID table"
                }
            }
        }
    }
}

// From a program without firmware to the ordered launch updates: what firmware would have made, the loader makes.
// The boot ABI is written down in Guests/README.md.

public import SNPArchitecture

/// How a guest is launched without firmware.
public struct DirectConfiguration: Sendable {
    /// The guest's memory, from address 0.
    public var memoryByteCount: UInt64
    /// The number of virtual CPUs.
    public var vcpuCount: Int
    /// What the guest is told, without a zero byte at its end.
    public var commandLine: [UInt8]
    /// The processor's signature.
    public var signature: CPUSignature
    /// SEV_FEATURES of every virtual CPU.
    public var features: SEVFeatures

    /// Makes a configuration.
    public init(
        memoryByteCount: UInt64, vcpuCount: Int = 1, commandLine: String = "", signature: CPUSignature,
        features: SEVFeatures = .snpActive
    ) {
        self.memoryByteCount = memoryByteCount
        self.vcpuCount = vcpuCount
        self.commandLine = Array(commandLine.utf8)
        self.signature = signature
        self.features = features
    }
}

/// Why a guest cannot be launched without firmware.
public enum DirectLaunchError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The number of virtual CPUs is not in 1 to 4096.
    case vcpuCount(Int)
    /// The memory is not a multiple of 4 KiB, or has less than 1 MiB.
    case memory(UInt64)
    /// The command line is longer than its page, or has a zero byte.
    case commandLine(byteCount: Int)
    /// The image lies where the loader's own pages are.
    case overlap(GPA)
    /// The image ends above the guest's memory, or above 3 GiB.
    case imageEnd(GPA, limit: GPA)

    /// One line for the user.
    public var description: String {
        switch self {
        case .vcpuCount(let count):
            "\(count) virtual CPUs are not possible. Use 1 to \(LaunchConfiguration.maximumVCPUCount)."
        case .memory(let count):
            "\(count) bytes of memory are not possible. Use a multiple of 4 KiB, and at least 1 MiB."
        case .commandLine(let count):
            "a command line of \(count) bytes is not possible. Use at most \(DirectLayout.maximumCommandLine), "
                + "without a zero byte."
        case .overlap(let gpa):
            "the image lies at \(gpa), where the loader's pages are (\(DirectLayout.start) to \(DirectLayout.end)). "
                + "Link it to another address, 0x100000 for example."
        case .imageEnd(let end, let limit):
            "the image ends at \(end), and memory that can be loaded at \(limit). Give the guest more memory, or link the "
                + "image to lower addresses."
        }
    }
}

/// Where the loader's own pages are.
enum DirectLayout {
    /// The boot information page, or Multiboot information.
    static let information = GPA(0x8000)
    static let secrets = GPA(0x9000)
    static let cpuid = GPA(0xa000)
    /// Level 4, level 3, then up to three of level 2.
    static let pageTables = GPA(0x1_0000)
    static let start = information
    static let end = GPA(0x1_5000)
    /// What is mapped, and where images may lie.
    static let mapLimit: UInt64 = 3 << 30
    static let commandLineOffset = 0x100
    static let maximumCommandLine = 0xeff
    static let cBit = 51
}

extension LaunchPlan {
    /// Plans the launch of a program without firmware.
    ///
    /// - Throws: in check order: `.vcpuCount`, `.memory`, `.commandLine`, `.overlap`, `.imageEnd`
    public static func direct(
        image: GuestImage, configuration: DirectConfiguration
    ) throws(DirectLaunchError) -> LaunchPlan {
        guard (1...LaunchConfiguration.maximumVCPUCount).contains(configuration.vcpuCount) else {
            throw .vcpuCount(configuration.vcpuCount)
        }
        let memory = configuration.memoryByteCount
        guard memory % 4096 == 0, memory >= 1 << 20 else { throw .memory(memory) }
        let commandLine = configuration.commandLine
        guard commandLine.count <= DirectLayout.maximumCommandLine, !commandLine.contains(0) else {
            throw .commandLine(byteCount: commandLine.count)
        }
        let limit = GPA(min(memory, DirectLayout.mapLimit))
        for segment in image.segments {
            let isClear = segment.end <= DirectLayout.start || segment.gpa >= DirectLayout.end
            guard isClear else { throw .overlap(segment.gpa) }
        }
        for segment in image.segments {
            guard segment.end <= limit else { throw .imageEnd(segment.end, limit: limit) }
        }
        let information =
            switch image.bootProtocol {
            case .direct: bootInformation(image, configuration)
            case .multiboot:
                MultibootInformation.page(
                    at: DirectLayout.information, memoryByteCount: memory, commandLine: commandLine)
            }
        var steps = [
            Step(gfn: DirectLayout.information.frame, pageCount: 1, kind: .normal, contents: .bytes(information))
        ]
        let tables = pageTables(mapping: limit.rawValue)
        steps.append(
            Step(
                gfn: DirectLayout.pageTables.frame, pageCount: UInt64(tables.count / 4096), kind: .normal,
                contents: .bytes(tables)))
        steps += runs(of: image.pages())
        steps.append(Step(gfn: DirectLayout.secrets.frame, pageCount: 1, kind: .secrets, contents: .secrets))
        steps.append(Step(gfn: DirectLayout.cpuid.frame, pageCount: 1, kind: .cpuid, contents: .cpuid))
        return LaunchPlan(
            direct: steps, vcpuCount: configuration.vcpuCount, signature: configuration.signature,
            bootstrap: .direct(image, features: configuration.features, isBootstrap: true),
            application: .direct(image, features: configuration.features, isBootstrap: false))
    }

    /// Joins neighbouring pages of one kind.
    private static func runs(of pages: [(gfn: GFN, bytes: [UInt8]?)]) -> [Step] {
        var steps: [Step] = []
        var start = 0
        while start < pages.count {
            var end = start + 1
            let hasBytes = pages[start].bytes != nil
            while end < pages.count, pages[end].gfn == pages[end - 1].gfn + 1, (pages[end].bytes != nil) == hasBytes {
                end += 1
            }
            let contents: Contents =
                hasBytes ? .bytes(pages[start..<end].flatMap { $0.bytes ?? [] }) : .zero
            steps.append(
                Step(
                    gfn: pages[start].gfn, pageCount: UInt64(end - start), kind: hasBytes ? .normal : .zero,
                    contents: contents))
            start = end
        }
        return steps
    }

    /// The boot information page.
    private static func bootInformation(_ image: GuestImage, _ configuration: DirectConfiguration) -> [UInt8] {
        var page = [UInt8](repeating: 0, count: 4096)
        let imageStart = image.segments.first?.gpa.frame.address ?? GPA(0)
        let lastEnd = image.segments.map(\.end).max() ?? GPA(0)
        let imageEnd = GPA((lastEnd.rawValue + 0xfff) & ~0xfff)
        let memory = configuration.memoryByteCount
        page.store(Array("RAMPART1".utf8), at: 0x00, limit: 8)
        page.store(UInt32(0x68), at: 0x08)
        page.store(UInt32(configuration.vcpuCount), at: 0x0c)
        page.store(memory, at: 0x10)
        page.store(DirectLayout.secrets.rawValue, at: 0x18)
        page.store(DirectLayout.cpuid.rawValue, at: 0x20)
        page.store(max(imageEnd, DirectLayout.end).rawValue, at: 0x28)
        page.store(UInt32(DirectLayout.cBit), at: 0x30)
        page.store(UInt32(1), at: 0x34)
        page.store(DirectLayout.pageTables.rawValue, at: 0x38)
        page.store(mapEnd(min(memory, DirectLayout.mapLimit)), at: 0x40)
        page.store(DirectLayout.information.rawValue + UInt64(DirectLayout.commandLineOffset), at: 0x48)
        page.store(UInt32(configuration.commandLine.count), at: 0x50)
        page.store(imageStart.rawValue, at: 0x58)
        page.store(imageEnd.rawValue, at: 0x60)
        page.store(
            configuration.commandLine, at: DirectLayout.commandLineOffset, limit: DirectLayout.maximumCommandLine)
        return page
    }

    private static func mapEnd(_ byteCount: UInt64) -> UInt64 { (byteCount + 0x1f_ffff) & ~0x1f_ffff }

    /// Page tables that map addresses to themselves with pages of 2 MiB and the C-bit.
    private static func pageTables(mapping byteCount: UInt64) -> [UInt8] {
        let largePages = mapEnd(byteCount) >> 21
        let directories = Int((largePages + 511) / 512)
        var tables = [UInt8](repeating: 0, count: 4096 * (2 + directories))
        let cBit: UInt64 = 1 << UInt64(DirectLayout.cBit)
        let root = DirectLayout.pageTables.rawValue
        // Present and writable; a large page besides.
        tables.store((root + 0x1000) | cBit | 0x3, at: 0)
        for index in 0..<directories {
            tables.store((root + 0x2000 + UInt64(index) << 12) | cBit | 0x3, at: 0x1000 + index * 8)
        }
        for index in 0..<largePages { tables.store(index << 21 | cBit | 0x83, at: 0x2000 + Int(index) * 8) }
        return tables
    }
}

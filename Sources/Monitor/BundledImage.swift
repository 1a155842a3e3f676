// The firmware image that is used when the user names none: everything a launch needs, and code that only halts.

import SNPArchitecture

/// A firmware image of 64 KiB, made in code.
public enum BundledImage {
    /// The layout of its guest memory, in the order of the launch.
    public static let sections: [SEVMetadataSection] = [
        SEVMetadataSection(gpa: GPA(0x80_0000), byteCount: 0x9000, kind: .secMemory),
        SEVMetadataSection(gpa: GPA(0x80_d000), byteCount: 0x1000, kind: .secrets),
        SEVMetadataSection(gpa: GPA(0x80_e000), byteCount: 0x1000, kind: .cpuid),
        SEVMetadataSection(gpa: GPA(0x81_0000), byteCount: 0x1000, kind: .kernelHashes),
        SEVMetadataSection(gpa: GPA(0x81_1000), byteCount: 0xf000, kind: .secMemory),
    ]

    /// The file.
    public static let bytes: [UInt8] = {
        var builder = OVMFImageBuilder()
        builder.byteCount = 0x1_0000
        builder.sections = sections
        builder.hashTable = GPA(0x81_0c00)
        // The other processors start 32 bytes before the end of the image, the first one 16 bytes before it.
        builder.resetAddress = 0xffff_ffe0
        let haltForEver: [UInt8] = [
            0xf4,  // hlt
            0xeb, 0xfd,  // jmp to the hlt
        ]
        builder.code = haltForEver + [UInt8](repeating: 0x90, count: 16 - haltForEver.count) + haltForEver
        return builder.build()
    }()

    /// The image, read by the same code as any other.
    public static let image: OVMFImage = {
        do { return try OVMFImage(bytes) } catch { preconditionFailure("the bundled image is malformed: \(error)") }
    }()
}

// Why a firmware image cannot be launched: what, where in the file, and what to do about it.

public import SNPArchitecture

/// A firmware image that is malformed, or lacks what the launch needs.
public struct OVMFError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is wrong.
    public enum Problem: Hashable, Sendable {
        /// The file has no bytes.
        case empty
        /// The file has fewer bytes than one page.
        case tooSmall(byteCount: Int)
        /// The file has more than 16 MiB, which would reach down to the interrupt controllers.
        case tooLarge(byteCount: Int)
        /// The size is not a multiple of 4096.
        case notWholePages(byteCount: Int)
        /// There is no table of GUIDs 32 bytes before the end.
        case noTable
        /// The table's length is less than that of its footer, or reaches in front of the file.
        case tableLength(Int)
        /// An entry's length is less than 18, or reaches in front of the table.
        case entryLength(Int)
        /// An entry that must be unique comes twice.
        case duplicateEntry(GUID)
        /// An entry has too few bytes of data.
        case entryData(GUID, byteCount: Int, needed: Int)
        /// The metadata is not wholly inside the file.
        case metadataOutsideFile(fromEnd: UInt32)
        /// The metadata does not start with "ASEV".
        case metadataSignature(UInt32)
        /// The metadata is not of version 1.
        case metadataVersion(UInt32)
        /// The metadata's length does not hold its sections, or exceeds the file.
        case metadataLength(UInt32, sections: UInt32)
        /// A section has a type that is not known.
        case sectionKind(SEVMetadataSection.Kind)
        /// A section does not start at a page.
        case sectionUnaligned(SEVMetadataSection.Kind, GPA)
        /// A section is not of whole pages, or not of one page where it must be.
        case sectionLength(SEVMetadataSection.Kind, UInt64)
        /// Two sections, or a section and the image itself, share a page.
        case sectionOverlap(SEVMetadataSection.Kind, GPA)
        /// The image does not say where the other processors start.
        case noResetBlock
        /// The other processors would start at address 0.
        case zeroResetAddress
        /// The image has no section for the kernel's hashes.
        case noKernelHashesSection
        /// The image does not say where in the page the kernel's hashes go.
        case noHashTable
        /// The kernel's hashes do not fit between the place the image names and the end of the page.
        case hashTableDoesNotFit(GPA)
    }

    /// What is wrong.
    public var problem: Problem
    /// Where in the file it was found.
    public var fileOffset: Int

    /// Makes an error.
    public init(_ problem: Problem, at fileOffset: Int) {
        self.problem = problem
        self.fileOffset = fileOffset
    }

    /// One line for the user.
    public var description: String {
        "at file offset 0x\(String(fileOffset, radix: 16)): \(what). \(remedy)"
    }

    private var what: String {
        switch problem {
        case .empty: "the image is empty"
        case .tooSmall(let count): "the image has only \(count) bytes, less than a page"
        case .tooLarge(let count): "the image has \(count) bytes, more than the 16 MiB below 4 GiB"
        case .notWholePages(let count): "the image's size of \(count) bytes is not a multiple of 4096"
        case .noTable: "there is no GUID table 32 bytes before the end"
        case .tableLength(let length): "the GUID table's length of \(length) bytes does not fit the image"
        case .entryLength(let length): "a GUID table entry's length of \(length) bytes does not fit the table"
        case .duplicateEntry(let guid): "the GUID table has two entries \(guid)"
        case .entryData(let guid, let count, let needed): "entry \(guid) has \(count) bytes of data, not \(needed)"
        case .metadataOutsideFile(let fromEnd):
            "the SEV metadata, \(fromEnd) bytes before the end, is outside the image"
        case .metadataSignature(let found): "the SEV metadata starts with 0x\(String(found, radix: 16)), not \"ASEV\""
        case .metadataVersion(let version): "the SEV metadata has version \(version), not 1"
        case .metadataLength(let length, let count):
            "the SEV metadata's length of \(length) bytes does not hold \(count) sections or exceeds the image"
        case .sectionKind(let kind): "the SEV metadata has a section of the unknown \(kind)"
        case .sectionUnaligned(let kind, let gpa): "section \(kind) at \(gpa) does not start at a page"
        case .sectionLength(let kind, let length):
            kind == .secrets || kind == .cpuid || kind == .kernelHashes
                ? "section \(kind) has \(length) bytes, not one page"
                : "section \(kind) has \(length) bytes, which are not whole pages"
        case .sectionOverlap(let kind, let gpa): "section \(kind) overlaps another section or the image at \(gpa)"
        case .noResetBlock: "there is no SEV-ES reset block (GUID \(GUID.resetBlock))"
        case .zeroResetAddress: "the SEV-ES reset block names address 0 for the second virtual CPU"
        case .noKernelHashesSection: "a kernel is given, but the SEV metadata has no SNP_KERNEL_HASHES section"
        case .noHashTable: "a kernel is given, but there is no hash table entry (GUID \(GUID.hashTable)), or it names 0"
        case .hashTableDoesNotFit(let gpa): "the kernel hashes do not fit between \(gpa) and the end of its page"
        }
    }

    private var remedy: String {
        switch problem {
        case .empty, .tooSmall, .tooLarge, .notWholePages, .noTable:
            "Name an OVMF image of code and variables, such as OVMF.fd or OVMF.amdsev.fd"
        case .tableLength, .entryLength, .duplicateEntry, .entryData, .metadataOutsideFile, .metadataSignature,
            .metadataLength, .sectionUnaligned, .sectionLength, .sectionOverlap:
            "The file is damaged, or was not built for SEV: build or download it again"
        case .metadataVersion, .sectionKind:
            "The image is newer than this version knows: use an older image"
        case .noResetBlock, .zeroResetAddress:
            "Use an image built with SEV-ES support"
        case .noKernelHashesSection, .noHashTable, .hashTableDoesNotFit:
            "Use an image built for measured direct boot, such as OVMF.amdsev.fd, or leave out the kernel"
        }
    }
}

// Why a file cannot be loaded as a guest: what, where in the file, and what to do about it.

public import SNPArchitecture

/// An image that is malformed, or that this loader cannot start.
public struct GuestImageError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is wrong.
    public enum Problem: Hashable, Sendable {
        /// The file ends before this many bytes of a structure.
        case truncated(needed: Int)
        /// The file starts neither as ELF nor with a Multiboot header.
        case unknownFormat
        /// The class is neither 32-bit nor 64-bit.
        case elfClass(UInt8)
        /// The byte order is not little-endian.
        case byteOrder(UInt8)
        /// The version is not 1.
        case elfVersion(UInt32)
        /// The type is not that of a static executable.
        case elfType(UInt16)
        /// The machine is not the one of the class: x86-64, or i386.
        case machine(UInt16)
        /// The size of a program header is not the one of the class.
        case programHeaderSize(UInt16)
        /// There are no program headers, or more than fit in the count.
        case programHeaderCount(UInt16)
        /// The file needs an interpreter or relocation.
        case dynamic
        /// A segment's bytes are not all in the file.
        case segmentOutsideFile(offset: UInt64, byteCount: UInt64)
        /// A segment has more bytes in the file than in memory.
        case segmentShrinks(fileByteCount: UInt64, memoryByteCount: UInt64)
        /// A segment does not lie below 4 GiB.
        case segmentAddress(GPA, byteCount: UInt64)
        /// Two segments share bytes.
        case segmentsOverlap(GPA, GPA)
        /// There is nothing to load.
        case nothingToLoad
        /// The first instruction is not in what is loaded.
        case entryOutside(UInt64)
        /// The Multiboot header wants something that this loader does not have.
        case multibootFlags(UInt32)
        /// The Multiboot header's addresses contradict each other or the file.
        case multibootAddresses
        /// The Multiboot header has no addresses and the file is not a 32-bit ELF file.
        case multibootNeedsELF32
    }

    /// What is wrong.
    public var problem: Problem
    /// Where in the file.
    public var offset: Int

    /// Makes an error.
    public init(_ problem: Problem, at offset: Int) {
        self.problem = problem
        self.offset = offset
    }

    /// One line for the user.
    public var description: String { "\(reason) (file offset 0x\(String(offset, radix: 16))). \(remedy)" }

    private static func hexadecimal(_ value: some BinaryInteger) -> String { "0x" + String(value, radix: 16) }

    private var reason: String {
        switch problem {
        case .truncated(let needed): "the file ends before \(needed) bytes that belong here"
        case .unknownFormat: "the file is neither ELF nor Multiboot"
        case .elfClass(let value): "ELF class \(value) is neither 32-bit nor 64-bit"
        case .byteOrder(let value): "byte order \(value) is not little-endian"
        case .elfVersion(let value): "ELF version \(value) is not 1"
        case .elfType(let value): "ELF type \(value) is not that of an executable"
        case .machine(let value): "machine \(value) is not the x86 of the file's class"
        case .programHeaderSize(let value): "program headers of \(value) bytes are not of the file's class"
        case .programHeaderCount(let value): "\(value) program headers cannot be loaded"
        case .dynamic: "the file needs a dynamic linker"
        case .segmentOutsideFile(let offset, let count):
            "a segment's \(count) bytes at offset \(Self.hexadecimal(offset)) are not all in the file"
        case .segmentShrinks(let file, let memory): "a segment has \(file) bytes in the file, and \(memory) in memory"
        case .segmentAddress(let gpa, let count): "a segment of \(count) bytes at \(gpa) does not lie below 4 GiB"
        case .segmentsOverlap(let first, let second): "the segments at \(first) and \(second) overlap"
        case .nothingToLoad: "the file has nothing to load"
        case .entryOutside(let entry): "the entry \(Self.hexadecimal(entry)) is not in what is loaded"
        case .multibootFlags(let flags): "the Multiboot header demands \(Self.hexadecimal(flags))"
        case .multibootAddresses: "the addresses of the Multiboot header contradict each other or the file"
        case .multibootNeedsELF32: "the Multiboot header has no addresses, and the file is not 32-bit ELF"
        }
    }

    private var remedy: String {
        switch problem {
        case .truncated, .segmentOutsideFile: "Get the whole file."
        case .unknownFormat: "Name a static ELF file for x86, or load raw bytes with an address."
        case .elfType, .dynamic: "Link it statically, at a fixed address."
        case .elfClass, .byteOrder, .elfVersion, .machine: "Build it for x86."
        case .programHeaderSize, .programHeaderCount, .segmentShrinks, .segmentsOverlap, .nothingToLoad, .entryOutside:
            "Link it again."
        case .segmentAddress: "Link it to physical addresses below 4 GiB."
        case .multibootFlags: "Only page alignment, memory information and addresses are offered."
        case .multibootAddresses, .multibootNeedsELF32: "Correct the header."
        }
    }
}
